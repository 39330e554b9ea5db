/*
 * test/unit/netback_killed_test.c - a vif's queue that is killed at any moment, and the next one goes on: every page that was sent is
 * answered once, every buffer that was posted comes back once and in its order, with a frame that was sent.
 *
 * Each queue runs in a process of its own, with a DPDK of its own, and is killed for real. Rings, journal, grants and the guest's memory
 * are shared with it. It sends what it gets back to the guest, in an order of chance, so that lent pages come back late.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test.h"
#include "vif_box.h"

#define LIVES 12u
#define FRAMES_A_LIFE 300u
#define HELD 8u
#define SENDERS 31u /* data frames to send from; as many to receive in */
#define MAX_BYTES 3000u
#define HEADER 18u /* Ethernet's, and the number */
#define PATIENCE_S 30

struct guest {
	struct vif_box *box;
	uint32_t random;
	uint32_t sent, answered, received;
	bool is_out[SENDERS];
	uint16_t posted[SENDERS]; /* the order of buffers */
	uint32_t post_at, take_at;
};

/* ---- the queue's process ---------------------------------------------------------------------------------------------- */

static void serve(struct vif_box *box, const struct vif_features *features, uint32_t random)
{
	struct rte_mbuf *held[2 * HELD];
	unsigned nr = 0;

	if (vif_box_begin(box, features))
		_exit(1);
	for (;;) {
		nr += vif_tx_burst(box->queue, held + nr, HELD);
		while (nr > HELD || (nr && test_random(&random) % 16 == 0)) {
			unsigned i = test_random(&random) % nr;
			struct rte_mbuf *m = held[i];

			held[i] = held[--nr];
			vif_rx_burst(box->queue, &m, 1);
		}
		if (box->queue->fault)
			_exit(1);
	}
}

/* They begin to serve when they are told to; DPDK's start is behind them by then. */
static pid_t start_queue(struct vif_box *box, const struct vif_features *features, uint32_t seed, int *go)
{
	int fd[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
		close(fd[1]);
		vif_box_start_dpdk();
		if (read(fd[0], &c, 1) != 1)
			_exit(0);
		serve(box, features, seed);
	}
	close(fd[0]);
	*go = fd[1];
	return pid;
}

static void kill_queue(struct guest *g, pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status)); /* and had not given up by itself */
	assert_int_equal(grant_map_revoke_slot(&g->box->grants.peer[0], 0, 0, BOX_ENTRIES), 0); /* as the core does */
}

/* ---- the guest -------------------------------------------------------------------------------------------------------- */

static void fill(uint8_t *frame, uint32_t number, uint32_t bytes)
{
	memset(frame, 0, HEADER);
	memcpy(frame + 14, &number, sizeof(number));
	for (uint32_t i = HEADER; i < bytes; i++)
		frame[i] = vif_box_byte((uint8_t)number, i);
}

static void check(const uint8_t *frame, uint32_t bytes, uint32_t sent)
{
	uint32_t number;

	assert_in_range(bytes, HEADER, MAX_BYTES);
	memcpy(&number, frame + 14, sizeof(number));
	assert_true(number < sent);
	for (uint32_t i = HEADER; i < bytes; i++)
		if (frame[i] != vif_box_byte((uint8_t)number, i))
			fail_msg("byte %u of frame %u is not as it was sent", i, number);
}

static void post(struct guest *g, uint16_t id)
{
	g->posted[g->post_at++ % SENDERS] = id;
	netif_rxr_front_put(&g->box->rx, &(struct netif_rx_request){.id = id, .gref = g->box->ref[SENDERS + id]});
}

static void receive(struct guest *g)
{
	struct netif_rx_response rsp;
	int n = netif_rxr_front_pending(&g->box->rx);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		netif_rxr_front_take(&g->box->rx, &rsp);
		assert_int_equal(rsp.id, g->posted[g->take_at++ % SENDERS]);
		assert_true(rsp.status > 0);
		check(vif_box_page(g->box, SENDERS + rsp.id), (uint32_t)rsp.status, g->sent);
		g->received++;
		post(g, rsp.id);
	}
	netif_rxr_front_push(&g->box->rx);
}

static void take_answers(struct guest *g)
{
	struct netif_tx_response rsp;
	int n = netif_txr_front_pending(&g->box->tx);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		netif_txr_front_take(&g->box->tx, &rsp);
		assert_true(rsp.id < SENDERS && g->is_out[rsp.id]); /* once, and only what is out */
		assert_true(rsp.status == NETIF_RSP_OKAY || rsp.status == NETIF_RSP_DROPPED);
		g->is_out[rsp.id] = false;
		g->answered++;
	}
}

static void send_until(struct guest *g, uint32_t goal)
{
	for (uint16_t id = 0; id < SENDERS && g->sent < goal; id++) {
		uint32_t bytes = HEADER + 46 + test_random(&g->random) % (MAX_BYTES - HEADER - 46);

		if (g->is_out[id])
			continue;
		fill(vif_box_page(g->box, id), g->sent++, bytes);
		g->is_out[id] = true;
		vif_box_put(g->box, g->box->ref[id], 0, (uint16_t)bytes, 0, id);
	}
	netif_txr_front_push(&g->box->tx);
}

static void work(struct guest *g, uint32_t sent)
{
	send_until(g, sent);
	take_answers(g);
	receive(g);
}

static void work_until(struct guest *g, uint32_t sent, uint32_t answered)
{
	time_t end = time(NULL) + PATIENCE_S;

	while (g->sent < sent || g->answered < answered) {
		work(g, sent);
		if (time(NULL) > end)
			fail_msg("%u frames sent, %u answered, and nothing moves", g->sent, g->answered);
	}
}

static void run(struct vif_features features, uint32_t seed)
{
	struct guest g = {.random = seed};
	pid_t pid[LIVES + 1];
	int go[LIVES + 1];

	g.box = mmap(NULL, sizeof(*g.box), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(g.box, MAP_FAILED);
	vif_box_init_shared(g.box);
	for (uint16_t id = 0; id < SENDERS; id++)
		post(&g, id);
	netif_rxr_front_push(&g.box->rx);
	for (unsigned life = 0; life <= LIVES; life++) {
		pid[life] = start_queue(g.box, &features, seed + life, &go[life]);
		features.is_takeover = features.is_resumed = true;
	}
	for (unsigned life = 0; life <= LIVES; life++) {
		assert_int_equal(write(go[life], "g", 1), 1);
		/* All that the one before left open must come back, too. */
		work_until(&g, g.sent + FRAMES_A_LIFE, life < LIVES ? g.answered + FRAMES_A_LIFE / 2 : g.sent + FRAMES_A_LIFE);
		/* In the middle of traffic, but for the last. */
		for (uint32_t rounds = life < LIVES ? test_random(&g.random) % 500 : 0; rounds; rounds--)
			work(&g, UINT32_MAX);
		kill_queue(&g, pid[life]);
		close(go[life]);
	}
	assert_int_equal(g.answered, g.sent);
	assert_true(g.received > 0);
	grant_box_finish(&g.box->grants);
}

static void attached_pages_survive_their_queue(void **state)
{
	run((struct vif_features){.sg = true}, 1);
}

static void copied_pages_survive_their_queue(void **state)
{
	run((struct vif_features){.sg = true, .copies_only = true}, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attached_pages_survive_their_queue),
		cmocka_unit_test(copied_pages_survive_their_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
