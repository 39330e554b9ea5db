/*
 * tools/pcapng.h - writes one interface's packets to an fd in pcapng.
 *
 *      section header, interface  -->  packet packet packet ...  -->  interface statistics
 *
 * DPDK's own writer (rte_pcapng) describes every ethdev of its process, and none that DPDK does not know; this one runs in a
 * program without DPDK, and its one interface is the vif.
 *
 * Owns     the buffer, from begin to finish; the fd is the caller's.
 * Fails    -errno of the write; -EINTR when *must_stop became true and the reader takes nothing. What failed once fails ever
 *          after; a file then ends behind the last block that is whole.
 * Spec     draft-ietf-opsawg-pcapng.
 */
#ifndef SLUICE_TOOLS_PCAPNG_H
#define SLUICE_TOOLS_PCAPNG_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct pcapng {
	int fd;
	int err; /* of the first write that failed */
	const volatile sig_atomic_t *must_stop;
	off_t written; /* whole blocks */
	size_t used;
	uint8_t *buffer;
};

struct pcapng_interface {
	const char *name;
	const char *filter; /* "": none */
	uint32_t snap_bytes;
};

struct pcapng_packet {
	uint64_t realtime_ns;
	uint64_t dropped; /* packets lost before this one */
	uint32_t bytes, frame_bytes;
	uint32_t queue;
	uint32_t flags; /* PCAPNG_INBOUND, PCAPNG_OUTBOUND */
};

enum { PCAPNG_INBOUND = 1, PCAPNG_OUTBOUND = 2 };

struct pcapng_statistics {
	uint64_t begin_ns, end_ns;
	uint64_t seen, accepted, dropped;
};

/* must_stop: set by a signal; a write that waits is then given up. -ENOMEM. */
int pcapng_begin(struct pcapng *p, int fd, const volatile sig_atomic_t *must_stop, const struct pcapng_interface *interface);
int pcapng_put(struct pcapng *p, const struct pcapng_packet *packet, const uint8_t *bytes);
int pcapng_put_statistics(struct pcapng *p, const struct pcapng_statistics *s);
/* Writes what is buffered. */
int pcapng_flush(struct pcapng *p);
/* Frees the buffer, unwritten. */
void pcapng_finish(struct pcapng *p);

#endif
