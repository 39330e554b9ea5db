/*
 * test/unit/local_event_test.c - event channels and the store between a guest and Domain-0, in a box.
 */
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xen/version.h>

#include "box.h"
#include "hv/local_abi.h"
#include "hv/store_client.h"

#define PATIENCE_MS 10000

static struct box box;
static domid_t domid;
static struct hv *guest;

static int start_vcpus(unsigned vcpus)
{
	box_start(&box);
	domid = box_create_vcpus(&box, "a", 4096, vcpus);
	guest = box_run(&box, domid, "a");
	return 0;
}

static int start(void **state)
{
	return start_vcpus(1);
}

static int start_three_vcpus(void **state)
{
	return start_vcpus(3);
}

static int stop(void **state)
{
	box_end(&box, domid, guest);
	return 0;
}

/* Both ends of one channel; what the bind itself raised is taken. */
static void bind_both(evtchn_port_t *front, evtchn_port_t *back)
{
	evtchn_port_t got;

	assert_int_equal(hv_evtchn_alloc_unbound(guest, 0, front), 0);
	assert_int_equal(hv_evtchn_bind_interdomain(box.dom0, domid, *front, back), 0);
	hv_event_take(box.dom0, hv_event_fd(box.dom0, *back), &got, 1);
}

static void take_exactly(struct hv *hv, evtchn_port_t port)
{
	evtchn_port_t got[8];
	int fd = hv_event_fd(hv, port);

	assert_true(box_wait_readable(fd));
	assert_int_equal(hv_event_take(hv, fd, got, 8), 1);
	assert_int_equal(got[0], port);
	assert_false(test_is_readable(fd));
}

static void events_go_both_ways(void **state)
{
	evtchn_port_t front, back;

	bind_both(&front, &back);
	for (unsigned i = 0; i < 3; i++) {
		hv_notify(guest, front);
		hv_notify(guest, front);
		take_exactly(box.dom0, back);
		hv_notify(box.dom0, back);
		hv_notify(box.dom0, back);
		assert_true(hv_evtchn_pending(guest, front));
		take_exactly(guest, front);
		assert_false(hv_evtchn_pending(guest, front));
	}
	assert_int_equal(hv_evtchn_close(box.dom0, back), 0);
	assert_int_equal(hv_evtchn_close(guest, front), 0);
}

static void event_sent_before_the_bind_is_not_lost(void **state)
{
	evtchn_port_t front, back;

	assert_int_equal(hv_evtchn_alloc_unbound(guest, 0, &front), 0);
	hv_notify(guest, front);
	assert_int_equal(hv_evtchn_bind_interdomain(box.dom0, domid, front, &back), 0);
	take_exactly(box.dom0, back);
	assert_int_equal(hv_evtchn_close(box.dom0, back), 0);
}

static void port_outlives_a_back_end_and_serves_the_next(void **state)
{
	struct hv *old = box_open_dom0(&box);
	evtchn_port_t front, back;

	assert_int_equal(hv_evtchn_alloc_unbound(guest, 0, &front), 0);
	assert_int_equal(hv_evtchn_bind_interdomain(old, domid, front, &back), 0);
	assert_int_equal(hv_evtchn_bind_interdomain(box.dom0, domid, front, &back), -EINVAL); /* taken */
	hv_close(old);
	hv_hypercall(box.dom0, __HYPERVISOR_xen_version, XENVER_version, NULL, 0);
	assert_int_equal(hv_evtchn_bind_interdomain(box.dom0, domid, front, &back), 0);
	take_exactly(box.dom0, back); /* raised by the bind */
	hv_notify(guest, front);
	take_exactly(box.dom0, back);
	assert_int_equal(hv_evtchn_close(box.dom0, back), 0);
}

