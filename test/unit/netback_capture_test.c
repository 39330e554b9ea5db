/*
 * test/unit/netback_capture_test.c - what a capture takes, cuts, counts and refuses, over packets that are made here.
 */
#include "test.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <pcap/pcap.h>
#include <rte_bpf.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "netback/capture.h"
#include "netback/capture_request.h"
#include "netback/vif_port.h"
#include "vif_box.h"

#define RING_BYTES CAPTURE_RING_MIN_BYTES

static struct bridge *bridge; /* a mirror's */

struct looker {
	struct capture capture;
	struct capture_ring reader;
	int ring_fd;
	struct rte_bpf *bpf;
};

static void looker_begin(struct looker *l, uint64_t ring_bytes, const char *expression)
{
	struct rte_bpf_jit jit;

	vif_box_start_dpdk();
	memset(l, 0, sizeof(*l));
	assert_int_equal(capture_ring_create(&l->capture.ring, ring_bytes, &l->ring_fd), 0);
	assert_int_equal(capture_ring_open(&l->reader, l->ring_fd), 0);
	l->capture.wake_fd = eventfd(0, EFD_NONBLOCK);
	l->capture.directions = CAPTURE_TX | CAPTURE_RX;
	l->capture.queue = CAPTURE_ANY_QUEUE;
	l->capture.snap_bytes = CAPTURE_MAX_BYTES;
	l->capture.left = UINT64_MAX;
	if (expression) {
		char why[CAPTURE_WHY_BYTES];
		pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);
		struct bpf_program program;

		assert_int_equal(pcap_compile(p, &program, expression, 1, PCAP_NETMASK_UNKNOWN), 0);
		pcap_close(p);
		assert_int_equal(capture_filter_load((const struct capture_insn *)program.bf_insns, program.bf_len, &l->bpf, why), 0);
		pcap_freecode(&program);
		l->capture.bpf = l->bpf;
		assert_int_equal(rte_bpf_get_jit(l->bpf, &jit), 0);
		l->capture.filter = jit.func;
	}
}

static void looker_end(struct looker *l)
{
	rte_bpf_destroy(l->bpf);
	capture_ring_close(&l->reader);
	capture_ring_close(&l->capture.ring);
	close(l->capture.wake_fd);
	close(l->ring_fd);
	assert_int_equal(vif_box_in_use(), 0);
}

static void look(struct looker *l, unsigned direction, uint16_t queue, struct rte_mbuf *m)
{
	capture_burst(&l->capture, bridge ? bridge->lanes : NULL, direction, queue, &m, 1);
	rte_pktmbuf_free(m);
}

/* A UDP packet to that port, in segments of seg bytes. */
static struct rte_mbuf *udp(uint16_t port, uint32_t bytes, uint16_t seg)
{
	struct rte_mbuf *m = vif_box_packet(bytes, seg, 9);
	struct rte_ether_hdr eth = {.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)};
	struct rte_ipv4_hdr ip = {.version_ihl = 0x45, .time_to_live = 64, .next_proto_id = IPPROTO_UDP,
				  .total_length = rte_cpu_to_be_16((uint16_t)(bytes - sizeof(eth)))};
	struct rte_udp_hdr to = {.dst_port = rte_cpu_to_be_16(port)};
	uint8_t h[sizeof(eth) + sizeof(ip) + sizeof(to)];
	uint32_t at = 0;

	memcpy(h, &eth, sizeof(eth));
	memcpy(h + sizeof(eth), &ip, sizeof(ip));
	memcpy(h + sizeof(eth) + sizeof(ip), &to, sizeof(to));
	for (struct rte_mbuf *s = m; s && at < sizeof(h); s = s->next)
		for (uint16_t i = 0; i < s->data_len && at < sizeof(h); i++)
			rte_pktmbuf_mtod(s, uint8_t *)[i] = h[at++];
	return m;
}

