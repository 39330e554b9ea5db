/*
 * test/unit/xenbus_test.c - the bus finds devices, and lets them go, in a box.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "box.h"
#include "hv/hv_ops.h"
#include "hv/local_abi.h"
#include "hv/log.h"
#include "hv/store_client_ops.h"
#include "hv/xenbus.h"

#define MAX_DEVICES 64

struct fake_device {
	domid_t frontend;
	unsigned devid;
	bool is_there;
};

static struct box box;
static struct fake_device devices[MAX_DEVICES];
static unsigned nr_devices, nr_offers;
static unsigned nr_connects, nr_takeovers;
static int probe_err;
static char arg;

static int on_offer(struct handshake *h)
{
	nr_offers++;
	return 0;
}

static int on_connect(struct handshake *h)
{
	nr_connects++;
	nr_takeovers += h->is_takeover;
	return 0;
}

static void on_disconnect(struct handshake *h)
{
}

static bool offers_same = true;

static bool may_take_over(struct handshake *h)
{
	return offers_same;
}

static int on_probe(struct xenbus *bus, domid_t frontend, unsigned devid, const char *path, void **priv)
{
	assert_ptr_equal(xenbus_arg(bus), &arg);
	assert_true(nr_devices < MAX_DEVICES);
	devices[nr_devices] = (struct fake_device){frontend, devid, !probe_err};
	*priv = &devices[nr_devices++];
	return probe_err;
}

static void on_remove(struct xenbus *bus, void *priv)
{
	((struct fake_device *)priv)->is_there = false;
}

static const struct xenbus_driver driver = {
	.handshake =
		{
			.type = "vbd",
			.is_back = true,
			.may_take_over = may_take_over,
			.offer = on_offer,
			.connect = on_connect,
			.disconnect = on_disconnect,
		},
	.probe = on_probe,
	.remove = on_remove,
};

static int start(void **state)
{
	box_start(&box);
	box.dom0->keeps_devices = false; /* but for the test of that */
	log_init("test", LOG_LEVEL_ERROR - 1);
	nr_devices = nr_offers = nr_connects = nr_takeovers = 0;
	probe_err = 0;
	return 0;
}

static int stop(void **state)
{
	box_stop(&box);
	return 0;
}

static unsigned nr_there(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < nr_devices; i++)
		n += devices[i].is_there;
	return n;
}

/* Works off events until so many devices are there. */
static void pump_until(struct xenbus *bus, unsigned want)
{
	while (xenbus_process(bus) || nr_there() != want)
		assert_true(nr_there() == want || box_wait_readable(xenbus_fd(bus)));
}

static char *back_value(domid_t domid, unsigned devid, const char *key)
{
	struct store_client *sc = hv_store(box.dom0, NULL);
	char *value;

	return store_client_readf(sc, STORE_NO_TX, &value, "/local/domain/0/backend/vbd/%u/%u/%s", domid, devid, key) ? NULL : value;
}

static void assert_back(domid_t domid, unsigned devid, const char *key, const char *want)
{
	char *value = back_value(domid, devid, key);

	assert_non_null(value);
	assert_string_equal(value, want);
	free(value);
}

/* Where the two ends of a domain's first disk keep their nodes; until the next call. */
static const char *front_dir(domid_t domid)
{
	static char path[64];

	snprintf(path, sizeof(path), "/local/domain/%u/device/vbd/51712", domid);
	return path;
}

static const char *back_dir(domid_t domid)
{
	static char path[64];

	snprintf(path, sizeof(path), "/local/domain/0/backend/vbd/%u/51712", domid);
	return path;
}

/* A bus that has found one disk of a new domain. */
static struct xenbus *bus_with_disk(domid_t *domid)
{
	struct xenbus *bus;

	*domid = box_create(&box, "a", 4096);
	assert_int_equal(xenbus_create(box.dom0, &driver, &arg, &bus), 0);
	box_add_vbd(&box, *domid, 51712, "/x", "r");
	pump_until(bus, 1);
	return bus;
}

