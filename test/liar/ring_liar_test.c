/*
 * test/liar/ring_liar_test.c - either half of a ring, and the store's ring, against a peer that writes anything anywhere.
 *
 * What must hold whatever the peer does: no access outside the area (its ends are watched), never more entries than the
 * ring has, a copy that stays as it was taken, own indices that only we move.
 */
#include <stdlib.h>
#include <string.h>

#include "liar.h"
#include "rings/blkif.h"
#include "rings/store_ring.h"
#include "test.h"

#define ROUNDS 200000u
#define LIES 200000u

/* The area, alone on the heap: AddressSanitizer watches its ends, or, where it is not there, guard bytes do. */
#if defined(__SANITIZE_ADDRESS__)
static const size_t guard = 0;
#else
static const size_t guard = 64;
#endif

struct area {
	uint8_t *raw;
	uint8_t *sh;
	size_t bytes;
};

static struct area area_new(size_t bytes)
{
	struct area a = {.bytes = bytes};

	assert_int_equal(posix_memalign((void **)&a.raw, 64, bytes + 2 * guard), 0);
	memset(a.raw, 0xc3, bytes + 2 * guard);
	a.sh = a.raw + guard;
	memset(a.sh, 0, bytes);
	return a;
}

static void area_free(struct area *a)
{
	for (size_t i = 0; i < guard; i++)
		if (a->raw[i] != 0xc3 || a->raw[guard + a->bytes + i] != 0xc3)
			fail_msg("guard byte %zu was written", i);
	free(a->raw);
}

/* Half of the lies hit the indices, and most of those are near the truth. */
LIAR_CODE static void mutate_ring(void *arg, uint32_t random)
{
	struct area *a = arg;
	volatile uint32_t *index = (volatile uint32_t *)(void *)a->sh + (random >> 8) % 4;
	uint32_t kind = random % 8;

	if (kind < 4)
		((volatile uint8_t *)a->sh)[(random >> 3) % a->bytes] = (uint8_t)(random >> 24);
	else if (kind < 7)
		*index += (random >> 16) % 5 - 2;
	else
		*index = random * 2654435761u;
}

static unsigned checksum(const void *p, size_t n)
{
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + ((const uint8_t *)p)[i];
	return sum;
}

struct tally {
	unsigned nr_taken;
	unsigned nr_eproto;
	unsigned nr_attached;
	unsigned nr_not_attached;
};

/* Another back end takes the ring over with the lies in it, or the device was closed and is connected again. */
static void begin_anew(struct blkif_ring_back *back, struct area *a, uint32_t random, struct tally *t)
{
	struct blkif_ring_back before = *back;

	if (!(random & 2)) {
		blkif_ring_back_init(back, a->sh, a->bytes);
		memset(a->sh, 0, a->bytes);
	} else if (!blkif_ring_back_attach(back, a->sh, a->bytes)) {
		assert_int_equal(back->req_cons, back->rsp_prod);
		t->nr_attached++;
	} else {
		assert_memory_equal(back, &before, sizeof(before));
		t->nr_not_attached++;
	}
}

static void back_round(struct blkif_ring_back *back, struct area *a, uint32_t random, bool is_alone, struct tally *t)
{
	int n = blkif_ring_back_pending(back);

	if (n < 0) {
		assert_int_equal(n, -EPROTO);
		t->nr_eproto++;
		begin_anew(back, a, random, t);
		return;
	}
	assert_in_range(n, 0, back->mask + 1);
	for (int i = 0; i < n; i++) {
		struct blkif_request req;
		unsigned sum;

		blkif_ring_back_take(back, &req);
		sum = checksum(&req, sizeof(req));
		if (is_alone)
			mutate_ring(a, random += 0x9e3779b9u);
		assert_int_equal(checksum(&req, sizeof(req)), sum);
		t->nr_taken++;
		if ((random + (unsigned)i) % 4) {
			blkif_ring_back_put(back, &(struct blkif_response){.id = req.id});
			if (random & 1)
				blkif_ring_back_push(back);
		}
		assert_in_range(back->req_cons - back->rsp_prod, 0, back->mask + 1);
	}
	while (back->rsp_prod != back->req_cons)
		blkif_ring_back_put(back, &(struct blkif_response){.id = 0});
	blkif_ring_back_push(back);
	blkif_ring_back_final_check(back);
}

static void front_round(struct blkif_ring_front *front, struct area *a, uint32_t random, bool is_alone, struct tally *t)
{
	struct blkif_request req = {.id = random};
	uint32_t room = blkif_ring_front_free(front);
	int n;

	assert_in_range(room, 0, front->mask + 1);
	for (uint32_t i = 0; i < room && i < random % 9; i++)
		blkif_ring_front_put(front, &req);
	blkif_ring_front_push(front);
	if (is_alone)
		mutate_ring(a, random * 2654435761u);
	n = blkif_ring_front_pending(front);
	if (n < 0) {
		assert_int_equal(n, -EPROTO);
		t->nr_eproto++;
		blkif_ring_front_init(front, a->sh, a->bytes);
		return;
	}
	assert_in_range(n, 0, front->req_shown - front->rsp_cons);
	for (int i = 0; i < n; i++) {
		struct blkif_response rsp;

		blkif_ring_front_take(front, &rsp);
		t->nr_taken++;
	}
	blkif_ring_front_final_check(front);
}

