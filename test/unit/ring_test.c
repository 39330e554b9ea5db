/*
 * test/unit/ring_test.c - the shared ring: indices, event rule, overflow, multi-page areas.
 */
#include <stdio.h>
#include <stdlib.h>

#include "rings/blkif.h"
#include "rings/netif.h"
#include "rings/ring.h"
#include "test.h"

struct mini_request {
	uint32_t id;
	uint32_t payload;
};

struct mini_response {
	uint32_t id;
};

RING_DEFINE(mini, struct mini_request, struct mini_response);

#define MINI_AREA (64 + 8 * sizeof(union mini_slot))

struct pair {
	_Alignas(64) uint8_t area[MINI_AREA];
	struct mini_front front;
	struct mini_back back;
};

/* Both halves, as if they had gone round until index start. */
static void pair_init(struct pair *p, uint32_t start)
{
	mini_front_init(&p->front, p->area, sizeof(p->area));
	mini_back_init(&p->back, p->area, sizeof(p->area));
	p->front.req_prod = p->front.req_shown = p->front.rsp_cons = start;
	p->back.rsp_prod = p->back.rsp_shown = p->back.req_cons = start;
	p->front.sh->head = (struct ring_head_sh){
		.req_prod = start, .req_event = start + 1, .rsp_prod = start, .rsp_event = start + 1};
}

static const uint32_t starts[] = {0, 1, 7, 0x7ffffffc, 0x7fffffff, 0x80000000, 0xfffffff8, 0xfffffffc, 0xffffffff};

