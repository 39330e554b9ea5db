/*
 * hv/console.c - serves a guest's console ring.
 */
#include "hv/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hv/core.h"
#include "hv/domain.h"
#include "hv/hypercall.h"
#include "hv/log.h"
#include "rings/atomics.h"

#include <xen/io/console.h>

#define LOG_MAX_BYTES (UINT64_C(4) << 20) /* then it becomes <log>.1, and a new one begins */
#define OUT_BYTES 2048u
#define IN_BYTES 1024u

struct console {
	struct xencons_interface *page_sh; /* NULL: no ring, or it broke */
	evtchn_port_t port;                /* Domain-0's, the core's */
	uint32_t out_cons, in_prod;        /* our own, never read back */
	int log_fd;
	uint64_t log_bytes;
	char log_path[640];
	int reader_fd;
	struct loop_source *reader;
};

int console_create(struct domain *d)
{
	struct console *con = calloc(1, sizeof(*con));

	if (!con)
		return -ENOMEM;
	con->log_fd = con->reader_fd = -1;
	d->console = con;
	return 0;
}

static void drop_reader(struct console *con)
{
	loop_remove(con->reader);
	con->reader = NULL;
	if (con->reader_fd >= 0)
		close(con->reader_fd);
	con->reader_fd = -1;
}

static void drop_ring(struct domain *d)
{
	struct domain *dom0 = core_domain(d->core, 0);
	struct evtchn *e = d->console->port ? evtchn_find(dom0, d->console->port) : NULL;

	if (e)
		evtchn_close(dom0, e);
	d->console->port = 0;
	d->console->page_sh = NULL;
}

void console_destroy(struct domain *d)
{
	if (!d->console)
		return;
	drop_ring(d);
	drop_reader(d->console);
	if (d->console->log_fd >= 0)
		close(d->console->log_fd);
	free(d->console);
	d->console = NULL;
}

