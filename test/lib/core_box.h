/*
 * test/lib/core_box.h - a hypervisor core and raw clients of it in one thread: the test turns the loop by itself.
 *
 * A client is a socketpair: what it sends is any message a process could send.
 */
#ifndef SLUICE_TEST_CORE_BOX_H
#define SLUICE_TEST_CORE_BOX_H

#include "hv/conn.h"
#include "hv/core.h"
#include "hv/domain.h"

struct core_box {
	struct loop *loop;
	struct core *core;
	char run_dir[64]; /* "": none */
};

/* with_run_dir: a temporary directory with sockets and logs, removed at the end. Aborts when it cannot be had. */
void core_box_init(struct core_box *box, bool with_run_dir);
void core_box_finish(struct core_box *box);
/* Turns the loop until nothing happens any more for a moment. */
void core_box_turn(struct core_box *box);
/* Turns the loop until *flag or until a time that means that it will not. */
bool core_box_until(struct core_box *box, bool (*done)(void *arg), void *arg);

struct core_client {
	struct core_box *box;
	int fd;
	struct local_welcome welcome;
	uint8_t *area; /* where its arguments lie: Domain-0's area, a guest's first extent */
	size_t area_bytes;
	int fds[LOCAL_MAX_FDS]; /* of the last answer */
	unsigned nr_fds;
};

/* Says hello; returns the welcome's status, or -EPIPE when there was no answer. */
int core_client_hello(struct core_box *box, struct core_client *client, enum local_kind kind, const char *name);
void core_client_close(struct core_client *client);
/* Sends bytes as they are; fd goes along when it is not -1. */
void core_client_send(struct core_client *client, const void *message, size_t bytes, int fd);
/* Takes an answer if there is one: its size, 0 at the end, -EAGAIN. The fds of the answer before are closed. */
ssize_t core_client_receive(struct core_client *client, void *message, size_t bytes);
/* A hypercall with these raw arguments; -EPIPE: cut off; -EINPROGRESS: no answer yet. */
long core_client_call(struct core_client *client, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, int fd);
/* A hypercall (cmd, struct): the struct is copied to address 4096 of the area and back. */
long core_client_op(struct core_client *client, uint64_t nr, uint64_t cmd, void *arg, size_t bytes);

/* A domain of 4 MiB with that name, still paused; aborts when it cannot be had. */
struct domain *core_box_domain(struct core_client *dom0, const char *name);
/* It runs, and the client is its process. */
void core_box_attach(struct core_client *dom0, struct domain *d, const char *name, struct core_client *guest);
long core_client_domctl(struct core_client *dom0, unsigned cmd, domid_t domid);

/* What most tests begin with: a core, Domain-0, and a guest that runs. */
struct core_pair {
	struct core_box box;
	struct core_client dom0, guest;
	struct domain *d;
};

/* As core_box_init. */
void core_pair_init(struct core_pair *pair, bool with_run_dir);
void core_pair_finish(struct core_pair *pair);

#endif