static void ring_holds_the_largest_power_of_two_that_fits(void **state)
{
	static const struct {
		size_t area, slot;
		uint32_t slots;
	} t[] = {
		{0, 8, 0}, {64, 8, 0}, {71, 8, 0}, {72, 8, 1}, {79, 8, 1}, {80, 8, 2}, {64 + 31, 8, 2}, {64 + 32, 8, 4},
		{4096, 12, 256}, {4096, 8, 256}, {4096, 112, 32}, {8192, 112, 64}, {16384, 112, 128}, {32768, 112, 256},
		{65536, 112, 512}, {4096, 4033, 0}, {4096, 4032, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(ring_slots(t[i].area, t[i].slot), t[i].slots);
	assert_int_equal(netif_txr_slots(4096), 256);
	assert_int_equal(netif_rxr_slots(4096), 256);
	for (unsigned order = 0; order <= BLKIF_MAX_RING_ORDER; order++)
		assert_int_equal(blkif_ring_slots(pages_to_bytes(1u << order)), 32u << order);
}

static void wake_is_asked_for_exactly_when_the_event_index_is_passed(void **state)
{
	static const struct {
		uint32_t event, old, now;
		bool wake;
	} t[] = {
		{1, 0, 0, false}, /* nothing published */
		{1, 0, 1, true},  /* the next one */
		{1, 0, 5, true},  /* jumped over */
		{5, 0, 4, false}, /* not there yet */
		{5, 0, 5, true},  /* exactly */
		{5, 4, 5, true},
		{5, 5, 6, false}, /* passed before */
		{1, 1, 2, false},
		{0, 0, 1, false}, /* event at old itself was passed before */
		{0xffffffff, 0xfffffffe, 0xffffffff, true},
		{0, 0xffffffff, 0, true}, /* across 2^32 */
		{0, 0xfffffff0, 0x10, true},
		{0x11, 0xfffffff0, 0x10, false},
		{0xfffffff0, 0xfffffff0, 0x10, false},
		{0xfffffff1, 0xfffffff0, 0x10, true},
		{0x80000001, 0x80000000, 0x80000001, true},
		{0x80000000, 0x7fffffff, 0x80000000, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		if (ring_event_passed(t[i].event, t[i].old, t[i].now) != t[i].wake)
			fail_msg("case %zu: event %x old %x now %x", i, t[i].event, t[i].old, t[i].now);
}

static void fresh_ring_is_empty_and_asks_for_the_first_event(void **state)
{
	struct pair p;

	memset(&p, 0xa5, sizeof(p));
	mini_front_init(&p.front, p.area, sizeof(p.area));
	mini_back_init(&p.back, p.area, sizeof(p.area));
	assert_int_equal(p.front.mask, 7);
	assert_int_equal(p.back.mask, 7);
	assert_int_equal(p.front.sh->head.req_event, 1);
	assert_int_equal(p.front.sh->head.rsp_event, 1);
	assert_int_equal(mini_front_free(&p.front), 8);
	assert_int_equal(mini_front_pending(&p.front), 0);
	assert_int_equal(mini_back_pending(&p.back), 0);
}

static void put_is_invisible_until_push(void **state)
{
	struct mini_request req = {.id = 3};
	struct pair p;

	pair_init(&p, 0);
	mini_front_put(&p.front, &req);
	assert_int_equal(mini_back_pending(&p.back), 0);
	assert_true(mini_front_push(&p.front));
	assert_int_equal(mini_back_pending(&p.back), 1);
	assert_false(mini_front_push(&p.front)); /* nothing new: no wake */
}

/* n requests and their answers once round, from every interesting index. */
static void exchange(struct pair *p, uint32_t n, uint32_t base)
{
	struct mini_request req;
	struct mini_response rsp;

	for (uint32_t i = 0; i < n; i++)
		mini_front_put(&p->front, &(struct mini_request){.id = base + i, .payload = ~(base + i)});
	mini_front_push(&p->front);
	assert_int_equal(mini_front_free(&p->front), 8 - n);
	assert_int_equal(mini_back_pending(&p->back), n);
	for (uint32_t i = 0; i < n; i++) {
		mini_back_take(&p->back, &req);
		assert_int_equal(req.id, base + i);
		assert_int_equal(req.payload, ~(base + i));
	}
	assert_int_equal(mini_back_pending(&p->back), 0);
	for (uint32_t i = 0; i < n; i++)
		mini_back_put(&p->back, &(struct mini_response){.id = base + i});
	assert_int_equal(mini_front_pending(&p->front), 0);
	mini_back_push(&p->back);
	assert_int_equal(mini_front_pending(&p->front), n);
	for (uint32_t i = 0; i < n; i++) {
		mini_front_take(&p->front, &rsp);
		assert_int_equal(rsp.id, base + i);
	}
	assert_int_equal(mini_front_free(&p->front), 8);
}

static void every_burst_arrives_in_order_across_index_wrap(void **state)
{
	for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
		struct pair p;

		pair_init(&p, starts[s]);
		for (uint32_t round = 0, base = 0; round < 40; base += round++)
			exchange(&p, round % 9, base);
	}
}

static void requests_over_the_ring_size_are_eproto(void **state)
{
	for (size_t s = 0; s < ARRAY_LEN(starts); s++)
		for (uint32_t unanswered = 0; unanswered <= 8; unanswered++) {
			struct mini_request req;
			struct pair p;

			pair_init(&p, starts[s]);
			store_relaxed(&p.front.sh->head.req_prod, starts[s] + unanswered);
			for (uint32_t i = 0; i < unanswered; i++)
				mini_back_take(&p.back, &req);
			for (uint32_t more = 0; more <= 8 - unanswered; more++) {
				store_relaxed(&p.front.sh->head.req_prod, starts[s] + unanswered + more);
				assert_int_equal(mini_back_pending(&p.back), more);
			}
			static const uint32_t jumps[] = {1, 2, 100, 0x7fffffff, 0x80000000, 0xfffffff0};
			for (size_t j = 0; j < ARRAY_LEN(jumps); j++) {
				store_relaxed(&p.front.sh->head.req_prod, starts[s] + 8 + jumps[j]);
				if (starts[s] + 8 + jumps[j] - (starts[s] + unanswered) <= 8 - unanswered)
					continue; /* a jump of nearly 2^32 came back to a legal place */
				assert_int_equal(mini_back_pending(&p.back), -EPROTO);
				assert_true(mini_back_final_check(&p.back)); /* and nobody sleeps on it */
			}
		}
}

static void requests_going_backwards_are_eproto(void **state)
{
	struct mini_request req;
	struct pair p;

	pair_init(&p, 100);
	store_relaxed(&p.front.sh->head.req_prod, 103);
	for (int i = 0; i < 3; i++)
		mini_back_take(&p.back, &req);
	store_relaxed(&p.front.sh->head.req_prod, 102);
	assert_int_equal(mini_back_pending(&p.back), -EPROTO);
}

static void responses_without_requests_are_eproto(void **state)
{
	for (size_t s = 0; s < ARRAY_LEN(starts); s++)
		for (uint32_t sent = 0; sent <= 8; sent++) {
			struct mini_request req = {0};
			struct pair p;

			pair_init(&p, starts[s]);
			for (uint32_t i = 0; i < sent; i++)
				mini_front_put(&p.front, &req);
			mini_front_push(&p.front);
			if (sent < 8)
				mini_front_put(&p.front, &req); /* put, not pushed: cannot have been answered */
			store_relaxed(&p.front.sh->head.rsp_prod, starts[s] + sent);
			assert_int_equal(mini_front_pending(&p.front), sent);
			store_relaxed(&p.front.sh->head.rsp_prod, starts[s] + sent + 1);
			assert_int_equal(mini_front_pending(&p.front), -EPROTO);
			assert_true(mini_front_final_check(&p.front));
			store_relaxed(&p.front.sh->head.rsp_prod, starts[s] - 1);
			assert_int_equal(mini_front_pending(&p.front), -EPROTO);
		}
}

static void final_check_arms_the_next_entry_and_sees_what_came_meanwhile(void **state)
{
	for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
		struct mini_request req = {0};
		struct mini_response rsp = {0};
		struct pair p;

		pair_init(&p, starts[s]);
		assert_false(mini_back_final_check(&p.back));
		assert_int_equal(p.back.sh->head.req_event, starts[s] + 1);
		mini_front_put(&p.front, &req);
		assert_true(mini_front_push(&p.front)); /* it slept */
		mini_front_put(&p.front, &req);
		assert_false(mini_front_push(&p.front)); /* it is awake: has not armed again */
		assert_true(mini_back_final_check(&p.back));
		mini_back_take(&p.back, &req);
		mini_back_take(&p.back, &req);
		assert_false(mini_back_final_check(&p.back));
		assert_int_equal(p.back.sh->head.req_event, starts[s] + 3);

		assert_false(mini_front_final_check(&p.front));
		mini_back_put(&p.back, &rsp);
		mini_back_put(&p.back, &rsp);
		assert_true(mini_back_push(&p.back));
		assert_true(mini_front_final_check(&p.front));
		mini_front_take(&p.front, &rsp);
		assert_true(mini_front_final_check(&p.front));
		mini_front_take(&p.front, &rsp);
		assert_false(mini_front_final_check(&p.front));
		assert_int_equal(p.front.sh->head.rsp_event, starts[s] + 3);
	}
}

static void a_taken_request_is_not_changed_by_its_producer(void **state)
{
	struct mini_request req;
	struct pair p;

	pair_init(&p, 0);
	mini_front_put(&p.front, &(struct mini_request){.id = 1, .payload = 2});
	mini_front_push(&p.front);
	mini_back_take(&p.back, &req);
	p.front.sh->slot[0].req.payload = 99;
	assert_int_equal(req.payload, 2);
}

static void multi_page_ring_uses_every_slot_and_no_byte_beyond(void **state)
{
	for (unsigned order = 0; order <= BLKIF_MAX_RING_ORDER; order++) {
		size_t bytes = pages_to_bytes(1u << order);
		uint8_t *area = aligned_alloc(PAGE_BYTES, bytes); /* a sanitizer watches its end */
		struct blkif_request req = {0};
		struct blkif_response rsp;
		struct blkif_ring_front front;
		struct blkif_ring_back back;
		uint32_t n = 32u << order;

		blkif_ring_front_init(&front, area, bytes);
		blkif_ring_back_init(&back, area, bytes);
		for (uint32_t i = 0; i < n; i++) {
			req.id = i;
			req.sector_number = ~(uint64_t)i;
			blkif_ring_front_put(&front, &req);
		}
		assert_int_equal(blkif_ring_front_free(&front), 0);
		blkif_ring_front_push(&front);
		assert_int_equal(blkif_ring_back_pending(&back), n);
		for (uint32_t i = 0; i < n; i++) {
			blkif_ring_back_take(&back, &req);
			assert_int_equal(req.id, i);
			assert_true(req.sector_number == ~(uint64_t)i);
			blkif_ring_back_put(&back, &(struct blkif_response){.id = req.id, .status = BLKIF_RSP_OKAY});
		}
		blkif_ring_back_push(&back);
		for (uint32_t i = 0; i < n; i++) {
			blkif_ring_front_take(&front, &rsp);
			assert_int_equal(rsp.id, i);
		}
		free(area);
	}
}

/* The next back half goes on where the last one stopped, and the front half sees one back half. */
static void attached_back_half_goes_on_where_the_last_one_stopped(void **state)
{
	for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
		struct mini_request req;
		struct mini_response rsp;
		struct mini_back next = {0};
		struct pair p;

		pair_init(&p, starts[s]);
		for (uint32_t id = 0; id < 8; id++)
			mini_front_put(&p.front, &(struct mini_request){.id = id});
		mini_front_push(&p.front);
		for (uint32_t id = 0; id < 5; id++) {
			mini_back_take(&p.back, &req);
			mini_back_put(&p.back, &(struct mini_response){.id = req.id});
		}
		mini_back_push(&p.back);
		assert_int_equal(mini_back_attach(&next, p.area, sizeof(p.area)), 0);
		assert_int_equal(mini_back_pending(&next), 3);
		for (uint32_t id = 5; id < 8; id++) {
			mini_back_take(&next, &req);
			assert_int_equal(req.id, id);
			mini_back_put(&next, &(struct mini_response){.id = req.id});
		}
		assert_false(mini_back_push(&next)); /* the front half was woken for the first answer, and has not slept since */
		assert_int_equal(mini_front_pending(&p.front), 8);
		for (uint32_t id = 0; id < 8; id++) {
			mini_front_take(&p.front, &rsp);
			assert_int_equal(rsp.id, id);
		}
	}
}

static void ring_with_more_requests_than_slots_is_not_attached(void **state)
{
	for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
		struct mini_back back = {.rsp_prod = 77}, before = back;
		struct pair p;

		pair_init(&p, starts[s]);
		p.front.sh->head.req_prod = starts[s] + 8;
		assert_int_equal(mini_back_attach(&p.back, p.area, sizeof(p.area)), 0);
		p.front.sh->head.req_prod = starts[s] + 9;
		assert_int_equal(mini_back_attach(&back, p.area, sizeof(p.area)), -EPROTO);
		p.front.sh->head.req_prod = starts[s] - 1;
		assert_int_equal(mini_back_attach(&back, p.area, sizeof(p.area)), -EPROTO);
		assert_memory_equal(&back, &before, sizeof(back));
	}
}

