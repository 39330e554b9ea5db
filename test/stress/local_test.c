/*
 * test/stress/local_test.c - the local platform with both ends at work at once, in a box.
 */
#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "box.h"
#include "hv/store_client.h"
#include "rings/atomics.h"

#define PATIENCE_MS 20000
#define ROUNDS 3000u
#define SHARE_ROUNDS 400u

static struct box box;
static domid_t domid;
static struct hv *guest;

static int start(void **state)
{
	box_start(&box);
	domid = box_create_vcpus(&box, "a", 8192, 2);
	guest = box_run(&box, domid, "a");
	return 0;
}

static int stop(void **state)
{
	box_end(&box, domid, guest);
	return 0;
}

static bool sleep_on(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, PATIENCE_MS) == 1;
}

/* ---- events ------------------------------------------------------------------------------------------------------------- */

/* One end of a ball game: waits for the event, finds the other's counter moved, moves its own, and sends. */
struct player {
	pthread_t thread;
	struct hv *hv;
	evtchn_port_t port;
	uint32_t *mine, *theirs; /* plain memory: the event alone orders it */
	bool begins, failed;
};

static bool throw_and_wait(struct player *p, uint32_t round)
{
	evtchn_port_t ports[4];
	int fd = hv_event_fd(p->hv, p->port);

	if (!p->begins || round) {
		do {
			if (!sleep_on(fd))
				return false;
			hv_event_take(p->hv, fd, ports, 4);
		} while (load_acquire(p->theirs) != round + !p->begins);
	}
	store_release(p->mine, round + 1);
	hv_notify(p->hv, p->port);
	return true;
}

static void *play(void *arg)
{
	struct player *p = arg;

	for (uint32_t round = 0; round < ROUNDS && !p->failed; round++)
		p->failed = !throw_and_wait(p, round);
	return NULL;
}

static void no_event_is_lost_between_two_sleepers(void **state)
{
	static uint32_t front_count, back_count;
	struct player front = {.hv = guest, .mine = &front_count, .theirs = &back_count, .begins = true};
	struct player back = {.hv = box.dom0, .mine = &back_count, .theirs = &front_count};

	assert_int_equal(hv_evtchn_alloc_unbound(guest, 0, &front.port), 0);
	assert_int_equal(hv_evtchn_bind_interdomain(box.dom0, domid, front.port, &back.port), 0);
	pthread_create(&front.thread, NULL, play, &front);
	pthread_create(&back.thread, NULL, play, &back);
	pthread_join(front.thread, NULL);
	pthread_join(back.thread, NULL);
	assert_false(front.failed || back.failed);
	assert_int_equal(front_count, ROUNDS);
	assert_int_equal(back_count, ROUNDS);
	assert_int_equal(hv_evtchn_close(box.dom0, back.port), 0);
}

#define NR_PORTS 40u

struct crowd {
	pthread_t sender, taker[2];
	evtchn_port_t front[NR_PORTS], back[NR_PORTS];
	uint32_t sent[NR_PORTS], seen[NR_PORTS]; /* seen: the sent count that its taker last saw */
	uint32_t is_done;
};

static struct crowd crowd;

static void *send_to_all(void *arg)
{
	uint32_t seed = 5;

	for (unsigned i = 0; i < ROUNDS * 10; i++) {
		unsigned at = test_random(&seed) % NR_PORTS;

		store_release(&crowd.sent[at], load_relaxed(&crowd.sent[at]) + 1);
		hv_notify(box.dom0, crowd.back[at]);
		if (i % 64 == 0)
			hv_evtchn_bind_vcpu(guest, crowd.front[at], test_random(&seed) & 1);
		if (i % 97 == 0) {
			hv_evtchn_mask(guest, crowd.front[at]);
			hv_evtchn_unmask(guest, crowd.front[at]);
		}
	}
	store_release(&crowd.is_done, 1);
	return NULL;
}

static bool all_seen(void)
{
	for (unsigned i = 0; i < NR_PORTS; i++)
		if (load_acquire(&crowd.seen[i]) != load_acquire(&crowd.sent[i]))
			return false;
	return true;
}

static void note_ports(const evtchn_port_t ports[], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned at = 0; at < NR_PORTS; at++)
			if (crowd.front[at] == ports[i])
				store_release(&crowd.seen[at], load_acquire(&crowd.sent[at]));
}

static void *take_vcpu(void *arg)
{
	int fd = (int)(intptr_t)arg;
	evtchn_port_t ports[7];
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	while (!load_acquire(&crowd.is_done) || !all_seen()) {
		if (poll(&pfd, 1, 10) > 0)
			note_ports(ports, hv_event_take(guest, fd, ports, 7));
		else if (load_acquire(&crowd.is_done) && poll(&pfd, 1, PATIENCE_MS / 10) == 0)
			break; /* nothing comes any more: all_seen is looked at outside */
	}
	return NULL;
}