/* The next record must be of these bytes; its packet too, if seed is not negative. */
static struct capture_record expect(struct looker *l, uint32_t bytes, uint32_t frame_bytes, int seed)
{
	struct capture_record rec = {0};
	const uint8_t *data = NULL;

	assert_int_equal(capture_ring_take(&l->reader, &rec, &data), 1);
	assert_int_equal(rec.bytes, bytes);
	assert_int_equal(rec.frame_bytes, frame_bytes);
	for (uint32_t i = 0; seed >= 0 && i < bytes; i++)
		assert_int_equal(data[i], vif_box_byte((uint8_t)seed, i));
	capture_ring_done(&l->reader, &rec);
	return rec;
}

static void expect_nothing(struct looker *l)
{
	struct capture_record rec;
	const uint8_t *data;

	assert_int_equal(capture_ring_take(&l->reader, &rec, &data), 0);
}

static void packets_arrive_whole_whatever_their_segments(void **state)
{
	static const uint32_t sizes[] = {14, 15, 60, 1514, 4096, 9018, 65535};
	struct looker l;

	looker_begin(&l, 4 * RING_BYTES, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		struct capture_record rec;

		look(&l, CAPTURE_RX, (uint16_t)i, vif_box_packet(sizes[i], (uint16_t)(7 + 300 * i), (uint8_t)i));
		rec = expect(&l, sizes[i], sizes[i], (int)i);
		assert_int_equal(rec.queue, i);
		assert_int_equal(rec.direction, CAPTURE_RX);
		assert_int_equal(rec.dropped, 0);
	}
	expect_nothing(&l);
	looker_end(&l);
}

static void the_snap_length_cuts(void **state)
{
	struct looker l;

	looker_begin(&l, RING_BYTES, NULL);
	l.capture.snap_bytes = 100;
	look(&l, CAPTURE_TX, 0, vif_box_packet(1000, 64, 3));
	expect(&l, 100, 1000, 3);
	look(&l, CAPTURE_TX, 0, vif_box_packet(100, 64, 3));
	expect(&l, 100, 100, 3);
	look(&l, CAPTURE_TX, 0, vif_box_packet(99, 64, 3));
	expect(&l, 99, 99, 3);
	looker_end(&l);
}

static void direction_and_queue_select(void **state)
{
	const struct {
		unsigned wanted, came;
		uint32_t wanted_queue, came_queue;
		bool is_taken;
	} cases[] = {
		{CAPTURE_TX, CAPTURE_TX, CAPTURE_ANY_QUEUE, 0, true},
		{CAPTURE_TX, CAPTURE_RX, CAPTURE_ANY_QUEUE, 0, false},
		{CAPTURE_RX, CAPTURE_RX, 0, 0, true},
		{CAPTURE_RX, CAPTURE_TX, 0, 0, false},
		{CAPTURE_RX, CAPTURE_RX, 1, 0, false},
		{CAPTURE_RX, CAPTURE_RX, 1, 1, true},
		{CAPTURE_RX, CAPTURE_RX, 0, 1, false},
		{CAPTURE_TX | CAPTURE_RX, CAPTURE_RX, CAPTURE_ANY_QUEUE, 7, true},
		{CAPTURE_TX | CAPTURE_RX, CAPTURE_TX, 7, 7, true},
	};
	struct looker l;

	looker_begin(&l, RING_BYTES, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t seen = l.capture.seen;

		l.capture.directions = cases[i].wanted;
		l.capture.queue = cases[i].wanted_queue;
		look(&l, cases[i].came, (uint16_t)cases[i].came_queue, vif_box_packet(60, 60, 1));
		if (cases[i].is_taken)
			expect(&l, 60, 60, 1);
		expect_nothing(&l);
		assert_int_equal(l.capture.seen - seen, cases[i].is_taken);
	}
	looker_end(&l);
}

