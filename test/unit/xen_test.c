/*
 * test/unit/xen_test.c - the platform xen against libraries that are ours: groups of maps, what failed and why, copies, ports, shares.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fake_store.h"
#include "fake_xen.h"
#include "hv/life.h"
#include "hv/log.h"
#include "hv/xen_open.h"

#define GUEST 7
#define OTHER 8

static struct hv *hv;
static struct hv_peer *peer;

static struct hv *open_side(bool as_guest)
{
	struct xen_hv *x;

	assert_int_equal(xen_hv_create(as_guest, &x), 0);
	return &x->hv;
}

static int start(void **state)
{
	log_init("test", LOG_LEVEL_ERROR);
	hv = open_side(false);
	assert_int_equal(hv_peer_open(hv, GUEST, &peer), 0);
	return 0;
}

static int stop(void **state)
{
	hv_close(hv);
	assert_int_equal(fake_xen_nr_handles(), 0);
	assert_int_equal(fake_xen_nr_mapped(), 0);
	assert_int_equal(fake_xen_nr_bound(), 0);
	fake_xen_reset();
	return 0;
}

static int start_guest(void **state)
{
	hv = open_side(true);
	return 0;
}

static struct hv_counters counters(void)
{
	struct hv_counters c;

	assert_int_equal(hv_counters(hv, &c), 0);
	return c;
}

static void grant_some(grant_ref_t first, unsigned nr, bool readonly)
{
	for (unsigned i = 0; i < nr; i++)
		fake_xen_grant(GUEST, first + i, readonly)[0] = (uint8_t)(first + i);
}

static void ops_of(struct hv_map_op ops[], grant_ref_t first, unsigned nr, bool readonly)
{
	for (unsigned i = 0; i < nr; i++)
		ops[i] = (struct hv_map_op){.ref = first + i, .readonly = readonly, .status = 99};
}

static unsigned unmap(const struct hv_map_op ops[], unsigned nr)
{
	unsigned failed = 0;

	for (unsigned i = 0; i < nr; i++)
		failed += hv_peer_unmap(peer, &ops[i].handle, 1);
	return failed;
}

/* ---- what the platform is ------------------------------------------------------------------------------------------- */

static void platform_says_what_it_is_and_has_not(void **state)
{
	struct iovec ram[GATE_MAX_EXTENTS];
	evtchn_port_t port;
	void *pages;

	assert_string_equal(hv_platform(hv), "xen");
	assert_false(hv_map_is_cheap(hv));
	assert_true(hv_keeps_devices(hv));
	assert_int_equal(hv_peer_ram(peer, ram), 0);
	assert_null(hv_peer_ram_epoch(peer));
	assert_null(hv_grants(hv));
	assert_int_equal(hv_pages_alloc(hv, 1, &pages), -EOPNOTSUPP);
	assert_true(hv_frame_of(hv, &pages) == UINT32_MAX);
	assert_int_equal(hv_evtchn_bind_ipi(hv, 0, &port), -EOPNOTSUPP);
	assert_int_equal(hv_evtchn_bind_pirq(hv, 0, &port), -EOPNOTSUPP);
	assert_int_equal(hv_evtchn_mask(hv, 1), -EOPNOTSUPP);
	assert_int_equal(hv_hypercall(hv, 0, 0, NULL, 0), -ENOSYS);
}

/* ---- maps ----------------------------------------------------------------------------------------------------------- */

