/*
 * netback/worker.c - polls, bridges, rests and sleeps.
 *
 * A port rests by itself: it arms its event and leaves the list of active ports, whatever the others do. So a round costs
 * what is busy, not what exists. The control thread changes things only while the worker stands still, which it does between two
 * rounds when asked to.
 *
 * Owns     see worker.h.
 * Trusts   event fds only as hints.
 * Runs in  worker_main and below it: the worker's thread. The rest: control thread.
 * Fails    only at start.
 */
#include "netback/worker.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#define EPOLL_ROUNDS 16 /* how often a busy worker looks for events */
#define EPOLL_BATCH 64
#define GLANCE_MIN_MS 1
#define GLANCE_MAX_MS 16

struct worker {
	struct bridge_lane *lane;
	int epoll_fd;
	int wake_fd; /* the control thread and other workers write it */
	pthread_t thread;
	struct worker_options opt;
	unsigned load;
	TAILQ_HEAD(, worker_port) all;
	struct worker_port *active[BRIDGE_MAX_PORTS];
	unsigned nr_active;
	int glance_ms;
	struct busy_poll errand_wait;        /* for what other workers have for us */
	uint64_t yield_ns;                   /* busy_poll_give_way's */
	uint64_t glance_tsc, glance_min_tsc; /* the last look at all that cannot wake us; how far apart such looks are */
	bool any_fault;
	bool must_stop;
	int start_err;
	uint64_t sleeps;
	bool must_halt;
	sem_t started, halted, resumed;
};

/* ---- in the worker's thread ------------------------------------------------------------------------------------- */

static void port_activate(struct worker *w, struct worker_port *p, bool is_glance)
{
	if (p->is_active) {
		p->is_glance &= is_glance;
		return;
	}
	p->is_active = true;
	p->is_glance = is_glance;
	w->active[w->nr_active++] = p;
}

static void port_deactivate(struct worker *w, unsigned at)
{
	w->active[at]->is_active = false;
	w->active[at] = w->active[--w->nr_active];
}

/* It has no credit now: no event of its own would change that. */
static bool port_is_throttled(const struct worker_port *p)
{
	return p->is_throttled && *p->is_throttled;
}

/* True: some queue has more already. All are armed, whatever the first says. */
static bool port_arm(const struct worker_port *p)
{
	bool has_more = false;

	for (unsigned i = 0; i < p->nr_queues; i++)
		has_more |= vif_arm(p->queue[i]);
	return has_more;
}

static bool port_must_be_looked_at(const struct worker_port *p)
{
	if (port_is_throttled(p))
		return true;
	for (unsigned i = 0; i < p->nr_queues; i++)
		if (vif_must_be_looked_at(p->queue[i]))
			return true;
	return false;
}

/* The port was quiet this round. True: it may rest, its event is armed. */
static bool port_may_rest(struct worker_port *p, uint64_t now_ns)
{
	if (port_is_throttled(p))
		return true;
	if (!p->is_glance && busy_poll_is_worth(&p->wait, now_ns))
		return false;
	if (!port_arm(p))
		return true;
	p->is_glance = false;
	return false;
}

/* How many ports brought something. */
static unsigned worker_poll_ports(struct worker *w)
{
	unsigned nr_busy = 0;

	for (unsigned i = w->nr_active; i-- > 0;) {
		struct worker_port *p = w->active[i];

		p->is_busy = lane_poll(w->lane, p->part);
		if (!p->is_busy)
			continue;
		nr_busy++;
		busy_poll_found(&p->wait);
		p->is_glance = false;
		w->glance_ms = GLANCE_MIN_MS;
	}
	lane_flush(w->lane);
	return nr_busy;
}

static void worker_rest_ports(struct worker *w, uint64_t now_ns)
{
	for (unsigned i = w->nr_active; i-- > 0;)
		if (!w->active[i]->is_busy && port_may_rest(w->active[i], now_ns))
			port_deactivate(w, i);
}

static void worker_report_faults(struct worker *w)
{
	uint64_t one = 1;

	w->any_fault = false;
	if (write(w->opt.fault_fd, &one, sizeof(one)) < 0)
		return; /* full: the control thread has not looked since, and will */
}

static void semaphore_wait(sem_t *sem)
{
	while (sem_wait(sem) < 0 && errno == EINTR)
		;
}

static void worker_stand_still(struct worker *w)
{
	sem_post(&w->halted);
	semaphore_wait(&w->resumed);
}