static void the_filter_selects_and_the_counters_tell(void **state)
{
	struct looker l;

	looker_begin(&l, RING_BYTES, "udp dst port 53 and len < 1000");
	look(&l, CAPTURE_TX, 0, udp(53, 100, 100));
	look(&l, CAPTURE_TX, 0, udp(54, 100, 100));
	look(&l, CAPTURE_TX, 0, udp(53, 1000, 1000));
	look(&l, CAPTURE_TX, 0, udp(53, 101, 5)); /* headers over many segments */
	look(&l, CAPTURE_TX, 0, vif_box_packet(20, 20, 1)); /* too short for what the filter reads */
	expect(&l, 100, 100, -1);
	expect(&l, 101, 101, -1);
	expect_nothing(&l);
	assert_int_equal(l.reader.sh->seen, 5);
	assert_int_equal(l.reader.sh->accepted, 2);
	assert_int_equal(l.reader.sh->dropped, 0);
	l.capture.filter = NULL; /* interpreted, as where there is no compiler */
	look(&l, CAPTURE_TX, 0, udp(54, 100, 100));
	look(&l, CAPTURE_TX, 0, udp(53, 102, 5));
	expect(&l, 102, 102, -1);
	expect_nothing(&l);
	looker_end(&l);
}

static void a_full_ring_drops_counts_and_says_so_in_the_next_record(void **state)
{
	unsigned fit = 0;
	struct looker l;

	looker_begin(&l, RING_BYTES, NULL);
	for (unsigned i = 0; i < 100; i++)
		look(&l, CAPTURE_TX, 0, vif_box_packet(1500, 1500, 5));
	assert_int_equal(l.capture.accepted, 100);
	assert_true(l.capture.dropped > 0);
	fit = 100 - (unsigned)l.capture.dropped;
	assert_int_equal(fit, RING_BYTES / capture_ring_need(1500));
	assert_int_equal(l.reader.sh->dropped, 100 - fit);
	for (unsigned i = 0; i < fit; i++)
		assert_int_equal(expect(&l, 1500, 1500, 5).dropped, 0);
	expect_nothing(&l);
	look(&l, CAPTURE_TX, 0, vif_box_packet(60, 60, 6));
	assert_int_equal(expect(&l, 60, 60, 6).dropped, 100 - fit);
	look(&l, CAPTURE_TX, 0, vif_box_packet(60, 60, 6));
	assert_int_equal(expect(&l, 60, 60, 6).dropped, 0);
	looker_end(&l);
}

static void records_lie_in_one_piece_wherever_the_ring_ends(void **state)
{
	struct looker l;

	looker_begin(&l, RING_BYTES, NULL);
	for (unsigned i = 0; i < 2000; i++) {
		uint32_t bytes = 14 + i * 37 % 4000;

		look(&l, CAPTURE_TX, 0, vif_box_packet(bytes, 2000, (uint8_t)i));
		expect(&l, bytes, bytes, (uint8_t)i);
	}
	assert_int_equal(l.capture.dropped, 0);
	looker_end(&l);
}

static void a_count_ends_the_capture(void **state)
{
	struct looker l;

	looker_begin(&l, RING_BYTES, "udp dst port 53");
	l.capture.left = 2;
	for (unsigned i = 0; i < 3; i++) {
		assert_false(l.reader.sh->is_over);
		look(&l, CAPTURE_TX, 0, udp((uint16_t)(52 + (i > 0)), 60, 60));
	}
	assert_true(l.reader.sh->is_over);
	look(&l, CAPTURE_TX, 0, udp(53, 60, 60));
	expect(&l, 60, 60, -1);
	expect(&l, 60, 60, -1);
	expect_nothing(&l);
	assert_int_equal(l.reader.sh->seen, 3);
	looker_end(&l);
}

