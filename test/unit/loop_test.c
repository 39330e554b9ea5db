/*
 * test/unit/loop_test.c - the event loop: sources come and go, also from within callbacks.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hv/loop.h"
#include "hv/memory_map.h"

#include <sys/mman.h>

static int setup(void **state)
{
	return loop_create((struct loop **)state);
}

static int teardown(void **state)
{
	loop_destroy(*state);
	return 0;
}

struct watched {
	int fd;
	unsigned calls;
	struct loop_source *source;
	struct watched *removes; /* whose source it removes when called; itself perhaps */
};

static void called(void *arg, uint32_t events)
{
	struct watched *w = arg;

	w->calls++;
	if (w->removes) {
		loop_remove(w->removes->source);
		w->removes->source = NULL;
	}
}

static void watch(struct loop *loop, struct watched *w)
{
	w->fd = eventfd(1, EFD_NONBLOCK);
	assert_true(w->fd >= 0);
	w->source = loop_add_fd(loop, w->fd, EPOLLIN, called, w);
	assert_non_null(w->source);
}

static void a_removed_source_is_never_called_again(void **state)
{
	struct watched a = {.removes = &a}, b = {.calls = 0};

	watch(*state, &a);
	watch(*state, &b);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(loop_run_once(*state, 0), 0);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 3);
	loop_remove(b.source);
	assert_int_equal(loop_run_once(*state, 0), 0);
	assert_int_equal(b.calls, 3);
	close(a.fd);
	close(b.fd);
}

/* Both are ready in one round: whoever comes first removes the other, whose event has been fetched already. */
static void a_source_removed_by_another_in_the_same_round_is_not_called(void **state)
{
	struct watched a = {.calls = 0}, b = {.removes = &a};

	a.removes = &b;
	watch(*state, &a);
	watch(*state, &b);
	assert_int_equal(loop_run_once(*state, 0), 0);
	assert_int_equal(a.calls + b.calls, 1);
	close(a.fd);
	close(b.fd);
}

static void a_muted_source_is_not_called(void **state)
{
	struct watched a = {.calls = 0};

	watch(*state, &a);
	assert_int_equal(loop_set_events(a.source, 0), 0);
	assert_int_equal(loop_run_once(*state, 0), 0);
	assert_int_equal(a.calls, 0);
	assert_int_equal(loop_set_events(a.source, EPOLLIN), 0);
	assert_int_equal(loop_run_once(*state, 0), 0);
	assert_int_equal(a.calls, 1);
	close(a.fd);
}

static void what_cannot_be_polled_is_refused(void **state)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_null(loop_add_fd(*state, fd, EPOLLIN, called, NULL));
	assert_int_equal(errno, EPERM);
	assert_null(loop_add_fd(*state, -1, EPOLLIN, called, NULL));
	assert_int_equal(errno, EBADF);
	close(fd);
}

struct ticker {
	struct loop *loop;
	unsigned left;
};

static void tick(void *arg)
{
	struct ticker *t = arg;

	if (!--t->left)
		loop_stop(t->loop);
}

static void a_timer_fires_until_it_is_removed_and_a_stopped_loop_runs_again(void **state)
{
	struct ticker t = {*state, 3};
	struct loop_source *timer = loop_add_timer(*state, 1000000, tick, &t);

	assert_non_null(timer);
	assert_int_equal(loop_run(*state), 0);
	assert_int_equal(t.left, 0);
	t.left = 2;
	assert_int_equal(loop_run(*state), 0);
	loop_remove(timer);
}

static void *stop_it(void *arg)
{
	loop_stop(arg);
	return NULL;
}

static void another_thread_stops_the_loop(void **state)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, stop_it, *state), 0);
	assert_int_equal(loop_run(*state), 0);
	pthread_join(thread, NULL);
	/* Also before it runs. */
	loop_stop(*state);
	assert_int_equal(loop_run(*state), 0);
}

static void take_signal(void *arg, int signo)
{
	*(int *)arg = signo;
}

static void a_signal_comes_through_the_loop_while_it_is_watched(void **state)
{
	int got = 0;
	struct loop_source *source = loop_add_signal(*state, SIGUSR1, take_signal, &got);
	sigset_t blocked;

	assert_non_null(source);
	raise(SIGUSR1);
	assert_int_equal(loop_run_once(*state, 1000), 0);
	assert_int_equal(got, SIGUSR1);
	loop_remove(source);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
	assert_int_equal(sigismember(&blocked, SIGUSR1), 0);
}

static void one_file_is_mapped_once(void **state)
{
	int fd = memfd_create("memory", MFD_CLOEXEC), other = dup(fd), empty = memfd_create("empty", MFD_CLOEXEC);
	void *a, *b, *c;
	size_t bytes;

	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(memory_map_get(fd, &a, &bytes), 0);
	assert_int_equal(bytes, 8192);
	assert_int_equal(memory_map_get(other, &b, NULL), 0);
	assert_ptr_equal(a, b);
	memory_map_put(a);
	*(volatile char *)b = 1; /* still there */
	memory_map_put(b);
	assert_int_equal(msync(b, 4096, MS_ASYNC), -1);
	assert_int_equal(memory_map_get(empty, &c, NULL), -EINVAL);
	assert_int_equal(memory_map_get(-1, &c, NULL), -EBADF);
	close(fd);
	close(other);
	close(empty);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_removed_source_is_never_called_again),
		TEST(a_source_removed_by_another_in_the_same_round_is_not_called),
		TEST(a_muted_source_is_not_called),
		TEST(what_cannot_be_polled_is_refused),
		TEST(a_timer_fires_until_it_is_removed_and_a_stopped_loop_runs_again),
		TEST(another_thread_stops_the_loop),
		TEST(a_signal_comes_through_the_loop_while_it_is_watched),
		TEST(one_file_is_mapped_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
