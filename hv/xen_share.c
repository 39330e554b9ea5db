/*
 * hv/xen_share.c - pages of the kernel's (gntalloc), granted to another domain for as long as they live.
 *
 * They are few: gntalloc gives 1,024 in all by default (its parameter "limit").
 *
 * Owns     the pages from share to unshare; what the peer still holds then the driver keeps until it lets go. When the process
 *          dies the driver does the same.
 * Runs in  any thread.
 */
#include <errno.h>

#include "hv/xen_hv.h"

int xen_share(struct hv *hv, domid_t peer, unsigned nr, bool readonly, grant_ref_t refs[], void **pages)
{
	struct xen_hv *x = xen_hv_of(hv);
	void *base;

	if (!x->shr)
		return -EOPNOTSUPP;
	errno = 0;
	base = xengntshr_share_pages(x->shr, peer, (int)nr, refs, !readonly);
	if (!base)
		return errno ? -errno : -EIO;
	*pages = base;
	return 0;
}

int xen_share_life(struct hv *hv, domid_t peer, evtchn_port_t port, grant_ref_t *ref, void **page)
{
	struct xen_hv *x = xen_hv_of(hv);
	void *base;

	if (!x->shr)
		return -EOPNOTSUPP;
	errno = 0;
	base = xengntshr_share_page_notify(x->shr, peer, ref, 1, 0, port);
	if (!base)
		return errno ? -errno : -EIO;
	*page = base;
	return 0;
}

void xen_unshare(struct hv *hv, void *pages, unsigned nr, const grant_ref_t refs[])
{
	xengntshr_unshare(xen_hv_of(hv)->shr, pages, nr);
}
