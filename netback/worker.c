/*
 * netback/worker.c - polls, bridges, rests and sleeps.
 *
 * A port rests by itself: it arms its event and leaves the list of active ports, whatever the others do. So a round costs
 * what is busy, not what exists. The control thread talks to the worker by leaving one command and waiting until it is done; the
 * worker looks for one each round.
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
#include <rte_random.h>

#define EPOLL_ROUNDS 16 /* how often a busy worker looks for events */
#define EPOLL_BATCH 64
#define GLANCE_MIN_MS 1
#define GLANCE_MAX_MS 16

struct worker {
	struct bridge bridge;
	int epoll_fd;
	int wake_fd;  /* control -> worker */
	int fault_fd; /* worker -> control */
	pthread_t thread;
	struct worker_options opt;
	uint64_t idle_tsc;
	TAILQ_HEAD(, worker_port) all;
	struct worker_port *active[BRIDGE_MAX_PORTS];
	unsigned nr_active;
	int glance_ms;
	uint64_t glance_tsc, glance_min_tsc; /* the last look at all that cannot wake us; how far apart such looks are */
	bool any_fault;
	bool must_stop;
	int start_err;
	uint64_t sleeps;
	sem_t started;
	/* One command at a time. */
	int (*command)(struct worker *w, void *arg); /* released by control, acquired by the worker; NULL: none */
	void *command_arg;
	int command_ret;
	sem_t command_done;
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
	p->busy_tsc = w->bridge.now;
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

/* The port has been quiet. True: it may rest, its event is armed. */
static bool port_may_rest(struct worker *w, struct worker_port *p)
{
	if (port_is_throttled(p))
		return true;
	if (!p->is_glance && w->bridge.now - p->busy_tsc < w->idle_tsc)
		return false;
	if (!port_arm(p))
		return true;
	p->is_glance = false;
	p->busy_tsc = w->bridge.now;
	return false;
}

static void worker_poll_ports(struct worker *w)
{
	for (unsigned i = w->nr_active; i-- > 0;) {
		struct worker_port *p = w->active[i];

		if (bridge_poll(&w->bridge, p->port)) {
			p->busy_tsc = w->bridge.now;
			p->is_glance = false;
			w->glance_ms = GLANCE_MIN_MS;
		}
	}
	bridge_flush(&w->bridge);
	for (unsigned i = w->nr_active; i-- > 0;)
		if (w->active[i]->busy_tsc != w->bridge.now && port_may_rest(w, w->active[i]))
			port_deactivate(w, i);
}

static void worker_report_faults(struct worker *w)
{
	uint64_t one = 1;

	w->any_fault = false;
	if (write(w->fault_fd, &one, sizeof(one)) < 0)
		return; /* full: the control thread has not looked since, and will */
}

static void worker_run_command(struct worker *w)
{
	int (*command)(struct worker *, void *);

	command = load_acquire(&w->command); /* pairs with worker_call's release */
	if (!command)
		return;
	w->command_ret = command(w, w->command_arg);
	store_relaxed(&w->command, NULL);
	sem_post(&w->command_done);
}

static void worker_event(struct worker *w, const struct epoll_event *e)
{
	const struct worker_source *source = e->data.ptr;
	evtchn_port_t ports[4];
	uint64_t count;

	if (!source) {
		if (read(w->wake_fd, &count, sizeof(count)) < 0)
			return; /* a command was seen before its wake-up */
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

	if (may_sleep) {
		timeout = worker_glance(w, false) ? w->glance_ms : -1;
		count_add(&w->sleeps, 1);
	}
	n = epoll_wait(w->epoll_fd, events, EPOLL_BATCH, timeout);
	w->bridge.now = rte_rdtsc();
	for (int i = 0; i < n; i++)
		worker_event(w, &events[i]);
	if (may_sleep && n == 0)
		w->glance_ms = RTE_MIN(w->glance_ms * 2, GLANCE_MAX_MS);
	/* A worker that never sleeps looks, too. */
	if ((may_sleep && n == 0) || w->bridge.now - w->glance_tsc > w->glance_min_tsc) {
		w->glance_tsc = w->bridge.now;
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

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	unsigned round = 0;

	worker_pin(w);
	/* An lcore id of its own: the pools' caches and our packets' shortest way home. */
	w->start_err = rte_thread_register() == 0 ? 0 : -rte_errno;
	sem_post(&w->started);
	while (w->start_err == 0 && !load_relaxed(&w->must_stop)) {
		worker_run_command(w);
		w->bridge.now = rte_rdtsc();
		worker_poll_ports(w);
		if (unlikely(w->any_fault))
			worker_report_faults(w);
		if (w->nr_active == 0)
			worker_wait(w, load_acquire(&w->command) == NULL);
		else if (++round % EPOLL_ROUNDS == 0)
			worker_wait(w, false);
	}
	if (w->start_err == 0)
		rte_thread_unregister();
	return NULL;
}

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

static int command_attach(struct worker *w, void *port)
{
	struct worker_port *p = port;
	int err = bridge_add_port(&w->bridge, p->port);

	if (err)
		return err;
	p->is_active = false;
	sources_list(p);
	err = sources_add(w, p);
	if (err) {
		bridge_remove_port(&w->bridge, p->port);
		return err;
	}
	TAILQ_INSERT_TAIL(&w->all, p, all);
	for (unsigned i = 0; i < p->nr_queues; i++)
		vif_attach(p->queue[i], &w->any_fault);
	if (p->wake != WORKER_WAKE_NONE)
		port_activate(w, p, false); /* what came before the event was armed */
	return 0;
}

static int command_detach(struct worker *w, void *port)
{
	struct worker_port *p = port;

	sources_remove(w, p, p->nr_sources);
	for (unsigned i = w->nr_active; i-- > 0;)
		if (w->active[i] == p)
			port_deactivate(w, i);
	TAILQ_REMOVE(&w->all, p, all);
	bridge_remove_port(&w->bridge, p->port);
	for (unsigned i = 0; i < p->nr_queues; i++)
		vif_detach(p->queue[i]);
	return 0;
}

/* A visitor's function. */
struct worker_visit {
	int (*fn)(void *arg);
	void *arg;
};

static int command_visit(struct worker *w, void *arg)
{
	const struct worker_visit *visit = arg;

	(void)w;
	return visit->fn(visit->arg);
}

/* ---- in the control thread -------------------------------------------------------------------------------------- */

static void worker_nudge(struct worker *w)
{
	uint64_t one = 1;

	while (write(w->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static int worker_call(struct worker *w, int (*command)(struct worker *, void *), void *arg)
{
	w->command_arg = arg;
	store_release(&w->command, command); /* pairs with worker_run_command's acquire: the argument before the command */
	worker_nudge(w);
	while (sem_wait(&w->command_done) < 0 && errno == EINTR)
		;
	return w->command_ret;
}

int worker_attach(struct worker *w, struct worker_port *p)
{
	return worker_call(w, command_attach, p);
}

void worker_detach(struct worker *w, struct worker_port *p)
{
	worker_call(w, command_detach, p);
}

int worker_run(struct worker *w, int (*fn)(void *arg), void *arg)
{
	struct worker_visit visit = {.fn = fn, .arg = arg};

	return worker_call(w, command_visit, &visit);
}

int worker_fault_fd(const struct worker *w)
{
	return w->fault_fd;
}

struct bridge *worker_bridge(struct worker *w)
{
	return &w->bridge;
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
	w->fault_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->epoll_fd < 0 || w->wake_fd < 0 || w->fault_fd < 0)
		return -errno;
	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &e) < 0 ? -errno : 0;
}

static void worker_close_fds(struct worker *w)
{
	int fds[] = {w->epoll_fd, w->wake_fd, w->fault_fd};

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
	w->idle_tsc = opt->idle_us * rte_get_tsc_hz() / 1000000;
	w->glance_ms = GLANCE_MIN_MS;
	w->glance_min_tsc = GLANCE_MIN_MS * rte_get_tsc_hz() / 1000;
	w->epoll_fd = w->wake_fd = w->fault_fd = -1;
	TAILQ_INIT(&w->all);
	sem_init(&w->started, 0, 0);
	sem_init(&w->command_done, 0, 0);
	bridge_init(&w->bridge, opt->ageing_s * rte_get_tsc_hz(), rte_rand(), opt->pool, opt->ext_pool);
	err = worker_open_fds(w);
	if (err)
		goto close_fds;
	err = -pthread_create(&w->thread, NULL, worker_main, w);
	if (err)
		goto close_fds;
	while (sem_wait(&w->started) < 0 && errno == EINTR)
		;
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