enum half { FRONT, BACK };

static void run_half(enum half half, unsigned pages, bool is_alone)
{
	struct area a = area_new(pages_to_bytes(pages));
	struct tally t = {0};
	struct blkif_ring_front front;
	struct blkif_ring_back back;
	uint32_t random = 88172645u;
	struct liar liar;

	blkif_ring_front_init(&front, a.sh, a.bytes);
	blkif_ring_back_init(&back, a.sh, a.bytes);
	if (!is_alone)
		liar_start(&liar, mutate_ring, &a);
	for (unsigned i = 0; i < ROUNDS || (!is_alone && !liar_has_told(&liar, LIES)); i++) {
		test_random(&random);
		if (half == FRONT)
			front_round(&front, &a, random, is_alone, &t);
		else
			back_round(&back, &a, random, is_alone, &t);
		if (is_alone)
			mutate_ring(&a, random);
	}
	if (!is_alone)
		liar_stop(&liar);
	/* A test in which nothing got through, or no lie was noticed, would prove nothing. */
	assert_true(!is_alone || t.nr_taken > 100);
	assert_true(!is_alone || t.nr_eproto > 100);
	assert_true(!is_alone || half == FRONT || (t.nr_attached > 10 && t.nr_not_attached > 10));
	area_free(&a);
}

static void back_half_survives_a_lying_front_half(void **state)
{
	run_half(BACK, 1, true);
	run_half(BACK, 4, true);
}

static void front_half_survives_a_lying_back_half(void **state)
{
	run_half(FRONT, 1, true);
	run_half(FRONT, 4, true);
}

static void back_half_survives_lies_told_while_it_reads(void **state)
{
	run_half(BACK, 1, false);
	run_half(BACK, 2, false);
}

static void front_half_survives_lies_told_while_it_reads(void **state)
{
	run_half(FRONT, 1, false);
	run_half(FRONT, 2, false);
}

/* ---- the store's ring ------------------------------------------------------------------------------------------ */

LIAR_CODE static void mutate_store_ring(void *arg, uint32_t random)
{
	struct xenstore_domain_interface *sh = (void *)((struct area *)arg)->sh;
	volatile uint32_t *index[] = {&sh->req_cons, &sh->req_prod, &sh->rsp_cons, &sh->rsp_prod};
	uint32_t kind = random % 8;

	if (kind < 2)
		((volatile uint8_t *)sh)[(random >> 3) % sizeof(*sh)] = (uint8_t)(random >> 24);
	else if (kind < 7)
		*index[(random >> 8) % 4] += (random >> 16) % 1500 - 700;
	else
		*index[(random >> 8) % 4] = random * 2654435761u;
}

static void store_round(struct xenstore_domain_interface *sh, uint8_t *buffer, uint32_t random, unsigned *nr_bytes,
			unsigned *nr_eproto)
{
	struct store_ring_half h = random & 1 ? store_ring_requests(sh) : store_ring_responses(sh);
	uint32_t len = (random >> 8) % 2049;
	bool was_full;
	int n = random & 2 ? store_ring_put(h, buffer, len) : store_ring_take(h, buffer, len, &was_full);

	if (n < 0) {
		assert_int_equal(n, -EPROTO);
		++*nr_eproto;
		store_relaxed(h.cons_sh, load_relaxed(h.prod_sh)); /* as a reconnect would */
		return;
	}
	assert_in_range(n, 0, len < XENSTORE_RING_SIZE ? len : XENSTORE_RING_SIZE);
	*nr_bytes += (unsigned)n;
}

static void run_store(bool is_alone)
{
	struct area a = area_new(sizeof(struct xenstore_domain_interface));
	struct area buffer = area_new(2049);
	unsigned nr_bytes = 0, nr_eproto = 0;
	uint32_t random = 5u;
	struct liar liar;

	if (!is_alone)
		liar_start(&liar, mutate_store_ring, &a);
	for (unsigned i = 0; i < ROUNDS || (!is_alone && !liar_has_told(&liar, LIES)); i++) {
		store_round((void *)a.sh, buffer.sh, test_random(&random), &nr_bytes, &nr_eproto);
		if (is_alone)
			mutate_store_ring(&a, random * 2654435761u);
	}
	if (!is_alone)
		liar_stop(&liar);
	assert_true(!is_alone || (nr_bytes > 1000 && nr_eproto > 100));
	area_free(&buffer);
	area_free(&a);
}

static void store_ring_survives_a_lying_peer(void **state)
{
	run_store(true);
	run_store(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(back_half_survives_a_lying_front_half),
		cmocka_unit_test(front_half_survives_a_lying_back_half),
		cmocka_unit_test(back_half_survives_lies_told_while_it_reads),
		cmocka_unit_test(front_half_survives_lies_told_while_it_reads),
		cmocka_unit_test(store_ring_survives_a_lying_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