static void last_event_of_every_port_arrives_while_ports_move_and_are_masked(void **state)
{
	evtchn_port_t probe;
	int fd[2];

	memset(&crowd, 0, sizeof(crowd));
	for (unsigned i = 0; i < NR_PORTS; i++) {
		assert_int_equal(hv_evtchn_alloc_unbound(guest, 0, &crowd.front[i]), 0);
		assert_int_equal(hv_evtchn_bind_interdomain(box.dom0, domid, crowd.front[i], &crowd.back[i]), 0);
	}
	for (unsigned v = 0; v < 2; v++) {
		assert_int_equal(hv_evtchn_bind_ipi(guest, v, &probe), 0);
		fd[v] = hv_event_fd(guest, probe);
		pthread_create(&crowd.taker[v], NULL, take_vcpu, (void *)(intptr_t)fd[v]);
	}
	pthread_create(&crowd.sender, NULL, send_to_all, NULL);
	pthread_join(crowd.sender, NULL);
	for (unsigned v = 0; v < 2; v++)
		pthread_join(crowd.taker[v], NULL);
	assert_true(all_seen());
	for (unsigned i = 0; i < NR_PORTS; i++)
		assert_int_equal(hv_evtchn_close(box.dom0, crowd.back[i]), 0);
}

/* ---- pages ------------------------------------------------------------------------------------------------------------- */

#define NR_SHARERS 2u

/* A guest thread hands over shares by a mailbox; a back end thread maps, writes, unmaps, hands back. */
struct mailbox {
	pthread_t sharer, mapper;
	uint32_t is_full;
	grant_ref_t refs[4];
	unsigned nr;
	bool may_touch; /* the share stays until the mailbox is empty; else its refs may have passed to somebody else's page */
	bool failed;
};

static void *share_and_unshare(void *arg)
{
	struct mailbox *m = arg;
	uint32_t seed = (uint32_t)(uintptr_t)arg | 1;

	for (unsigned i = 0; i < SHARE_ROUNDS && !m->failed; i++) {
		void *pages;

		m->nr = test_random(&seed) % 4 + 1;
		m->may_touch = i % 2;
		if (hv_share(guest, 0, m->nr, false, m->refs, &pages)) {
			m->failed = true;
			break;
		}
		store_release(&m->is_full, 1u);
		/* Half of the shares are taken back while the other side may still have them mapped. */
		while (i % 2 && load_acquire(&m->is_full))
			sched_yield();
		if (i % 2 && *(uint8_t *)pages != 0x5a)
			m->failed = true;
		hv_unshare(guest, pages, m->nr, m->refs);
		while (load_acquire(&m->is_full))
			sched_yield();
	}
	store_release(&m->is_full, 2u);
	return NULL;
}

static void *map_and_unmap(void *arg)
{
	struct mailbox *m = arg;
	struct hv_peer *peer;
	void *ring;

	if (hv_peer_open(box.dom0, domid, &peer)) {
		m->failed = true;
		return NULL;
	}
	for (;;) {
		uint32_t full = load_acquire(&m->is_full);

		if (full == 2)
			break;
		if (!full) {
			sched_yield();
			continue;
		}
		if (!hv_peer_map_ring(peer, m->refs, m->nr, &ring)) {
			if (m->may_touch)
				*(uint8_t *)ring = 0x5a;
			hv_peer_unmap_ring(peer, ring);
		}
		store_release(&m->is_full, 0u);
	}
	hv_peer_close(peer);
	return NULL;
}

static void shares_come_and_go_while_the_peer_maps_them(void **state)
{
	static struct mailbox boxes[NR_SHARERS];
	uint32_t refs_before = grant_table_nr_free(hv_grants(guest));

	memset(boxes, 0, sizeof(boxes));
	for (unsigned i = 0; i < NR_SHARERS; i++) {
		pthread_create(&boxes[i].sharer, NULL, share_and_unshare, &boxes[i]);
		pthread_create(&boxes[i].mapper, NULL, map_and_unmap, &boxes[i]);
	}
	for (unsigned i = 0; i < NR_SHARERS; i++) {
		pthread_join(boxes[i].sharer, NULL);
		pthread_join(boxes[i].mapper, NULL);
		assert_false(boxes[i].failed);
	}
	grant_table_reap(hv_grants(guest), UINT32_MAX);
	assert_int_equal(grant_table_nr_free(hv_grants(guest)), refs_before);
}

/* ---- hypercalls and peers from several threads --------------------------------------------------------------------------- */

static void *open_and_close(void *arg)
{
	bool *failed = arg;
	evtchn_port_t port;
	struct hv_peer *peer;

	for (unsigned i = 0; i < 100 && !*failed; i++) {
		*failed = hv_peer_open(box.dom0, domid, &peer) || hv_evtchn_alloc_unbound(box.dom0, domid, &port);
		if (*failed)
			break;
		*failed = hv_event_fd(box.dom0, port) < 0 || hv_evtchn_close(box.dom0, port);
		hv_peer_close(peer);
	}
	return NULL;
}

static void threads_of_one_process_share_a_connection(void **state)
{
	pthread_t threads[4];
	bool failed[4] = {false};

	for (unsigned i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, open_and_close, &failed[i]);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_false(failed[i]);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		T(no_event_is_lost_between_two_sleepers),
		T(last_event_of_every_port_arrives_while_ports_move_and_are_masked),
		T(shares_come_and_go_while_the_peer_maps_them),
		T(threads_of_one_process_share_a_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