static void open_log(struct console *con)
{
	con->log_fd = open(con->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	con->log_bytes = 0;
	if (con->log_fd < 0) {
		log_warn("cannot write the console log %s: %s", con->log_path, strerror(errno));
		return;
	}
	con->log_bytes = (uint64_t)lseek(con->log_fd, 0, SEEK_END);
}

static void write_log(struct console *con, const char *bytes, size_t n)
{
	char old[sizeof(con->log_path) + 2];

	if (con->log_fd < 0)
		return;
	if (con->log_bytes >= LOG_MAX_BYTES) {
		snprintf(old, sizeof(old), "%s.1", con->log_path);
		close(con->log_fd);
		rename(con->log_path, old);
		open_log(con);
	}
	if (con->log_fd < 0 || write(con->log_fd, bytes, n) >= 0) {
		con->log_bytes += n;
		return;
	}
	log_warn("writing the console log %s: %s; it ends here", con->log_path, strerror(errno));
	close(con->log_fd);
	con->log_fd = -1;
}

/* To the log, and to the reader as far as it keeps up: the log has all of it. */
static void put_out(struct console *con, const char *bytes, size_t n)
{
	write_log(con, bytes, n);
	if (con->reader_fd >= 0 && send(con->reader_fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		drop_reader(con);
}

static void broken(struct domain *d, const char *which)
{
	log_warn("domain %u: impossible index in its console's %s ring; the console is closed", d->domid, which);
	drop_ring(d);
}

static void notify(struct domain *d)
{
	struct domain *dom0 = core_domain(d->core, 0);
	struct evtchn *e = evtchn_find(dom0, d->console->port);

	if (e)
		evtchn_notify(dom0, e);
}

void console_drain(struct domain *d)
{
	struct console *con = d->console;
	char copy[OUT_BYTES];
	uint32_t n;

	if (!con || !con->page_sh)
		return;
	n = load_acquire(&con->page_sh->out_prod) - con->out_cons; /* pairs with the guest's release: bytes before index */
	if (n > OUT_BYTES) {
		broken(d, "out");
		return;
	}
	if (!n)
		return;
	for (uint32_t i = 0; i < n; i++)
		copy[i] = con->page_sh->out[MASK_XENCONS_IDX(con->out_cons + i, con->page_sh->out)];
	con->out_cons += n;
	store_release(&con->page_sh->out_cons, con->out_cons); /* pairs with the guest's acquire: the room is free */
	put_out(con, copy, n);
	notify(d);
}

/* From the reader into the ring, as much as fits. */
static void fill(struct domain *d)
{
	struct console *con = d->console;
	char copy[IN_BYTES];
	uint32_t used;
	ssize_t n;

	if (!con->page_sh || !con->reader)
		return;
	used = con->in_prod - load_acquire(&con->page_sh->in_cons);
	if (used > IN_BYTES) {
		broken(d, "in");
		return;
	}
	if (used == IN_BYTES) {
		loop_set_events(con->reader, 0); /* until the guest has taken some */
		return;
	}
	n = recv(con->reader_fd, copy, IN_BYTES - used, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		drop_reader(con);
		return;
	}
	loop_set_events(con->reader, EPOLLIN);
	if (n < 0)
		return;
	for (ssize_t i = 0; i < n; i++)
		con->page_sh->in[MASK_XENCONS_IDX(con->in_prod + (uint32_t)i, con->page_sh->in)] = copy[i];
	con->in_prod += (uint32_t)n;
	store_release(&con->page_sh->in_prod, con->in_prod); /* pairs with the guest's acquire */
	notify(d);
}

static void guest_event(void *arg)
{
	struct domain *d = arg;

	console_drain(d);
	if (d->console->page_sh && d->console->reader)
		fill(d);
}

static void reader_event(void *arg, uint32_t events)
{
	struct domain *d = arg;
	char waste[256];

	if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN))
		drop_reader(d->console);
	else if (d->console->page_sh)
		fill(d);
	else if (recv(d->console->reader_fd, waste, sizeof(waste), MSG_DONTWAIT) == 0)
		drop_reader(d->console); /* nobody is there to be typed at */
}

static void start_log(struct domain *d)
{
	struct console *con = d->console;
	char name[64];

	if (!d->core->run_dir[0])
		return;
	domain_name(d, name, sizeof(name));
	for (char *p = name; *p; p++)
		if (*p == '/' || *p < ' ')
			*p = '_';
	snprintf(con->log_path, sizeof(con->log_path), "%s/log/guest-%s.log", d->core->run_dir, name);
	open_log(con);
}

void console_start(struct domain *d)
{
	struct console *con = d->console;
	uint64_t port = d->param[HVM_PARAM_CONSOLE_EVTCHN];
	void *page = port ? gate_page(&d->ram.gate, d->param[HVM_PARAM_CONSOLE_PFN]) : NULL;
	int err;

	if (con->log_fd < 0)
		start_log(d);
	if (!page || con->page_sh)
		return;
	err = evtchn_bind_core(d->core, d->domid, (evtchn_port_t)port, guest_event, d, &con->port);
	if (err) {
		log_warn("domain %u has no console: port %u cannot be bound: %s", d->domid, (unsigned)port, strerror(-err));
		return;
	}
	con->page_sh = page;
}

void console_line(struct domain *d, const char *line)
{
	if (!d->console)
		return;
	put_out(d->console, line, strlen(line));
	put_out(d->console, "\n", 1);
}

int console_attach(struct domain *d)
{
	struct console *con = d->console;
	struct loop_source *source;
	int err, fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -errno;
	source = loop_add_fd(d->core->loop, fds[0], EPOLLIN, reader_event, d);
	if (!source) {
		err = -errno;
		close(fds[0]);
		close(fds[1]);
		return err;
	}
	drop_reader(con);
	con->reader_fd = fds[0];
	con->reader = source;
	return fds[1];
}

#define IO_MAX_BYTES 1024u             /* of one call */
#define IO_BYTES_PER_SECOND 8192u      /* of a guest: it must not wash away everybody else's messages */

static bool within_rate(struct domain *d, unsigned bytes)
{
	struct timespec now;

	if (domain_is_dom0(d))
		return true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if ((uint64_t)now.tv_sec != d->console_io_window) {
		d->console_io_window = (uint64_t)now.tv_sec;
		d->console_io_bytes = 0;
	}
	d->console_io_bytes += bytes;
	return d->console_io_bytes <= IO_BYTES_PER_SECOND;
}

/* console_io(cmd, count, address): into the hypervisor's message buffer, each line with its sender. */
long console_hypercall(struct caller *c, const uint64_t arg[5])
{
	char text[IO_MAX_BYTES + 1], prefix[16];
	size_t n = arg[1];

	if (arg[0] == CONSOLEIO_read)
		return 0; /* there is no input of the hypervisor's own */
	if (arg[0] != CONSOLEIO_write)
		return -ENOSYS;
	if (n > INT32_MAX)
		return -EINVAL;
	if (n > IO_MAX_BYTES)
		n = IO_MAX_BYTES;
	if (caller_copy_in(c, text, arg[2], n))
		return -EFAULT;
	if (!within_rate(c->domain, (unsigned)n))
		return -EBUSY;
	while (n && text[n - 1] == '\n')
		n--;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' && text[i] != '\t')
			text[i] = text[i] == '\n' ? '\n' : '?';
	text[n] = '\0';
	snprintf(prefix, sizeof(prefix), "(d%u) ", c->domain->domid);
	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		core_log_put(&c->core->log, prefix, (uint32_t)strlen(prefix));
		core_log_line(&c->core->log, line);
	}
	return 0;
}
