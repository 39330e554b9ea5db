/*
 * hv/domain.c - makes domains, starts and stops them, and takes them apart in stages.
 */
#include "hv/domain.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/conn.h"
#include "hv/console.h"
#include "hv/core.h"
#include "hv/domain_store.h"
#include "hv/log.h"
#include "rings/atomics.h"

#define MAX_PAUSE_COUNT 255u

static struct domain *allocate(struct core *core, domid_t domid)
{
	struct domain *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->core = core;
	d->domid = domid;
	memory_init(&d->ram);
	d->shared.fd = d->private.fd = -1;
	for (unsigned i = 0; i < LOCAL_MAX_VCPUS; i++)
		d->vcpu_fd[i] = -1;
	spawn_init(&d->spawn);
	return d;
}

static void free_parts(struct domain *d)
{
	evtchn_finish(d);
	for (unsigned i = 0; i < LOCAL_MAX_VCPUS; i++)
		if (d->vcpu_fd[i] >= 0)
			close(d->vcpu_fd[i]);
	memory_object_finish(&d->private);
	memory_object_finish(&d->shared);
	memory_finish(&d->ram);
	free(d);
}

int domain_create_dom0(struct core *core, struct domain **out)
{
	struct domain *d = allocate(core, 0);

	if (!d)
		return -ENOMEM;
	d->nr_vcpus = 1;
	/* A guest's network queue keeps some five hundred pages mapped (staging grants); what is not used costs no memory. */
	d->nr_maptrack_frames = DOMAIN_MAX_MAPTRACK_FRAMES / 2;
	d->has_started = true;
	d->ports.limit = LOCAL_MAX_DOM0_PORTS;
	*out = d;
	return 0;
}

static int create_objects(struct domain *d)
{
	uint32_t nr_grants = d->nr_grant_frames * GRANT_ENTRIES_PER_FRAME;
	int err;

	err = memory_object_create(&d->shared, "sluice-shared", pages_to_bytes(1 + d->nr_grant_frames), false);
	if (err)
		return err;
	err = memory_object_create(&d->private, "sluice-private",
				   LOCAL_PRIVATE_ACTIVE_OFFSET + nr_grants * sizeof(struct grant_active), false);
	if (err)
		return err;
	d->shared_sh = d->shared.base;
	d->private_sh = d->private.base;
	d->private_sh->nr_grants = nr_grants;
	d->private_sh->nr_vcpus = d->nr_vcpus;
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		d->vcpu_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (d->vcpu_fd[i] < 0)
			return -errno;
	}
	d->events = (struct evtchn_domain){
		.shared_sh = d->shared_sh,
		.port_vcpu = d->private_sh->port_vcpu,
		.vcpu_polling = d->private_sh->vcpu_polling,
		.vcpu_fd = d->vcpu_fd,
		.nr_vcpus = d->nr_vcpus,
	};
	return 0;
}

/* A domid that nobody has, going round: a number that has just been given up is the last to come again. */
static int choose_domid(struct core *core, domid_t wish, domid_t *out)
{
	if (wish >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	if (wish && core_domain(core, wish))
		return -EEXIST;
	if (core->nr_domains >= core->max_domains)
		return -ENFILE;
	for (unsigned tries = 0; !wish && tries < DOMID_FIRST_RESERVED; tries++) {
		unsigned next = core->last_domid + 1u;

		core->last_domid = (domid_t)(next < DOMID_FIRST_RESERVED ? next : 1);
		if (!core_domain(core, core->last_domid))
			wish = core->last_domid;
	}
	*out = wish;
	return wish ? 0 : -ENFILE;
}

int domain_create(struct core *core, const struct domain_config *config, domid_t wish, struct domain **out)
{
	struct domain *d;
	domid_t domid;
	int err;

	if (config->nr_vcpus < 1 || config->nr_vcpus > LOCAL_MAX_VCPUS || config->nr_grant_frames < 1 ||
	    config->nr_grant_frames > DOMAIN_MAX_GRANT_FRAMES || config->nr_maptrack_frames > DOMAIN_MAX_MAPTRACK_FRAMES ||
	    config->nr_ports > LOCAL_MAX_PORTS)
		return -EINVAL;
	err = choose_domid(core, wish, &domid);
	if (err)
		return err;
	d = allocate(core, domid);
	if (!d)
		return -ENOMEM;
	memcpy(d->uuid, config->uuid, sizeof(d->uuid));
	d->nr_vcpus = config->nr_vcpus;
	d->nr_grant_frames = config->nr_grant_frames;
	d->nr_maptrack_frames = config->nr_maptrack_frames;
	d->ports.limit = config->nr_ports ? config->nr_ports : DOMAIN_DEFAULT_PORTS;
	d->pause_count = 1;
	err = create_objects(d);
	if (!err)
		err = console_create(d);
	if (err) {
		free_parts(d);
		return err;
	}
	core->domain[domid] = d;
	core->nr_domains++;
	*out = d;
	return 0;
}

struct grant_peer domain_grant_peer(const struct domain *d, unsigned slot, domid_t mapper)
{
	return (struct grant_peer){
		.entries_sh = (void *)((uint8_t *)d->shared.base + PAGE_BYTES),
		.active = (void *)((uint8_t *)d->private.base + LOCAL_PRIVATE_ACTIVE_OFFSET),
		.nr_entries = d->nr_grant_frames * GRANT_ENTRIES_PER_FRAME,
		.slot = slot,
		.mapper = mapper,
		.memory = &d->ram.gate,
	};
}

const char *domain_name(const struct domain *d, char *buf, size_t size)
{
	char path[64];
	const char *value;
	unsigned len;

	snprintf(path, sizeof(path), "/local/domain/%u/name", d->domid);
	if (store_read(d->core->store, path, &value, &len) || !len)
		snprintf(buf, size, "domain %u", d->domid);
	else
		snprintf(buf, size, "%.*s", (int)len, value);
	return buf;
}

/* Stops or continues the guest's process, ours or an attached one. */
static void signal_process(struct domain *d, int signo)
{
	int pidfd;

	if (d->spawn.pid) {
		spawn_signal(&d->spawn, signo);
		return;
	}
	/* A test may host guest and core in one process: that must not stop itself. */
	if (!d->conn || !d->conn->pid || d->conn->pid == getpid())
		return;
	pidfd = (int)syscall(SYS_pidfd_open, d->conn->pid, 0);
	if (pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0))
		log_warn("domain %u: its process %d cannot be %s: %s", d->domid, (int)d->conn->pid,
			 signo == SIGSTOP ? "stopped" : "continued", strerror(errno));
	if (pidfd >= 0)
		close(pidfd);
}

