/*
 * tools/guest_pcap.c - pcap records out of a disk's bytes, and into them.
 *
 * Trusts   nothing on the disk: a length is checked before it is used.
 */
#include "tools/guest_pcap.h"

#include <errno.h>
#include <string.h>

#define MAGIC_US 0xa1b2c3d4u
#define MAGIC_NS 0xa1b23c4du
#define LINK_ETHERNET 1u

struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, snaplen, link;
};

struct record_header {
	uint32_t seconds, fraction, held, length;
};

_Static_assert(sizeof(struct file_header) == 24 && sizeof(struct record_header) == 16, "file format");

static uint32_t in_order(const struct guest_pcap_reader *r, uint32_t v)
{
	return r->is_swapped ? __builtin_bswap32(v) : v;
}

/* Fills the buffer from the sector that holds r->at. */
static int refill(struct guest_pcap_reader *r)
{
	uint64_t start = r->at - r->at % PCAP_SECTOR;
	uint64_t left = r->disk_bytes - start;
	size_t n = left < PCAP_BUFFER_BYTES ? (size_t)left : PCAP_BUFFER_BYTES;
	int rc = r->read(r->arg, start, r->buffer, n);

	if (rc < 0)
		return rc;
	r->buffer_at = start;
	r->buffer_bytes = n;
	return 0;
}

/* Copies the next len bytes of the file; they are known to be on the disk. */
static int copy(struct guest_pcap_reader *r, void *to, size_t len)
{
	uint8_t *out = to;

	while (len) {
		uint64_t offset = r->at - r->buffer_at;
		size_t n;
		int rc;

		if (r->at < r->buffer_at || offset >= r->buffer_bytes) {
			rc = refill(r);
			if (rc < 0)
				return rc;
			continue;
		}
		n = r->buffer_bytes - (size_t)offset;
		if (n > len)
			n = len;
		memcpy(out, r->buffer + offset, n);
		out += n;
		r->at += n;
		len -= n;
	}
	return 0;
}

int guest_pcap_open(struct guest_pcap_reader *r, guest_pcap_io read, void *arg, uint64_t disk_bytes)
{
	struct file_header h;
	int rc;

	memset(r, 0, sizeof(*r));
	r->read = read;
	r->arg = arg;
	r->disk_bytes = disk_bytes;
	if (disk_bytes < sizeof(h))
		return -EINVAL;
	rc = copy(r, &h, sizeof(h));
	if (rc < 0)
		return rc;
	r->is_swapped = h.magic == __builtin_bswap32(MAGIC_US) || h.magic == __builtin_bswap32(MAGIC_NS);
	h.magic = in_order(r, h.magic);
	if (h.magic != MAGIC_US && h.magic != MAGIC_NS)
		return -EINVAL;
	return (in_order(r, h.link) & 0xffff) == LINK_ETHERNET ? 0 : -EPROTONOSUPPORT;
}

int guest_pcap_next(struct guest_pcap_reader *r, uint8_t *packet, uint32_t *len)
{
	static const struct record_header zeros;
	struct record_header h;
	uint32_t held;
	int rc;

	if (r->disk_bytes - r->at < sizeof(h))
		return 0;
	rc = copy(r, &h, sizeof(h));
	if (rc < 0)
		return rc;
	if (!memcmp(&h, &zeros, sizeof(h)))
		return 0;
	held = in_order(r, h.held);
	if (!held || held > PCAP_MAX_PACKET || held > r->disk_bytes - r->at)
		return -EBADMSG;
	if (held < in_order(r, h.length))
		r->truncated++;
	rc = copy(r, packet, held);
	if (rc < 0)
		return rc;
	*len = held;
	return 1;
}

/* Writes the whole sectors of the buffer, or, at the end, all of it with zeros up to the sector's end. */
static int drain(struct guest_pcap_writer *w, bool is_end)
{
	size_t rest = w->buffered % PCAP_SECTOR;
	size_t whole = w->buffered - rest;
	uint64_t at = w->file_bytes - w->buffered;
	int rc;

	if (is_end && rest) {
		uint64_t room = w->disk_bytes - at - whole;
		size_t sector = room < PCAP_SECTOR ? (size_t)room : PCAP_SECTOR;

		memset(w->buffer + w->buffered, 0, whole + sector - w->buffered);
		whole += sector;
		rest = 0;
	}
	if (!whole)
		return 0;
	rc = w->write(w->arg, at, w->buffer, whole);
	if (rc < 0)
		return rc;
	memmove(w->buffer, w->buffer + whole, rest);
	w->buffered = rest;
	return 0;
}

static int append(struct guest_pcap_writer *w, const void *data, size_t len)
{
	const uint8_t *from = data;

	while (len) {
		size_t n = PCAP_BUFFER_BYTES - w->buffered;
		int rc;

		if (n > len)
			n = len;
		memcpy(w->buffer + w->buffered, from, n);
		w->buffered += n;
		w->file_bytes += n;
		from += n;
		len -= n;
		if (w->buffered == PCAP_BUFFER_BYTES) {
			rc = drain(w, false);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

int guest_pcap_create(struct guest_pcap_writer *w, guest_pcap_io write, void *arg, uint64_t disk_bytes)
{
	static const struct file_header h = {
		.magic = MAGIC_US, .major = 2, .minor = 4, .snaplen = PCAP_MAX_PACKET, .link = LINK_ETHERNET};

	memset(w, 0, sizeof(*w));
	w->write = write;
	w->arg = arg;
	w->disk_bytes = disk_bytes;
	return disk_bytes < sizeof(h) ? -ENOSPC : append(w, &h, sizeof(h));
}

int guest_pcap_append(struct guest_pcap_writer *w, uint64_t time_ns, const uint8_t *packet, uint32_t len)
{
	struct record_header h = {.seconds = (uint32_t)(time_ns / 1000000000u),
				  .fraction = (uint32_t)(time_ns % 1000000000u / 1000u),
				  .held = len,
				  .length = len};
	int rc;

	if (w->disk_bytes - w->file_bytes < sizeof(h) + len)
		return -ENOSPC;
	rc = append(w, &h, sizeof(h));
	return rc < 0 ? rc : append(w, packet, len);
}

int guest_pcap_finish(struct guest_pcap_writer *w)
{
	return drain(w, true);
}
