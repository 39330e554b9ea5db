/*
 * hv/evtchn_send.h - a local domain's event channels in its shared info (2-level ABI): the sender's and the taker's half.   [hot]
 *
 *      sender (Domain-0 process, core, the domain itself)          taker (the domain)
 *      pending[port] 0->1, not masked                              read the vcpu's eventfd
 *        -> pending_sel[word] 0->1                                 upcall_pending = 0
 *          -> upcall_pending 0->1 -> write the vcpu's eventfd      take pending_sel, then each pending & ~mask
 *
 * Only the edge of the last step enters the kernel.
 *
 * Trusts   nothing behind shared_sh when the domain is another: what it finds there decides at most whether that domain wakes.
 * Runs in  any thread.
 * Spec     xen/xen.h struct shared_info, "event channel" comments.
 */
#ifndef SLUICE_HV_EVTCHN_SEND_H
#define SLUICE_HV_EVTCHN_SEND_H

#include "hv/local_abi.h"

/* One domain's event state. The arrays are the caller's and outlive it. */
struct evtchn_domain {
	struct shared_info *shared_sh;
	const uint8_t *port_vcpu;     /* [LOCAL_MAX_PORTS]: local_private's, or the domain's own copy */
	const uint32_t *vcpu_polling; /* [nr_vcpus] or NULL: wake for masked ports too */
	const int *vcpu_fd;           /* [nr_vcpus] eventfds, non-blocking */
	unsigned nr_vcpus;
};

/* Sends an event to a port of the domain. True: its vcpu was woken (a system call was made). Ports out of range: nothing. */
bool evtchn_send(const struct evtchn_domain *d, evtchn_port_t port);
/* The same, and writes the vcpu's fd in any case: for the store, whose client waits for edges of it beside the domain's own loop. */
void evtchn_send_loudly(const struct evtchn_domain *d, evtchn_port_t port);
/* The port is pending and has just been unmasked, or moved to another vcpu: tells its vcpu. True: woken. */
bool evtchn_kick(const struct evtchn_domain *d, evtchn_port_t port);
/* Taker: clears the vcpu's fd and takes up to max of its pending ports; when there are more the fd stays readable. */
unsigned evtchn_take(const struct evtchn_domain *d, unsigned vcpu, evtchn_port_t ports[], unsigned max);
/* Taker: clears one port's pending bit; true: it was set. */
bool evtchn_take_one(const struct evtchn_domain *d, evtchn_port_t port);

void evtchn_set_mask(const struct evtchn_domain *d, evtchn_port_t port);
/* Clears the mask; an event that came meanwhile is delivered now. */
void evtchn_clear_mask(const struct evtchn_domain *d, evtchn_port_t port);
bool evtchn_is_pending(const struct evtchn_domain *d, evtchn_port_t port);

#endif
