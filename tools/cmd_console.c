/*
 * tools/cmd_console.c - sluice console: attach to a domain's console until it ends or Ctrl-] is typed.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/cmd.h"
#include "tools/terminal.h"

static void relay(struct terminal *t)
{
	struct pollfd fds[2] = { { .fd = t->console, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };

	for (;;) {
		fds[1].fd = t->input_on ? STDIN_FILENO : -1;
		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (fds[0].revents && !terminal_output(t))
			return;
		if (fds[1].revents && !terminal_input(t))
			return;
	}
}

int cmd_console(struct cmd *cmd, int argc, char **argv)
{
	struct terminal terminal;
	domid_t domid;
	int ret, console;

	if (argc != 2 || argv[1][0] == '-')
		return CMD_USAGE;
	ret = cmd_open(cmd);
	if (!ret)
		ret = cmd_find(cmd, argv[1], &domid);
	if (ret)
		return ret;
	if (domid == 0)
		return cmd_fail("Domain-0 has no console here: its messages are sluice dmesg");
	console = toolstack_console_open(cmd->hv, domid);
	if (console < 0)
		return cmd_fail("the console of %s cannot be opened: %s", argv[1], strerror(-console));
	fflush(stdout);
	terminal_attach(&terminal, console);
	relay(&terminal);
	terminal_detach(&terminal);
	close(console);
	return 0;
}
