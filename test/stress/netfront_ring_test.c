/*
 * test/stress/netfront_ring_test.c - netfront's rings and an honest back end, each in its thread, both asleep when idle.
 *
 * The back end sends every frame back; the front end compares. A lost wake-up shows as a sleep that ends by its timeout.
 */
#include <pthread.h>
#include <unistd.h>

#include "bell.h"
#include "net_pair.h"
#include "test.h"

#define FRAMES 30000u

struct two_threads {
	struct net_pair p;
	int to_back, to_front; /* event channel */
	uint32_t must_stop;
	bool back_is_stuck;
};

/* Whole frames only: the front end publishes chains in one go. Stops when there is no room to send one back. */
static bool back_turn(struct net_pair *p, uint8_t *frame)
{
	bool has_worked = false;

	while (netif_rxr_back_pending(&p->rx) >= 3 && netif_txr_back_pending(&p->tx) > 0) {
		uint32_t len = net_pair_back_receive(p, frame);

		if (!net_pair_back_send(p, frame, len))
			abort();
		has_worked = true;
	}
	return has_worked;
}

/* Work is a frame and room for it. The event is asked for at the third posted page: one or two may be there already. */
static bool back_may_sleep(struct net_pair *p)
{
	bool has_frame = netif_txr_back_final_check(&p->tx);

	ring_arm(&p->rx.sh->head.req_event, p->rx.req_cons + 2);
	return !has_frame || netif_rxr_back_pending(&p->rx) < 3;
}

static void *back_main(void *arg)
{
	struct two_threads *t = arg;
	uint8_t *frame = malloc(65536);

	while (!load_acquire(&t->must_stop)) {
		if (back_turn(&t->p, frame)) {
			bool wake = netif_txr_back_push(&t->p.tx);

			if (netif_rxr_back_push(&t->p.rx) || wake)
				bell_ring(t->to_front);
			continue;
		}
		if (!back_may_sleep(&t->p))
			continue;
		if (!bell_sleep(t->to_back)) {
			t->back_is_stuck = true;
			break;
		}
	}
	free(frame);
	return NULL;
}

static uint32_t frame_len(uint32_t n)
{
	return n % 64 == 63 ? 9000 : 60 + n * 37 % 1454;
}

static void write_frame(uint8_t *frame, uint32_t n)
{
	uint32_t len = frame_len(n);

	memset(frame, (int)(n * 7 + 1), len);
	memcpy(frame, &n, sizeof(n));
	memcpy(frame + len - 4, &n, sizeof(n));
}

static void check_frame(const struct netfront_packet *pkt, uint32_t n, uint8_t *want)
{
	write_frame(want, n);
	assert_int_equal(pkt->len, frame_len(n));
	assert_memory_equal(pkt->data, want, pkt->len);
}

static void every_frame_comes_back_as_it_was(void **state)
{
	struct two_threads t = {.to_back = bell_open(), .to_front = bell_open()};
	uint8_t *buffers = malloc(16 * 9216), *want = malloc(9216);
	uint32_t sent = 0, received = 0;
	struct netfront_packet pkts[16];
	pthread_t back;
	bool wake;

	net_pair_init(&t.p, true);
	assert_int_equal(pthread_create(&back, NULL, back_main, &t), 0);
	while (received < FRAMES) {
		unsigned n = 0, got, taken;

		for (; n < 16 && sent + n < FRAMES; n++) {
			pkts[n] = (struct netfront_packet){.data = buffers + n * 9216, .len = frame_len(sent + n)};
			write_frame(pkts[n].data, sent + n);
		}
		taken = netfront_ring_tx(&t.p.front, pkts, n, &wake);
		sent += taken;
		if (wake)
			bell_ring(t.to_back);
		for (unsigned i = 0; i < 16; i++)
			pkts[i] = (struct netfront_packet){.data = buffers + i * 9216, .len = 9216};
		got = netfront_ring_rx(&t.p.front, pkts, 16, &wake);
		if (wake)
			bell_ring(t.to_back);
		for (unsigned i = 0; i < got; i++)
			check_frame(&pkts[i], received++, want);
		assert_null(t.p.front.broken);
		if (got || taken || received == FRAMES)
			continue;
		wake = netfront_ring_arm_rx(&t.p.front);
		if (sent < FRAMES)
			wake |= netfront_ring_arm_tx(&t.p.front, 32);
		if (!wake)
			assert_true(bell_sleep(t.to_front));
	}
	store_release(&t.must_stop, 1);
	bell_ring(t.to_back);
	pthread_join(back, NULL);
	assert_false(t.back_is_stuck);
	assert_int_equal(t.p.front.count->tx_packets, FRAMES);
	net_pair_finish(&t.p);
	close(t.to_back);
	close(t.to_front);
	free(buffers);
	free(want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_frame_comes_back_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