static void ports_that_are_not_ours_are_refused(void **state)
{
	evtchn_port_t front, back, got;

	bind_both(&front, &back);
	assert_true(hv_evtchn_bind_interdomain(box.dom0, domid, front + 100, &got) < 0);
	assert_true(hv_evtchn_bind_interdomain(box.dom0, (domid_t)(domid + 1), front, &got) < 0);
	assert_true(hv_evtchn_close(box.dom0, back + 1000) < 0);
	assert_true(hv_evtchn_close(guest, LOCAL_MAX_PORTS + 5) < 0);
	assert_true(hv_event_fd(guest, LOCAL_MAX_PORTS) < 0);
	assert_true(hv_event_fd(box.dom0, back + 1000) < 0);
	assert_true(hv_event_fd(box.dom0, UINT32_MAX) < 0);
	assert_true(hv_evtchn_mask(guest, LOCAL_MAX_PORTS) < 0);
	assert_int_equal(hv_event_take(guest, -1, &got, 1), 0);
	assert_int_equal(hv_event_take(box.dom0, 0, &got, 1), 0);
	hv_notify(guest, LOCAL_MAX_PORTS + 1);
	hv_notify(box.dom0, UINT32_MAX);
	assert_int_equal(hv_evtchn_close(box.dom0, back), 0);
}

static void masked_port_waits_in_a_guest(void **state)
{
	evtchn_port_t front, back, got;
	int fd;

	bind_both(&front, &back);
	fd = hv_event_fd(guest, front);
	assert_int_equal(hv_evtchn_mask(guest, front), 0);
	hv_notify(box.dom0, back);
	assert_int_equal(hv_event_take(guest, fd, &got, 1), 0);
	assert_true(hv_evtchn_pending(guest, front));
	assert_int_equal(hv_evtchn_unmask(guest, front), 0);
	take_exactly(guest, front);
	assert_int_equal(hv_evtchn_close(box.dom0, back), 0);
}

static void events_follow_the_port_to_its_vcpu(void **state)
{
	evtchn_port_t front[3], back[3], ipi;

	for (unsigned i = 0; i < 3; i++) {
		bind_both(&front[i], &back[i]);
		assert_int_equal(hv_evtchn_bind_vcpu(guest, front[i], i), 0);
	}
	for (unsigned i = 0; i < 3; i++)
		hv_notify(box.dom0, back[i]);
	for (unsigned i = 0; i < 3; i++)
		take_exactly(guest, front[i]);
	assert_int_not_equal(hv_event_fd(guest, front[0]), hv_event_fd(guest, front[1]));
	assert_true(hv_evtchn_bind_vcpu(guest, front[0], 3) < 0);
	assert_int_equal(hv_evtchn_bind_ipi(guest, 2, &ipi), 0);
	hv_notify(guest, ipi);
	take_exactly(guest, ipi);
	hv_notify(box.dom0, back[1]); /* pending for vcpu 1, then moved */
	assert_int_equal(hv_evtchn_bind_vcpu(guest, front[1], 0), 0);
	take_exactly(guest, front[1]);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(hv_evtchn_close(box.dom0, back[i]), 0);
}

