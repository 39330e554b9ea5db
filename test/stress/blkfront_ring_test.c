/*
 * test/stress/blkfront_ring_test.c - blkfront's ring and an honest back end, each in its thread, both asleep when idle.
 *
 * Each block's content is derived from its number and version; a read must give what the last completed write put there.
 */
#include <pthread.h>
#include <unistd.h>

#include "bell.h"
#include "blk_pair.h"
#include "test.h"

#define REQUESTS 20000u
#define FEWER_REQUESTS 5000u
#define WORKERS 16u           /* requests under way; each owns a range of the disk */
#define RANGE_SECTORS 256u

struct two_threads {
	struct blk_pair p;
	int to_back, to_front;
	uint32_t must_stop;
	bool back_is_stuck;
};

static void *back_main(void *arg)
{
	struct two_threads *t = arg;

	while (!load_acquire(&t->must_stop)) {
		if (blk_pair_serve_all(&t->p)) {
			if (blkif_ring_back_push(&t->p.back.native))
				bell_ring(t->to_front);
			continue;
		}
		if (blkif_ring_back_final_check(&t->p.back.native))
			continue;
		if (!bell_sleep(t->to_back)) {
			t->back_is_stuck = true;
			break;
		}
	}
	return NULL;
}

struct worker {
	struct blkfront_request req;
	unsigned index;
	uint32_t version; /* of what its range holds: 0 is zeros */
	uint32_t seed;
};

static void fill(struct worker *w, uint8_t *p, uint64_t sector, uint32_t nr)
{
	for (uint32_t s = 0; s < nr; s++)
		memset(p + s * 512, w->version ? (int)(w->version * 31 + (sector + s)) : 0, 512);
}

/* Writes the whole range with the next version, then reads pieces of it a few times. */
static void next_request(struct two_threads *t, struct worker *w)
{
	uint8_t *buffer = blk_pair_buffer(&t->p, w->index * 40);
	uint32_t kind = test_random(&w->seed) % 4, first, nr;

	if (!kind) {
		w->version++;
		fill(w, buffer, w->index * RANGE_SECTORS, RANGE_SECTORS);
		w->req = (struct blkfront_request){.op = BLKIF_OP_WRITE, .sector = w->index * RANGE_SECTORS,
						   .nr_sectors = RANGE_SECTORS, .data = buffer, .user = w};
		return;
	}
	first = test_random(&w->seed) % RANGE_SECTORS;
	nr = 1 + test_random(&w->seed) % (RANGE_SECTORS - first);
	memset(buffer, 0xee, 1024);
	w->req = (struct blkfront_request){.op = BLKIF_OP_READ, .sector = w->index * RANGE_SECTORS + first, .nr_sectors = nr,
					   .data = buffer + test_random(&w->seed) % 8 * 512, .user = w};
}

static void check(struct worker *w)
{
	static uint8_t want[RANGE_SECTORS * 512];

	assert_int_equal(w->req.status, 0);
	if (w->req.op != BLKIF_OP_READ)
		return;
	fill(w, want, w->req.sector, w->req.nr_sectors);
	assert_memory_equal(want, w->req.data, w->req.nr_sectors * 512);
}

static void run(unsigned nr, unsigned pool_pages, bool is_pool_only, unsigned max_segments)
{
	struct two_threads t = {.to_back = bell_open(), .to_front = bell_open()};
	struct blkfront_request *done[WORKERS];
	static struct worker worker[WORKERS];
	struct worker *waiting[WORKERS];
	unsigned nr_waiting = 0, completed = 0;
	pthread_t back;

	blk_pair_init(&t.p, 0);
	if (pool_pages)
		blk_pair_add_pool(&t.p, pool_pages, is_pool_only);
	if (max_segments > BLKFRONT_SEGMENTS)
		blk_pair_add_lists(&t.p, max_segments);
	assert_int_equal(pthread_create(&back, NULL, back_main, &t), 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		worker[i] = (struct worker){.index = i, .seed = i + 1};
		next_request(&t, &worker[i]);
		waiting[nr_waiting++] = &worker[i];
	}
	while (completed < nr) {
		unsigned n;

		while (nr_waiting && blkfront_ring_submit(&t.p.front, &waiting[nr_waiting - 1]->req) == 0)
			nr_waiting--;
		if (blkfront_ring_push(&t.p.front))
			bell_ring(t.to_back);
		n = blkfront_ring_poll(&t.p.front, done, WORKERS);
		for (unsigned i = 0; i < n; i++) {
			struct worker *w = done[i]->user;

			check(w);
			next_request(&t, w);
			waiting[nr_waiting++] = w;
		}
		completed += n;
		assert_null(t.p.front.broken);
		if (!n && !blkfront_ring_arm(&t.p.front))
			assert_true(bell_sleep(t.to_front));
	}
	store_release(&t.must_stop, 1);
	bell_ring(t.to_back);
	pthread_join(back, NULL);
	assert_false(t.back_is_stuck);
	blkfront_ring_abort(&t.p.front);
	blkfront_ring_poll(&t.p.front, done, WORKERS);
	assert_int_equal(t.p.front.count->held, 0);
	blk_pair_finish(&t.p);
	close(t.to_back);
	close(t.to_front);
}

static void reads_give_what_was_written(void **state)
{
	run(REQUESTS, 0, false, BLKFRONT_SEGMENTS);
}

static void reads_give_what_was_written_through_lists(void **state)
{
	run(FEWER_REQUESTS, 0, false, 32);
}

static void reads_give_what_was_written_through_a_pool(void **state)
{
	run(FEWER_REQUESTS, 100, true, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_give_what_was_written),
		cmocka_unit_test(reads_give_what_was_written_through_lists),
		cmocka_unit_test(reads_give_what_was_written_through_a_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
