/*
 * hv/local_abi.h - what sluiced and a local domain's process say to each other.
 *
 *      process                     <run>/hypercall (SOCK_SEQPACKET)                sluiced
 *      local_hello        ------------------------------------------------->
 *                         <-------------------------------------------------  local_welcome + fds
 *      local_call (+ fd)  ------------------------------------------------->
 *                         <-------------------------------------------------  local_return (+ fds)
 *
 * Other sockets in the run directory: xenstored (stream, xs_wire.h).
 *
 * Hypercall arguments lie in memory, as under Xen: an address is a guest-physical byte address for a guest, an offset into
 * the connection's own argument area for a Domain-0 process. Numbers, commands and structs are Xen's; only what Xen's ABI
 * leaves to the architecture (hypercall arch_0 = LOCAL_HYPERCALL) is ours.
 *
 * A domain's memory objects, each a sealed memfd:
 *      extents    RAM                                                            guest rw, Domain-0 rw
 *      shared     page 0: struct shared_info; pages 1..: grant frames (v1)       guest rw, Domain-0 rw
 *      private    struct local_private, then struct grant_active[nr_grants]      Domain-0 rw; the guest never sees it
 */
#ifndef SLUICE_HV_LOCAL_ABI_H
#define SLUICE_HV_LOCAL_ABI_H

#include "grant/gate.h"
#include "grant/grant_map.h"
#include "rings/types.h"

#define LOCAL_MAGIC 0x534c4943u
#define LOCAL_VERSION 1u
#define LOCAL_DEFAULT_RUN_DIR "/run/sluice"
#define LOCAL_HYPERCALL_SOCKET "hypercall"
#define LOCAL_STORE_SOCKET "xenstored"
#define LOCAL_SPAWNED_FD 3
#define LOCAL_MAX_VCPUS 32
#define LOCAL_MAX_PORTS 4096        /* of a guest: the 2-level ABI */
#define LOCAL_MAX_DOM0_PORTS 131072 /* Domain-0's ports are fds, not bits */
#define LOCAL_ARG_BYTES 65536u      /* a Domain-0 connection's argument area */
#define LOCAL_MAX_FDS (GATE_MAX_EXTENTS + 2 + LOCAL_MAX_VCPUS)

enum local_kind { LOCAL_KIND_DOM0 = 0, LOCAL_KIND_SPAWNED = 1, LOCAL_KIND_ATTACH = 2 };

struct local_hello {
	uint32_t magic;
	uint32_t version;
	uint32_t kind;
	char name[64]; /* LOCAL_KIND_ATTACH: the domain's */
};

/*
 * fds, guest: extents[nr_extents], shared, vcpu eventfds[nr_vcpus]. Domain-0: the argument area.
 * Reply of LOCAL_OP_map_domain: extents[nr_extents], shared, vcpu eventfds[nr_vcpus], private.
 */
struct local_welcome {
	int32_t status; /* 0 or -errno; then nothing else counts */
	uint32_t domid;
	uint32_t nr_extents;
	uint32_t nr_vcpus;
	uint32_t nr_grant_frames;    /* quota: frames behind shared's page 0 */
	uint32_t nr_maptrack_frames; /* quota of the mapper: 256 handles each (Xen: 16-byte entries) */
	uint32_t slot;               /* LOCAL_OP_map_domain: this process's slot in grant_active */
	uint32_t reserved;
	uint64_t extent_frames[GATE_MAX_EXTENTS];
};

struct local_call {
	uint64_t nr;
	uint64_t arg[5]; /* cmd first, then addresses, as the Xen hypercall has them */
};

struct local_return {
	int64_t ret;
	uint32_t nr_fds;
	uint32_t reserved;
};

/* ---- the architecture's own hypercall: arg[0] = LOCAL_OP_*, arg[1] = address of its struct ----------------------- */

#define LOCAL_HYPERCALL __HYPERVISOR_arch_0

/* Domain-0: gives the fds of a domain to this process and a slot in its active grants. Struct local_welcome out; domid in. */
#define LOCAL_OP_map_domain 0
/* Domain-0: struct local_domid. Gives the slot back: all it held is released. */
#define LOCAL_OP_unmap_domain 1
/* Domain-0: struct local_load + the kernel's fd. The program that the domain will run once it is unpaused. */
#define LOCAL_OP_load 2
/* Domain-0: struct local_domid; the reply carries a stream socket: the guest's console. Earlier readers are cut off. */
#define LOCAL_OP_console 3
/* Struct local_event_fd. Guest: the fd to write to notify the other end of its port (-EOPNOTSUPP: use EVTCHNOP_send).
 * Domain-0: the fd to read for its own port. */
#define LOCAL_OP_event_fd 4
/* Domain-0: struct local_domid. This connection is the domain's toolstack: when the domain shuts down it stays, in that state,
 * until this connection destroys it or closes. A domain without an owner is destroyed by the core as it shuts down. */
#define LOCAL_OP_own 5

/*
 * Domain-0: struct local_serve. This connection serves devices of that type until it closes: all of them, alone, or some of its choice
 * beside others that do. -EBUSY: another connection serves them. Said again, it replaces what this connection has said of the type.
 */
#define LOCAL_OP_serve 6
#define LOCAL_MAX_SERVED 4 /* types of one connection; -ENOSPC */

struct local_domid {
	uint32_t domid;
};

struct local_load {
	uint32_t domid;
	uint32_t flags;
	char cmdline[2048]; /* NUL-terminated: the guest program's arguments, split at blanks */
};

struct local_serve {
	char type[16]; /* NUL-terminated: vif, vbd */
	uint32_t takes_some;
};

struct local_event_fd {
	evtchn_port_t port;
};

/* ---- the private object ------------------------------------------------------------------------------------------ */

/* S: sluiced, D: any Domain-0 process. */
struct local_private {
	uint32_t nr_grants; /* S, once */
	uint32_t nr_vcpus;  /* S, once */
	uint32_t dying;     /* S: the domain is being destroyed; give it back */
	uint32_t ram_epoch; /* S: counted up after frames were taken away (decrease_reservation) */
	uint32_t vcpu_polling[LOCAL_MAX_VCPUS]; /* S: in SCHEDOP_poll: wake it for masked ports too */
	uint8_t port_vcpu[LOCAL_MAX_PORTS];     /* S: which vcpu a port's events go to */
};

#define LOCAL_PRIVATE_ACTIVE_OFFSET 8192u

_Static_assert(sizeof(struct local_private) <= LOCAL_PRIVATE_ACTIVE_OFFSET, "active grants start on their own page");

/* Most frames a domain's RAM can have: frames are 32-bit in a v1 grant entry. */
#define LOCAL_MAX_FRAMES (UINT64_C(1) << 30)

#endif