static void devices_before_and_after_the_bus_are_found(void **state)
{
	domid_t a = box_create(&box, "a", 4096), b = box_create(&box, "b", 4096);
	struct xenbus *bus;

	box_add_vbd(&box, a, 51712, "/x", "r");
	box_add_vif(&box, a, 0, "br0"); /* another type: not ours */
	assert_int_equal(xenbus_create(box.dom0, &driver, &arg, &bus), 0);
	assert_ptr_equal(xenbus_hv(bus), box.dom0);
	assert_int_equal(nr_there(), 1);
	assert_back(a, 51712, "state", "2");
	box_add_vbd(&box, a, 51728, "/y", "r");
	box_add_vbd(&box, b, 51712, "/z", "w");
	pump_until(bus, 3);
	assert_int_equal(nr_devices, 3); /* each once, whatever was written */
	assert_int_equal(nr_offers, 3);
	assert_int_equal(devices[2].frontend, b);
	xenbus_destroy(bus);
	assert_int_equal(nr_there(), 0);
	assert_back(b, 51712, "state", "6");
	assert_int_equal(toolstack_domain_destroy(box.dom0, a), 0);
	assert_int_equal(toolstack_domain_destroy(box.dom0, b), 0);
}

static void destroyed_domain_takes_its_devices_along(void **state)
{
	domid_t a = box_create(&box, "a", 4096), b = box_create(&box, "b", 4096);
	struct xenbus *bus;

	assert_int_equal(xenbus_create(box.dom0, &driver, &arg, &bus), 0);
	for (unsigned i = 0; i < 5; i++)
		box_add_vbd(&box, a, 51712 + i * 16, "/x", "r");
	box_add_vbd(&box, b, 51712, "/x", "r");
	pump_until(bus, 6);
	assert_int_equal(toolstack_domain_destroy(box.dom0, a), 0);
	pump_until(bus, 1);
	for (unsigned i = 0; i < nr_devices; i++)
		assert_int_equal(devices[i].is_there, devices[i].frontend == b);
	assert_null(back_value(a, 51712, "state"));
	assert_int_equal(toolstack_domain_destroy(box.dom0, b), 0);
	pump_until(bus, 0);
	xenbus_destroy(bus);
}

static void device_that_is_plugged_again_is_probed_again(void **state)
{
	struct store_client *sc = hv_store(box.dom0, NULL);
	domid_t a = box_create(&box, "a", 4096);
	struct xenbus *bus;

	assert_int_equal(xenbus_create(box.dom0, &driver, &arg, &bus), 0);
	for (unsigned i = 1; i <= 3; i++) {
		box_add_vbd(&box, a, 51712, "/x", "r");
		pump_until(bus, 1);
		assert_int_equal(nr_devices, i);
		assert_int_equal(store_client_rm(sc, STORE_NO_TX, front_dir(a)), 0);
		assert_int_equal(store_client_rm(sc, STORE_NO_TX, back_dir(a)), 0);
		pump_until(bus, 0);
		assert_null(back_value(a, 51712, "state")); /* nothing of it came to life again */
	}
	assert_int_equal(toolstack_domain_destroy(box.dom0, a), 0);
	xenbus_destroy(bus);
}

static void device_taken_offline_is_closed_and_let_go(void **state)
{
	struct store_client *sc = hv_store(box.dom0, NULL);
	domid_t a;
	struct xenbus *bus = bus_with_disk(&a);

	assert_int_equal(store_client_write(sc, STORE_NO_TX, "/local/domain/0/nonsense", "1", 1), 0);
	assert_int_equal(store_client_printf(sc, STORE_NO_TX, back_dir(a), "online", "0"), 0);
	assert_int_equal(store_client_printf(sc, STORE_NO_TX, back_dir(a), "state", "5"), 0);
	assert_int_equal(store_client_printf(sc, STORE_NO_TX, front_dir(a), "state", "6"), 0);
	pump_until(bus, 0);
	assert_back(a, 51712, "state", "6");
	assert_int_equal(nr_devices, 1);
	assert_int_equal(toolstack_domain_destroy(box.dom0, a), 0);
	xenbus_destroy(bus);
}