static void worker_event(struct worker *w, const struct epoll_event *e)
{
	const struct worker_source *source = e->data.ptr;
	evtchn_port_t ports[4];
	uint64_t count;

	if (!source) {
		if (read(w->wake_fd, &count, sizeof(count)) < 0)
			return; /* what it says was seen before it was read */
		return;
	}
	if (source->queue && hv_event_take(source->queue->hv, source->fd, ports, RTE_DIM(ports)))
		count_add(&source->queue->stats->events, 1);
	port_activate(w, source->port, false);
}

/* Ports that cannot wake anybody, and vifs whose pages are still out, get one look. True: there are such. */
static bool worker_glance(struct worker *w, bool is_due)
{
	struct worker_port *p;
	bool any = false;

	TAILQ_FOREACH(p, &w->all, all) {
		if (p->wake != WORKER_WAKE_TIMER && !port_must_be_looked_at(p))
			continue;
		any = true;
		if (is_due)
			port_activate(w, p, true);
	}
	return any;
}

static void worker_wait(struct worker *w, bool may_sleep)
{
	struct epoll_event events[EPOLL_BATCH];
	int timeout = 0, n;

	if (may_sleep && lane_doze(w->lane))
		return;
	if (may_sleep) {
		timeout = worker_glance(w, false) ? w->glance_ms : -1;
		count_add(&w->sleeps, 1);
	}
	n = epoll_wait(w->epoll_fd, events, EPOLL_BATCH, timeout);
	if (may_sleep)
		lane_awake(w->lane);
	w->lane->now = rte_rdtsc();
	for (int i = 0; i < n; i++)
		worker_event(w, &events[i]);
	if (may_sleep && n == 0)
		w->glance_ms = RTE_MIN(w->glance_ms * 2, GLANCE_MAX_MS);
	/* A worker that never sleeps looks, too. */
	if ((may_sleep && n == 0) || w->lane->now - w->glance_tsc > w->glance_min_tsc) {
		w->glance_tsc = w->lane->now;
		worker_glance(w, true);
	}
}

static void worker_pin(const struct worker *w)
{
	cpu_set_t set;

	if (w->opt.cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(w->opt.cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* Other workers' packets: were there any? */
static bool worker_run_errands(struct worker *w)
{
	bool has_some = w->lane->bridge->nr_lanes > 1 && lane_receive(w->lane);

	if (has_some)
		busy_poll_found(&w->errand_wait);
	return has_some;
}

/* Nothing came this round, and it looks again. */
static void worker_give_way(struct worker *w, uint64_t now_ns)
{
	if (busy_poll_give_way(&w->yield_ns, &now_ns))
		return;
	busy_poll_is_crowded(&w->errand_wait, now_ns);
	for (unsigned i = 0; i < w->nr_active; i++)
		busy_poll_is_crowded(&w->active[i]->wait, now_ns);
}

/* What was quiet this round may rest. False: nothing is left that is worth another look. */
static bool worker_looks_again(struct worker *w, bool is_quiet, bool has_errands)
{
	uint64_t now_ns = clock_now_ns();

	worker_rest_ports(w, now_ns);
	if (w->nr_active == 0 && !has_errands &&
	    (w->lane->bridge->nr_lanes == 1 || !busy_poll_is_worth(&w->errand_wait, now_ns)))
		return false;
	if (is_quiet)
		worker_give_way(w, now_ns);
	return true;
}

static void worker_round(struct worker *w, unsigned round)
{
	bool has_errands, is_quiet, is_all_busy;
	unsigned nr_busy;

	w->lane->now = rte_rdtsc();
	has_errands = worker_run_errands(w);
	nr_busy = worker_poll_ports(w);
	if (unlikely(w->any_fault))
		worker_report_faults(w);
	is_quiet = !nr_busy && !has_errands;
	is_all_busy = nr_busy && nr_busy == w->nr_active;
	if (!is_quiet)
		w->yield_ns = 0;
	if (!is_all_busy && !worker_looks_again(w, is_quiet, has_errands))
		worker_wait(w, !load_acquire(&w->must_halt));
	else if (round % EPOLL_ROUNDS == 0)
		worker_wait(w, false);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	unsigned round = 0;

	worker_pin(w);
	/* An lcore id of its own: the pools' caches. */
	w->start_err = rte_thread_register() == 0 ? 0 : -rte_errno;
	sem_post(&w->started);
	while (w->start_err == 0 && !load_relaxed(&w->must_stop)) {
		if (unlikely(load_acquire(&w->must_halt))) /* pairs with worker_halt's release */
			worker_stand_still(w);
		worker_round(w, ++round);
	}
	if (w->start_err == 0)
		rte_thread_unregister();
	return NULL;
}

/* ---- in the control thread: while it stands still ----------------------------------------------------------------- */

static void sources_list(struct worker_port *p)
{
	p->nr_sources = 0;
	if (p->wake == WORKER_WAKE_FD)
		p->source[p->nr_sources++] = (struct worker_source){.port = p, .fd = p->fd};
	for (unsigned i = 0; i < p->nr_queues; i++) {
		struct vif_queue *q = p->queue[i];

		p->source[p->nr_sources++] = (struct worker_source){.port = p, .queue = q, .fd = q->tx_fd};
		if (q->rx_fd != q->tx_fd)
			p->source[p->nr_sources++] = (struct worker_source){.port = p, .queue = q, .fd = q->rx_fd};
	}
}

static void sources_remove(struct worker *w, const struct worker_port *p, unsigned nr)
{
	while (nr--)
		epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, p->source[nr].fd, NULL);
}

static int sources_add(struct worker *w, struct worker_port *p)
{
	for (unsigned i = 0; i < p->nr_sources; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &p->source[i]};
		int err;

		if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, p->source[i].fd, &e) == 0)
			continue;
		err = -errno;
		sources_remove(w, p, i);
		return err;
	}
	return 0;
}

