/*
 * test/fuzz/netback_ctrl_fuzz.c - any requests on the control ring, with anything in the page that they name.
 *
 * A step is a byte of hints, a request and what fills the page. The hints make a field name something that exists.
 *
 * Whatever they say, each is answered once, with its id and type; hashes lead to a queue that there is; packets still pass, in staged
 * pages and in others; and in the end nothing stays mapped.
 */
#include "vif_box.h"

#include "netback/ctrl.h"

#define CTRL_FRAME (BOX_FRAMES - 1)
#define ARG_FRAME (BOX_FRAMES - 2)
#define NR_QUEUES 4
#define FILL_BYTES 32
#define STEP_BYTES (1 + sizeof(struct xen_netif_ctrl_request) + FILL_BYTES)

enum hint {
	HINT_ARG_FIRST = 1 << 0,  /* data[0] is the page's grant */
	HINT_ARG_SECOND = 1 << 1, /* data[1] is */
	HINT_QUEUE = 1 << 2,      /* data[0] is a queue, or just none */
	HINT_LENGTH = 1 << 3,     /* data[2] is about as many as a page holds */
	HINT_REFS = 1 << 4,       /* the page is a list of grants that exist */
	HINT_TYPE = 1 << 5,       /* the request is one that there is */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vif_box box;
static struct netif_ctrlr_front front;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void fill_page(const uint8_t *fill, unsigned hints)
{
	uint8_t *page = grant_box_page(&box.grants, ARG_FRAME);
	struct xen_netif_gref *list = (struct xen_netif_gref *)page;

	for (unsigned i = 0; i < PAGE_BYTES; i += FILL_BYTES)
		memcpy(page + i, fill, FILL_BYTES);
	for (unsigned i = 0; hints & HINT_REFS && i < PAGE_BYTES / sizeof(*list); i++)
		list[i].ref = box.ref[(list[i].ref + i) % (VIF_BOX_DATA_FRAMES - 2)];
}

static void serve(struct ctrl *c, struct xen_netif_ctrl_request req, unsigned hints)
{
	grant_ref_t arg = box.ref[ARG_FRAME - VIF_BOX_FIRST_FRAME];
	struct xen_netif_ctrl_response rsp;

	if (hints & HINT_TYPE)
		req.type = (uint16_t)(req.type % (XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING + 2));
	if (hints & HINT_ARG_FIRST)
		req.data[0] = arg;
	if (hints & HINT_QUEUE)
		req.data[0] %= NR_QUEUES + 1;
	if (hints & HINT_ARG_SECOND)
		req.data[1] = arg;
	if (hints & HINT_LENGTH)
		req.data[2] %= 1100;
	netif_ctrlr_front_put(&front, &req);
	netif_ctrlr_front_push(&front);
	must(ctrl_serve(c) == 0);
	must(netif_ctrlr_front_pending(&front) == 1);
	netif_ctrlr_front_take(&front, &rsp);
	must(rsp.id == req.id && rsp.type == req.type && rsp.status <= XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW);
}

/* A packet each way through a page that may be staged by now. */
static void pass_packets(const struct steer *steer, unsigned frame)
{
	struct rte_mbuf *m = vif_box_packet(100, 2000, 1);
	struct netif_tx_response tx;
	struct netif_rx_response rx;
	struct steer_hash hash;

	if (steer_is_on(steer) && steer_hash(steer, m, &hash))
		must(steer_queue(steer, hash.value, NR_QUEUES) < NR_QUEUES);
	vif_box_post(&box, frame, 1);
	vif_rx_burst(box.queue, &m, 1);
	must(netif_rxr_front_pending(&box.rx) == 1);
	netif_rxr_front_take(&box.rx, &rx);
	must(rx.status == 100);
	vif_box_put(&box, box.ref[frame], 0, 100, 0, 9);
	netif_txr_front_push(&box.tx);
	must(vif_tx_burst(box.queue, &m, 1) == 1);
	rte_pktmbuf_free(m);
	must(netif_txr_front_pending(&box.tx) == 1);
	netif_txr_front_take(&box.tx, &tx);
	must(tx.status == NETIF_RSP_OKAY && tx.id == 9);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vif_queue *queues[NR_QUEUES];
	struct steer steer = {0};
	const char *what;
	struct ctrl ctrl;

	vif_box_init(&box, true);
	netif_ctrlr_front_init(&front, grant_box_page(&box.grants, CTRL_FRAME), PAGE_BYTES);
	must(ctrl_open(&ctrl, (struct hv *)&box, 3, box.ref[CTRL_FRAME - VIF_BOX_FIRST_FRAME], 7, false, &what) == 0);
	for (unsigned i = 0; i < NR_QUEUES; i++)
		queues[i] = box.queue; /* all of them: only their number matters here */
	ctrl.target = (struct ctrl_target){.queue = queues, .nr_queues = NR_QUEUES, .steer = &steer};
	for (; size >= STEP_BYTES; data += STEP_BYTES, size -= STEP_BYTES) {
		struct xen_netif_ctrl_request req;

		memcpy(&req, data + 1, sizeof(req));
		fill_page(data + 1 + sizeof(req), data[0]);
		serve(&ctrl, req, data[0]);
		pass_packets(&steer, data[0] % (VIF_BOX_DATA_FRAMES - 2));
	}
	must(vif_box_in_use() == 0);
	ctrl_close(&ctrl);
	vif_box_finish(&box);
	return 0;
}