static void device_that_cannot_be_probed_says_why_and_is_left_alone(void **state)
{
	domid_t a = box_create(&box, "a", 4096);
	struct xenbus *bus;

	probe_err = -ENOMEM;
	box_add_vbd(&box, a, 51712, "/x", "r");
	assert_int_equal(xenbus_create(box.dom0, &driver, &arg, &bus), 0);
	box_add_vbd(&box, a, 51728, "/x", "r");
	while (nr_devices < 2)
		assert_true(box_wait_readable(xenbus_fd(bus)) && !xenbus_process(bus));
	xenbus_process(bus);
	assert_int_equal(nr_devices, 2);
	assert_back(a, 51712, "error", "the device cannot be served: Cannot allocate memory");
	assert_back(a, 51712, "state", "1");
	assert_int_equal(toolstack_domain_destroy(box.dom0, a), 0);
	xenbus_destroy(bus);
}

static void names_that_are_no_devices_are_ignored(void **state)
{
	static const char *const paths[] = {"x", "-1/0/state", "1/x/state", "99999/0/state", "01/0/state", "1/4294967296/state",
					    "1/0/frontend", "1/state"};
	struct store_client *sc = hv_store(box.dom0, NULL);
	struct xenbus *bus;
	char path[80];

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < ARRAY_LEN(paths); i++) {
			snprintf(path, sizeof(path), "/local/domain/0/backend/vbd/%s", paths[i]);
			assert_int_equal(store_client_write(sc, STORE_NO_TX, path, "1", 1), 0);
		}
		if (!round)
			assert_int_equal(xenbus_create(box.dom0, &driver, &arg, &bus), 0);
	}
	assert_true(box_wait_readable(xenbus_fd(bus)));
	while (xenbus_process(bus))
		;
	assert_int_equal(nr_devices, 0);
	xenbus_destroy(bus);
	assert_int_equal(store_client_rm(sc, STORE_NO_TX, "/local/domain/0/backend"), 0);
}

/* ---- a store that counts what it is asked, and holds events back --------------------------------------------------------- */

static const struct store_client_ops *real_store_ops;
static struct store_client_ops counting_store_ops;
static const struct hv_ops *real_hv_ops;
static struct hv_ops counting_hv_ops;
static struct store_client *counting_store;
static unsigned nr_reads;
static char *held[512][2]; /* events that have come and wait: path, token */
static unsigned nr_held, first_held;

/* All events until one whose path ends so. */
static void hold_events_until(const char *end)
{
	nr_held = first_held = 0;
	do {
		assert_true(nr_held < ARRAY_LEN(held));
		while (real_store_ops->next_watch(counting_store, &held[nr_held][0], &held[nr_held][1]))
			assert_true(box_wait_readable(store_client_fd(counting_store)));
	} while (!strstr(held[nr_held++][0], end));
}

static int holding_next_watch(struct store_client *sc, char **path, char **token)
{
	if (first_held == nr_held)
		return real_store_ops->next_watch(sc, path, token);
	*path = held[first_held][0];
	*token = held[first_held++][1];
	return 0;
}

static int counting_read(struct store_client *sc, uint32_t tx, const char *path, char **value, unsigned *len)
{
	nr_reads++;
	return real_store_ops->read(sc, tx, path, value, len);
}

static int counting_store_open(struct hv *hv, struct store_client **out)
{
	int err = real_hv_ops->store_open(hv, out);

	if (err)
		return err;
	real_store_ops = (*out)->ops;
	counting_store_ops = *real_store_ops;
	counting_store_ops.read = counting_read;
	counting_store_ops.next_watch = holding_next_watch;
	counting_store = *out;
	counting_store->ops = &counting_store_ops;
	return 0;
}

static void count_reads(struct hv *hv)
{
	real_hv_ops = hv->ops;
	counting_hv_ops = *real_hv_ops;
	counting_hv_ops.store_open = counting_store_open;
	hv->ops = &counting_hv_ops;
}

/* A guest that writes its state without end makes work for one look at a time. */
static void storm_of_front_states_is_looked_at_once(void **state)
{
	struct store_client *sc = hv_store(box.dom0, NULL);
	struct xenbus *bus;
	unsigned before;
	domid_t a;

	count_reads(box.dom0);
	bus = bus_with_disk(&a);
	before = nr_reads;
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(store_client_printf(sc, STORE_NO_TX, front_dir(a), "state", i % 2 ? "3" : "6"), 0);
	box_add_vbd(&box, a, 51728, "/x", "r"); /* its event comes behind those */
	hold_events_until("51728");
	assert_true(nr_held > 200);
	pump_until(bus, 2);
	assert_int_equal(nr_connects, 1);
	assert_in_range(nr_reads - before, 1, 60);
	box.dom0->ops = real_hv_ops;
	assert_int_equal(toolstack_domain_destroy(box.dom0, a), 0);
	xenbus_destroy(bus);
}

