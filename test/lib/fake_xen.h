/*
 * test/lib/fake_xen.h - Xen's libraries (xengnttab, xengntshr, xenevtchn) over plain memory: one hypervisor for a test process.
 *
 * It keeps the drivers' rules that hv/xen_* must live with: a map is all or nothing and says only EINVAL, an unmap is of a whole
 * map, a closed handle takes its maps and ports with it, a port is masked when its event was read.
 */
#ifndef SLUICE_TEST_FAKE_XEN_H
#define SLUICE_TEST_FAKE_XEN_H

#include "rings/types.h"

#define FAKE_XEN_REFS 512u
#define FAKE_XEN_PORTS 64u

/* Forgets everything. All handles must have been closed. */
void fake_xen_reset(void);

/* A page of that domain, granted to us under ref; zeroed. The test may write it directly. */
uint8_t *fake_xen_grant(domid_t domid, grant_ref_t ref, bool readonly);
void fake_xen_end_grant(grant_ref_t ref);
/* How many pages may be mapped at once; how many shared. */
void fake_xen_limit_maps(unsigned pages);
void fake_xen_limit_shares(unsigned pages);
/* The next so many system calls that copy fail as a whole. */
void fake_xen_fail_copies(unsigned nr);

/* The other end sends an event to that port of ours. */
void fake_xen_send(evtchn_port_t port);
/* What we sent from that port. */
unsigned fake_xen_nr_sent(evtchn_port_t port);

unsigned fake_xen_nr_mapped(void); /* pages */
unsigned fake_xen_nr_shared(void); /* pages */
unsigned fake_xen_nr_bound(void);  /* ports */
unsigned fake_xen_nr_handles(void);
unsigned fake_xen_nr_copy_calls(void);
unsigned fake_xen_nr_map_calls(void);

#endif
