/*
 * tools/pcapng.c - blocks of pcapng, built in a buffer.
 *
 * Owns     see pcapng.h.
 * Fails    see pcapng.h.
 */
#include "tools/pcapng.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define BUFFER_BYTES (256u << 10)
#define GIVE_UP_MS 500
#define BLOCK_MAX_BYTES 1024u /* of a block, without a packet's bytes */

enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_STATISTICS = 5, BLOCK_PACKET = 6 };
enum { LINKTYPE_ETHERNET = 1 };
enum { OPT_END = 0, SHB_OS = 3, SHB_USERAPPL = 4 };
enum { IF_NAME = 2, IF_DESCRIPTION = 3, IF_TSRESOL = 9, IF_FILTER = 11 };
enum { EPB_FLAGS = 2, EPB_DROPCOUNT = 4, EPB_QUEUE = 6 };
enum { ISB_STARTTIME = 2, ISB_ENDTIME = 3, ISB_IFRECV = 4, ISB_IFDROP = 5, ISB_FILTERACCEPT = 6 };

/* One block being built: everything of it but a packet's bytes. */
struct block {
	size_t used;
	uint8_t bytes[BLOCK_MAX_BYTES];
};

static void add(struct block *b, const void *data, size_t bytes)
{
	memcpy(b->bytes + b->used, data, bytes);
	b->used += bytes;
	while (b->used & 3)
		b->bytes[b->used++] = 0;
}

static void add_u16(struct block *b, uint16_t first, uint16_t second)
{
	const uint16_t pair[2] = {first, second};

	add(b, pair, sizeof(pair));
}

static void add_u32(struct block *b, uint32_t value)
{
	add(b, &value, sizeof(value));
}

/* Time stamps have their high half first. */
static void add_time(struct block *b, uint64_t ns)
{
	add_u32(b, (uint32_t)(ns >> 32));
	add_u32(b, (uint32_t)ns);
}

static void add_option(struct block *b, uint16_t code, const void *data, size_t bytes)
{
	add_u16(b, code, (uint16_t)bytes);
	add(b, data, bytes);
}

static void add_u64_option(struct block *b, uint16_t code, uint64_t value)
{
	add_option(b, code, &value, sizeof(value));
}

static void add_text_option(struct block *b, uint16_t code, const char *text)
{
	size_t room = sizeof(b->bytes) - b->used - 64, len = strlen(text);

	add_option(b, code, text, len < room ? len : room);
}

/* How much may be written without waiting for ever. After a signal no more than a pipe surely takes, and none if it takes none. */
static size_t writable_bytes(const struct pcapng *p, size_t bytes)
{
	struct pollfd fd = {.fd = p->fd, .events = POLLOUT};

	if (!*p->must_stop)
		return bytes;
	if (poll(&fd, 1, GIVE_UP_MS) != 1)
		return 0;
	return bytes < PIPE_BUF ? bytes : PIPE_BUF;
}

static int write_all(struct pcapng *p, const uint8_t *data, size_t bytes)
{
	while (bytes && !p->err) {
		size_t len = writable_bytes(p, bytes);
		ssize_t n = len ? write(p->fd, data, len) : 0;

		if (!len) {
			p->err = -EINTR;
		} else if (n >= 0) {
			data += n;
			bytes -= (size_t)n;
		} else if (errno != EINTR) {
			p->err = -errno;
		}
	}
	return p->err;
}

int pcapng_flush(struct pcapng *p)
{
	if (write_all(p, p->buffer, p->used) == 0)
		p->written += (off_t)p->used;
	else if (ftruncate(p->fd, p->written) < 0)
		p->written = -1; /* a pipe: its reader has half a block */
	p->used = 0;
	return p->err;
}

static void buffer_put(struct pcapng *p, const void *data, size_t bytes)
{
	memcpy(p->buffer + p->used, data, bytes);
	p->used += bytes;
}

