/*
 * test/lib/vif_box.c - DPDK for tests, and the hypervisor of a few lines.
 */
#include "vif_box.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mempool.h>

static struct rte_mempool *pool, *ext_pool;

struct rte_mempool *vif_box_pool(void)
{
	return pool;
}

struct rte_mempool *vif_box_ext_pool(void)
{
	return ext_pool;
}

/*
 * Where a pool's free buffers lie: a stack under a lock. DPDK's own is in a library that was built without ThreadSanitizer, which would
 * not see that a buffer passes from one thread to another.
 */
struct stack {
	pthread_mutex_t lock;
	unsigned nr;
	void *buffers[4096];
};

static int stack_alloc(struct rte_mempool *mp)
{
	static struct stack stacks[2]; /* as many pools as there are, for as long as the test runs */
	static unsigned nr;

	if (nr == RTE_DIM(stacks))
		return -ENOSPC;
	mp->pool_data = &stacks[nr++];
	return pthread_mutex_init(&((struct stack *)mp->pool_data)->lock, NULL);
}

static void stack_free(struct rte_mempool *mp)
{
	mp->pool_data = NULL;
}

static int stack_enqueue(struct rte_mempool *mp, void *const *buffers, unsigned n)
{
	struct stack *s = mp->pool_data;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < n; i++)
		s->buffers[s->nr++] = buffers[i];
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int stack_dequeue(struct rte_mempool *mp, void **buffers, unsigned n)
{
	struct stack *s = mp->pool_data;
	int err;

	pthread_mutex_lock(&s->lock);
	err = s->nr < n ? -ENOBUFS : 0;
	for (unsigned i = 0; i < n && !err; i++)
		buffers[i] = s->buffers[--s->nr];
	pthread_mutex_unlock(&s->lock);
	return err;
}

static unsigned stack_count(const struct rte_mempool *mp)
{
	return ((const struct stack *)mp->pool_data)->nr;
}

static const struct rte_mempool_ops stack_ops = {
	.name = "vif_box",
	.alloc = stack_alloc,
	.free = stack_free,
	.enqueue = stack_enqueue,
	.dequeue = stack_dequeue,
	.get_count = stack_count,
};

