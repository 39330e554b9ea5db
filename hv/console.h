/*
 * hv/console.h - a guest's console: its ring, its log file, and at most one reader.
 *
 *      guest    out ring  ->  guest-<name>.log  and the reader's stream socket
 *               in ring   <-  the reader
 *      fds 1 and 2 of a spawned program  ->  the same, line by line
 *
 * Trusts   nothing in the page; an impossible index ends the console, not the guest.
 * Runs in  the core's thread. A ring's worth of work for each event.
 * Spec     xen/io/console.h.
 */
#ifndef SLUICE_HV_CONSOLE_H
#define SLUICE_HV_CONSOLE_H

struct domain;

int console_create(struct domain *d);
/* Takes NULL consoles. The reader sees the end. */
void console_destroy(struct domain *d);
/* Opens the log; serves the ring that HVM_PARAM_CONSOLE_PFN and _EVTCHN name, if they do. What fails is logged: a guest runs without. */
void console_start(struct domain *d);
/* Takes what is in the ring now. */
void console_drain(struct domain *d);
/* A line of the program's own output. */
void console_line(struct domain *d, const char *line);
/* A reader's end of a stream socket, the caller's to close; the reader before it is cut off. -errno. */
int console_attach(struct domain *d);

#endif