static void batch_is_one_map_and_goes_with_its_last_handle(void **state)
{
	struct hv_map_op ops[32];

	grant_some(10, 32, false);
	ops_of(ops, 10, 32, false);
	assert_int_equal(hv_peer_map(peer, ops, 32), 0);
	assert_int_equal(fake_xen_nr_map_calls(), 1);
	for (unsigned i = 0; i < 32; i++) {
		assert_int_equal(ops[i].status, GNTST_okay);
		assert_int_equal(*(uint8_t *)ops[i].page, 10 + i);
		*(uint8_t *)ops[i].page = 200;
		assert_int_equal(fake_xen_grant(GUEST, 10 + i, false)[0], 200);
	}
	assert_int_equal(unmap(ops, 31), 0);
	assert_int_equal(fake_xen_nr_mapped(), 32);
	assert_int_equal(unmap(ops, 31), 31); /* each once */
	assert_int_equal(unmap(&ops[31], 1), 0);
	assert_int_equal(fake_xen_nr_mapped(), 0);
	assert_int_equal(counters().map_calls, 1);
	assert_int_equal(counters().map_refs, 32);
	assert_int_equal(counters().unmap_calls, 1);
	assert_int_equal(counters().unmap_refs, 32);
}

static void one_bad_ref_costs_the_others_nothing(void **state)
{
	struct hv_map_op ops[16];

	grant_some(10, 16, false);
	fake_xen_end_grant(13);
	fake_xen_grant(OTHER, 20, false); /* another domain's */
	ops_of(ops, 10, 16, false);
	ops[9].ref = 4000000;
	assert_int_equal(hv_peer_map(peer, ops, 16), 3);
	for (unsigned i = 0; i < 16; i++) {
		bool is_bad = i == 3 || i == 9 || i == 10;

		assert_int_equal(ops[i].status, is_bad ? GNTST_bad_gntref : GNTST_okay);
		if (!is_bad) {
			assert_int_equal(*(uint8_t *)ops[i].page, 10 + i);
			assert_int_equal(hv_peer_unmap(peer, &ops[i].handle, 1), 0);
		}
	}
	/* All, which failed; a probe; those that are good. */
	assert_int_equal(fake_xen_nr_map_calls(), 2);
	assert_int_equal(fake_xen_nr_copy_calls(), 1);
	assert_int_equal(fake_xen_nr_mapped(), 0);
}

