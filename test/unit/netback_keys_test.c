/*
 * test/unit/netback_keys_test.c - what a vif's front end may wish for in the store, and what closes the device instead.
 */
#include "test.h"

#include <stdio.h>

#include "fake_store.h"
#include "netback/vif_keys.h"
#include "netback/vif_limits.h"

#define BACK "/local/domain/0/backend/vif/3/0"
#define FRONT "/local/domain/3/device/vif/0"
#define MAX_QUEUES 4

static struct fake_store *fs;
static struct handshake h;

static void begin(void)
{
	fs = fake_store_create();
	h = (struct handshake){.store = fake_store_open(fs), .own_path = BACK, .other_path = FRONT, .in_callback = true};
}

static void end(void)
{
	store_client_close(h.store);
	fake_store_destroy(fs);
}

static void set(const char *key, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), FRONT "/%s", key);
	fake_store_set(fs, path, value);
}

/* As Linux's front end writes them for one queue. */
static void plain_front_end(void)
{
	set("request-rx-copy", "1");
	set("feature-rx-notify", "1");
	set("tx-ring-ref", "8");
	set("rx-ring-ref", "9");
	set("event-channel", "15");
}

static void a_plain_front_end_gets_one_queue(void **state)
{
	struct vif_wishes w;

	begin();
	plain_front_end();
	assert_int_equal(vif_keys_read(&h, MAX_QUEUES, &w), 0);
	assert_int_equal(w.nr_queues, 1);
	assert_int_equal(w.keys[0].tx_ring_ref, 8);
	assert_int_equal(w.keys[0].rx_ring_ref, 9);
	assert_int_equal(w.keys[0].tx_port, 15);
	assert_int_equal(w.keys[0].rx_port, 15);
	assert_true(w.features.rx_notify);
	assert_false(w.features.sg || w.has_ctrl || w.wants_mcast);
	assert_int_equal(w.features.caps, OFFLOAD_CSUM_IPV4); /* the protocol assumes it */
	end();
}

static void split_channels_and_queues_have_their_own_keys(void **state)
{
	static const char *const keys[] = {"tx-ring-ref", "rx-ring-ref", "event-channel-tx", "event-channel-rx"};
	struct vif_wishes w;

	begin();
	set("request-rx-copy", "1");
	set("multi-queue-num-queues", "3");
	set("ctrl-ring-ref", "77");
	set("event-channel-ctrl", "78");
	for (unsigned q = 0; q < 3; q++)
		for (unsigned k = 0; k < 4; k++) {
			char key[64], value[16];

			snprintf(key, sizeof(key), "queue-%u/%s", q, keys[k]);
			snprintf(value, sizeof(value), "%u", 100 * q + k);
			set(key, value);
		}
	assert_int_equal(vif_keys_read(&h, MAX_QUEUES, &w), 0);
	assert_int_equal(w.nr_queues, 3);
	for (unsigned q = 0; q < 3; q++) {
		assert_int_equal(w.keys[q].tx_ring_ref, 100 * q);
		assert_int_equal(w.keys[q].rx_ring_ref, 100 * q + 1);
		assert_int_equal(w.keys[q].tx_port, 100 * q + 2);
		assert_int_equal(w.keys[q].rx_port, 100 * q + 3);
	}
	assert_true(w.has_ctrl);
	assert_int_equal(w.ctrl_ring_ref, 77);
	assert_int_equal(w.ctrl_port, 78);
	end();
}

