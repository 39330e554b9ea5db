/*
 * test/unit/disk_guest_test.c - a program that becomes the guest whose disks it uses, in a box with a bare back end.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "box.h"
#include "frontends/disk_guest.h"
#include "raw_back.h"

#define DEVID 51712u
#define NR_SECTORS 8192u
#define QUEUES 2u

static struct box box;
static domid_t domid;
static struct raw_back back;
static uint8_t disk[NR_SECTORS * 512];

static int start(void **state)
{
	box_start(&box);
	domid = box_create(&box, "a", 16384);
	box_add_vbd(&box, domid, DEVID, "/nowhere", "w");
	return toolstack_domain_unpause(box.dom0, domid);
}

static int stop(void **state)
{
	box_wait_gone(&box, domid);
	box_stop(&box);
	return 0;
}

static void serve(struct raw_back *b)
{
	raw_back_write(b, "multi-queue-max-queues", "2");
	raw_back_write(b, "feature-max-indirect-segments", "32");
	raw_back_state(b, XenbusStateInitWait);
	if (!raw_back_wait_front(b, XenbusStateInitialised))
		return;
	raw_back_connect_vbd(b);
	raw_back_write(b, "sectors", "8192");
	raw_back_write(b, "sector-size", "512");
	raw_back_write(b, "info", "0");
	raw_back_state(b, XenbusStateConnected);
	raw_back_serve_disk(b, disk, NR_SECTORS);
}

static struct disk_guest *open_guest(void)
{
	const struct hv_options opt = {.run_dir = box.run_dir, .attach = "a"};
	char why[DISK_GUEST_WHY_BYTES];
	struct disk_guest *g = NULL;

	raw_back_start(&back, box_open_dom0(&box), "vbd", domid, DEVID, serve, NULL);
	assert_int_equal(disk_guest_open(&opt, &g, why), 0);
	return g;
}

struct worker {
	pthread_t thread;
	struct disk_guest *g;
	struct blkfront_queue *q;
	bool has_own_memory; /* not the domain's: through the pool */
	unsigned wrong;
};

static int run(struct blkfront_queue *q, struct blkfront_request *req)
{
	struct blkfront_request *done;
	int rc = -EAGAIN;

	while (rc == -EAGAIN) {
		if (!blkfront_enter(q))
			continue;
		rc = blkfront_submit(q, req);
		if (!rc)
			blkfront_push(q);
		blkfront_leave(q);
	}
	for (unsigned n = 0; !rc && !n;) {
		if (blkfront_queue_wait(q, 10000) == -ENODEV)
			return -ENODEV;
		if (!blkfront_enter(q))
			continue;
		n = blkfront_poll(q, &done, 1);
		blkfront_leave(q);
	}
	return rc ? rc : req->status;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint8_t *data = w->has_own_memory ? malloc(65536) : disk_guest_alloc(w->g, 65536);

	for (unsigned round = 0; round < 300; round++) {
		struct blkfront_request req = {.op = BLKIF_OP_WRITE, .sector = w->q->index * 4096u + round * 8,
					       .nr_sectors = 1 + round % 128, .data = data};

		memset(data, (int)round, 65536);
		w->wrong += run(w->q, &req) != 0;
		memset(data, 0, 65536);
		req.op = BLKIF_OP_READ;
		w->wrong += run(w->q, &req) != 0;
		w->wrong += data[0] != (uint8_t)round || data[req.nr_sectors * 512 - 1] != (uint8_t)round;
	}
	if (w->has_own_memory)
		free(data);
	else
		disk_guest_free(w->g, data, 65536);
	return NULL;
}

static void each_thread_uses_a_queue_of_its_own(void **state)
{
	const struct blkfront_options opt = {.max_queues = QUEUES, .has_foreign_data = true};
	char why[DISK_GUEST_WHY_BYTES];
	struct disk_guest *g = open_guest();
	struct worker w[QUEUES];
	struct blkfront *bf;

	assert_int_equal(disk_guest_attach(g, "xvda", &opt, &bf, why), 0);
	assert_int_equal(bf->nr_queues, QUEUES);
	for (unsigned i = 0; i < QUEUES; i++) {
		w[i] = (struct worker){.g = g, .q = blkfront_get_queue(bf, i), .has_own_memory = i};
		assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	for (unsigned i = 0; i < QUEUES; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].wrong, 0);
	}
	disk_guest_close(g);
	raw_back_stop(&back);
}

static void what_cannot_be_is_told_in_a_sentence(void **state)
{
	const struct hv_options none = {.run_dir = box.run_dir, .attach = "none"}, again = {.run_dir = box.run_dir, .attach = "a"};
	const struct blkfront_options opt = {0}, wrong = {.max_ring_order = 9};
	char why[DISK_GUEST_WHY_BYTES];
	struct disk_guest *g, *other;
	struct blkfront *bf;

	assert_int_equal(disk_guest_open(&none, &other, why), -ESRCH);
	assert_non_null(strstr(why, "none"));
	g = open_guest();
	assert_int_equal(disk_guest_open(&again, &other, why), -EBUSY);
	assert_non_null(strstr(why, "'a'"));
	assert_int_equal(disk_guest_attach(g, "xvdb", &opt, &bf, why), -ENOENT);
	assert_non_null(strstr(why, "xvdb does not exist"));
	assert_int_equal(disk_guest_attach(g, "floppy", &opt, &bf, why), -EINVAL);
	assert_non_null(strstr(why, "not the name of a disk"));
	assert_int_equal(disk_guest_attach(g, "xvda", &wrong, &bf, why), -EINVAL);
	assert_null(disk_guest_alloc(g, 1u << 30));
	disk_guest_close(g);
	disk_guest_close(NULL);
	raw_back_stop(&back);
}

static void a_domain_that_is_destroyed_ends_all_waiting(void **state)
{
	struct blkfront_request req = {.op = BLKIF_OP_READ, .nr_sectors = 8};
	const struct blkfront_options opt = {.reconnects = true};
	char why[DISK_GUEST_WHY_BYTES];
	struct disk_guest *g = open_guest();
	struct blkfront *bf;

	assert_int_equal(disk_guest_attach(g, "xvda", &opt, &bf, why), 0);
	req.data = disk_guest_alloc(g, 4096);
	assert_non_null(req.data);
	assert_int_equal(toolstack_domain_destroy(box.dom0, domid), 0);
	while (run(blkfront_get_queue(bf, 0), &req) != -ENODEV)
		;
	while (disk_guest_attach(g, "xvdb", &opt, &bf, why) != -ENODEV || !strstr(why, "destroyed this domain"))
		;
	disk_guest_close(g);
	raw_back_stop(&back);
}

#define IN_A_BOX(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_BOX(each_thread_uses_a_queue_of_its_own),
		IN_A_BOX(what_cannot_be_is_told_in_a_sentence),
		IN_A_BOX(a_domain_that_is_destroyed_ends_all_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