static void device_fd_interrupts_once_until_unmasked(void **state)
{
	evtchn_port_t port;
	int pipe_fd[2];

	assert_int_equal(pipe(pipe_fd), 0);
	assert_int_equal(hv_evtchn_bind_pirq(box.dom0, pipe_fd[0], &port), 0);
	assert_int_equal(write(pipe_fd[1], "x", 1), 1);
	take_exactly(box.dom0, port);
	assert_int_equal(hv_evtchn_unmask(box.dom0, port), 0); /* level-triggered: the byte is still there */
	take_exactly(box.dom0, port);
	assert_int_equal(hv_evtchn_close(box.dom0, port), 0);
	assert_true(hv_evtchn_bind_pirq(box.dom0, -1, &port) < 0);
	assert_int_equal(hv_evtchn_bind_pirq(guest, pipe_fd[0], &port), -EOPNOTSUPP);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

/* ---- the store through the guest's ring ------------------------------------------------------------------------------ */

static struct store_client *store_of(struct hv *hv)
{
	int err = 0;
	struct store_client *sc = hv_store(hv, &err);

	assert_non_null(sc);
	return sc;
}

static void guest_reads_and_writes_its_own_nodes(void **state)
{
	struct store_client *sc = store_of(guest), *dom0 = store_of(box.dom0);
	char path[64], *value, **names;
	uint64_t number;
	unsigned nr;
	uint32_t tx;

	assert_int_equal(store_client_read_uint(sc, STORE_NO_TX, &number, "domid"), 0);
	assert_int_equal(number, domid);
	assert_int_equal(store_client_write(sc, STORE_NO_TX, "name", "b", 1), -EACCES);
	assert_int_equal(store_client_write(sc, STORE_NO_TX, "data/x", "", 0), 0);
	assert_int_equal(store_client_read(sc, STORE_NO_TX, "data/x", &value, &nr), 0);
	assert_int_equal(nr, 0);
	free(value);
	assert_int_equal(store_client_transaction_start(sc, &tx), 0);
	assert_int_equal(store_client_printf(sc, tx, "data", "key", "%u-%s", 7, "seven"), 0);
	snprintf(path, sizeof(path), "/local/domain/%u/data/key", domid);
	assert_int_equal(store_client_read(dom0, STORE_NO_TX, path, &value, NULL), -ENOENT);
	assert_int_equal(store_client_transaction_end(sc, tx, false), 0);
	assert_int_equal(store_client_read(dom0, STORE_NO_TX, path, &value, NULL), 0);
	assert_string_equal(value, "7-seven");
	free(value);
	assert_int_equal(store_client_list(sc, STORE_NO_TX, "data", &names, &nr), 0);
	assert_int_equal(nr, 2);
	store_client_free_list(names, nr);
	assert_int_equal(store_client_rm(sc, STORE_NO_TX, "data/x"), 0);
	assert_int_equal(store_client_read(sc, STORE_NO_TX, "data/x", &value, NULL), -ENOENT);
	assert_int_equal(store_client_read_uint(sc, STORE_NO_TX, &number, "data/%s", "key"), -EINVAL);
	assert_int_equal(store_client_set_perms(sc, STORE_NO_TX, "data/key", (const char *[]){"n0"}, 1), -EPERM);
}

static void long_values_pass_the_small_ring(void **state)
{
	struct store_client *sc = store_of(guest);
	char text[2049], *value;
	unsigned len;

	memset(text, 'x', sizeof(text));
	for (unsigned i = 0; i < 20; i++) {
		text[i * 90] = (char)('a' + i);
		assert_int_equal(store_client_write(sc, STORE_NO_TX, "data/long", text, 2000), 0);
		assert_int_equal(store_client_read(sc, STORE_NO_TX, "data/long", &value, &len), 0);
		assert_int_equal(len, 2000);
		assert_memory_equal(value, text, 2000);
		free(value);
	}
	assert_int_equal(store_client_write(sc, STORE_NO_TX, "data/long", text, sizeof(text)), -ENOSPC); /* the quota of a node */
}

static bool next_is(struct store_client *sc, const char *path, const char *token)
{
	char *p, *t;
	bool same;

	if (store_client_wait(sc, PATIENCE_MS) != 1 || store_client_next_watch(sc, &p, &t))
		return false;
	same = !strcmp(p, path) && !strcmp(t, token);
	free(p);
	free(t);
	return same;
}

static void watch_events_reach_the_guest(void **state)
{
	struct store_client *sc = store_of(guest), *dom0 = store_of(box.dom0);
	char path[64], *p, *t;

	assert_int_equal(store_client_watch(sc, "data", "token"), 0);
	assert_true(next_is(sc, "data", "token")); /* the first one is the watch's own */
	assert_int_equal(store_client_next_watch(sc, &p, &t), -EAGAIN);
	snprintf(path, sizeof(path), "/local/domain/%u/data", domid);
	assert_int_equal(store_client_printf(dom0, STORE_NO_TX, path, "news", "1"), 0);
	assert_true(box_wait_readable(store_client_fd(sc)));
	assert_true(next_is(sc, "data/news", "token"));
	assert_int_equal(store_client_unwatch(sc, "data", "token"), 0);
	assert_int_equal(store_client_printf(dom0, STORE_NO_TX, path, "news", "2"), 0);
	assert_int_equal(store_client_next_watch(sc, &p, &t), -EAGAIN);
	assert_int_equal(store_client_wait(sc, 0), 0);
}

static void event_queued_by_a_request_leaves_the_fd_readable(void **state)
{
	struct store_client *sc = store_of(guest);
	evtchn_port_t ports[64];
	uint64_t number;

	assert_int_equal(store_client_watch(sc, "data", "t"), 0);
	assert_true(next_is(sc, "data", "t"));
	hv_event_take(guest, store_client_fd(sc), ports, 64);
	assert_int_equal(store_client_write(sc, STORE_NO_TX, "data/mine", "1", 1), 0);
	/* The event came with some answer; whoever polls the fd now must hear of it. */
	assert_int_equal(store_client_read_uint(sc, STORE_NO_TX, &number, "domid"), 0);
	assert_true(box_wait_readable(store_client_fd(sc)));
	assert_true(next_is(sc, "data/mine", "t"));
}

static void store_requests_take_nobody_elses_events(void **state)
{
	struct store_client *sc = store_of(guest);
	evtchn_port_t front, back, ports[64];
	uint64_t number;
	bool seen = false;
	unsigned n;

	bind_both(&front, &back);
	hv_notify(box.dom0, back);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(store_client_read_uint(sc, STORE_NO_TX, &number, "domid"), 0);
	assert_true(box_wait_readable(hv_event_fd(guest, front)));
	n = hv_event_take(guest, hv_event_fd(guest, front), ports, 64);
	for (unsigned i = 0; i < n; i++)
		seen = seen || ports[i] == front;
	assert_true(seen);
	assert_int_equal(hv_evtchn_close(box.dom0, back), 0);
}

struct taker {
	pthread_t thread;
	int stop_fd[2];
};

/* Another thread takes all the vcpu's events, the store's too, as a driver's thread does. */
static void *take_all(void *arg)
{
	struct taker *t = arg;
	struct pollfd pfd[2] = {{.fd = store_client_fd(store_of(guest)), .events = POLLIN}, {.fd = t->stop_fd[0], .events = POLLIN}};
	evtchn_port_t ports[64];

	while (poll(pfd, 2, -1) > 0 && !pfd[1].revents)
		hv_event_take(guest, pfd[0].fd, ports, 64);
	return NULL;
}

static void store_is_answered_while_another_thread_takes_the_events(void **state)
{
	struct store_client *sc = store_of(guest);
	struct taker t;
	uint64_t number;

	assert_int_equal(pipe(t.stop_fd), 0);
	assert_int_equal(pthread_create(&t.thread, NULL, take_all, &t), 0);
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(store_client_read_uint(sc, STORE_NO_TX, &number, "domid"), 0);
	assert_int_equal(write(t.stop_fd[1], "x", 1), 1);
	pthread_join(t.thread, NULL);
	close(t.stop_fd[0]);
	close(t.stop_fd[1]);
}

static void wait_ends_when_the_domain_is_destroyed(void **state)
{
	struct store_client *sc = store_of(guest);
	char *value;

	assert_int_equal(toolstack_domain_destroy(box.dom0, domid), 0);
	assert_true(store_client_wait(sc, PATIENCE_MS) < 0);
	assert_true(store_client_read(sc, STORE_NO_TX, "domid", &value, NULL) < 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		T(events_go_both_ways),
		T(event_sent_before_the_bind_is_not_lost),
		T(port_outlives_a_back_end_and_serves_the_next),
		T(ports_that_are_not_ours_are_refused),
		T(masked_port_waits_in_a_guest),
		cmocka_unit_test_setup_teardown(events_follow_the_port_to_its_vcpu, start_three_vcpus, stop),
		T(device_fd_interrupts_once_until_unmasked),
		T(guest_reads_and_writes_its_own_nodes),
		T(long_values_pass_the_small_ring),
		T(watch_events_reach_the_guest),
		T(event_queued_by_a_request_leaves_the_fd_readable),
		T(store_requests_take_nobody_elses_events),
		T(store_is_answered_while_another_thread_takes_the_events),
		T(wait_ends_when_the_domain_is_destroyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