int domain_pause(struct domain *d)
{
	if (d->pause_count == MAX_PAUSE_COUNT)
		return -EBUSY;
	if (d->pause_count++ == 0)
		signal_process(d, SIGSTOP);
	return 0;
}

static void process_exited(void *arg, int wait_status)
{
	struct domain *d = arg;
	char name[64];

	domain_name(d, name, sizeof(name));
	if (WIFSIGNALED(wait_status) && d->stage == DOMAIN_ALIVE)
		log_warn("domain %u (%s): its process was killed by signal %d", d->domid, name, WTERMSIG(wait_status));
	else if (WIFEXITED(wait_status) && (WEXITSTATUS(wait_status) || !d->is_shutdown))
		log_info("domain %u (%s): its process exited with status %d", d->domid, name, WEXITSTATUS(wait_status));
	domain_process_gone(d);
}

static void process_said(void *arg, const char *line)
{
	struct domain *d = arg;

	console_line(d, line);
}

/* The program that was loaded becomes the domain. */
static int start_program(struct domain *d)
{
	char name[64], mountpoint[sizeof(d->core->run_dir) + 8];
	struct conn *conn;
	int err, sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return -errno;
	err = conn_create(d->core, sockets[0], d, &conn);
	if (err) {
		close(sockets[0]);
		goto close_socket;
	}
	d->conn = conn;
	d->spawn.exited = process_exited;
	d->spawn.said = process_said;
	d->spawn.arg = d;
	domain_name(d, name, sizeof(name));
	snprintf(mountpoint, sizeof(mountpoint), "%s/empty", d->core->run_dir);
	err = spawn_start(&d->spawn, d->core->loop, sockets[1], name, d->core->run_dir[0] ? mountpoint : "/tmp",
			  pages_to_bytes(memory_end(&d->ram)));
	if (err) {
		d->conn = NULL;
		conn_close(conn);
	}
close_socket:
	close(sockets[1]);
	return err;
}

int domain_unpause(struct domain *d)
{
	int err;

	if (!d->pause_count)
		return -EINVAL;
	if (d->pause_count > 1) {
		d->pause_count--;
		d->creator = NULL; /* it is made, and meant to stay although it does not run yet */
		return 0;
	}
	if (!d->has_started) {
		console_start(d);
		err = d->spawn.kernel_fd >= 0 ? start_program(d) : 0;
		if (err)
			return err;
		d->has_started = true;
		d->creator = NULL;
	} else {
		signal_process(d, SIGCONT);
	}
	d->pause_count = 0;
	if (d->conn && d->conn->state == CONN_HELD)
		conn_admit(d->conn);
	return 0;
}

void domain_shutdown(struct domain *d, unsigned reason)
{
	static const char *const words[] = {"poweroff", "reboot", "suspend", "crash", "watchdog", "soft reset"};
	char name[64];

	if (d->is_shutdown || d->stage != DOMAIN_ALIVE)
		return;
	d->is_shutdown = true;
	d->shutdown_reason = reason;
	loop_remove(d->timer);
	d->timer = NULL;
	console_drain(d);
	log_info("domain %u (%s) has shut down: %s", d->domid, domain_name(d, name, sizeof(name)), words[reason]);
	evtchn_raise_virq(core_domain(d->core, 0), VIRQ_DOM_EXC, 0);
}

void domain_settle(struct domain *d)
{
	if (d->is_shutdown && !d->owner)
		domain_destroy(d);
}

