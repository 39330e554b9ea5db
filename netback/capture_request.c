/*
 * netback/capture_request.c - checks a request for a capture field by field; its filter becomes machine code.
 *
 *      classic BPF   bpf_validate (libpcap)   -->   rte_bpf_convert   -->   eBPF, verified and compiled by rte_bpf_load
 *
 * The checks follow one another: jumps stay inside and go forward, memory words exist (libpcap); every path ends, reads no register
 * before it is set, and touches the packet through the mbuf alone (DPDK).
 *
 * Fails    see capture_request.h.
 */
#define ALLOW_EXPERIMENTAL_API /* rte_bpf_convert: DPDK calls it so until its signature is settled; we are bound to 22.11 */
#include "netback/capture_request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <pcap/pcap.h>
#include <rte_bpf.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include "netback/capture_ring.h"

_Static_assert(sizeof(struct bpf_insn) == sizeof(struct capture_insn), "the same format");

static int refuse(char why[CAPTURE_WHY_BYTES], int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int refuse(char why[CAPTURE_WHY_BYTES], int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, CAPTURE_WHY_BYTES, fmt, args);
	va_end(args);
	return err;
}

static bool is_name(const char name[CAPTURE_NAME_BYTES])
{
	size_t len = strnlen(name, CAPTURE_NAME_BYTES);

	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return len < CAPTURE_NAME_BYTES;
}

static int check_format(const struct capture_request *rq, size_t bytes)
{
	return bytes >= sizeof(*rq) && rq->magic == CAPTURE_MAGIC && rq->nr_insns <= CAPTURE_MAX_INSNS &&
		       bytes == sizeof(*rq) + rq->nr_insns * sizeof(rq->insns[0]) && is_name(rq->vif) && is_name(rq->to)
		       ? 0
		       : -EPROTO;
}

int capture_request_check(const struct capture_request *rq, size_t bytes, char why[CAPTURE_WHY_BYTES])
{
	bool is_mirror;

	if (check_format(rq, bytes))
		return refuse(why, -EPROTO, "sluice-netback does not understand the request: sluice is of another version");
	is_mirror = rq->to[0] != '\0';
	if (rq->directions == 0 || rq->directions & ~(uint32_t)(CAPTURE_TX | CAPTURE_RX))
		return refuse(why, -EINVAL, "no such direction");
	if (rq->snap_bytes == 0 || rq->snap_bytes > CAPTURE_MAX_BYTES)
		return refuse(why, -EINVAL, "the snap length is from 1 to %u bytes", CAPTURE_MAX_BYTES);
	if (is_mirror != (rq->ring_bytes == 0))
		return refuse(why, -EINVAL, "a capture needs a buffer, a mirror none");
	if (!is_mirror && (rq->ring_bytes < CAPTURE_RING_MIN_BYTES || rq->ring_bytes > CAPTURE_RING_MAX_BYTES ||
			   (rq->ring_bytes & (rq->ring_bytes - 1))))
		return refuse(why, -EINVAL, "the buffer is a power of two from %u KiB to %u KiB", CAPTURE_RING_MIN_BYTES >> 10,
			      CAPTURE_RING_MAX_BYTES >> 10);
	return 0;
}

int capture_filter_load(const struct capture_insn *insns, unsigned nr, struct rte_bpf **out, char why[CAPTURE_WHY_BYTES])
{
	struct bpf_insn copy[CAPTURE_MAX_INSNS];
	struct bpf_program program = {.bf_len = nr, .bf_insns = copy};
	struct rte_bpf_prm *prm;

	memcpy(copy, insns, nr * sizeof(copy[0]));
	if (!bpf_validate(copy, (int)nr))
		return refuse(why, -EINVAL, "the filter is no valid BPF program");
	prm = rte_bpf_convert(&program);
	if (!prm)
		return refuse(why, -EINVAL, "DPDK cannot run this filter: %s", strerror(rte_errno));
	*out = rte_bpf_load(prm);
	rte_free(prm);
	if (!*out)
		return refuse(why, -EINVAL, "DPDK cannot run this filter: %s", strerror(rte_errno));
	return 0;
}