static void nothing_but_bad_refs_maps_nothing(void **state)
{
	struct hv_map_op ops[4];

	ops_of(ops, 10, 4, false);
	assert_int_equal(hv_peer_map(peer, ops, 4), 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(ops[i].status, GNTST_bad_gntref);
	assert_int_equal(fake_xen_nr_mapped(), 0);
}

static void read_only_grant_is_mapped_read_only_and_refused_otherwise(void **state)
{
	struct hv_map_op ops[6];

	grant_some(10, 2, false);
	grant_some(12, 2, true);
	grant_some(14, 2, false);
	ops_of(ops, 10, 6, false);
	assert_int_equal(hv_peer_map(peer, ops, 6), 2);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(ops[i].status, i == 2 || i == 3 ? GNTST_permission_denied : GNTST_okay);
	assert_int_equal(unmap(ops, 2) + unmap(&ops[4], 2), 0);
	ops[2].readonly = ops[3].readonly = true; /* three runs now */
	assert_int_equal(hv_peer_map(peer, ops, 6), 0);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(*(uint8_t *)ops[i].page, 10 + i);
	assert_int_equal(unmap(ops, 6), 0);
	assert_int_equal(fake_xen_nr_mapped(), 0);
}

static void quota_of_maps_is_no_space_and_not_a_bad_ref(void **state)
{
	struct hv_map_op ops[8];
	void *ring;

	grant_some(10, 8, false);
	fake_xen_limit_maps(5);
	ops_of(ops, 10, 8, false);
	assert_int_equal(hv_peer_map(peer, ops, 8), 3);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(ops[i].status, i < 5 ? GNTST_okay : GNTST_no_space);
	assert_int_equal(hv_peer_map_ring(peer, (grant_ref_t[]){15}, 1, &ring), -ENOSPC);
	assert_int_equal(unmap(ops, 5), 0);
	assert_int_equal(hv_peer_map_ring(peer, (grant_ref_t[]){15}, 1, &ring), 0);
	hv_peer_unmap_ring(peer, ring);
}

/* A probe that fails itself accuses nobody. */
static void refs_are_tried_one_by_one_when_they_cannot_be_probed(void **state)
{
	struct hv_map_op ops[3];

	grant_some(10, 3, false);
	fake_xen_end_grant(11);
	fake_xen_fail_copies(1);
	ops_of(ops, 10, 3, false);
	assert_int_equal(hv_peer_map(peer, ops, 3), 1);
	assert_int_equal(ops[0].status, GNTST_okay);
	assert_int_not_equal(ops[1].status, GNTST_okay);
	assert_int_equal(ops[2].status, GNTST_okay);
	assert_int_equal(hv_peer_unmap(peer, &ops[0].handle, 1), 0);
	assert_int_equal(hv_peer_unmap(peer, &ops[2].handle, 1), 0);
}

static void batch_over_the_largest_group_is_several_groups(void **state)
{
	struct hv_map_op ops[150];

	grant_some(10, 150, false);
	ops_of(ops, 10, 150, false);
	assert_int_equal(hv_peer_map(peer, ops, 150), 0);
	assert_int_equal(fake_xen_nr_map_calls(), (150 + XEN_MAP_MAX - 1) / XEN_MAP_MAX);
	assert_int_equal(unmap(ops, XEN_MAP_MAX), 0);
	assert_int_equal(fake_xen_nr_mapped(), 150 - XEN_MAP_MAX);
	assert_int_equal(unmap(&ops[XEN_MAP_MAX], 150 - XEN_MAP_MAX), 0);
	assert_int_equal(fake_xen_nr_mapped(), 0);
}

/* Any order of maps and unmaps: what is out is mapped, and shows its own page. */
static void handles_survive_any_order(void **state)
{
	struct hv_map_op out[100];
	bool is_out[100] = {false};
	uint32_t seed = 5;

	grant_some(10, 100, false);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned at = test_random(&seed) % 100, nr = 1 + test_random(&seed) % 8;
		struct hv_map_op ops[8];
		unsigned n = 0;

		for (unsigned i = at; i < 100 && n < nr && !is_out[i]; i++)
			ops_of(&ops[n++], 10 + i, 1, false);
		if (n) {
			assert_int_equal(hv_peer_map(peer, ops, n), 0);
			for (unsigned i = 0; i < n; i++) {
				out[at + i] = ops[i];
				is_out[at + i] = true;
			}
			continue;
		}
		assert_int_equal(*(uint8_t *)out[at].page, 10 + at);
		assert_int_equal(hv_peer_unmap(peer, &out[at].handle, 1), 0);
		assert_int_equal(hv_peer_unmap(peer, &out[at].handle, 1), 1);
		is_out[at] = false;
	}
	for (unsigned i = 0; i < 100; i++)
		if (is_out[i])
			assert_int_equal(hv_peer_unmap(peer, &out[i].handle, 1), 0);
	assert_int_equal(fake_xen_nr_mapped(), 0);
}

static void ring_is_contiguous_and_its_failure_has_a_reason(void **state)
{
	const grant_ref_t refs[] = {30, 12, 77, 11};
	uint8_t *base;
	void *ring;

	for (unsigned i = 0; i < ARRAY_LEN(refs); i++)
		fake_xen_grant(GUEST, refs[i], false)[5] = (uint8_t)i;
	assert_int_equal(hv_peer_map_ring(peer, refs, 4, &ring), 0);
	base = ring;
	for (unsigned i = 0; i < ARRAY_LEN(refs); i++)
		assert_int_equal(base[pages_to_bytes(i) + 5], i);
	hv_peer_unmap_ring(peer, ring);
	assert_int_equal(fake_xen_nr_mapped(), 0);
	fake_xen_grant(GUEST, 12, true);
	fake_xen_grant(GUEST, 77, true);
	fake_xen_grant(GUEST, 30, true);
	fake_xen_grant(GUEST, 11, true);
	assert_int_equal(hv_peer_map_ring(peer, refs, 4, &ring), -EACCES);
	fake_xen_end_grant(77);
	assert_int_equal(hv_peer_map_ring(peer, refs, 4, &ring), -EINVAL);
	assert_int_equal(hv_peer_map_ring(peer, refs, 0, &ring), -EINVAL);
}

