/*
 * tools/guest_console.c - the guest's end of the console ring.
 *
 *      guest   out[] out_prod  ->  event  ->  console daemon (in the core) -> log, `sluice console`
 *
 * Spec     xen/io/console.h, xen/hvm/params.h.
 */
#include "tools/guest_console.h"

#include <time.h>
#include <unistd.h>

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/io/console.h>

#include "rings/atomics.h"

#define PATIENCE_MS 1000

static int get_param(struct hv *hv, uint32_t index, uint64_t *value)
{
	struct xen_hvm_param p = {.domid = DOMID_SELF, .index = index};
	long rc = hv_hypercall(hv, __HYPERVISOR_hvm_op, HVMOP_get_param, &p, sizeof(p));

	if (rc < 0)
		return (int)rc;
	*value = p.value;
	return 0;
}

/* Frames of one extent lie in one piece: the way from a page of known frame leads to any other; frame_of proves it. */
static void *page_of_frame(struct hv *hv, uint64_t frame)
{
	uint8_t *known, *page = NULL;
	void *pages;

	if (hv_pages_alloc(hv, 1, &pages) < 0)
		return NULL;
	known = pages;
	page = known + ((int64_t)frame - (int64_t)hv_frame_of(hv, known)) * (int64_t)PAGE_BYTES;
	if (hv_frame_of(hv, page) != frame)
		page = NULL;
	hv_pages_free(hv, pages, 1);
	return page;
}

void guest_console_init(struct guest_console *c, struct hv *hv, bool has_stdout)
{
	uint64_t frame = 0, port = 0;

	*c = (struct guest_console){.hv = hv, .has_stdout = has_stdout};
	if (get_param(hv, HVM_PARAM_CONSOLE_PFN, &frame) < 0 || get_param(hv, HVM_PARAM_CONSOLE_EVTCHN, &port) < 0 || !port)
		return;
	c->sh = page_of_frame(hv, frame);
	c->port = (evtchn_port_t)port;
}

static void nap(void)
{
	struct timespec ms = {.tv_nsec = 1000000};

	nanosleep(&ms, NULL);
}

/* Copies in what fits; how much. */
static size_t put(struct guest_console *c, const char *text, size_t len)
{
	struct xencons_interface *sh = c->sh;
	XENCONS_RING_IDX prod = load_relaxed(&sh->out_prod);
	XENCONS_RING_IDX used = prod - load_acquire(&sh->out_cons); /* pairs with the reader's release: room is free */
	size_t room, n;

	if (used > sizeof(sh->out)) {
		c->sh = NULL;
		return 0;
	}
	room = sizeof(sh->out) - used;
	n = len < room ? len : room;
	for (size_t i = 0; i < n; i++)
		sh->out[MASK_XENCONS_IDX(prod + i, sh->out)] = text[i];
	store_release(&sh->out_prod, prod + (XENCONS_RING_IDX)n); /* pairs with the reader's acquire: bytes before index */
	if (n)
		hv_notify(c->hv, c->port);
	return n;
}

void guest_console_write(struct guest_console *c, const char *text, size_t len)
{
	if (c->has_stdout && write(STDOUT_FILENO, text, len) < 0)
		c->has_stdout = false;
	if (!c->sh && !c->has_stdout && write(STDERR_FILENO, text, len) < 0)
		c->dropped_bytes += len;
	for (unsigned naps = 0; c->sh && len; naps++) {
		size_t n = put(c, text, len);

		text += n;
		len -= n;
		if (!len)
			return;
		if (naps >= PATIENCE_MS) {
			c->dropped_bytes += len;
			return;
		}
		nap();
	}
}

void guest_console_drain(struct guest_console *c)
{
	for (unsigned naps = 0; c->sh && naps < PATIENCE_MS; naps++) {
		if (load_acquire(&c->sh->out_cons) == load_relaxed(&c->sh->out_prod))
			return;
		nap();
	}
}
