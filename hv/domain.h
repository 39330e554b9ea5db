/*
 * hv/domain.h - a domain, from createdomain to the last mapper's goodbye.
 *
 *      ALIVE    paused, running, or shut down and kept for its toolstack
 *        |  domain_destroy: its process is killed
 *      KILLING  waiting for the process's end
 *        |  ports closed, store ring and nodes removed, console ended
 *      DYING    waiting for Domain-0 processes that still map it (local_private.dying tells them)
 *        |
 *      (freed, the domid can be used again)
 *
 * Owns     memory, ports, process, console, until it is freed.
 * Runs in  the core's thread.
 */
#ifndef SLUICE_HV_DOMAIN_H
#define SLUICE_HV_DOMAIN_H

#include "hv/evtchn.h"
#include "hv/local_abi.h"
#include "hv/memory.h"
#include "hv/spawn.h"

#include <xen/hvm/params.h>
#include <xen/sched.h>

struct conn;
struct console;
struct core;

enum domain_stage { DOMAIN_ALIVE, DOMAIN_KILLING, DOMAIN_DYING };

struct domain_config {
	uint8_t uuid[16];
	unsigned nr_vcpus;           /* 1..LOCAL_MAX_VCPUS */
	unsigned nr_grant_frames;    /* 1..DOMAIN_MAX_GRANT_FRAMES */
	unsigned nr_maptrack_frames;
	unsigned nr_ports;           /* 0: the default */
};

#define DOMAIN_MAX_GRANT_FRAMES 1024u
#define DOMAIN_MAX_MAPTRACK_FRAMES 65536u
#define DOMAIN_DEFAULT_PORTS 1024u

struct domain {
	struct core *core;
	domid_t domid;
	enum domain_stage stage;
	unsigned pause_count;
	bool has_started; /* was unpaused once */
	bool is_shutdown;
	unsigned shutdown_reason;
	uint8_t uuid[16];
	unsigned nr_vcpus;
	unsigned nr_grant_frames;
	unsigned nr_maptrack_frames;

	struct memory ram;
	struct memory_object shared;   /* shared info, then grant frames */
	struct memory_object private;  /* struct local_private, then active grants */
	struct shared_info *shared_sh;
	struct local_private *private_sh; /* Domain-0 can write it too */
	int vcpu_fd[LOCAL_MAX_VCPUS];
	struct evtchn_domain events;
	struct evtchn_table ports;
	uint64_t param[HVM_NR_PARAMS];
	struct loop_source *timer; /* set_timer_op */

	struct conn *conn;    /* the guest process's; NULL: none (yet) */
	struct conn *creator; /* until the first unpause: its end is ours */
	struct conn *owner;   /* keeps us once we have shut down */
	struct conn *mapper[GRANT_MAX_SLOTS];
	unsigned unrevoked; /* bits: slots without a mapper whose pins another one's lock kept from being undone */
	struct spawn spawn;
	struct console *console;
	evtchn_port_t store_port; /* Domain-0's, the core's; 0: not introduced */

	uint64_t console_io_window; /* CONSOLEIO_write: second that console_io_bytes were counted in */
	unsigned console_io_bytes;
};

static inline bool domain_is_dom0(const struct domain *d)
{
	return d->domid == 0;
}

/* Domain-0 itself: no memory, ports are fds. */
int domain_create_dom0(struct core *core, struct domain **out);
/* Paused, without RAM. wish: a domid, or 0 for the next free one. -EINVAL, -EEXIST, -ENFILE (as many as may be). */
int domain_create(struct core *core, const struct domain_config *config, domid_t wish, struct domain **out);

/* A grant peer over this domain's table, for that mapper. */
struct grant_peer domain_grant_peer(const struct domain *d, unsigned slot, domid_t mapper);
/* The name in the store, or "domain <N>"; the buffer is the caller's. */
const char *domain_name(const struct domain *d, char *buf, size_t size);

/* Counted. The first unpause starts the program, or lets a process that waits become the domain. */
int domain_pause(struct domain *d);
int domain_unpause(struct domain *d);
/* The domain has ended by itself, or its process has; it stays as it is until domain_settle. */
void domain_shutdown(struct domain *d, unsigned reason);
/* Destroys a domain that has shut down and that nobody owns. */
void domain_settle(struct domain *d);
void domain_destroy(struct domain *d);
/* A Domain-0 connection ends: slots, ownership, half-built domains. */
void domain_conn_gone(struct core *core, struct conn *conn);
/* Undoes the pins of slots that lost their mapper, as far as nobody else's lock is in the way; the bits of those that are left. */
unsigned domain_revoke_slots(struct domain *d);
/* A mapper gave its slot back: everything it held is released. Frees the domain when it was the last one's wait. */
void domain_unmap(struct domain *d, unsigned slot);
/* The guest's process ended (spawned: its pidfd says so) or closed its connection (attached). */
void domain_process_gone(struct domain *d);
/* Frees at once, whatever stage: the core ends. */
void domain_free(struct domain *d);

#endif
