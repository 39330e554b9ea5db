/*
 * test/fuzz/ring_fuzz.c - the input is a script: what the peer writes into the shared pages, and when we look.
 *
 *      byte 0          which half: 0 back half, 1 front half, 2 the store's ring
 *      then commands   opcode, arguments: see command()
 *
 * Held against every input: no access outside of the pages (a sanitizer's to see), no more entries than the ring has, own
 * indices moved only by ourselves, a copy never longer than its buffer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rings/blkif.h"
#include "rings/store_ring.h"

enum half { BACK, FRONT, STORE, NR_HALVES };

struct script {
	const uint8_t *at;
	const uint8_t *end;
};

struct ends {
	enum half half;
	uint8_t *area;
	size_t bytes;
	struct blkif_ring_back back;
	struct blkif_ring_front front;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static uint32_t next(struct script *s, unsigned bytes)
{
	uint32_t v = 0;

	while (bytes-- && s->at < s->end)
		v = v << 8 | *s->at++;
	return v;
}

static void look_back(struct ends *e, unsigned most)
{
	int n = blkif_ring_back_pending(&e->back);
	struct blkif_request req;

	must(n == -EPROTO || (n >= 0 && (uint32_t)n <= e->back.mask + 1));
	for (int i = 0; i < n && (unsigned)i < most; i++) {
		blkif_ring_back_take(&e->back, &req);
		must(e->back.req_cons - e->back.rsp_prod <= e->back.mask + 1);
	}
	blkif_ring_back_final_check(&e->back);
}

static void answer_back(struct ends *e, unsigned most)
{
	while (most-- && e->back.rsp_prod != e->back.req_cons)
		blkif_ring_back_put(&e->back, &(struct blkif_response){.status = BLKIF_RSP_ERROR});
	blkif_ring_back_push(&e->back);
}

static void ask_front(struct ends *e, unsigned most)
{
	must(blkif_ring_front_free(&e->front) <= e->front.mask + 1);
	while (most-- && blkif_ring_front_free(&e->front))
		blkif_ring_front_put(&e->front, &(struct blkif_request){.operation = BLKIF_OP_READ});
	blkif_ring_front_push(&e->front);
}

static void look_front(struct ends *e, unsigned most)
{
	int n = blkif_ring_front_pending(&e->front);
	struct blkif_response rsp;

	must(n == -EPROTO || (n >= 0 && (uint32_t)n <= e->front.req_shown - e->front.rsp_cons));
	for (int i = 0; i < n && (unsigned)i < most; i++)
		blkif_ring_front_take(&e->front, &rsp);
	blkif_ring_front_final_check(&e->front);
}

static void move_store(struct ends *e, uint32_t how, uint32_t len)
{
	struct xenstore_domain_interface *sh = (void *)e->area;
	struct store_ring_half h = how & 1 ? store_ring_requests(sh) : store_ring_responses(sh);
	char *buffer = calloc(1, len ? len : 1); /* exactly as long, so that a sanitizer sees one byte more */
	bool was_full;
	int n;

	must(buffer != NULL);
	n = how & 2 ? store_ring_put(h, buffer, len) : store_ring_take(h, buffer, len, &was_full);
	must(n == -EPROTO || (n >= 0 && (uint32_t)n <= len && n <= XENSTORE_RING_SIZE));
	free(buffer);
}

static void poke(struct ends *e, uint32_t at, uint32_t value, unsigned bytes)
{
	at %= (uint32_t)(e->bytes - bytes + 1);
	memcpy(e->area + at, &value, bytes);
}

static void command(struct ends *e, struct script *s)
{
	uint32_t op = next(s, 1) % 6;

	switch (op) {
	case 0: /* anything, anywhere */
		poke(e, next(s, 2), next(s, 1), 1);
		break;
	case 1: /* a word of the head, or one of the store's indices */
		poke(e, (e->half == STORE ? 2048 : 0) + next(s, 1) % 4 * 4, next(s, 4), 4);
		break;
	case 2:
	case 3: /* we look */
		if (e->half == BACK)
			look_back(e, next(s, 1));
		else if (e->half == FRONT)
			look_front(e, next(s, 1));
		else
			move_store(e, op, next(s, 2) % 3000);
		break;
	default: /* we say */
		if (e->half == BACK)
			answer_back(e, next(s, 1));
		else if (e->half == FRONT)
			ask_front(e, next(s, 1));
		else
			move_store(e, op - 4 + (next(s, 1) & 2), next(s, 2) % 3000);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = {data, data + size};
	struct ends e = {.half = next(&s, 1) % NR_HALVES};

	e.bytes = e.half == STORE ? sizeof(struct xenstore_domain_interface) : 2 * PAGE_BYTES;
	must(posix_memalign((void **)&e.area, 64, e.bytes) == 0);
	memset(e.area, 0, e.bytes);
	if (e.half != STORE) {
		blkif_ring_front_init(&e.front, e.area, e.bytes);
		blkif_ring_back_init(&e.back, e.area, e.bytes);
	}
	while (s.at < s.end)
		command(&e, &s);
	free(e.area);
	return 0;
}
