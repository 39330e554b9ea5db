/*
 * blkback/queue.c - the thread of one block device.
 *
 *      take -> poll the engine -> answer -> take ...    while there is work
 *      look again for a while (hv/busy_poll.h)
 *      arm the ring's event, look once more (final check)
 *      sleep in the engine's wait: finished I/O, the guest's event, or the timer
 *
 * One timerfd is the control thread's way in, too: it asks by a flag and lets the timer run out. The thread sets it when a limit
 * makes it wait and while it keeps persistent pages; without either there is no timer.
 *
 * Teardown: (1) queue_ask_stop; the thread takes no more requests. (2) It goes on polling the engine until nothing is in flight:
 * no I/O touches the guest's pages any more, and io_answer has let go of their grants. (3) It destroys the engine queue, says
 * through fault_fd that it is over, and ends; the join in queue_destroy orders all it wrote before the caller unmaps the ring.
 *
 * Trusts   no index in the ring: an impossible one stops the taking, and the control thread closes the device.
 * Runs in  its own thread, all signals blocked; queue_start, queue_stop and queue_fault in the control thread.
 */
#include "blkback/queue.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "hv/busy_poll.h"
#include "hv/clock.h"

#define WOKEN_BY_GUEST 1u
#define WOKEN_BY_TIMER 2u
/* Events in a row that brought no request: from then on the guest is looked at once a millisecond. */
#define SPURIOUS_LIMIT 64
#define SPURIOUS_PAUSE_NS 1000000

struct queue {
	struct io io;
	const struct disk_image *image;
	struct disk_queue *disk;
	struct busy_poll guest_wait, disk_wait; /* while nothing is in flight, and while something is */
	uint64_t sweep_ns; /* when unused persistent pages are looked for next */
	uint64_t armed_ns; /* what the timer is set to; 0: it is not, or has run out */
	int fault_fd;
	int timer_fd;
	int event_fd; /* the guest's event; the hv's */
	int is_stop_asked; /* by the control thread */
	int is_over;       /* for the control thread */
	bool is_stopping;
	bool is_takeover;
	bool took_since_event;
	unsigned nr_spurious;
	int fault;
	int started; /* what the thread's setting up came to */
	sem_t ready;
	pthread_t thread;
	char name[16];
};

/* From now on nothing is taken; the control thread hears of it and will stop this queue. */
static void queue_report(struct queue *q, enum queue_fault fault)
{
	if (q->fault != QUEUE_FAULT_NONE)
		return;
	store_release(&q->fault, fault); /* pairs with queue_fault's acquire */
	if (q->fault_fd >= 0)
		eventfd_write(q->fault_fd, 1);
}

/* An event may come late, when its requests have been taken already: that is not the guest's fault. */
static void queue_take_event(struct queue *q)
{
	evtchn_port_t port;

	hv_event_take(q->io.hv, q->event_fd, &port, 1);
	stats_add(&q->io.stats->events, 1);
	if (q->took_since_event) {
		q->took_since_event = false;
		q->nr_spurious = 0;
		return;
	}
	stats_add(&q->io.stats->events_spurious, 1);
	if (++q->nr_spurious > SPURIOUS_LIMIT) {
		struct timespec pause = {0, SPURIOUS_PAUSE_NS};

		nanosleep(&pause, NULL);
	}
}

static void queue_handle_wake(struct queue *q, unsigned woken)
{
	uint64_t expired;

	if (woken & WOKEN_BY_GUEST)
		queue_take_event(q);
	if (woken & WOKEN_BY_TIMER) {
		if (read(q->timer_fd, &expired, sizeof(expired)) < 0)
			return; /* it was set anew meanwhile */
		q->armed_ns = 0;
	}
}

static void queue_look_for_stop(struct queue *q)
{
	if (load_acquire(&q->is_stop_asked)) /* pairs with queue_ask_stop's release */
		q->is_stopping = q->io.is_closing = true;
}