void vif_box_start_dpdk(void)
{
	static char name[] = "vif_box", no_shconf[] = "--no-shconf", no_huge[] = "--no-huge", no_pci[] = "--no-pci";
	static char no_telemetry[] = "--no-telemetry", m[] = "-m", size[] = "64", lcores[] = "--lcores", lcore[16];
	char *argv[] = {name, no_shconf, no_huge, no_pci, no_telemetry, m, size, lcores, lcore, NULL};
	cpu_set_t cpus;

	if (pool)
		return;
	/* DPDK pins the caller; a test's threads run where they like. */
	grant_box_must(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
	snprintf(lcore, sizeof(lcore), "0@%d", sched_getcpu());
	rte_openlog_stream(fopen("/dev/null", "w"));
	grant_box_must(rte_eal_init(9, argv) >= 0 && rte_mempool_register_ops(&stack_ops) >= 0);
	grant_box_must(sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
	pool = rte_pktmbuf_pool_create_by_ops("box", 4096, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY, "vif_box");
	ext_pool = rte_pktmbuf_pool_create_by_ops("box_ext", 2048, 0, 0, 0, SOCKET_ID_ANY, "vif_box");
	grant_box_must(pool && ext_pool);
}

unsigned vif_box_in_use(void)
{
	return rte_mempool_in_use_count(pool) + rte_mempool_in_use_count(ext_pool);
}

static int queue_begin(struct vif_box *box, const struct vif_features *features)
{
	struct vif_keys keys = {
		.tx_ring_ref = box->tx_ring_ref, .rx_ring_ref = box->rx_ring_ref, .tx_port = 5, .rx_port = 5, .journal = box->journal};
	struct vif_pools pools = {pool, ext_pool};
	const char *what;
	int err = vif_queue_create((struct hv *)box, 3, &keys, features, &pools, &box->stats, &box->queue, &what);

	if (!err)
		vif_attach(box->queue, &box->any_fault);
	return err;
}

static void init_front(struct vif_box *box, bool is_shared)
{
	memset(box, 0, sizeof(*box));
	box->event_fd = box->guest_fd = -1;
	grant_box_init_as(&box->grants, 1024, is_shared);
	netif_txr_front_init(&box->tx, grant_box_page(&box->grants, VIF_BOX_TX_FRAME), PAGE_BYTES);
	netif_rxr_front_init(&box->rx, grant_box_page(&box->grants, VIF_BOX_RX_FRAME), PAGE_BYTES);
	box->tx_ring_ref = grant_box_grant(&box->grants, VIF_BOX_TX_FRAME, false);
	box->rx_ring_ref = grant_box_grant(&box->grants, VIF_BOX_RX_FRAME, false);
	for (unsigned i = 0; i < VIF_BOX_DATA_FRAMES; i++)
		box->ref[i] = grant_box_grant(&box->grants, VIF_BOX_FIRST_FRAME + i, false);
}

void vif_box_init_features(struct vif_box *box, const struct vif_features *features)
{
	vif_box_start_dpdk();
	init_front(box, false);
	grant_box_must(queue_begin(box, features) == 0);
}

void vif_box_init_shared(struct vif_box *box)
{
	init_front(box, true);
	box->journal = grant_box_pages(&box->grants, pages_to_bytes(bytes_to_pages(sizeof(*box->journal))));
}

int vif_box_begin(struct vif_box *box, const struct vif_features *features)
{
	vif_box_start_dpdk();
	return queue_begin(box, features);
}

void vif_box_init(struct vif_box *box, bool sg)
{
	vif_box_init_features(box, &(struct vif_features){.sg = sg});
}

void vif_box_stage(struct vif_box *box, unsigned nr)
{
	box->queue->stage = calloc(1, sizeof(*box->queue->stage));
	grant_box_must(box->queue->stage != NULL);
	for (unsigned i = 0; i < nr; i++) {
		struct hv_map_op op = {.ref = box->ref[i]};
		struct stage_entry added;

		grant_box_must(hv_peer_map(box->queue->peer, &op, 1) == 0);
		added = (struct stage_entry){.page = op.page, .ref = op.ref, .handle = op.handle};
		grant_box_must(stage_add(box->queue->stage, &added) == 0);
	}
}

int vif_box_restart(struct vif_box *box, const struct vif_features *features)
{
	vif_detach(box->queue);
	grant_box_must(vif_queue_disconnect(box->queue));
	box->queue = NULL;
	return queue_begin(box, features);
}

void vif_box_events(struct vif_box *box)
{
	box->event_fd = eventfd(0, EFD_NONBLOCK);
	box->guest_fd = eventfd(0, EFD_NONBLOCK);
	grant_box_must(box->event_fd >= 0 && box->guest_fd >= 0);
	box->queue->tx_fd = box->queue->rx_fd = box->event_fd;
}

void vif_box_finish(struct vif_box *box)
{
	if (box->event_fd >= 0) {
		close(box->event_fd);
		close(box->guest_fd);
	}
	vif_detach(box->queue);
	grant_box_must(vif_queue_disconnect(box->queue));
	grant_box_must(box->nr_open == 0 && box->nr_mapped_rings == 0);
	for (unsigned i = 0; i < BOX_ENTRIES; i++)
		grant_box_must(!grant_table_in_use(box->grants.table, i));
	grant_box_finish(&box->grants);
}

void vif_box_post(struct vif_box *box, unsigned first, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		unsigned frame = (first + i) % VIF_BOX_DATA_FRAMES;

		netif_rxr_front_put(&box->rx, &(struct netif_rx_request){.id = (uint16_t)frame, .gref = box->ref[frame]});
	}
	netif_rxr_front_push(&box->rx);
}

struct rte_mbuf *vif_box_packet(uint32_t bytes, uint16_t seg, uint8_t seed)
{
	struct rte_mbuf *head = NULL, *last = NULL;

	for (uint32_t at = 0; at < bytes || !head;) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		uint16_t len;

		grant_box_must(m);
		len = RTE_MIN(seg, rte_pktmbuf_tailroom(m));
		if (len > bytes - at)
			len = (uint16_t)(bytes - at);
		for (uint16_t i = 0; i < len; i++)
			rte_pktmbuf_mtod(m, uint8_t *)[i] = vif_box_byte(seed, at + i);
		m->data_len = len;
		at += len;
		if (head) {
			last->next = m;
			head->nb_segs++;
		} else {
			head = m;
		}
		head->pkt_len = at;
		last = m;
	}
	return head;
}