static void a_reader_is_woken_once_and_only_when_it_asked(void **state)
{
	eventfd_t count;
	struct looker l;

	looker_begin(&l, RING_BYTES, NULL);
	look(&l, CAPTURE_TX, 0, vif_box_packet(60, 60, 1));
	assert_int_equal(eventfd_read(l.capture.wake_fd, &count), -1);
	assert_true(capture_ring_arm(&l.reader)); /* there is something: no sleep */
	expect(&l, 60, 60, 1);
	assert_false(capture_ring_arm(&l.reader));
	look(&l, CAPTURE_TX, 0, vif_box_packet(60, 60, 1));
	look(&l, CAPTURE_TX, 0, vif_box_packet(60, 60, 1));
	assert_int_equal(eventfd_read(l.capture.wake_fd, &count), 0);
	assert_int_equal(count, 1);
	looker_end(&l);
}

static void a_reader_with_an_impossible_index_gets_nothing_more(void **state)
{
	static const uint64_t lies[] = {2 * RING_BYTES + 1, UINT64_MAX - RING_BYTES, RING_BYTES, 1ull << 63};
	struct looker l;

	for (unsigned i = 0; i < ARRAY_LEN(lies); i++) {
		looker_begin(&l, RING_BYTES, NULL);
		l.reader.sh->cons = lies[i];
		for (unsigned n = 0; n < 100; n++)
			look(&l, CAPTURE_TX, 0, vif_box_packet(1500, 1500, 5));
		assert_true(l.capture.ring.is_broken);
		assert_int_equal(l.capture.dropped, 100 - RING_BYTES / capture_ring_need(1500));
		looker_end(&l);
	}
}

static void a_writer_that_lies_is_found_out(void **state)
{
	struct capture_record rec = {.bytes = 100, .frame_bytes = 99};
	const uint8_t *data;
	struct looker l;

	looker_begin(&l, RING_BYTES, NULL);
	l.reader.sh->prod = 16;
	assert_int_equal(capture_ring_take(&l.reader, &rec, &data), -EPROTO);
	l.reader.prod = l.reader.sh->prod = RING_BYTES + 16;
	assert_int_equal(capture_ring_take(&l.reader, &rec, &data), -EPROTO);
	l.reader.prod = l.reader.sh->prod = 160;
	memcpy(l.reader.data, &rec, sizeof(rec));
	assert_int_equal(capture_ring_take(&l.reader, &rec, &data), -EPROTO); /* more than the frame had */
	rec = (struct capture_record){.bytes = UINT32_MAX, .frame_bytes = UINT32_MAX};
	memcpy(l.reader.data, &rec, sizeof(rec));
	assert_int_equal(capture_ring_take(&l.reader, &rec, &data), -EPROTO); /* more than there is */
	looker_end(&l);
}

static void several_look_on_each_in_its_own_way(void **state)
{
	struct looker a, b;

	looker_begin(&a, RING_BYTES, "udp dst port 53");
	looker_begin(&b, RING_BYTES, NULL);
	a.capture.next = &b.capture;
	look(&a, CAPTURE_TX, 0, udp(53, 60, 60));
	look(&a, CAPTURE_TX, 0, udp(54, 61, 61));
	expect(&a, 60, 60, -1);
	expect_nothing(&a);
	expect(&b, 60, 60, -1);
	expect(&b, 61, 61, -1);
	looker_end(&a);
	looker_end(&b);
}

static struct rte_mbuf *mirrored[4];
static unsigned nr_mirrored;

static uint16_t mirror_out(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		mirrored[nr_mirrored++] = pkts[i];
	return n;
}

