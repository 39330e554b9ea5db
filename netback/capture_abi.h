/*
 * netback/capture_abi.h - what sluice and sluice-netback say to each other over the socket CAPTURE_SOCKET of the run directory.
 *
 *      sluice                                   sluice-netback
 *      capture_request, filter   -->            checks all of it
 *                                <--            CAPTURE_BEGUN with two fds: ring, eventfd    (or CAPTURE_REFUSED, and the end)
 *                                <--            CAPTURE_CLOCK, each second
 *      end of file               -->            stops
 *                                <--            CAPTURE_ENDED, and the end                   (also by itself: the vif is gone)
 *
 * SOCK_SEQPACKET: a message is whole or wrong. The filter is classic BPF: sluice compiles the expression, so that what is wrong with
 * it is said where it was typed, and sluice-netback gets numbers that it can check, not text to parse.
 */
#ifndef SLUICE_NETBACK_CAPTURE_ABI_H
#define SLUICE_NETBACK_CAPTURE_ABI_H

#include <stdint.h>

#define CAPTURE_SOCKET "netback"
#define CAPTURE_MAGIC 0x31434c53u /* "SLC1" */
#define CAPTURE_ANY_QUEUE UINT32_MAX
#define CAPTURE_MAX_BYTES 65535u /* of a packet */
#define CAPTURE_MAX_INSNS 4096u
#define CAPTURE_NAME_BYTES 64
#define CAPTURE_WHY_BYTES 256

enum { CAPTURE_TX = 1, CAPTURE_RX = 2 }; /* the guest's view */

struct capture_insn {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

struct capture_request {
	uint32_t magic;
	uint32_t directions;
	uint32_t queue;      /* or CAPTURE_ANY_QUEUE */
	uint32_t snap_bytes; /* 1 to CAPTURE_MAX_BYTES */
	uint64_t limit;      /* packets; 0: none */
	uint32_t ring_bytes; /* 0: a mirror */
	uint32_t nr_insns;   /* 0: every packet */
	char vif[CAPTURE_NAME_BYTES];
	char to[CAPTURE_NAME_BYTES]; /* a mirror's port; else "" */
	struct capture_insn insns[];
};

_Static_assert(sizeof(struct capture_insn) == 8 && sizeof(struct capture_request) == 160, "abi");

enum capture_news_kind { CAPTURE_REFUSED, CAPTURE_BEGUN, CAPTURE_CLOCK, CAPTURE_ENDED };

/* Time stamp t is realtime_ns + ((t - tsc) * ns_per_tick_q32 >> 32). */
struct capture_clock {
	uint64_t tsc;
	uint64_t realtime_ns;
	uint64_t ns_per_tick_q32;
};

struct capture_news {
	uint32_t magic;
	uint32_t kind;
	struct capture_clock clock;  /* BEGUN, CLOCK */
	char why[CAPTURE_WHY_BYTES]; /* REFUSED, ENDED: a sentence; "" when it was asked for */
};

#endif
