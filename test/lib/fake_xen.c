/*
 * test/lib/fake_xen.c - pages in one memfd, so that a map of scattered grants is contiguous and aliases them; events through pipes.
 */
#include "fake_xen.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#define MAX_MAPS 256u
#define FIRST_SHARED_REF 256u /* the refs below are the test's */

struct page {
	bool is_granted;
	bool is_shared;
	bool is_readonly;
	domid_t domid;
	uint8_t *own; /* the granter's view */
	evtchn_port_t notify_port; /* 0: nobody is told when it goes */
	uint32_t notify_offset;
};

struct map {
	struct xengntdev_handle *handle; /* NULL: free */
	uint8_t *base;
	unsigned nr;
};

struct port {
	xenevtchn_handle *handle; /* NULL: free */
	bool is_masked;
	bool is_pending;
	unsigned nr_sent;
};

struct xengntdev_handle {
	bool is_open;
};

struct xenevtchn_handle {
	int pipe[2];
};

static struct {
	int memfd; /* -1 before the first page */
	struct page page[FAKE_XEN_REFS];
	struct map map[MAX_MAPS];
	struct port port[FAKE_XEN_PORTS];
	unsigned map_limit, share_limit, failing_copies;
	unsigned nr_handles, nr_copy_calls, nr_map_calls;
} fake = {.memfd = -1, .map_limit = UINT32_MAX, .share_limit = UINT32_MAX};

static int memory(void)
{
	if (fake.memfd < 0) {
		fake.memfd = memfd_create("fake_xen", MFD_CLOEXEC);
		assert(fake.memfd >= 0 && !ftruncate(fake.memfd, (off_t)pages_to_bytes(FAKE_XEN_REFS)));
	}
	return fake.memfd;
}

static uint8_t *view(void *at, grant_ref_t ref, int prot)
{
	void *p = mmap(at, PAGE_BYTES, prot, MAP_SHARED | (at ? MAP_FIXED : 0), memory(), (off_t)pages_to_bytes(ref));

	assert(p != MAP_FAILED);
	return p;
}

void fake_xen_reset(void)
{
	assert(fake.nr_handles == 0);
	for (unsigned i = 0; i < FAKE_XEN_REFS; i++)
		if (fake.page[i].own && !fake.page[i].is_shared)
			munmap(fake.page[i].own, PAGE_BYTES);
	if (fake.memfd >= 0)
		close(fake.memfd);
	memset(&fake, 0, sizeof(fake));
	fake.memfd = -1;
	fake.map_limit = fake.share_limit = UINT32_MAX;
}

uint8_t *fake_xen_grant(domid_t domid, grant_ref_t ref, bool readonly)
{
	struct page *p = &fake.page[ref];

	assert(ref < FIRST_SHARED_REF);
	if (!p->own)
		p->own = view(NULL, ref, PROT_READ | PROT_WRITE);
	p->is_granted = true;
	p->is_readonly = readonly;
	p->domid = domid;
	return p->own;
}

void fake_xen_end_grant(grant_ref_t ref)
{
	fake.page[ref].is_granted = false;
}

void fake_xen_limit_maps(unsigned pages)
{
	fake.map_limit = pages;
}

void fake_xen_limit_shares(unsigned pages)
{
	fake.share_limit = pages;
}

void fake_xen_fail_copies(unsigned nr)
{
	fake.failing_copies = nr;
}

unsigned fake_xen_nr_mapped(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MAX_MAPS; i++)
		n += fake.map[i].handle ? fake.map[i].nr : 0;
	return n;
}

unsigned fake_xen_nr_shared(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FAKE_XEN_REFS; i++)
		n += fake.page[i].is_shared;
	return n;
}

unsigned fake_xen_nr_bound(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FAKE_XEN_PORTS; i++)
		n += fake.port[i].handle != NULL;
	return n;
}

unsigned fake_xen_nr_handles(void)
{
	return fake.nr_handles;
}

unsigned fake_xen_nr_copy_calls(void)
{
	return fake.nr_copy_calls;
}

unsigned fake_xen_nr_map_calls(void)
{
	return fake.nr_map_calls;
}

/* ---- xengnttab ------------------------------------------------------------------------------------------------------ */

static struct xengntdev_handle *open_gntdev(void)
{
	struct xengntdev_handle *h = calloc(1, sizeof(*h));

	assert(h);
	h->is_open = true;
	fake.nr_handles++;
	return h;
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned open_flags)
{
	assert(logger); /* without one the library prints */
	return open_gntdev();
}

