/*
 * test/lib/box.h - two domains in a box: a hypervisor core in a thread of the test, and domains in the same process.
 *
 *      struct box box;
 *      struct hv *guest;
 *
 *      box_start(&box);                                     // core, run directory, box.dom0
 *      domid_t domid = box_create(&box, "a", 8192);         // a paused domain of 8 MiB
 *      box_add_vbd(&box, domid, 51712, "/tmp/image", "w");  // device nodes, as the toolstack writes them
 *      guest = box_run(&box, domid, "a");                   // unpauses it; this process becomes the domain
 *      ...                                                  // hv_share(guest, 0, ..), hv_peer_open(box.dom0, domid, ..)
 *      hv_close(guest);                                     // the domain ends, and the core removes it
 *      box_stop(&box);                                      // fails when anything is left behind
 *
 * Guest, Domain-0 and core see one page at one address, so that a sanitizer sees all three. Another Domain-0 process is
 * played by another box_open_dom0. Everything that cannot fail in a healthy tree aborts with a sentence.
 */
#ifndef SLUICE_TEST_BOX_H
#define SLUICE_TEST_BOX_H

#include <pthread.h>
#include <semaphore.h>

#include "hv/hv.h"
#include "hv/toolstack.h"

struct box {
	char run_dir[64];
	struct hv *dom0;
	struct loop *loop;  /* the core's: its thread runs it */
	pthread_t thread;
	sem_t is_up;
	int err;            /* of the core's start */
	unsigned nr_fds;    /* of the process, before */
};

void box_start(struct box *box);
/* Closes box->dom0, stops the core, and checks that no file, fd or domain stays. Guests are closed before. */
void box_stop(struct box *box);
/* The same for a box with one domain, which ends first. guest: NULL if it is closed already. */
void box_end(struct box *box, domid_t domid, struct hv *guest);

struct hv *box_open_dom0(struct box *box);
domid_t box_create(struct box *box, const char *name, uint64_t memory_kib);
domid_t box_create_vcpus(struct box *box, const char *name, uint64_t memory_kib, unsigned vcpus);
/* Unpauses and attaches. */
struct hv *box_run(struct box *box, domid_t domid, const char *name);

/* Nodes of both ends, both Initialising, in one transaction. */
void box_add_vif(struct box *box, domid_t domid, unsigned devid, const char *bridge);
void box_add_vbd(struct box *box, domid_t domid, unsigned devid, const char *params, const char *mode);

/* Waits until the core has no such domain any more (its last mapper may have to let go first). */
void box_wait_gone(struct box *box, domid_t domid);
/* Does the store have this node? */
bool box_has_node(struct box *box, const char *path);
/* Polls an fd: true when it becomes readable within 10 s, false when not. */
bool box_wait_readable(int fd);

#endif
