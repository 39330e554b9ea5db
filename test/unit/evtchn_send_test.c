/*
 * test/unit/evtchn_send_test.c - events through shared info: what is pending, who is woken, what is taken.
 */
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hv/evtchn_send.h"

#define NR_VCPUS 3

struct world {
	struct shared_info *shared;
	uint8_t port_vcpu[LOCAL_MAX_PORTS];
	uint32_t polling[NR_VCPUS];
	int fd[NR_VCPUS];
	struct evtchn_domain d;
};

static struct world w;

static int start(void **state)
{
	memset(&w, 0, sizeof(w));
	w.shared = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
	memset(w.shared, 0, PAGE_BYTES);
	for (unsigned i = 0; i < NR_VCPUS; i++)
		w.fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w.d = (struct evtchn_domain){w.shared, w.port_vcpu, w.polling, w.fd, NR_VCPUS};
	return 0;
}

static int stop(void **state)
{
	for (unsigned i = 0; i < NR_VCPUS; i++)
		close(w.fd[i]);
	free(w.shared);
	return 0;
}

static bool is_readable(unsigned vcpu)
{
	return test_is_readable(w.fd[vcpu]);
}

static void every_port_arrives_alone_on_its_vcpu(void **state)
{
	evtchn_port_t ports[8];

	for (unsigned port = 0; port < LOCAL_MAX_PORTS; port++) {
		unsigned vcpu = port % NR_VCPUS;

		w.port_vcpu[port] = (uint8_t)vcpu;
		assert_true(evtchn_send(&w.d, port));
		assert_true(is_readable(vcpu));
		assert_false(is_readable((vcpu + 1) % NR_VCPUS));
		assert_int_equal(evtchn_take(&w.d, vcpu, ports, 8), 1);
		assert_int_equal(ports[0], port);
		assert_false(is_readable(vcpu));
		assert_false(evtchn_is_pending(&w.d, port));
	}
}

static void all_ports_at_once_are_all_taken_once(void **state)
{
	static evtchn_port_t ports[LOCAL_MAX_PORTS];
	unsigned wakes = 0;

	for (unsigned port = 0; port < LOCAL_MAX_PORTS; port++)
		wakes += evtchn_send(&w.d, port);
	assert_int_equal(wakes, 1); /* only the first was an edge */
	assert_int_equal(evtchn_take(&w.d, 0, ports, LOCAL_MAX_PORTS), LOCAL_MAX_PORTS);
	for (unsigned port = 0; port < LOCAL_MAX_PORTS; port++)
		assert_int_equal(ports[port], port);
	assert_int_equal(evtchn_take(&w.d, 0, ports, LOCAL_MAX_PORTS), 0);
}

static void what_does_not_fit_stays_readable(void **state)
{
	evtchn_port_t ports[3];
	bool seen[LOCAL_MAX_PORTS] = {false};
	unsigned nr = 0, n;

	for (unsigned port = 1; port < LOCAL_MAX_PORTS; port += 61)
		evtchn_send(&w.d, port);
	while (is_readable(0)) {
		n = evtchn_take(&w.d, 0, ports, 3);
		for (unsigned i = 0; i < n; i++) {
			assert_false(seen[ports[i]]);
			seen[ports[i]] = true;
		}
		nr += n;
	}
	assert_int_equal(nr, (LOCAL_MAX_PORTS - 1 + 60) / 61);
}

static void second_send_before_the_take_wakes_nobody(void **state)
{
	evtchn_port_t ports[4];

	assert_true(evtchn_send(&w.d, 5));
	assert_false(evtchn_send(&w.d, 5));
	assert_false(evtchn_send(&w.d, 6));
	assert_int_equal(evtchn_take(&w.d, 0, ports, 4), 2);
	assert_true(evtchn_send(&w.d, 5));
}