int xengnttab_close(xengnttab_handle *xgt)
{
	for (unsigned i = 0; i < MAX_MAPS; i++)
		if (fake.map[i].handle == xgt) {
			munmap(fake.map[i].base, pages_to_bytes(fake.map[i].nr));
			fake.map[i].handle = NULL;
		}
	free(xgt);
	fake.nr_handles--;
	return 0;
}

static int16_t grant_status(domid_t domid, grant_ref_t ref, bool writes)
{
	const struct page *p = &fake.page[ref % FAKE_XEN_REFS];

	if (ref >= FAKE_XEN_REFS || !p->is_granted || p->domid != domid)
		return GNTST_bad_gntref;
	return writes && p->is_readonly ? GNTST_permission_denied : GNTST_okay;
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t domid, uint32_t *refs, int prot)
{
	struct map *m = fake.map;
	uint8_t *base;

	fake.nr_map_calls++;
	errno = EINVAL;
	for (unsigned i = 0; i < count; i++)
		if (grant_status((domid_t)domid, refs[i], prot & PROT_WRITE) != GNTST_okay)
			return NULL;
	if (count == 0 || fake_xen_nr_mapped() + count > fake.map_limit)
		return NULL;
	while (m < fake.map + MAX_MAPS && m->handle)
		m++;
	assert(m < fake.map + MAX_MAPS);
	base = mmap(NULL, pages_to_bytes(count), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert(base != MAP_FAILED);
	for (unsigned i = 0; i < count; i++)
		view(base + pages_to_bytes(i), refs[i], prot);
	*m = (struct map){.handle = xgt, .base = base, .nr = count};
	return base;
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start_address, uint32_t count)
{
	for (unsigned i = 0; i < MAX_MAPS; i++) {
		struct map *m = &fake.map[i];

		if (m->handle != xgt || m->base != start_address || m->nr != count)
			continue;
		munmap(m->base, pages_to_bytes(m->nr));
		m->handle = NULL;
		return 0;
	}
	assert(!"what is unmapped is one whole map");
	errno = EINVAL;
	return -1;
}

static int16_t copy_one(xengnttab_grant_copy_segment_t *seg)
{
	bool to_grant = seg->flags == GNTCOPY_dest_gref;
	union xengnttab_copy_ptr *theirs = to_grant ? &seg->dest : &seg->source;
	void *ours = to_grant ? seg->source.virt : seg->dest.virt;
	int16_t status = grant_status(theirs->foreign.domid, theirs->foreign.ref, to_grant);
	uint8_t *page;

	assert(to_grant || seg->flags == GNTCOPY_source_gref);
	if (status != GNTST_okay)
		return status;
	page = fake.page[theirs->foreign.ref].own + theirs->foreign.offset;
	memcpy(to_grant ? page : ours, to_grant ? ours : page, seg->len);
	return GNTST_okay;
}

int xengnttab_grant_copy(xengnttab_handle *xgt, uint32_t count, xengnttab_grant_copy_segment_t *segs)
{
	fake.nr_copy_calls++;
	if (fake.failing_copies) {
		fake.failing_copies--;
		errno = EFAULT;
		return -1;
	}
	for (unsigned i = 0; i < count; i++) {
		uint16_t offset = segs[i].flags == GNTCOPY_dest_gref ? segs[i].dest.foreign.offset : segs[i].source.foreign.offset;

		/* The driver refuses the whole call for one of these. */
		assert(offset + segs[i].len <= PAGE_BYTES);
		segs[i].status = copy_one(&segs[i]);
	}
	return 0;
}

/* ---- xengntshr ------------------------------------------------------------------------------------------------------ */

xengntshr_handle *xengntshr_open(struct xentoollog_logger *logger, unsigned open_flags)
{
	assert(logger);
	return open_gntdev();
}

int xengntshr_close(xengntshr_handle *xgs)
{
	free(xgs);
	fake.nr_handles--;
	return 0;
}

void *xengntshr_share_pages(xengntshr_handle *xgs, uint32_t domid, int count, uint32_t *refs, int writable)
{
	unsigned first = FIRST_SHARED_REF, nr = (unsigned)count;
	uint8_t *base;

	if (fake_xen_nr_shared() + nr > fake.share_limit) {
		errno = ENOSPC;
		return NULL;
	}
	while (fake.page[first].is_shared)
		first++;
	assert(first + nr <= FAKE_XEN_REFS);
	base = mmap(NULL, pages_to_bytes(nr), PROT_READ | PROT_WRITE, MAP_SHARED, memory(), (off_t)pages_to_bytes(first));
	assert(base != MAP_FAILED);
	memset(base, 0, pages_to_bytes(nr));
	for (unsigned i = 0; i < nr; i++) {
		fake.page[first + i] = (struct page){.is_granted = true, .is_shared = true, .is_readonly = !writable,
						     .domid = (domid_t)domid, .own = base + pages_to_bytes(i)};
		refs[i] = first + i;
	}
	return base;
}

void *xengntshr_share_page_notify(xengntshr_handle *xgs, uint32_t domid, uint32_t *ref, int writable, uint32_t notify_offset,
				  evtchn_port_t notify_port)
{
	void *page = xengntshr_share_pages(xgs, domid, 1, ref, writable);

	assert(notify_port < FAKE_XEN_PORTS && fake.port[notify_port].handle);
	if (page) {
		fake.page[*ref].notify_port = notify_port;
		fake.page[*ref].notify_offset = notify_offset;
	}
	return page;
}

static void unshare_page(struct page *p)
{
	if (p->notify_port) {
		p->own[p->notify_offset] = 0;
		fake.port[p->notify_port].nr_sent++;
	}
	*p = (struct page){0};
}

int xengntshr_unshare(xengntshr_handle *xgs, void *start_address, uint32_t count)
{
	for (unsigned i = FIRST_SHARED_REF; i < FAKE_XEN_REFS; i++)
		if (fake.page[i].own >= (uint8_t *)start_address &&
		    fake.page[i].own < (uint8_t *)start_address + pages_to_bytes(count))
			unshare_page(&fake.page[i]);
	return munmap(start_address, pages_to_bytes(count));
}

/* ---- xenevtchn ------------------------------------------------------------------------------------------------------ */

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
	xenevtchn_handle *h = calloc(1, sizeof(*h));

	assert(h && !pipe(h->pipe));
	fake.nr_handles++;
	return h;
}