static void offloads_need_what_they_stand_on(void **state)
{
	static const struct {
		const char *keys[5];
		unsigned caps;
	} cases[] = {
		{{"feature-sg", "feature-gso-tcpv4"}, OFFLOAD_CSUM_IPV4 | OFFLOAD_GSO_IPV4},
		{{"feature-gso-tcpv4"}, OFFLOAD_CSUM_IPV4},
		{{"feature-sg", "feature-gso-tcpv4", "feature-no-csum-offload"}, 0},
		{{"feature-sg", "feature-gso-tcpv6"}, OFFLOAD_CSUM_IPV4},
		{{"feature-sg", "feature-gso-tcpv6", "feature-ipv6-csum-offload", "feature-no-csum-offload"},
		 OFFLOAD_CSUM_IPV6 | OFFLOAD_GSO_IPV6},
		{{"feature-sg", "feature-gso-tcpv4", "feature-gso-tcpv6", "feature-ipv6-csum-offload"}, OFFLOAD_ALL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct vif_wishes w;

		begin();
		plain_front_end();
		for (unsigned k = 0; k < 5 && cases[i].keys[k]; k++)
			set(cases[i].keys[k], "1");
		assert_int_equal(vif_keys_read(&h, MAX_QUEUES, &w), 0);
		assert_int_equal(w.features.caps, cases[i].caps);
		end();
	}
}

static void a_wrong_key_closes_the_device_with_a_sentence(void **state)
{
	static const struct {
		const char *key, *value, *says;
	} cases[] = {
		{"request-rx-copy", NULL, "does not request rx-copy"},
		{"request-rx-copy", "0", "does not request rx-copy"},
		{"tx-ring-ref", NULL, "tx-ring-ref is missing"},
		{"rx-ring-ref", NULL, "rx-ring-ref is missing"},
		{"tx-ring-ref", "nonsense", "tx-ring-ref is not a number in range"},
		{"rx-ring-ref", "4294967296", "rx-ring-ref is not a number in range"},
		{"event-channel", NULL, "event-channel is missing"},
		{"event-channel", "-1", "event-channel is not a number in range"},
		{"event-channel-tx", "3", "event-channel-rx is missing"},
		{"event-channel-tx", "x", "event-channel-tx is not a number in range"},
		{"multi-queue-num-queues", "0", "multi-queue-num-queues is not a number from 1 to 4"},
		{"multi-queue-num-queues", "5", "multi-queue-num-queues is not a number from 1 to 4"},
		{"multi-queue-num-queues", "many", "multi-queue-num-queues is not a number from 1 to 4"},
		{"multi-queue-num-queues", "4294967297", "multi-queue-num-queues is not a number from 1 to 4"},
		{"multi-queue-num-queues", "2", "queue-0/tx-ring-ref is missing"},
		{"ctrl-ring-ref", "3", "event-channel-ctrl is missing"},
		{"ctrl-ring-ref", "x", "ctrl-ring-ref is not a number in range"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct vif_wishes w;
		const char *said;

		begin();
		plain_front_end();
		set(cases[i].key, cases[i].value);
		assert_true(vif_keys_read(&h, MAX_QUEUES, &w) < 0);
		assert_true(h.failed);
		said = fake_store_get(fs, BACK "/error");
		if (!said || !strstr(said, cases[i].says))
			fail_msg("%s=%s: said '%s'", cases[i].key, cases[i].value ? cases[i].value : "(none)", said ? said : "");
		end();
	}
}

static void headroom_is_a_number_of_bytes_that_leaves_room_for_a_frame(void **state)
{
	static const struct {
		const char *value;
		unsigned bytes;
	} cases[] = {{NULL, 0}, {"0", 0}, {"256", 256}, {"2048", 2048}, {"2049", 0}, {"32767", 0},
		     {"-1", 0}, {"4294967552", 0}, {"x", 0}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct vif_wishes w;

		begin();
		plain_front_end();
		if (cases[i].value)
			set("xdp-headroom", cases[i].value);
		assert_int_equal(vif_keys_read(&h, MAX_QUEUES, &w), 0);
		assert_int_equal(w.features.headroom, cases[i].bytes);
		end();
	}
}

static void what_is_offered_stands_in_the_store(void **state)
{
	begin();
	assert_int_equal(vif_keys_offer(&h, MAX_QUEUES, true), 0);
	assert_string_equal(fake_store_get(fs, BACK "/multi-queue-max-queues"), "4");
	assert_string_equal(fake_store_get(fs, BACK "/feature-rx-copy"), "1");
	assert_string_equal(fake_store_get(fs, BACK "/feature-rx-flip"), "0");
	assert_string_equal(fake_store_get(fs, BACK "/feature-gso-tcpv6"), "1");
	assert_string_equal(fake_store_get(fs, BACK "/feature-ctrl-ring"), "1");
	assert_int_equal(vif_keys_offer(&h, MAX_QUEUES, false), 0);
	assert_string_equal(fake_store_get(fs, BACK "/feature-gso-tcpv4"), "0");
	assert_string_equal(fake_store_get(fs, BACK "/feature-gso-tcpv6"), "0");
	assert_string_equal(fake_store_get(fs, BACK "/feature-sg"), "1");
	assert_true(vif_keys_are_offered(&h, MAX_QUEUES, false));
	assert_false(vif_keys_are_offered(&h, MAX_QUEUES, true));
	assert_false(vif_keys_are_offered(&h, MAX_QUEUES + 1, false));
	end();
}

static void a_limit_is_an_amount_and_microseconds(void **state)
{
	static const char *const bad[] = {"", "x", "1", "1,", ",1", "-1,5", "1,5x", "0,1000", "1000,0", "1,99999999999999999999"};
	uint64_t amount = 7, usecs = 7;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (vif_limits_parse(bad[i], &amount, &usecs) != -EINVAL)
			fail_msg("'%s' is a limit", bad[i]);
	assert_int_equal(vif_limits_parse("1250000,50000", &amount, &usecs), 0);
	assert_int_equal(amount, 1250000);
	assert_int_equal(usecs, 50000);
	assert_int_equal(vif_limits_parse("0,0", &amount, &usecs), 0);
	assert_true(vif_limits_is_node(BACK, BACK "/rx-rate"));
	assert_false(vif_limits_is_node(BACK, BACK "/rates"));
	assert_false(vif_limits_is_node(BACK, BACK "1/rate"));
	assert_false(vif_limits_is_node(BACK, BACK));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_front_end_gets_one_queue),
		cmocka_unit_test(split_channels_and_queues_have_their_own_keys),
		cmocka_unit_test(offloads_need_what_they_stand_on),
		cmocka_unit_test(a_wrong_key_closes_the_device_with_a_sentence),
		cmocka_unit_test(headroom_is_a_number_of_bytes_that_leaves_room_for_a_frame),
		cmocka_unit_test(what_is_offered_stands_in_the_store),
		cmocka_unit_test(a_limit_is_an_amount_and_microseconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
