/*
 * hv/xen_platform.c - finds out whether this is Xen, opens this domain's side of it, and says what is missing.
 *
 * Runs in  any thread.
 * Fails    with one sentence for the user (platform_fail).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/local_platform.h"
#include "hv/store_client.h"
#include "hv/xen_open.h"

/* ---- is this Xen? --------------------------------------------------------------------------------------------------- */

static bool file_says(const char *path, const char *word)
{
	char text[256];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = '\0';
	return strstr(text, word);
}

static bool is_under_xen(void)
{
	return file_says("/sys/hypervisor/type", "xen") || !access("/dev/xen", F_OK);
}

/* The second is for a kernel without xenfs mounted. */
static bool is_xen_dom0(void)
{
	return file_says("/proc/xen/capabilities", "control_d") || !access("/sys/hypervisor/start_flags/initdomain", F_OK);
}

static bool is_xen_guest(void)
{
	return is_under_xen() && !access(XEN_GNTALLOC_DEVICE, F_OK);
}

static int check_device(const struct hv_options *opt, const char *path, const char *module)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int err = -errno;

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (err == -ENOENT || err == -ENXIO || err == -ENODEV)
		return platform_fail(opt, err, "%s is not there: load its driver (modprobe %s)", path, module);
	if (err == -EACCES || err == -EPERM)
		return platform_fail(opt, -EACCES, "%s may not be opened by this user: run as root", path);
	return platform_fail(opt, err, "%s cannot be opened: %s", path, strerror(-err));
}

/* ---- opening -------------------------------------------------------------------------------------------------------- */

static int open_store(struct xen_hv *x, const struct hv_options *opt)
{
	const char *path = xen_store_path();
	int err = path ? xen_store_lost_fd(path) : -ENOENT;

	if (err < 0)
		return platform_fail(opt, err, "xenstored does not answer at %s (%s): start it, or Xen's services with it",
				     path ?: "/run/xenstored/socket", strerror(-err));
	x->hv.lost_fd = err;
	x->store_path = strdup(path);
	if (!x->store_path)
		return -ENOMEM;
	if (!hv_store(&x->hv, &err))
		return platform_fail(opt, err, "the store at %s does not answer: %s", path, strerror(-err));
	return 0;
}

/* What back ends keep for the next one, and their sockets: there is no sluiced that has made a place for them. */
static int make_run_dir(struct xen_hv *x, const struct hv_options *opt)
{
	int err = local_platform_run_dir(opt, x->run_dir, sizeof(x->run_dir));

	if (!err && mkdir(x->run_dir, 0700) && errno != EEXIST)
		err = -errno;
	if (err)
		return platform_fail(opt, err, "the run directory %s cannot be made (%s): choose another with --run-dir", x->run_dir,
				     strerror(-err));
	x->hv.run_dir = x->run_dir;
	return 0;
}

/* Domain-0 may not have been told its own number yet. */
static int read_domid(struct xen_hv *x, const struct hv_options *opt)
{
	uint64_t domid = 0;
	int err = store_client_read_uint(x->hv.store, STORE_NO_TX, &domid, "domid");

	if (err == -ENOENT && is_xen_dom0())
		err = 0;
	if (!err && domid >= DOMID_FIRST_RESERVED)
		err = -ERANGE;
	if (err)
		return platform_fail(opt, err, "the store does not say which domain this is: %s", strerror(-err));
	x->hv.domid = (domid_t)domid;
	return 0;
}

static int xen_open(const struct hv_options *opt, bool as_guest, struct hv **out)
{
	const char *device = as_guest ? XEN_GNTALLOC_DEVICE : XEN_GNTDEV_DEVICE;
	struct xen_hv *x;
	int err;

	if (!is_under_xen())
		return platform_fail(opt, -ENODEV, "this machine does not run under Xen: use --hv local");
	err = check_device(opt, XEN_EVTCHN_DEVICE, "xen-evtchn");
	if (!err)
		err = check_device(opt, device, as_guest ? "xen-gntalloc" : "xen-gntdev");
	if (err)
		return err;
	err = xen_hv_create(as_guest, &x);
	if (err)
		return platform_fail(opt, err, "%s and %s cannot be used: %s", XEN_EVTCHN_DEVICE, device, strerror(-err));
	err = make_run_dir(x, opt);
	if (!err)
		err = open_store(x, opt);
	if (!err)
		err = read_domid(x, opt);
	if (err)
		hv_close(&x->hv);
	else
		*out = &x->hv;
	return err;
}

static int xen_open_dom0(const struct hv_options *opt, struct hv **out)
{
	return xen_open(opt, false, out);
}

static int xen_open_guest(const struct hv_options *opt, struct hv **out)
{
	return xen_open(opt, true, out);
}

const struct hv_platform xen_platform = {
	.is_dom0 = is_xen_dom0,
	.is_guest = is_xen_guest,
	.open_dom0 = xen_open_dom0,
	.open_guest = xen_open_guest,
};