/* Type and length around: body, packet bytes padded, options. */
static int block_write(struct pcapng *p, uint32_t type, const struct block *body, const uint8_t *packet, uint32_t packet_bytes,
		       const struct block *options)
{
	static const uint8_t zeros[4];
	uint32_t pad = -packet_bytes & 3, total = (uint32_t)(12 + body->used + packet_bytes + pad + options->used);

	if (p->used + total > BUFFER_BYTES && pcapng_flush(p))
		return p->err;
	buffer_put(p, &type, 4);
	buffer_put(p, &total, 4);
	buffer_put(p, body->bytes, body->used);
	if (packet_bytes)
		buffer_put(p, packet, packet_bytes);
	buffer_put(p, zeros, pad);
	buffer_put(p, options->bytes, options->used);
	buffer_put(p, &total, 4);
	return p->err;
}

static int put_section(struct pcapng *p)
{
	struct block body = {0}, options = {0};
	struct utsname host;
	const uint64_t unknown_length = UINT64_MAX;

	add_u32(&body, 0x1a2b3c4d); /* this machine's byte order */
	add_u16(&body, 1, 0);
	add(&body, &unknown_length, sizeof(unknown_length));
	if (uname(&host) == 0)
		add_text_option(&options, SHB_OS, host.sysname);
	add_text_option(&options, SHB_USERAPPL, "sluice capture");
	add_u16(&options, OPT_END, 0);
	return block_write(p, BLOCK_SECTION, &body, NULL, 0, &options);
}

static int put_interface(struct pcapng *p, const struct pcapng_interface *interface)
{
	struct block body = {0}, options = {0};
	const uint8_t nanoseconds = 9;

	add_u16(&body, LINKTYPE_ETHERNET, 0);
	add_u32(&body, interface->snap_bytes);
	add_text_option(&options, IF_NAME, interface->name);
	add_text_option(&options, IF_DESCRIPTION, "in and out are the guest's: outbound packets come from it");
	add_option(&options, IF_TSRESOL, &nanoseconds, 1);
	if (interface->filter[0]) {
		char filter[BLOCK_MAX_BYTES / 2] = ""; /* a byte 0: an expression in words follows */

		strncpy(filter + 1, interface->filter, sizeof(filter) - 2);
		add_option(&options, IF_FILTER, filter, 1 + strlen(filter + 1));
	}
	add_u16(&options, OPT_END, 0);
	return block_write(p, BLOCK_INTERFACE, &body, NULL, 0, &options);
}

int pcapng_begin(struct pcapng *p, int fd, const volatile sig_atomic_t *must_stop, const struct pcapng_interface *interface)
{
	int err;

	*p = (struct pcapng){.fd = fd, .must_stop = must_stop, .buffer = malloc(BUFFER_BYTES)};
	if (!p->buffer)
		return -ENOMEM;
	err = put_section(p);
	return err ? err : put_interface(p, interface);
}

int pcapng_put(struct pcapng *p, const struct pcapng_packet *packet, const uint8_t *bytes)
{
	struct block body, options;

	body.used = options.used = 0; /* a page of zeros for each packet would cost more than the rest */
	add_u32(&body, 0); /* the interface */
	add_time(&body, packet->realtime_ns);
	add_u32(&body, packet->bytes);
	add_u32(&body, packet->frame_bytes);
	add_option(&options, EPB_FLAGS, &packet->flags, sizeof(packet->flags));
	if (packet->dropped)
		add_u64_option(&options, EPB_DROPCOUNT, packet->dropped);
	add_option(&options, EPB_QUEUE, &packet->queue, sizeof(packet->queue));
	add_u16(&options, OPT_END, 0);
	return block_write(p, BLOCK_PACKET, &body, bytes, packet->bytes, &options);
}

int pcapng_put_statistics(struct pcapng *p, const struct pcapng_statistics *s)
{
	struct block body = {0}, options = {0};

	add_u32(&body, 0);
	add_time(&body, s->end_ns);
	add_u16(&options, ISB_STARTTIME, 8);
	add_time(&options, s->begin_ns);
	add_u16(&options, ISB_ENDTIME, 8);
	add_time(&options, s->end_ns);
	add_u64_option(&options, ISB_IFRECV, s->seen);
	add_u64_option(&options, ISB_IFDROP, s->dropped);
	add_u64_option(&options, ISB_FILTERACCEPT, s->accepted);
	add_u16(&options, OPT_END, 0);
	return block_write(p, BLOCK_STATISTICS, &body, NULL, 0, &options);
}

void pcapng_finish(struct pcapng *p)
{
	free(p->buffer);
	p->buffer = NULL;
}