static void page_arithmetic_rounds_up(void **state)
{
	assert_int_equal(bytes_to_pages(0), 0);
	assert_int_equal(bytes_to_pages(1), 1);
	assert_int_equal(bytes_to_pages(4096), 1);
	assert_int_equal(bytes_to_pages(4097), 2);
	assert_int_equal(pages_to_bytes(3), 12288);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_holds_the_largest_power_of_two_that_fits),
		cmocka_unit_test(wake_is_asked_for_exactly_when_the_event_index_is_passed),
		cmocka_unit_test(fresh_ring_is_empty_and_asks_for_the_first_event),
		cmocka_unit_test(put_is_invisible_until_push),
		cmocka_unit_test(every_burst_arrives_in_order_across_index_wrap),
		cmocka_unit_test(requests_over_the_ring_size_are_eproto),
		cmocka_unit_test(requests_going_backwards_are_eproto),
		cmocka_unit_test(responses_without_requests_are_eproto),
		cmocka_unit_test(final_check_arms_the_next_entry_and_sees_what_came_meanwhile),
		cmocka_unit_test(a_taken_request_is_not_changed_by_its_producer),
		cmocka_unit_test(multi_page_ring_uses_every_slot_and_no_byte_beyond),
		cmocka_unit_test(attached_back_half_goes_on_where_the_last_one_stopped),
		cmocka_unit_test(ring_with_more_requests_than_slots_is_not_attached),
		cmocka_unit_test(page_arithmetic_rounds_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