int xenevtchn_close(xenevtchn_handle *xce)
{
	for (unsigned i = 0; i < FAKE_XEN_PORTS; i++)
		if (fake.port[i].handle == xce)
			fake.port[i] = (struct port){0};
	close(xce->pipe[0]);
	close(xce->pipe[1]);
	free(xce);
	fake.nr_handles--;
	return 0;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
	return xce->pipe[0];
}

static bool is_ours(xenevtchn_handle *xce, evtchn_port_t port)
{
	errno = ENOTCONN;
	return port < FAKE_XEN_PORTS && fake.port[port].handle == xce;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	if (!is_ours(xce, port))
		return -1;
	fake.port[port].nr_sent++;
	return 0;
}

static int bind(xenevtchn_handle *xce)
{
	for (int i = 1; i < (int)FAKE_XEN_PORTS; i++)
		if (!fake.port[i].handle) {
			fake.port[i] = (struct port){.handle = xce};
			return i;
		}
	errno = ENOSPC;
	return -1;
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *xce, uint32_t domid)
{
	return bind(xce);
}

/* As Xen does: whoever binds looks once, since events sent before are lost. */
xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid, evtchn_port_t remote_port)
{
	int port;

	errno = EINVAL;
	if (remote_port == 0)
		return -1;
	port = bind(xce);
	if (port > 0)
		fake_xen_send((evtchn_port_t)port);
	return port;
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned int virq)
{
	return bind(xce);
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	if (!is_ours(xce, port))
		return -1;
	fake.port[port] = (struct port){0};
	return 0;
}

void fake_xen_send(evtchn_port_t port)
{
	struct port *p = &fake.port[port];

	assert(p->handle);
	if (p->is_masked) {
		p->is_pending = true;
		return;
	}
	p->is_masked = true;
	assert(write(p->handle->pipe[1], &port, sizeof(port)) == sizeof(port));
}

unsigned fake_xen_nr_sent(evtchn_port_t port)
{
	return fake.port[port].nr_sent;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
	evtchn_port_t port;

	return read(xce->pipe[0], &port, sizeof(port)) == sizeof(port) ? (int)port : -1;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
	if (!is_ours(xce, port))
		return -1;
	fake.port[port].is_masked = false;
	if (fake.port[port].is_pending) {
		fake.port[port].is_pending = false;
		fake_xen_send(port);
	}
	return 0;
}
