/*
 * hv/toolstack.h - what a toolstack asks of the hypervisor: domctl, sysctl, console, as functions.
 *
 * Runs in  one thread of a Domain-0 process.
 * Fails    negative errno; a guest that calls these gets -EPERM from the core.
 * Spec     xen/domctl.h, xen/sysctl.h, xen/hvm/params.h.
 */
#ifndef SLUICE_HV_TOOLSTACK_H
#define SLUICE_HV_TOOLSTACK_H

#include "hv/hv.h"

struct toolstack_domain {
	const char *name;
	uint8_t uuid[16];
	unsigned vcpus;          /* 1..LOCAL_MAX_VCPUS */
	uint64_t memory_kib;     /* whole pages */
	unsigned grant_frames;   /* 0: 64 */
	unsigned maptrack_frames; /* 0: 1024 */
};

struct toolstack_info {
	domid_t domid;
	bool paused, running, blocked, shutdown, dying, crashed;
	unsigned shutdown_reason; /* SHUTDOWN_*; valid when shutdown */
	uint64_t memory_kib;
	unsigned vcpus;
	uint64_t cpu_time_ns;
	uint8_t uuid[16];
};

/*
 * Builds an empty, paused domain: createdomain, max_mem, populate, store and console pages and ports (HVM params, grants 0 and 1),
 * store nodes of the domain (name, domid, memory, vm, console, control; the domain's own to write: data, device, control/shutdown),
 * introduced to the store. *domid is new. Undoes all of it on failure.
 */
int toolstack_domain_create(struct hv *hv, const struct toolstack_domain *d, domid_t *domid);
/* The program that the domain runs: an open fd (stays the caller's) and its arguments. Without one, a process may attach by name. */
int toolstack_domain_load(struct hv *hv, domid_t domid, int kernel_fd, const char *cmdline);
/*
 * From now on the domain, once shut down, stays listed with its reason until this hv destroys it or closes; bind VIRQ_DOM_EXC to
 * hear of it. (A domain whose creator's connection closes before the first unpause is destroyed by the core in any case.)
 */
int toolstack_domain_own(struct hv *hv, domid_t domid);
int toolstack_domain_pause(struct hv *hv, domid_t domid);
int toolstack_domain_unpause(struct hv *hv, domid_t domid);
/* Kills it and removes its store nodes, both ends of its devices included. */
int toolstack_domain_destroy(struct hv *hv, domid_t domid);
/* Domains from first upwards, Domain-0 included; returns how many were filled in, at most max. */
int toolstack_domain_list(struct hv *hv, domid_t first, struct toolstack_info info[], unsigned max);
/* A stream socket: the guest's console, from now on. The caller's to close. */
int toolstack_console_open(struct hv *hv, domid_t domid);
/* The hypervisor's message buffer (sysctl readconsole): up to size bytes, returns how many. */
int toolstack_dmesg(struct hv *hv, char *buf, unsigned size, bool clear);
/* Host facts for `sluice info` (sysctl physinfo). */
struct toolstack_physinfo {
	unsigned nr_cpus;
	uint64_t total_kib, free_kib;
};
int toolstack_physinfo(struct hv *hv, struct toolstack_physinfo *info);

#endif
