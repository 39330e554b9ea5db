/*
 * tools/guest_console.h - writes lines to the guest's PV console, and to standard output when attached.
 *
 * Owns     nothing: the page and the port are the domain's.
 * Trusts   nothing in the page: an impossible consumer index ends the use of it.
 * Runs in  the guest's one thread. May sleep, a bounded time, while the console's reader is slow.
 * Fails    silently: output that nobody takes for a second is dropped and counted.
 * Spec     xen/io/console.h.
 */
#ifndef SLUICE_TOOLS_GUEST_CONSOLE_H
#define SLUICE_TOOLS_GUEST_CONSOLE_H

#include "hv/hv.h"

struct xencons_interface;

struct guest_console {
	struct hv *hv;
	struct xencons_interface *sh; /* NULL: none, lines go to the hypervisor's log instead */
	evtchn_port_t port;
	bool has_stdout;
	uint64_t dropped_bytes;
};

/* Finds the console page by the domain's parameters. A domain without one still gets a console that works in its way. */
void guest_console_init(struct guest_console *c, struct hv *hv, bool has_stdout);
void guest_console_write(struct guest_console *c, const char *text, size_t len);
/* Waits until the reader has taken everything, at most a second. */
void guest_console_drain(struct guest_console *c);

#endif