int worker_add(struct worker *w, struct worker_port *p)
{
	int err;

	p->is_active = false;
	sources_list(p);
	err = sources_add(w, p);
	if (err)
		return err;
	TAILQ_INSERT_TAIL(&w->all, p, all);
	for (unsigned i = 0; i < p->nr_queues; i++)
		vif_attach(p->queue[i], &w->any_fault);
	busy_poll_init(&p->wait, w->opt.busy_poll_us);
	if (p->wake != WORKER_WAKE_NONE)
		port_activate(w, p, false); /* what came before the event was armed */
	w->load += RTE_MAX(p->nr_queues, 1u);
	return 0;
}

void worker_remove(struct worker *w, struct worker_port *p)
{
	sources_remove(w, p, p->nr_sources);
	for (unsigned i = w->nr_active; i-- > 0;)
		if (w->active[i] == p)
			port_deactivate(w, i);
	TAILQ_REMOVE(&w->all, p, all);
	for (unsigned i = 0; i < p->nr_queues; i++)
		vif_detach(p->queue[i]);
	w->load -= RTE_MAX(p->nr_queues, 1u);
}

unsigned worker_load(const struct worker *w)
{
	return w->load;
}

/* ---- in the control thread: any time ------------------------------------------------------------------------------ */

static void worker_nudge(struct worker *w)
{
	uint64_t one = 1;

	while (write(w->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void worker_halt(struct worker *w)
{
	store_release(&w->must_halt, true); /* pairs with worker_main's acquire */
	worker_nudge(w);
}

void worker_await(struct worker *w)
{
	semaphore_wait(&w->halted);
}

void worker_resume(struct worker *w)
{
	store_release(&w->must_halt, false);
	sem_post(&w->resumed);
}

uint64_t worker_sleeps(const struct worker *w)
{
	return load_relaxed(&w->sleeps);
}

static int worker_open_fds(struct worker *w)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};

	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->epoll_fd < 0 || w->wake_fd < 0)
		return -errno;
	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &e) < 0 ? -errno : 0;
}

static void worker_close_fds(struct worker *w)
{
	int fds[] = {w->epoll_fd, w->wake_fd};

	for (unsigned i = 0; i < RTE_DIM(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

int worker_create(const struct worker_options *opt, struct worker **out)
{
	struct worker *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	w->opt = *opt;
	busy_poll_init(&w->errand_wait, opt->busy_poll_us);
	w->glance_ms = GLANCE_MIN_MS;
	w->glance_min_tsc = GLANCE_MIN_MS * rte_get_tsc_hz() / 1000;
	w->lane = opt->lane;
	w->epoll_fd = w->wake_fd = -1;
	TAILQ_INIT(&w->all);
	sem_init(&w->started, 0, 0);
	sem_init(&w->halted, 0, 0);
	sem_init(&w->resumed, 0, 0);
	err = worker_open_fds(w);
	if (err)
		goto close_fds;
	w->lane->wake_fd = w->wake_fd;
	err = -pthread_create(&w->thread, NULL, worker_main, w);
	if (err)
		goto close_fds;
	semaphore_wait(&w->started);
	err = w->start_err;
	if (err)
		goto join;
	*out = w;
	return 0;

join:
	pthread_join(w->thread, NULL);
close_fds:
	worker_close_fds(w);
	free(w);
	return err;
}

void worker_destroy(struct worker *w)
{
	if (!w)
		return;
	store_relaxed(&w->must_stop, true);
	worker_nudge(w);
	pthread_join(w->thread, NULL);
	worker_close_fds(w);
	free(w);
}
