/*
 * tools/terminal.c - this terminal as a guest's console.
 *
 * Owns     the terminal's settings while attached: one attachment a process.
 */
#include "tools/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static volatile sig_atomic_t is_saved;

static void restore(void)
{
	if (is_saved)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	is_saved = 0;
}

static void restore_and_die(int signo)
{
	restore();
	signal(signo, SIG_DFL);
	raise(signo);
}

void terminal_attach(struct terminal *t, int console)
{
	static const int deadly[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	static bool at_exit;
	struct termios raw;

	*t = (struct terminal){ .console = console, .input_on = true };
	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved) < 0)
		return;
	raw = saved;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST; /* what we print ourselves keeps its line ends */
	if (!at_exit)
		at_exit = atexit(restore) == 0;
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		signal(deadly[i], restore_and_die);
	is_saved = 1;
	t->is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void terminal_detach(struct terminal *t)
{
	restore();
	t->is_raw = false;
	t->input_on = false;
}

static bool write_all(int fd, const char *data, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(fd, data, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		bytes -= (size_t)n;
	}
	return true;
}

bool terminal_input(struct terminal *t)
{
	char data[512], *escape;
	ssize_t n = read(STDIN_FILENO, data, sizeof(data));

	if (n <= 0) {
		t->input_on = n < 0 && (errno == EINTR || errno == EAGAIN);
		return true;
	}
	escape = t->is_raw ? memchr(data, TERMINAL_ESCAPE, (size_t)n) : NULL;
	write_all(t->console, data, escape ? (size_t)(escape - data) : (size_t)n);
	return !escape;
}

bool terminal_output(struct terminal *t)
{
	char data[4096];
	ssize_t n = read(t->console, data, sizeof(data));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false;
	write_all(STDOUT_FILENO, data, (size_t)n);
	return true;
}