/* Pages that the front end has not used for long are not kept from it. */
static void queue_sweep(struct queue *q)
{
	if (!q->io.pages.persistent.nr || q->io.now_ns < q->sweep_ns)
		return;
	q->io.pages.now_ns = q->io.now_ns;
	pages_drop_unused(&q->io.pages);
	q->sweep_ns = q->io.now_ns + q->io.pages.unused_ns / 2;
}

/* One round of the data path: how much it did, or -errno when the engine broke. */
static int queue_round(struct queue *q)
{
	struct disk_io *done[IO_BURST];
	unsigned woken = 0;
	int taken = 0, finished;

	queue_look_for_stop(q);
	if (q->fault == QUEUE_FAULT_NONE)
		taken = io_take(&q->io);
	if (taken < 0) {
		stats_add(&q->io.stats->ring_errors, 1);
		queue_report(q, QUEUE_FAULT_RING);
		taken = 0;
	}
	q->took_since_event |= taken > 0;
	finished = q->disk->engine->poll(q->disk, done, IO_BURST, &woken);
	if (finished < 0)
		return finished;
	q->io.now_ns = clock_now_ns(); /* for what is finished now, and for what the next round takes */
	if (finished)
		io_complete(&q->io, done, (unsigned)finished);
	io_answer(&q->io);
	queue_sweep(q);
	if (woken)
		queue_handle_wake(q, woken);
	return taken + finished;
}

/* Lets the timer run out when the next thing is due that nobody else wakes us for. */
static void queue_arm(struct queue *q)
{
	uint64_t when = q->io.retry_ns;
	struct itimerspec at = {0};

	if (q->io.pages.persistent.nr && (!when || q->sweep_ns < when))
		when = q->sweep_ns;
	if (!when || (q->armed_ns && q->armed_ns <= when))
		return;
	q->armed_ns = when;
	at.it_value.tv_sec = (time_t)(when / 1000000000u);
	at.it_value.tv_nsec = (long)(when % 1000000000u);
	timerfd_settime(q->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static bool queue_has_work(const struct queue *q)
{
	return !q->is_stopping || q->io.nr_in_flight || (q->io.redo && q->fault == QUEUE_FAULT_NONE);
}

static bool queue_may_sleep(struct queue *q)
{
	/* After the timer was set: a stop that was asked for before that will not let it run out any more. */
	queue_look_for_stop(q);
	if (q->is_stopping)
		return queue_has_work(q); /* only for what runs */
	if (q->fault != QUEUE_FAULT_NONE)
		return true;
	return !io_final_check(&q->io);
}

static int queue_serve(struct queue *q)
{
	q->io.now_ns = clock_now_ns();
	while (queue_has_work(q)) {
		/* A guest may answer at once where a disk takes its time, and the other way round. */
		struct busy_poll *wait = q->io.nr_in_flight ? &q->disk_wait : &q->guest_wait;
		int n = queue_round(q);

		if (n < 0)
			return n;
		if (n > 0) {
			busy_poll_found(wait);
			continue;
		}
		if (!q->is_stopping && busy_poll_looks_again(wait, q->io.now_ns))
			continue;
		queue_arm(q);
		if (!queue_may_sleep(q))
			continue;
		stats_add(&q->io.stats->sleeps, 1);
		n = q->disk->engine->wait(q->disk);
		if (n < 0)
			return n;
		q->io.now_ns = clock_now_ns();
	}
	return 0;
}

/* The engine refuses to work: nothing is left to do but to wait for queue_stop. */
static void queue_wait_for_stop(struct queue *q)
{
	struct pollfd timer = {.fd = q->timer_fd, .events = POLLIN};

	queue_report(q, QUEUE_FAULT_ENGINE);
	while (!load_acquire(&q->is_stop_asked))
		poll(&timer, 1, -1);
}

static int queue_open_engine(struct queue *q)
{
	struct iovec ram[GATE_MAX_EXTENTS];
	struct disk_queue_config config = {
		.image = q->image,
		.depth = q->io.nr_requests,
		.ram = ram,
		.nr_ram = io_buffers(&q->io, ram),
		.wake_fd = {q->event_fd, q->timer_fd},
	};

	if (!config.nr_ram) {
		config.nr_ram = hv_peer_ram(q->io.peer, ram);
		config.ram_epoch = hv_peer_ram_epoch(q->io.peer);
	}
	return q->image->engine->create(&config, &q->disk);
}

static void *queue_main(void *arg)
{
	struct queue *q = arg;

	pthread_setname_np(pthread_self(), q->name);
	q->started = queue_open_engine(q);
	q->io.disk = q->disk;
	if (q->started < 0) {
		sem_post(&q->ready);
		return NULL;
	}
	sem_post(&q->ready);
	if (q->is_takeover)
		hv_notify(q->io.hv, q->io.port); /* answers may have been shown by one who did not live to say so */
	if (queue_serve(q) < 0)
		queue_wait_for_stop(q);
	q->disk->engine->destroy(q->disk);
	store_release(&q->is_over, 1); /* pairs with queue_is_over's acquire */
	if (q->fault_fd >= 0)
		eventfd_write(q->fault_fd, 1);
	return NULL;
}

/* Signals are the control thread's. */
static int queue_spawn(struct queue *q)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&q->thread, NULL, queue_main, q);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return err;
	while (sem_wait(&q->ready) < 0 && errno == EINTR)
		;
	if (q->started < 0)
		pthread_join(q->thread, NULL);
	return q->started;
}