static void masked_port_collects_one_event_and_unmask_delivers_it(void **state)
{
	evtchn_port_t ports[4];

	evtchn_set_mask(&w.d, 70);
	assert_false(evtchn_send(&w.d, 70));
	assert_false(evtchn_send(&w.d, 70));
	assert_false(is_readable(0));
	assert_true(evtchn_is_pending(&w.d, 70));
	assert_int_equal(evtchn_take(&w.d, 0, ports, 4), 0);
	evtchn_clear_mask(&w.d, 70);
	assert_true(is_readable(0));
	assert_int_equal(evtchn_take(&w.d, 0, ports, 4), 1);
	assert_int_equal(ports[0], 70);
	evtchn_clear_mask(&w.d, 70);
	assert_false(is_readable(0));
}

static void polling_vcpu_is_woken_for_a_masked_port(void **state)
{
	evtchn_set_mask(&w.d, 9);
	w.polling[0] = 1;
	assert_true(evtchn_send(&w.d, 9));
	assert_true(is_readable(0));
}

static void loud_send_writes_the_fd_each_time(void **state)
{
	uint64_t count;

	evtchn_send_loudly(&w.d, 3);
	evtchn_send_loudly(&w.d, 3);
	evtchn_send_loudly(&w.d, 3);
	assert_int_equal(read(w.fd[0], &count, 8), 8);
	assert_int_equal(count, 3);
}

static void port_moved_while_pending_arrives_on_the_new_vcpu(void **state)
{
	evtchn_port_t ports[4];

	evtchn_send(&w.d, 8); /* tells vcpu 0 */
	w.port_vcpu[8] = 2;
	assert_int_equal(evtchn_take(&w.d, 0, ports, 4), 0);
	assert_true(is_readable(2));
	assert_int_equal(evtchn_take(&w.d, 2, ports, 4), 1);
	assert_int_equal(ports[0], 8);
}

static void neighbours_in_one_word_go_each_to_their_own_vcpu(void **state)
{
	evtchn_port_t ports[4];

	w.port_vcpu[11] = 1;
	w.port_vcpu[12] = 2;
	evtchn_send(&w.d, 10);
	evtchn_send(&w.d, 11);
	evtchn_send(&w.d, 12);
	for (unsigned vcpu = 0; vcpu < NR_VCPUS; vcpu++) {
		assert_int_equal(evtchn_take(&w.d, vcpu, ports, 4), 1);
		assert_int_equal(ports[0], 10 + vcpu);
	}
}

static void ports_and_vcpus_out_of_range_do_nothing(void **state)
{
	static const evtchn_port_t bad[] = {LOCAL_MAX_PORTS, LOCAL_MAX_PORTS + 1, UINT32_MAX};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(evtchn_send(&w.d, bad[i]));
		assert_false(evtchn_is_pending(&w.d, bad[i]));
		assert_false(evtchn_take_one(&w.d, bad[i]));
		evtchn_set_mask(&w.d, bad[i]);
		evtchn_clear_mask(&w.d, bad[i]);
		evtchn_send_loudly(&w.d, bad[i]);
	}
	for (unsigned i = 0; i < PAGE_BYTES; i++)
		assert_int_equal(((uint8_t *)w.shared)[i], 0);
	w.port_vcpu[4] = 200; /* a vcpu that is not there: the first one's */
	assert_true(evtchn_send(&w.d, 4));
	assert_true(is_readable(0));
}

static void full_counter_neither_blocks_nor_loses_the_wake(void **state)
{
	uint64_t full = UINT64_MAX - 1;

	assert_int_equal(write(w.fd[0], &full, 8), 8);
	evtchn_send(&w.d, 1);
	assert_true(is_readable(0));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		T(every_port_arrives_alone_on_its_vcpu),
		T(all_ports_at_once_are_all_taken_once),
		T(what_does_not_fit_stays_readable),
		T(second_send_before_the_take_wakes_nobody),
		T(masked_port_collects_one_event_and_unmask_delivers_it),
		T(polling_vcpu_is_woken_for_a_masked_port),
		T(loud_send_writes_the_fd_each_time),
		T(port_moved_while_pending_arrives_on_the_new_vcpu),
		T(neighbours_in_one_word_go_each_to_their_own_vcpu),
		T(ports_and_vcpus_out_of_range_do_nothing),
		T(full_counter_neither_blocks_nor_loses_the_wake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
