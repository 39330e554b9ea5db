/*
 * tools/foreground.c - what sluice create does once the domain runs.
 */
#include "tools/foreground.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <xen/sched.h>

#include "tools/terminal.h"

int foreground_prepare(struct foreground *f, struct cmd *cmd, domid_t domid, bool owns, bool with_console)
{
	int err;

	*f = (struct foreground){ .cmd = cmd, .domid = domid, .owns = owns, .console = -1 };
	if (owns) {
		err = hv_evtchn_bind_virq(cmd->hv, VIRQ_DOM_EXC, &f->virq);
		if (!err)
			err = toolstack_domain_own(cmd->hv, domid);
		if (err)
			return cmd_fail("sluiced does not let us wait for domain %u: %s", domid, strerror(-err));
	}
	if (with_console) {
		f->console = toolstack_console_open(cmd->hv, domid);
		if (f->console < 0)
			return cmd_fail("the console of domain %u cannot be opened: %s", domid, strerror(-f->console));
	}
	return 0;
}

static const char *reason_name(const struct toolstack_info *info)
{
	static const char *const names[] = { [SHUTDOWN_poweroff] = "poweroff",
					     [SHUTDOWN_reboot] = "reboot",
					     [SHUTDOWN_suspend] = "suspend",
					     [SHUTDOWN_crash] = "crash",
					     [SHUTDOWN_watchdog] = "watchdog" };

	return info->shutdown_reason < sizeof(names) / sizeof(names[0]) ? names[info->shutdown_reason] : "unknown";
}

/* Has it ended? Then says why, removes it and leaves the exit status; -EAGAIN: it still runs. */
static int take_end(struct foreground *f, const char *name)
{
	struct toolstack_info info;
	int err = cmd_domain_info(f->cmd, f->domid, &info);

	if (err == -ESRCH)
		return cmd_fail("domain %s was destroyed", name);
	if (err)
		return cmd_fail("sluiced does not answer any more: %s", strerror(-err));
	if (!info.shutdown)
		return -EAGAIN;
	toolstack_domain_destroy(f->cmd->hv, f->domid);
	printf("Domain %u (%s) has ended: %s\n", f->domid, name, reason_name(&info));
	return info.shutdown_reason == SHUTDOWN_poweroff ? 0 : 1;
}

/* What the guest printed before it ended, then nothing more. */
static void close_console(struct foreground *f, struct terminal *t, bool drain)
{
	struct pollfd p = { .fd = f->console, .events = POLLIN };

	if (f->console < 0)
		return;
	while (drain && poll(&p, 1, 100) > 0 && terminal_output(t))
		;
	terminal_detach(t);
	close(f->console);
	f->console = -1;
}

static void clear_event(struct foreground *f, int fd)
{
	evtchn_port_t ports[4];

	hv_event_take(f->cmd->hv, fd, ports, 4);
}

enum { FG_CONSOLE, FG_INPUT, FG_EVENT, FG_LOST, FG_NR };

static int serve(struct foreground *f, struct terminal *t, struct pollfd fds[FG_NR], const char *name)
{
	int status;

	if (fds[FG_CONSOLE].revents && !terminal_output(t))
		close_console(f, t, false);
	else if (fds[FG_INPUT].revents && !terminal_input(t))
		close_console(f, t, false);
	if (fds[FG_EVENT].revents) {
		clear_event(f, fds[FG_EVENT].fd);
		status = take_end(f, name);
		if (status != -EAGAIN) {
			close_console(f, t, true);
			return status;
		}
	}
	if (fds[FG_LOST].revents) {
		close_console(f, t, true);
		return cmd_fail("sluiced has gone, and domain %s with it", name);
	}
	return -EAGAIN;
}

static int wait_for_end(struct foreground *f, struct terminal *t, const char *name)
{
	struct pollfd fds[FG_NR] = {
		[FG_EVENT] = { .fd = f->owns ? hv_event_fd(f->cmd->hv, f->virq) : -1, .events = POLLIN },
		[FG_LOST] = { .fd = hv_lost_fd(f->cmd->hv), .events = POLLIN },
	};
	int status = f->owns ? take_end(f, name) : -EAGAIN;

	/* Without -F the console is all there is to wait for. */
	while (status == -EAGAIN && (f->owns || f->console >= 0)) {
		fds[FG_CONSOLE] = (struct pollfd){ .fd = f->console, .events = POLLIN };
		fds[FG_INPUT] = (struct pollfd){ .fd = f->console >= 0 && t->input_on ? STDIN_FILENO : -1, .events = POLLIN };
		if (poll(fds, FG_NR, -1) < 0) {
			if (errno == EINTR)
				continue;
			return cmd_fail("waiting failed: %s", strerror(errno));
		}
		status = serve(f, t, fds, name);
	}
	return status == -EAGAIN ? 0 : status;
}

int foreground_run(struct foreground *f, const char *name)
{
	struct terminal terminal = { .console = -1 };
	int status;

	fflush(stdout);
	if (f->console >= 0)
		terminal_attach(&terminal, f->console);
	status = wait_for_end(f, &terminal, name);
	close_console(f, &terminal, true);
	return status;
}