static void a_mirror_sends_copies_of_what_its_filter_passes(void **state)
{
	struct bridge_part part = {.out = mirror_out};
	struct bridge_port port = {.parts = {&part}, .nr_parts = 1, .max_frame = 1518};
	struct looker l;

	looker_begin(&l, 0, "udp dst port 53");
	assert_int_equal(bridge_create(&(struct bridge_options){.nr_lanes = 1}, &bridge), 0);
	assert_int_equal(bridge_add_port(bridge, &port), 0);
	l.capture.to = &port;
	l.capture.pool = vif_box_pool();
	look(&l, CAPTURE_TX, 0, udp(53, 200, 64));
	look(&l, CAPTURE_RX, 0, udp(54, 200, 64));
	look(&l, CAPTURE_RX, 0, udp(53, 300, 64));
	look(&l, CAPTURE_RX, 0, udp(53, 3000, 1500)); /* longer than the port takes: its own counter says so */
	lane_flush(bridge->lanes);
	assert_int_equal(nr_mirrored, 2);
	assert_int_equal(mirrored[0]->pkt_len, 200);
	assert_int_equal(mirrored[1]->pkt_len, 300);
	assert_int_equal(*rte_pktmbuf_mtod_offset(mirrored[1], uint8_t *, 299), vif_box_byte(9, 299));
	assert_int_equal(part.stats.drop_too_long, 1);
	assert_int_equal(l.reader.sh->seen, 4);
	assert_int_equal(l.reader.sh->accepted, 3);
	rte_pktmbuf_free_bulk(mirrored, nr_mirrored);
	bridge_remove_port(bridge, &port);
	bridge_destroy(bridge);
	bridge = NULL;
	looker_end(&l);
}

/* A queue's packets, both ways, through the port of a vif. */
static void a_vifs_port_shows_both_directions(void **state)
{
	struct vif_port port = {.nr_queues = 1};
	struct vif_part part = {.port = &port, .nr_own = 1};
	struct rte_mbuf *m, *got[4];
	struct looker l;
	struct vif_box box;

	looker_begin(&l, RING_BYTES, NULL);
	vif_box_init(&box, true);
	port.queue[0] = box.queue;
	port.captures = &l.capture;
	memset(vif_box_page(&box, 0), 0x5a, 80);
	vif_box_put(&box, box.ref[0], 0, 80, 0, 1);
	netif_txr_front_push(&box.tx);
	assert_int_equal(vif_port_in(&part, got, 4), 1);
	assert_int_equal(expect(&l, 80, 80, -1).direction, CAPTURE_TX);
	rte_pktmbuf_free(got[0]);
	vif_box_post(&box, 4, 4);
	m = vif_box_packet(90, 90, 4);
	assert_int_equal(vif_port_out(&part, &m, 1), 1);
	assert_int_equal(expect(&l, 90, 90, 4).direction, CAPTURE_RX);
	assert_int_equal(vif_port_in(&part, got, 4), 0);
	expect_nothing(&l);
	port.captures = NULL;
	m = vif_box_packet(90, 90, 4);
	assert_int_equal(vif_port_out(&part, &m, 1), 1);
	expect_nothing(&l);
	vif_box_finish(&box);
	looker_end(&l);
}

/* ---- requests --------------------------------------------------------------------------------------------------- */

static struct capture_request good_request(void)
{
	return (struct capture_request){.magic = CAPTURE_MAGIC,
					.directions = CAPTURE_TX,
					.queue = CAPTURE_ANY_QUEUE,
					.snap_bytes = 100,
					.ring_bytes = RING_BYTES,
					.vif = "vif1.0"};
}