/* ---- the hypervisor: struct hv and struct hv_peer are the box ----------------------------------------------------- */

bool hv_map_is_cheap(const struct hv *hv)
{
	return !((const struct vif_box *)hv)->are_maps_dear;
}

int hv_peer_open(struct hv *hv, domid_t domid, struct hv_peer **out)
{
	struct vif_box *box = (struct vif_box *)hv;

	box->nr_open++;
	*out = (struct hv_peer *)box;
	return 0;
}

void hv_peer_close(struct hv_peer *peer)
{
	((struct vif_box *)peer)->nr_open--;
}

int hv_peer_map_ring(struct hv_peer *peer, const grant_ref_t refs[], unsigned nr, void **ring)
{
	struct vif_box *box = (struct vif_box *)peer;

	if (nr != 1 || grant_pin(&box->grants.peer[0], refs[0], false, ring) != GNTST_okay)
		return -EINVAL;
	box->nr_mapped_rings++;
	return 0;
}

void hv_peer_unmap_ring(struct hv_peer *peer, void *ring)
{
	struct vif_box *box = (struct vif_box *)peer;
	grant_ref_t first = GNTTAB_NR_RESERVED_ENTRIES;

	/* The two ring grants were the first two that were made, whichever refs they got. */
	for (grant_ref_t r = first; r < BOX_ENTRIES; r++)
		if (box->grants.entries_sh[r].flags & GTF_permit_access &&
		    grant_box_page(&box->grants, box->grants.entries_sh[r].frame) == ring) {
			grant_unpin(&box->grants.peer[0], r, false);
			box->nr_mapped_rings--;
			return;
		}
	abort();
}

unsigned hv_peer_map(struct hv_peer *peer, struct hv_map_op ops[], unsigned n)
{
	struct vif_box *box = (struct vif_box *)peer;
	unsigned failed = 0;

	box->nr_map_calls++;
	for (unsigned i = 0; i < n; i++) {
		ops[i].status = grant_map(box->grants.maptrack, &box->grants.peer[0], ops[i].ref, ops[i].readonly, &ops[i].page,
					  &ops[i].handle);
		failed += ops[i].status != GNTST_okay;
	}
	return failed;
}

unsigned hv_peer_unmap(struct hv_peer *peer, const grant_handle_t handles[], unsigned n)
{
	struct vif_box *box = (struct vif_box *)peer;

	for (unsigned i = 0; i < n; i++)
		grant_box_must(grant_unmap(box->grants.maptrack, &box->grants.peer[0], handles[i]) == GNTST_okay);
	return 0;
}

unsigned hv_peer_copy(struct hv_peer *peer, struct grant_copy_op ops[], unsigned n)
{
	struct vif_box *box = (struct vif_box *)peer;

	box->nr_copy_calls++;
	return grant_copy(&box->grants.peer[0], ops, n);
}

int hv_evtchn_bind_interdomain(struct hv *hv, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port)
{
	*port = remote_port;
	return 0;
}

int hv_evtchn_close(struct hv *hv, evtchn_port_t port)
{
	return 0;
}

int hv_event_fd(struct hv *hv, evtchn_port_t port)
{
	return -1;
}

void hv_notify(struct hv *hv, evtchn_port_t port)
{
	struct vif_box *box = (struct vif_box *)hv;

	fetch_add_relaxed(&box->nr_notify, 1u);
	if (box->guest_fd >= 0)
		eventfd_write(box->guest_fd, 1);
}

unsigned hv_event_take(struct hv *hv, int fd, evtchn_port_t ports[], unsigned max)
{
	eventfd_t count;

	ports[0] = 5;
	return eventfd_read(fd, &count) == 0;
}
