/*
 * test/unit/blkback_killed_test.c - a queue that is killed at any moment, and the next one goes on: every request gets exactly one
 * answer, every block what was last written there.
 *
 * The queue runs in a process of its own and is killed for real. Ring, journal, grants and the guest's memory are shared with it; the
 * engine does its I/O at once, so that nothing of a killed one is still on its way.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blk_guest.h"
#include "test.h"

#define KILLS 150u
#define REQUESTS_A_LIFE 60u

static pid_t start_queue(struct blk_guest *g, bool is_takeover)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	if (is_takeover ? blk_box_attach_queue(&g->box) : blk_box_start_queue(&g->box, 20))
		_exit(1);
	for (;;)
		pause();
}

static void kill_queue(struct blk_guest *g, pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status)); /* and had not given up by itself */
	assert_int_equal(grant_map_revoke_slot(&g->box.grants.peer[0], 0, 0, BOX_ENTRIES), 0); /* as the core does */
}

static void spin(uint32_t turns)
{
	while (turns--)
		cpu_relax();
}

static void run(enum pages_mode mode, uint32_t seed)
{
	struct blk_box_options opt = {.engine = &disk_sync,
				      .sectors = BLK_GUEST_SECTORS,
				      .mode = mode,
				      .nr_persistent = BLK_GUEST_DEPTH,
				      .max_segments = 256,
				      .max_merge_bytes = 128u << 10,
				      .is_shared = true};
	struct blk_guest *g = calloc(1, sizeof(*g));
	unsigned goal = 0;
	pid_t pid;

	assert_non_null(g);
	g->random = seed;
	blk_box_init(&g->box, &opt);
	pid = start_queue(g, false);
	for (unsigned life = 0; life < KILLS; life++) {
		goal += REQUESTS_A_LIFE;
		while (g->nr_sent < goal) {
			blk_guest_send(g, goal);
			if (g->nr_sent < goal)
				blk_guest_receive(g);
		}
		spin(test_random(&g->random) % 4000);
		kill_queue(g, pid);
		pid = start_queue(g, true);
	}
	while (g->nr_in_flight)
		blk_guest_receive(g);
	kill_queue(g, pid);
	blk_box_finish(&g->box);
	free(g);
}

static void mapped_pages_survive_their_queue(void **state)
{
	run(PAGES_MAP, 1);
}

static void copied_pages_survive_their_queue(void **state)
{
	run(PAGES_COPY, 2);
}

static void persistent_pages_survive_their_queue(void **state)
{
	run(PAGES_PERSISTENT, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapped_pages_survive_their_queue),
		cmocka_unit_test(copied_pages_survive_their_queue),
		cmocka_unit_test(persistent_pages_survive_their_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