static void a_request_is_checked_field_by_field(void **state)
{
	char why[CAPTURE_WHY_BYTES] = "";
	struct capture_request rq = good_request();
	size_t bytes = sizeof(rq);

	assert_int_equal(capture_request_check(&rq, bytes, why), 0);
#define REFUSED(err, ...)                                                     \
	do {                                                                  \
		rq = good_request();                                          \
		bytes = sizeof(rq);                                           \
		__VA_ARGS__;                                                  \
		why[0] = '\0';                                                \
		assert_int_equal(capture_request_check(&rq, bytes, why), err); \
		assert_true(why[0]);                                          \
	} while (0)
	REFUSED(-EPROTO, bytes = 0);
	REFUSED(-EPROTO, bytes--);
	REFUSED(-EPROTO, bytes++);
	REFUSED(-EPROTO, rq.magic++);
	REFUSED(-EPROTO, rq.nr_insns = 1);
	REFUSED(-EPROTO, rq.nr_insns = UINT32_MAX);
	REFUSED(-EPROTO, rq.nr_insns = 1u << 29; bytes += (size_t)8 << 29);
	REFUSED(-EPROTO, memset(rq.vif, 'v', sizeof(rq.vif)));
	REFUSED(-EPROTO, memset(rq.to, 'v', sizeof(rq.to)));
	REFUSED(-EPROTO, strcpy(rq.vif, "vif\n1"));
	REFUSED(-EINVAL, rq.directions = 0);
	REFUSED(-EINVAL, rq.directions = 4);
	REFUSED(-EINVAL, rq.snap_bytes = 0);
	REFUSED(-EINVAL, rq.snap_bytes = CAPTURE_MAX_BYTES + 1);
	REFUSED(-EINVAL, rq.ring_bytes = 0);
	REFUSED(-EINVAL, rq.ring_bytes = RING_BYTES / 2);
	REFUSED(-EINVAL, rq.ring_bytes = RING_BYTES + 1);
	REFUSED(-EINVAL, rq.ring_bytes = 1u << 31);
	REFUSED(-EINVAL, strcpy(rq.to, "net_tap0"));
#undef REFUSED
}

static void what_is_no_filter_is_refused(void **state)
{
	static const struct {
		const char *says;
		struct capture_insn insns[3];
		unsigned nr;
	} cases[] = {
		{"no return", {{BPF_LD | BPF_IMM, 0, 0, 1}}, 1},
		{"a jump out", {{BPF_JMP | BPF_JEQ | BPF_K, 9, 9, 1}, {BPF_RET | BPF_K, 0, 0, 1}}, 2},
		{"a jump back", {{BPF_JMP | BPF_JA, 0, 0, UINT32_MAX}, {BPF_RET | BPF_K, 0, 0, 1}}, 2},
		{"memory that is not there", {{BPF_ST, 0, 0, 16}, {BPF_RET | BPF_K, 0, 0, 1}}, 2},
		{"a division by zero", {{BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0}, {BPF_RET | BPF_A, 0, 0, 0}}, 2},
		{"an unknown instruction", {{0xffff, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 1}}, 2},
	};
	char why[CAPTURE_WHY_BYTES];
	struct rte_bpf *bpf = NULL;

	vif_box_start_dpdk();
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		why[0] = '\0';
		if (capture_filter_load(cases[i].insns, cases[i].nr, &bpf, why) != -EINVAL || !why[0])
			fail_msg("%s is taken", cases[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_arrive_whole_whatever_their_segments),
		cmocka_unit_test(the_snap_length_cuts),
		cmocka_unit_test(direction_and_queue_select),
		cmocka_unit_test(the_filter_selects_and_the_counters_tell),
		cmocka_unit_test(a_full_ring_drops_counts_and_says_so_in_the_next_record),
		cmocka_unit_test(records_lie_in_one_piece_wherever_the_ring_ends),
		cmocka_unit_test(a_count_ends_the_capture),
		cmocka_unit_test(a_reader_is_woken_once_and_only_when_it_asked),
		cmocka_unit_test(a_reader_with_an_impossible_index_gets_nothing_more),
		cmocka_unit_test(a_writer_that_lies_is_found_out),
		cmocka_unit_test(several_look_on_each_in_its_own_way),
		cmocka_unit_test(a_mirror_sends_copies_of_what_its_filter_passes),
		cmocka_unit_test(a_vifs_port_shows_both_directions),
		cmocka_unit_test(a_request_is_checked_field_by_field),
		cmocka_unit_test(what_is_no_filter_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