int queue_start(const struct queue_config *config, struct queue **out)
{
	struct queue *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return -ENOMEM;
	q->image = config->image;
	busy_poll_init(&q->guest_wait, config->busy_poll_us);
	busy_poll_init(&q->disk_wait, config->busy_poll_us);
	q->fault_fd = config->fault_fd;
	q->is_takeover = config->io.is_takeover;
	snprintf(q->name, sizeof(q->name), "%s", config->name);
	sem_init(&q->ready, 0, 0);
	err = io_init(&q->io, &config->io);
	if (err)
		goto free_queue;
	q->event_fd = hv_event_fd(config->io.hv, config->io.port);
	if (q->event_fd < 0) {
		err = q->event_fd;
		goto finish_io;
	}
	q->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (q->timer_fd < 0) {
		err = -errno;
		goto finish_io;
	}
	err = queue_spawn(q);
	if (err)
		goto close_timer;
	*out = q;
	return 0;

close_timer:
	close(q->timer_fd);
finish_io:
	io_finish(&q->io);
free_queue:
	sem_destroy(&q->ready);
	free(q);
	return err;
}

void queue_wake(struct queue *q)
{
	struct itimerspec now = {.it_value.tv_nsec = 1};

	timerfd_settime(q->timer_fd, 0, &now, NULL);
}

void queue_ask_stop(struct queue *q)
{
	store_release(&q->is_stop_asked, 1); /* pairs with queue_look_for_stop's acquire */
	queue_wake(q);
}

bool queue_is_over(const struct queue *q)
{
	return load_acquire(&q->is_over); /* pairs with queue_main's release */
}

void queue_destroy(struct queue *q)
{
	pthread_join(q->thread, NULL);
	close(q->timer_fd);
	io_finish(&q->io);
	sem_destroy(&q->ready);
	free(q);
}

void queue_stop(struct queue *q)
{
	if (!q)
		return;
	queue_ask_stop(q);
	queue_destroy(q);
}

enum queue_fault queue_fault(const struct queue *q)
{
	return load_acquire(&q->fault); /* pairs with queue_report's release */
}

enum pages_mode queue_pages_mode(const struct queue *q)
{
	return q->io.pages.mode;
}