static void peer_is_one_and_takes_its_maps_with_it(void **state)
{
	struct hv_map_op ops[3];
	struct hv_peer *again;
	void *ring;

	assert_int_equal(hv_peer_open(hv, GUEST, &again), 0);
	assert_ptr_equal(again, peer);
	grant_some(10, 4, false);
	ops_of(ops, 10, 3, false);
	assert_int_equal(hv_peer_map(peer, ops, 3), 0);
	assert_int_equal(hv_peer_map_ring(peer, (grant_ref_t[]){13}, 1, &ring), 0);
	hv_peer_close(again);
	assert_int_equal(fake_xen_nr_mapped(), 4);
	hv_peer_close(peer);
	assert_int_equal(fake_xen_nr_mapped(), 0);
	assert_int_equal(fake_xen_nr_handles(), 0);
}

/* ---- copies --------------------------------------------------------------------------------------------------------- */

static void batch_of_copies_is_one_call_and_each_has_its_status(void **state)
{
	uint8_t local[5][64] = {{0}};
	struct grant_copy_op ops[] = {
		{.local = local[0], .ref = 10, .offset = 100, .len = 64},
		{.local = local[1], .ref = 11, .offset = 4032, .len = 64, .to_peer = true},
		{.local = local[2], .ref = 12, .len = 64, .to_peer = true}, /* read-only */
		{.local = local[3], .ref = 99, .len = 64},                  /* no grant */
		{.local = local[4], .ref = 12, .offset = 4033, .len = 64},  /* over the page's end */
		{.local = local[4], .ref = 12, .offset = 0xffff, .len = 1},
	};
	const int16_t want[] = {GNTST_okay, GNTST_okay, GNTST_permission_denied, GNTST_bad_gntref, GNTST_bad_copy_arg,
				GNTST_bad_copy_arg};

	memset(fake_xen_grant(GUEST, 10, false) + 100, 0x5a, 64);
	fake_xen_grant(GUEST, 11, false);
	fake_xen_grant(GUEST, 12, true);
	memset(local[1], 0xa5, 64);
	assert_int_equal(hv_peer_copy(peer, ops, ARRAY_LEN(ops)), 4);
	for (unsigned i = 0; i < ARRAY_LEN(ops); i++)
		assert_int_equal(ops[i].status, want[i]);
	assert_int_equal(local[0][63], 0x5a);
	assert_int_equal(fake_xen_grant(GUEST, 11, false)[4095], 0xa5);
	assert_int_equal(fake_xen_nr_copy_calls(), 1);
	assert_int_equal(counters().copy_calls, 1);
	assert_int_equal(counters().copy_segments, 4);
}

static void call_that_fails_fails_all_its_copies(void **state)
{
	uint8_t byte = 0;
	struct grant_copy_op ops[2] = {{.local = &byte, .ref = 10, .len = 1}, {.local = &byte, .ref = 10, .len = 1}};

	grant_some(10, 1, false);
	fake_xen_fail_copies(1);
	assert_int_equal(hv_peer_copy(peer, ops, 2), 2);
	assert_int_equal(ops[0].status, GNTST_general_error);
	assert_int_equal(hv_peer_copy(peer, ops, 2), 0);
	assert_int_equal(hv_peer_copy(peer, ops, 0), 0);
}

static void more_copies_than_one_call_takes_are_several_calls(void **state)
{
	static struct grant_copy_op ops[XEN_COPY_MAX * 2 + 3];
	uint8_t byte;

	grant_some(10, 1, false);
	for (unsigned i = 0; i < ARRAY_LEN(ops); i++)
		ops[i] = (struct grant_copy_op){.local = &byte, .ref = i % 100 ? 10 : 9, .len = 1};
	assert_int_equal(hv_peer_copy(peer, ops, ARRAY_LEN(ops)), (ARRAY_LEN(ops) + 99) / 100);
	for (unsigned i = 0; i < ARRAY_LEN(ops); i++)
		assert_int_equal(ops[i].status, i % 100 ? GNTST_okay : GNTST_bad_gntref);
	assert_int_equal(fake_xen_nr_copy_calls(), 3);
}

