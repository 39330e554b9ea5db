/*
 * test/unit/store_ring_test.c - the store's byte ring.
 */
#include "rings/store_ring.h"
#include "test.h"

static struct xenstore_domain_interface page;

static void at_index(uint32_t start)
{
	memset(&page, 0, sizeof(page));
	page.req_cons = page.req_prod = page.rsp_cons = page.rsp_prod = start;
}

static const uint32_t starts[] = {0, 1, 511, 1023, 1024, 0x7fffffff, 0xfffffc00, 0xfffffe00, 0xffffffff};

static bool was_full; /* what take reports, where a test does not ask */

static void bytes_arrive_in_order_across_every_wrap(void **state)
{
	struct store_ring_half h = store_ring_requests(&page);
	uint8_t in[1024], out[1024];
	uint32_t seed = 7;

	for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
		uint8_t next_in = 0, next_out = 0;

		at_index(starts[s]);
		for (int i = 0; i < 2000; i++) {
			uint32_t len = test_random(&seed) % 1025;
			int n;

			for (uint32_t k = 0; k < len; k++)
				in[k] = (uint8_t)(next_in + k);
			n = store_ring_put(h, in, len);
			assert_in_range(n, 0, len);
			next_in = (uint8_t)(next_in + n);
			n = store_ring_take(h, out, test_random(&seed) % 1025, &was_full);
			assert_in_range(n, 0, 1024);
			for (int k = 0; k < n; k++)
				assert_int_equal(out[k], next_out++);
		}
	}
}

static void put_takes_what_fits_and_take_gives_what_is_there(void **state)
{
	struct store_ring_half h = store_ring_responses(&page);
	char data[2048] = {0};

	for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
		at_index(starts[s]);
		assert_int_equal(store_ring_take(h, data, 10, &was_full), 0);
		assert_int_equal(store_ring_put(h, data, 0), 0);
		assert_int_equal(store_ring_put(h, data, 2048), 1024);
		assert_int_equal(store_ring_put(h, data, 1), 0);
		assert_int_equal(store_ring_take(h, data, 1000, &was_full), 1000);
		assert_int_equal(store_ring_put(h, data, 2048), 1000);
		assert_int_equal(store_ring_take(h, data, 2048, &was_full), 1024);
		assert_int_equal(store_ring_take(h, data, 2048, &was_full), 0);
		assert_int_equal(page.rsp_prod, page.rsp_cons);
	}
}

/* The other side waits for room only in a ring that it found full. */
static void take_tells_of_room_only_when_the_ring_was_full(void **state)
{
	static const struct {
		uint32_t filled, taken;
		bool tells;
	} t[] = {{0, 10, false}, {1, 1, false}, {1023, 1023, false}, {1024, 1, true}, {1024, 1024, true}, {1024, 0, false}};
	char data[1024] = {0};

	for (size_t s = 0; s < ARRAY_LEN(starts); s++)
		for (size_t i = 0; i < ARRAY_LEN(t); i++) {
			struct store_ring_half h = store_ring_requests(&page);
			bool told = false;

			at_index(starts[s]);
			assert_int_equal(store_ring_put(h, data, t[i].filled), t[i].filled);
			store_ring_take(h, data, t[i].taken, &told);
			assert_int_equal(told, t[i].tells);
		}
}

static void directions_do_not_share_anything(void **state)
{
	char data[8];

	at_index(0);
	assert_int_equal(store_ring_put(store_ring_requests(&page), "ask", 3), 3);
	assert_int_equal(store_ring_take(store_ring_responses(&page), data, 8, &was_full), 0);
	assert_int_equal(store_ring_put(store_ring_responses(&page), "tell", 4), 4);
	assert_int_equal(store_ring_take(store_ring_requests(&page), data, 8, &was_full), 3);
	assert_memory_equal(data, "ask", 3);
	assert_int_equal(store_ring_take(store_ring_responses(&page), data, 8, &was_full), 4);
	assert_memory_equal(data, "tell", 4);
}

static void a_distance_over_the_ring_is_eproto_and_changes_nothing(void **state)
{
	static const struct {
		uint32_t prod_minus_cons;
		bool is_bad;
	} t[] = {{0, false},	     {1, false},	  {1023, false},	{1024, false},	{1025, true},
		 {4096, true},	     {0x7fffffff, true},  {0x80000000, true},	{0xffffffff, true}};
	char data[1024];

	for (size_t s = 0; s < ARRAY_LEN(starts); s++)
		for (size_t i = 0; i < ARRAY_LEN(t); i++) {
			struct xenstore_domain_interface before;
			struct store_ring_half h = store_ring_requests(&page);

			at_index(starts[s]);
			page.req_prod += t[i].prod_minus_cons;
			before = page;
			if (!t[i].is_bad) {
				assert_int_equal(store_ring_take(h, data, sizeof(data), &was_full), t[i].prod_minus_cons);
				continue;
			}
			assert_int_equal(store_ring_take(h, data, sizeof(data), &was_full), -EPROTO);
			assert_int_equal(store_ring_put(h, data, sizeof(data)), -EPROTO);
			assert_memory_equal(&before, &page, sizeof(page));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_arrive_in_order_across_every_wrap),
		cmocka_unit_test(put_takes_what_fits_and_take_gives_what_is_there),
		cmocka_unit_test(take_tells_of_room_only_when_the_ring_was_full),
		cmocka_unit_test(directions_do_not_share_anything),
		cmocka_unit_test(a_distance_over_the_ring_is_eproto_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
