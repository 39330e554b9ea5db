/*
 * tools/guest.h - what the commands of sluice-guest share: the domain, its devices, its console.
 */
#ifndef SLUICE_TOOLS_GUEST_H
#define SLUICE_TOOLS_GUEST_H

#include "frontends/blkfront.h"
#include "frontends/frontbus.h"
#include "frontends/netfront.h"
#include "tools/guest_console.h"

#define GUEST_CONNECT_MS 30000
#define GUEST_ETHERTYPE 0x88b5 /* IEEE 802: local experiments */

struct guest {
	struct hv *hv;
	struct frontbus bus;
	struct guest_console console;
};

/* A line on the console. */
void guest_say(struct guest *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A figure: "name value unit". */
void guest_figure(struct guest *g, const char *name, double value, const char *unit);
/* One sentence about what went wrong; returns 1, the command's exit code. */
int guest_fail(struct guest *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Hands out store events; true: asked to shut down, or the hypervisor is gone. For busy loops, now and then. */
bool guest_must_stop(struct guest *g);

#define GUEST_MAX_BUSY_POLL_US 1000000

/* Open and connected, or NULL: then the sentence has been said. opt may be NULL: one queue, plain frames. */
struct netfront *guest_open_vif(struct guest *g, const char *devid, const struct netfront_options *opt);
/* ring_order: the largest ring to ask for. */
struct blkfront *guest_open_disk(struct guest *g, const char *name, unsigned ring_order);
struct blkfront *guest_open_disk_with(struct guest *g, const char *name, const struct blkfront_options *opt);
/* Why a device was not connected: what the other end wrote into its error node, or what rc means. */
void guest_say_not_connected(struct guest *g, const char *kind, const char *name, int rc, const struct handshake *h);
/* argv[0] is an option of a disk: takes it, says how many arguments it was; -1: it is none, or wrong, and that was said. */
int guest_disk_option(struct guest *g, int argc, char **argv, struct blkfront_options *opt);
/* What both ends agreed on, as figures. */
void guest_say_disk(struct guest *g, const struct blkfront *bf);
/* Buffers for a disk's requests, granted where the platform can. NULL: no memory. */
void *guest_alloc(struct guest *g, size_t bytes);
void guest_free(struct guest *g, void *pages, size_t bytes);
#define GUEST_MAX_DEVICES 8

/* A whole number in [min, max], or the sentence and false. */
bool guest_number(struct guest *g, const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *value);
/* Takes "--name N" out of the arguments, N at most max; without it *value stays. False: the sentence has been said. */
bool guest_take_number(struct guest *g, int *argc, char **argv, const char *name, uint64_t max, uint64_t *value);

/* ---- the commands: argc and argv are the arguments after the command's name; the result is the exit code ------------- */

int guest_idle(struct guest *g, int argc, char **argv);
int guest_pcap_send(struct guest *g, int argc, char **argv);
int guest_pcap_receive(struct guest *g, int argc, char **argv);
int guest_copy_tree(struct guest *g, int argc, char **argv);
int guest_net_send(struct guest *g, int argc, char **argv);
int guest_net_receive(struct guest *g, int argc, char **argv);
int guest_net_echo(struct guest *g, int argc, char **argv);
int guest_net_ping(struct guest *g, int argc, char **argv);
int guest_net_multicast(struct guest *g, int argc, char **argv);
int guest_tap(struct guest *g, int argc, char **argv);
int guest_blk_bench(struct guest *g, int argc, char **argv);
int guest_blk_verify(struct guest *g, int argc, char **argv);
int guest_blk_info(struct guest *g, int argc, char **argv);
int guest_blk_order(struct guest *g, int argc, char **argv);
int guest_blk_size(struct guest *g, int argc, char **argv);

#endif