/* ---- ports ---------------------------------------------------------------------------------------------------------- */

static void back_ends_port_has_an_fd_of_its_own(void **state)
{
	evtchn_port_t a, b, taken[4];

	assert_int_equal(hv_evtchn_bind_interdomain(hv, GUEST, 0, &a), -EINVAL);
	assert_int_equal(fake_xen_nr_handles(), 1); /* the peer's */
	assert_int_equal(hv_evtchn_bind_interdomain(hv, GUEST, 3, &a), 0);
	assert_int_equal(hv_evtchn_bind_interdomain(hv, GUEST, 4, &b), 0);
	assert_int_not_equal(hv_event_fd(hv, a), hv_event_fd(hv, b));
	assert_int_equal(hv_event_take(hv, hv_event_fd(hv, a), taken, 4), 1); /* binding looks once */
	assert_int_equal(taken[0], a);
	assert_int_equal(hv_event_take(hv, hv_event_fd(hv, a), taken, 4), 0); /* does not block */
	assert_int_equal(hv_event_take(hv, hv_event_fd(hv, b), taken, 4), 1);
	fake_xen_send(b);
	fake_xen_send(b);
	assert_false(hv_evtchn_pending(hv, a));
	assert_true(hv_evtchn_pending(hv, b));
	assert_int_equal(hv_event_take(hv, hv_event_fd(hv, b), taken, 4), 1);
	assert_int_equal(taken[0], b);
	assert_true(test_is_readable(hv_event_fd(hv, b))); /* what came while it was masked is not lost */
	assert_int_equal(hv_event_take(hv, hv_event_fd(hv, b), taken, 4), 1);
	assert_false(test_is_readable(hv_event_fd(hv, b)));
	hv_notify(hv, a);
	assert_int_equal(fake_xen_nr_sent(a), 1);
	assert_int_equal(hv_evtchn_close(hv, a), 0);
	assert_int_equal(hv_evtchn_close(hv, a), -EINVAL);
	assert_int_equal(hv_event_fd(hv, a), -EINVAL);
	hv_notify(hv, a);
	assert_int_equal(fake_xen_nr_bound(), 1);
	assert_int_equal(counters().notifies, 1);
	assert_int_equal(counters().events, 4);
}

static void front_ends_ports_share_one_fd(void **state)
{
	evtchn_port_t a, b, taken[4];
	int fd;

	assert_int_equal(hv_evtchn_alloc_unbound(hv, 0, &a), 0);
	assert_int_equal(hv_evtchn_alloc_unbound(hv, 0, &b), 0);
	fd = hv_event_fd(hv, a);
	assert_int_equal(hv_event_fd(hv, b), fd);
	assert_false(test_is_readable(fd));
	fake_xen_send(b);
	fake_xen_send(a);
	assert_true(test_is_readable(fd));
	assert_int_equal(hv_event_take(hv, fd, taken, 1), 1);
	assert_int_equal(taken[0], b);
	assert_true(test_is_readable(fd));
	assert_int_equal(hv_event_take(hv, fd, taken, 4), 1);
	assert_int_equal(taken[0], a);
	assert_false(test_is_readable(fd));
	hv_notify(hv, b);
	assert_int_equal(fake_xen_nr_sent(b), 1);
	assert_int_equal(hv_evtchn_close(hv, a), 0);
	assert_int_equal(fake_xen_nr_bound(), 1);
	assert_int_equal(hv_event_fd(hv, b), fd);
}

/* ---- shares --------------------------------------------------------------------------------------------------------- */