static bool is_mapped(const struct domain *d)
{
	for (unsigned slot = 0; slot < GRANT_MAX_SLOTS; slot++)
		if (d->mapper[slot])
			return true;
	return false;
}

/* No process runs in it any more: everything that others could see goes, but not yet the memory that they map. */
static void killed(struct domain *d)
{
	struct core *core = d->core;

	console_drain(d);
	console_destroy(d);
	domain_store_finish(d);
	evtchn_close_all(d);
	d->stage = DOMAIN_DYING;
	evtchn_raise_virq(core_domain(core, 0), VIRQ_DOM_EXC, 0);
	for (struct conn *conn = core->conns; conn; conn = conn->next) {
		if (conn->wait_destroyed != d)
			continue;
		conn->wait_destroyed = NULL;
		conn_complete(conn, 0);
	}
	if (!is_mapped(d))
		domain_free(d);
}

void domain_destroy(struct domain *d)
{
	struct conn *conn = d->conn;

	if (d->stage != DOMAIN_ALIVE)
		return;
	d->stage = DOMAIN_KILLING;
	store_release(&d->private_sh->dying, 1); /* pairs with a back end's look before it uses the domain again */
	loop_remove(d->timer);
	d->timer = NULL;
	d->conn = NULL;
	d->owner = d->creator = NULL;
	if (conn)
		conn_close(conn);
	if (d->spawn.pid)
		spawn_signal(&d->spawn, SIGKILL); /* killed() runs when it is dead */
	else
		killed(d);
}

void domain_process_gone(struct domain *d)
{
	struct conn *conn = d->conn;

	if (d->stage == DOMAIN_KILLING) {
		killed(d);
		return;
	}
	/* What it sent before its end counts: a shutdown with its reason, as a rule. */
	if (conn)
		conn_drain(conn);
	if (d->conn) {
		d->conn = NULL;
		conn_close(conn);
	}
	domain_shutdown(d, SHUTDOWN_crash);
	domain_settle(d);
}

/* What one domain loses with the connection. It may be freed by it. */
static void leave_domain(struct domain *d, struct conn *conn)
{
	struct core *core = d->core;
	domid_t domid = d->domid;

	for (unsigned slot = 0; slot < GRANT_MAX_SLOTS; slot++)
		if (d->mapper[slot] == conn) {
			domain_unmap(d, slot);
			break;
		}
	if (!core_domain(core, domid))
		return;
	if (d->owner == conn)
		d->owner = NULL;
	if (d->creator == conn)
		domain_destroy(d);
	else if (d->stage == DOMAIN_ALIVE)
		domain_settle(d);
}

void domain_conn_gone(struct core *core, struct conn *conn)
{
	struct domain *d, *next;

	for (d = core_next_domain(core, 1); d; d = next) {
		next = core_next_domain(core, d->domid + 1u);
		leave_domain(d, conn);
	}
}

/*
 * Undoes what the slot holds; how many entries are left. Only pages of the private object that somebody has written are looked
 * at: touching the others would give each domain 2 MiB of zeros.
 */
static unsigned revoke_slot(struct domain *d, unsigned slot)
{
	struct grant_peer peer = domain_grant_peer(d, slot, 0);
	off_t at = LOCAL_PRIVATE_ACTIVE_OFFSET, end;
	unsigned nr_left = 0;

	while ((at = lseek(d->private.fd, at, SEEK_DATA)) >= 0 && (end = lseek(d->private.fd, at, SEEK_HOLE)) > at) {
		size_t first = ((size_t)at - LOCAL_PRIVATE_ACTIVE_OFFSET) / sizeof(struct grant_active);

		nr_left += grant_map_revoke_slot(&peer, slot, (grant_ref_t)first,
						 (uint32_t)((size_t)(end - at) / sizeof(struct grant_active)));
		at = end;
	}
	return nr_left;
}

unsigned domain_revoke_slots(struct domain *d)
{
	unsigned before;

	/* One slot may wait for a lock that another one died with: on as long as it gets us further. */
	do {
		before = d->unrevoked;
		for (unsigned slot = 0; slot < GRANT_MAX_SLOTS; slot++)
			if ((d->unrevoked & 1u << slot) && revoke_slot(d, slot) == 0)
				d->unrevoked &= ~(1u << slot);
	} while (d->unrevoked && d->unrevoked != before);
	return d->unrevoked;
}

void domain_unmap(struct domain *d, unsigned slot)
{
	d->mapper[slot] = NULL;
	d->unrevoked |= 1u << slot;
	domain_revoke_slots(d);
	if (d->stage == DOMAIN_DYING && !is_mapped(d))
		domain_free(d);
}

void domain_free(struct domain *d)
{
	struct core *core = d->core;

	loop_remove(d->timer);
	spawn_finish(&d->spawn);
	console_destroy(d);
	if (d->store_port)
		domain_store_release(d);
	if (!domain_is_dom0(d)) {
		core->domain[d->domid] = NULL;
		core->nr_domains--;
	}
	free_parts(d);
}
