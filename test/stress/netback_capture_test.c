/*
 * test/stress/netback_capture_test.c - the worker writes, a reader reads, at full speed: what arrives is whole and in order, what does
 * not is counted, and nobody sleeps for ever.
 */
#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "netback/capture.h"
#include "vif_box.h"

#define NR_PACKETS 200000u

static struct capture capture;

/* Packet n says its number in its first four bytes; its length and the rest follow from it. */
static void *writes(void *arg)
{
	struct rte_mbuf *m = vif_box_packet(1600, 1000, 0);

	for (uint32_t n = 0; n < NR_PACKETS; n++) {
		uint32_t bytes = 64 + n % 1400;
		struct rte_mbuf *last = m->next;

		m->data_len = (uint16_t)RTE_MIN(bytes, 1000u);
		last->data_len = (uint16_t)(bytes - m->data_len);
		m->pkt_len = bytes;
		memcpy(rte_pktmbuf_mtod(m, void *), &n, sizeof(n));
		capture_burst(&capture, NULL, CAPTURE_TX, 0, &m, 1);
		if (n % 1024 == 0)
			usleep(200); /* the reader gets to sleep */
	}
	rte_pktmbuf_free(m);
	return NULL;
}

struct reading {
	struct capture_ring ring;
	uint32_t expected, got;
};

static void read_all(struct reading *r)
{
	struct capture_record rec;
	const uint8_t *data;
	uint32_t n;
	int ret;

	while ((ret = capture_ring_take(&r->ring, &rec, &data)) > 0) {
		memcpy(&n, data, sizeof(n));
		r->expected += (uint32_t)rec.dropped;
		assert_int_equal(n, r->expected);
		assert_int_equal(rec.bytes, 64 + n % 1400);
		assert_int_equal(data[63], vif_box_byte(0, 63));
		if (rec.bytes > 1000)
			assert_int_equal(data[rec.bytes - 1], vif_box_byte(0, rec.bytes - 1));
		capture_ring_done(&r->ring, &rec);
		r->expected++;
		r->got++;
	}
	assert_int_equal(ret, 0);
}

static void a_reader_gets_every_packet_that_was_not_counted_as_dropped(void **state)
{
	struct reading r = {0};
	pthread_t thread;
	int ring_fd;

	vif_box_start_dpdk();
	assert_int_equal(capture_ring_create(&capture.ring, CAPTURE_RING_MIN_BYTES, &ring_fd), 0);
	assert_int_equal(capture_ring_open(&r.ring, ring_fd), 0);
	close(ring_fd);
	capture.wake_fd = eventfd(0, EFD_NONBLOCK);
	capture.directions = CAPTURE_TX;
	capture.queue = CAPTURE_ANY_QUEUE;
	capture.snap_bytes = CAPTURE_MAX_BYTES;
	capture.left = UINT64_MAX;
	assert_int_equal(pthread_create(&thread, NULL, writes, NULL), 0);
	while (load_relaxed(&r.ring.sh->seen) < NR_PACKETS) {
		struct pollfd fd = {.fd = capture.wake_fd, .events = POLLIN};

		read_all(&r);
		if (load_relaxed(&r.ring.sh->seen) < NR_PACKETS && !capture_ring_arm(&r.ring)) {
			assert_int_equal(poll(&fd, 1, 60000), 1); /* a wake that was lost would be waited for in vain */
			assert_int_equal(eventfd_read(capture.wake_fd, &(eventfd_t){0}), 0);
		}
	}
	pthread_join(thread, NULL);
	read_all(&r);
	assert_int_equal(r.got + r.ring.sh->dropped, NR_PACKETS);
	assert_true(r.got > 0);
	capture_ring_close(&r.ring);
	capture_ring_close(&capture.ring);
	close(capture.wake_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_gets_every_packet_that_was_not_counted_as_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
