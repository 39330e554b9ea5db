/*
 * tools/guest_pcap.h - a pcap file that is the content of a disk: read from it, written to it.
 *
 * A disk is longer than the file on it: a record header of zeros, or the disk's end, ends the file.
 *
 * Trusts   nothing on the disk.
 * Fails    -EINVAL: not a pcap file; -EPROTONOSUPPORT: not of Ethernet; -EBADMSG: a record that cannot be; the callback's errors.
 * Spec     pcap-savefile(5): both byte orders, micro- and nanoseconds.
 */
#ifndef SLUICE_TOOLS_GUEST_PCAP_H
#define SLUICE_TOOLS_GUEST_PCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCAP_BUFFER_BYTES 65536u
#define PCAP_MAX_PACKET 65535u
#define PCAP_SECTOR 4096u /* reads and writes are at multiples of this and, but for the disk's end, so long */

/* Reads or writes len bytes at a byte offset of the disk. 0 or -errno. */
typedef int (*guest_pcap_io)(void *arg, uint64_t at, void *data, size_t len);

struct guest_pcap_reader {
	guest_pcap_io read;
	void *arg;
	uint64_t disk_bytes;
	uint64_t at;         /* of the next byte of the file */
	uint64_t buffer_at;  /* where on the disk the buffer's first byte is */
	size_t buffer_bytes; /* valid */
	bool is_swapped;
	uint64_t truncated; /* packets of which the capture holds only the beginning */
	uint8_t buffer[PCAP_BUFFER_BYTES];
};

int guest_pcap_open(struct guest_pcap_reader *r, guest_pcap_io read, void *arg, uint64_t disk_bytes);
/* The next packet, at most PCAP_MAX_PACKET bytes. 1; 0: the file ends here; -errno. */
int guest_pcap_next(struct guest_pcap_reader *r, uint8_t *packet, uint32_t *len);

struct guest_pcap_writer {
	guest_pcap_io write;
	void *arg;
	uint64_t disk_bytes;
	uint64_t file_bytes; /* so far */
	size_t buffered;
	uint8_t buffer[PCAP_BUFFER_BYTES];
};

/* Begins a file of microsecond Ethernet records. */
int guest_pcap_create(struct guest_pcap_writer *w, guest_pcap_io write, void *arg, uint64_t disk_bytes);
/* -ENOSPC: the disk cannot hold it; nothing of it is written. */
int guest_pcap_append(struct guest_pcap_writer *w, uint64_t time_ns, const uint8_t *packet, uint32_t len);
/* Writes what is buffered, and zeros up to the sector's end. */
int guest_pcap_finish(struct guest_pcap_writer *w);

#endif
