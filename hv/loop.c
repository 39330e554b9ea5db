/*
 * hv/loop.c - an event loop over epoll; a timer is a timerfd, a signal a signalfd.
 *
 * Owns     its sources until loop_remove; the fds of timers and signals.
 * Runs in  one thread, all but loop_stop.
 */
#include "hv/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "rings/atomics.h"

#define EVENTS_PER_ROUND 64

enum source_kind { SOURCE_FD, SOURCE_TIMER, SOURCE_SIGNAL };

struct loop_source {
	struct loop *loop;
	struct loop_source *prev, *next; /* in loop->sources, or singly in loop->dead */
	enum source_kind kind;
	int fd;
	int signo;
	bool was_blocked; /* the signal, before loop_add_signal */
	bool dead;
	void *arg;
	union {
		void (*fd)(void *arg, uint32_t events);
		void (*timer)(void *arg);
		void (*signal)(void *arg, int signo);
	} fn;
};

struct loop {
	int epoll_fd;
	int stop_fd;
	bool stopping; /* any thread sets it */
	unsigned depth;
	struct loop_source *sources;
	struct loop_source *dead; /* removed in this round: their events may still be in somebody's array */
};

int loop_create(struct loop **out)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event ev = {.events = EPOLLIN};
	int err;

	if (!loop)
		return -ENOMEM;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		err = -errno;
		goto free_loop;
	}
	loop->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->stop_fd < 0) {
		err = -errno;
		goto close_epoll;
	}
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->stop_fd, &ev)) {
		err = -errno;
		goto close_stop;
	}
	*out = loop;
	return 0;
close_stop:
	close(loop->stop_fd);
close_epoll:
	close(loop->epoll_fd);
free_loop:
	free(loop);
	return err;
}

static void bury(struct loop *loop)
{
	while (loop->dead) {
		struct loop_source *source = loop->dead;

		loop->dead = source->next;
		free(source);
	}
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	while (loop->sources)
		loop_remove(loop->sources);
	bury(loop);
	close(loop->stop_fd);
	close(loop->epoll_fd);
	free(loop);
}

/* The new source, watched; on failure NULL with errno, and fd stays the caller's. */
static struct loop_source *source_add(struct loop *loop, enum source_kind kind, int fd, uint32_t events, void *arg)
{
	struct loop_source *source = calloc(1, sizeof(*source));
	struct epoll_event ev = {.events = events, .data.ptr = source};

	if (!source) {
		errno = ENOMEM;
		return NULL;
	}
	source->loop = loop;
	source->kind = kind;
	source->fd = fd;
	source->arg = arg;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev)) {
		int err = errno;

		free(source);
		errno = err;
		return NULL;
	}
	source->next = loop->sources;
	if (source->next)
		source->next->prev = source;
	loop->sources = source;
	return source;
}

struct loop_source *loop_add_fd(struct loop *loop, int fd, uint32_t events, void (*fn)(void *arg, uint32_t events), void *arg)
{
	struct loop_source *source = source_add(loop, SOURCE_FD, fd, events, arg);

	if (source)
		source->fn.fd = fn;
	return source;
}

int loop_set_events(struct loop_source *source, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = source};

	return epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &ev) ? -errno : 0;
}

struct loop_source *loop_add_timer(struct loop *loop, uint64_t period_ns, void (*fn)(void *arg), void *arg)
{
	struct timespec period = {.tv_sec = period_ns / 1000000000u, .tv_nsec = period_ns % 1000000000u};
	struct itimerspec when = {.it_interval = period, .it_value = period};
	struct loop_source *source = NULL;
	int err, fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		return NULL;
	if (!timerfd_settime(fd, 0, &when, NULL))
		source = source_add(loop, SOURCE_TIMER, fd, EPOLLIN, arg);
	if (!source) {
		err = errno;
		close(fd);
		errno = err;
		return NULL;
	}
	source->fn.timer = fn;
	return source;
}

struct loop_source *loop_add_signal(struct loop *loop, int signo, void (*fn)(void *arg, int signo), void *arg)
{
	struct loop_source *source;
	sigset_t set, old;
	int err, fd;

	sigemptyset(&set);
	sigaddset(&set, signo);
	err = pthread_sigmask(SIG_BLOCK, &set, &old);
	if (err) {
		errno = err;
		return NULL;
	}
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	source = fd < 0 ? NULL : source_add(loop, SOURCE_SIGNAL, fd, EPOLLIN, arg);
	if (!source) {
		err = errno;
		if (fd >= 0)
			close(fd);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		errno = err;
		return NULL;
	}
	source->signo = signo;
	source->was_blocked = sigismember(&old, signo);
	source->fn.signal = fn;
	return source;
}

void loop_remove(struct loop_source *source)
{
	struct loop *loop;

	if (!source || source->dead)
		return;
	loop = source->loop;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	if (source->kind != SOURCE_FD)
		close(source->fd);
	if (source->kind == SOURCE_SIGNAL && !source->was_blocked) {
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, source->signo);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	}
	if (source->prev)
		source->prev->next = source->next;
	else
		loop->sources = source->next;
	if (source->next)
		source->next->prev = source->prev;
	source->dead = true;
	source->next = loop->dead;
	loop->dead = source;
	if (!loop->depth)
		bury(loop);
}

static void dispatch(struct loop_source *source, uint32_t events)
{
	struct signalfd_siginfo info;
	uint64_t expirations;

	switch (source->kind) {
	case SOURCE_FD:
		source->fn.fd(source->arg, events);
		break;
	case SOURCE_TIMER:
		if (read(source->fd, &expirations, sizeof(expirations)) == sizeof(expirations))
			source->fn.timer(source->arg);
		break;
	case SOURCE_SIGNAL:
		if (read(source->fd, &info, sizeof(info)) == sizeof(info))
			source->fn.signal(source->arg, (int)info.ssi_signo);
		break;
	}
}

int loop_run_once(struct loop *loop, int timeout_ms)
{
	struct epoll_event events[EVENTS_PER_ROUND];
	int n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_ROUND, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	loop->depth++;
	for (int i = 0; i < n; i++) {
		struct loop_source *source = events[i].data.ptr;

		if (source && !source->dead)
			dispatch(source, events[i].events);
	}
	if (!--loop->depth)
		bury(loop);
	return 0;
}

int loop_run(struct loop *loop)
{
	uint64_t drained;
	int err = 0;

	while (!err && !load_acquire(&loop->stopping)) /* pairs with loop_stop's release */
		err = loop_run_once(loop, -1);
	/* A stopped loop can run again. */
	if (read(loop->stop_fd, &drained, sizeof(drained)) < 0 && errno != EAGAIN && !err)
		err = -errno;
	store_relaxed(&loop->stopping, false);
	return err;
}

void loop_stop(struct loop *loop)
{
	uint64_t one = 1;

	store_release(&loop->stopping, true); /* pairs with loop_run's acquire */
	/* Full (EAGAIN) is as good as written: the loop wakes. */
	if (write(loop->stop_fd, &one, sizeof(one)) < 0)
		return;
}