static void bus_that_keeps_devices_leaves_them_to_the_next_one(void **state)
{
	struct store_client *sc = hv_store(box.dom0, NULL);
	domid_t a = box_create(&box, "a", 4096);
	struct xenbus *bus;

	box.dom0->keeps_devices = true;
	assert_int_equal(xenbus_create(box.dom0, &driver, &arg, &bus), 0);
	box_add_vbd(&box, a, 51712, "/x", "r");
	box_add_vbd(&box, a, 51728, "/y", "r");
	pump_until(bus, 2);
	assert_int_equal(store_client_printf(sc, STORE_NO_TX, front_dir(a), "state", "4"), 0);
	while (nr_connects < 1)
		assert_true(box_wait_readable(xenbus_fd(bus)) && !xenbus_process(bus));
	for (unsigned round = 1; round <= 2; round++) {
		xenbus_destroy(bus);
		assert_int_equal(nr_there(), 0);
		assert_back(a, 51712, "state", "4");
		assert_back(a, 51728, "state", "2");
		assert_int_equal(xenbus_create(box.dom0, &driver, &arg, &bus), 0);
		assert_int_equal(nr_there(), 2);
		assert_int_equal(nr_takeovers, round);
		assert_int_equal(nr_connects, 1 + round);
		assert_int_equal(nr_offers, 2 + round); /* of the one that still waits */
	}
	/* The next one offers otherwise: the device has to begin anew. */
	offers_same = false;
	xenbus_destroy(bus);
	assert_int_equal(xenbus_create(box.dom0, &driver, &arg, &bus), 0);
	assert_int_equal(nr_takeovers, 2);
	assert_back(a, 51712, "state", "5");
	assert_int_equal(store_client_printf(sc, STORE_NO_TX, front_dir(a), "state", "6"), 0);
	assert_int_equal(store_client_printf(sc, STORE_NO_TX, front_dir(a), "state", "1"), 0);
	while (nr_offers < 6)
		assert_true(box_wait_readable(xenbus_fd(bus)) && !xenbus_process(bus));
	assert_back(a, 51712, "state", "2");
	offers_same = true;
	box.dom0->keeps_devices = false;
	xenbus_destroy(bus);
	assert_back(a, 51712, "state", "6");
	assert_int_equal(toolstack_domain_destroy(box.dom0, a), 0);
}

static unsigned nr_claims_refused;

static int claim_later(struct hv *hv, const char *type, bool takes_some)
{
	assert_string_equal(type, "vbd");
	assert_false(takes_some);
	assert_int_equal(nr_devices, 0);
	return nr_claims_refused && nr_claims_refused-- ? -EBUSY : 0;
}

static void process_that_ends_is_waited_for_before_its_devices_are_touched(void **state)
{
	domid_t a = box_create(&box, "a", 4096);
	struct xenbus *bus;

	count_reads(box.dom0);
	counting_hv_ops.claim = claim_later;
	nr_claims_refused = 3;
	box_add_vbd(&box, a, 51712, "/x", "r");
	assert_int_equal(xenbus_create(box.dom0, &driver, &arg, &bus), 0);
	assert_int_equal(nr_claims_refused, 0);
	assert_int_equal(nr_devices, 1);
	box.dom0->ops = real_hv_ops;
	xenbus_destroy(bus);
	assert_int_equal(toolstack_domain_destroy(box.dom0, a), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		T(devices_before_and_after_the_bus_are_found),
		T(destroyed_domain_takes_its_devices_along),
		T(device_that_is_plugged_again_is_probed_again),
		T(device_taken_offline_is_closed_and_let_go),
		T(device_that_cannot_be_probed_says_why_and_is_left_alone),
		T(names_that_are_no_devices_are_ignored),
		T(storm_of_front_states_is_looked_at_once),
		T(bus_that_keeps_devices_leaves_them_to_the_next_one),
		T(process_that_ends_is_waited_for_before_its_devices_are_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