static void shared_pages_are_what_the_other_end_maps(void **state)
{
	struct hv *back = open_side(false);
	struct hv_peer *front;
	grant_ref_t refs[4];
	uint8_t *pages;
	void *shared, *ring;

	assert_int_equal(hv_share(hv, 0, 4, false, refs, &shared), 0);
	pages = shared;
	pages[0] = 1;
	pages[pages_to_bytes(3)] = 4;
	assert_int_equal(hv_peer_open(back, 0, &front), 0);
	assert_int_equal(hv_peer_map_ring(front, refs, 4, &ring), 0);
	assert_int_equal(((uint8_t *)ring)[0], 1);
	((uint8_t *)ring)[pages_to_bytes(3)]++;
	assert_int_equal(pages[pages_to_bytes(3)], 5);
	hv_close(back);
	hv_unshare(hv, shared, 4, refs);
	assert_int_equal(fake_xen_nr_shared(), 0);
}

static void read_only_share_cannot_be_mapped_for_writing(void **state)
{
	struct hv *back = open_side(false);
	struct hv_peer *front;
	struct hv_map_op op;
	grant_ref_t ref;
	void *shared;

	assert_int_equal(hv_share(hv, 0, 1, true, &ref, &shared), 0);
	assert_int_equal(hv_peer_open(back, 0, &front), 0);
	op = (struct hv_map_op){.ref = ref};
	assert_int_equal(hv_peer_map(front, &op, 1), 1);
	assert_int_equal(op.status, GNTST_permission_denied);
	op.readonly = true;
	assert_int_equal(hv_peer_map(front, &op, 1), 0);
	hv_close(back);
	hv_unshare(hv, shared, 1, &ref);
}

static void pages_to_share_come_to_an_end(void **state)
{
	grant_ref_t refs[8];
	void *a, *b;

	fake_xen_limit_shares(8);
	assert_int_equal(hv_share(hv, 0, 6, false, refs, &a), 0);
	assert_int_equal(hv_share(hv, 0, 3, false, refs, &b), -ENOSPC);
	hv_unshare(hv, a, 6, refs);
	assert_int_equal(hv_share(hv, 0, 8, false, refs, &b), 0);
	hv_unshare(hv, b, 8, refs);
}

static void back_end_shares_nothing(void **state)
{
	grant_ref_t ref;
	void *page;

	assert_int_equal(hv_share(hv, GUEST, 1, false, &ref, &page), -EOPNOTSUPP);
}

/* ---- lives ---------------------------------------------------------------------------------------------------------- */

#define DIR "/local/domain/7/device/vif/0"

struct lives {
	struct fake_store *fs;
	struct store_client *store;
	struct hv *back;
	struct life life;
	struct life_watch watch;
};

static void lives_start(struct lives *l)
{
	*l = (struct lives){.fs = fake_store_create(), .back = open_side(false)};
	l->store = fake_store_open(l->fs);
}

static void lives_stop(struct lives *l)
{
	life_watch_stop(&l->watch, l->back);
	hv_close(l->back);
	store_client_close(l->store);
	fake_store_destroy(l->fs);
}

static void announce_and_watch(struct lives *l)
{
	life_announce(&l->life, hv, l->store, DIR, 0);
	assert_non_null(l->life.page);
	assert_int_equal(life_watch_start(&l->watch, l->back, l->store, DIR, 0), 0);
	assert_false(life_watch_is_over(&l->watch, l->back)); /* the event of the bind */
}

static void front_end_that_dies_is_told_to_whoever_watches(void **state)
{
	struct lives l;
	unsigned sent;

	lives_start(&l);
	announce_and_watch(&l);
	sent = fake_xen_nr_sent(l.life.port);
	hv_unshare(hv, l.life.page, 1, &l.life.ref); /* as the driver does for a process that ended */
	assert_int_equal(fake_xen_nr_sent(l.life.port), sent + 1);
	fake_xen_send(l.watch.port);
	assert_true(life_watch_is_over(&l.watch, l.back));
	lives_stop(&l);
}

static void front_end_that_leaves_in_good_order_has_not_died(void **state)
{
	struct lives l;

	lives_start(&l);
	announce_and_watch(&l);
	life_withdraw(&l.life, hv, l.store, DIR);
	assert_null(fake_store_get(l.fs, DIR "/life-ref"));
	assert_null(fake_store_get(l.fs, DIR "/life-event-channel"));
	assert_int_equal(fake_xen_nr_shared(), 0);
	fake_xen_send(l.watch.port);
	assert_false(life_watch_is_over(&l.watch, l.back));
	life_withdraw(&l.life, hv, l.store, DIR); /* twice is once */
	lives_stop(&l);
}

static void keys_without_a_life_behind_them_are_not_watched(void **state)
{
	grant_ref_t ref;
	char text[16];
	struct lives l;
	void *page;

	lives_start(&l);
	assert_int_equal(life_watch_start(&l.watch, l.back, l.store, DIR, 0), -ENOENT);
	fake_store_set(l.fs, DIR "/life-ref", "4000000000");
	fake_store_set(l.fs, DIR "/life-event-channel", "9");
	assert_int_equal(life_watch_start(&l.watch, l.back, l.store, DIR, 0), -EINVAL);
	/* An earlier one's, and its ref is now that of another page. */
	assert_int_equal(hv_share(hv, 0, 1, false, &ref, &page), 0);
	snprintf(text, sizeof(text), "%u", ref);
	fake_store_set(l.fs, DIR "/life-ref", text);
	assert_int_equal(life_watch_start(&l.watch, l.back, l.store, DIR, 0), -ENOENT);
	fake_store_set(l.fs, DIR "/life-event-channel", "0");
	assert_int_equal(life_watch_start(&l.watch, l.back, l.store, DIR, 0), -EINVAL);
	assert_int_equal(fake_xen_nr_mapped(), 0);
	hv_unshare(hv, page, 1, &ref);
	lives_stop(&l);
}

static void front_end_without_pages_announces_nothing(void **state)
{
	struct lives l;

	lives_start(&l);
	fake_xen_limit_shares(0);
	life_announce(&l.life, hv, l.store, DIR, 0);
	assert_null(l.life.page);
	assert_null(fake_store_get(l.fs, DIR "/life-ref"));
	fake_xen_limit_shares(1);
	fake_store_fail_writes(l.fs, 1, -ENOSPC);
	life_announce(&l.life, hv, l.store, DIR, 0);
	assert_null(l.life.page);
	assert_int_equal(fake_xen_nr_shared(), 0);
	assert_int_equal(fake_xen_nr_bound(), 0);
	lives_stop(&l);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
#define G(name) cmocka_unit_test_setup_teardown(name, start_guest, stop)
	const struct CMUnitTest tests[] = {
		T(platform_says_what_it_is_and_has_not),
		T(batch_is_one_map_and_goes_with_its_last_handle),
		T(one_bad_ref_costs_the_others_nothing),
		T(nothing_but_bad_refs_maps_nothing),
		T(read_only_grant_is_mapped_read_only_and_refused_otherwise),
		T(quota_of_maps_is_no_space_and_not_a_bad_ref),
		T(refs_are_tried_one_by_one_when_they_cannot_be_probed),
		T(batch_over_the_largest_group_is_several_groups),
		T(handles_survive_any_order),
		T(ring_is_contiguous_and_its_failure_has_a_reason),
		T(peer_is_one_and_takes_its_maps_with_it),
		T(batch_of_copies_is_one_call_and_each_has_its_status),
		T(call_that_fails_fails_all_its_copies),
		T(more_copies_than_one_call_takes_are_several_calls),
		T(back_ends_port_has_an_fd_of_its_own),
		T(back_end_shares_nothing),
		G(front_ends_ports_share_one_fd),
		G(shared_pages_are_what_the_other_end_maps),
		G(read_only_share_cannot_be_mapped_for_writing),
		G(pages_to_share_come_to_an_end),
		G(front_end_that_dies_is_told_to_whoever_watches),
		G(front_end_that_leaves_in_good_order_has_not_died),
		G(keys_without_a_life_behind_them_are_not_watched),
		G(front_end_without_pages_announces_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
