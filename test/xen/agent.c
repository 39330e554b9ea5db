/*
 * test/xen/agent.c - commands for a guest, carried by the store: Domain-0 asks, the guest runs and answers.
 *
 *      xen-agent serve                        in the guest: for ever
 *      xen-agent ask DOMID SECONDS COMMAND    in Domain-0: prints what COMMAND printed, exits as it did
 *
 *      /local/domain/<id>/data/command        Domain-0 writes "number command"
 *      /local/domain/<id>/data/answer         the guest writes "number status" and the output's end behind a newline
 *
 * The console would do as well, but what a kernel prints mixes with it.
 *
 * Fails    ask: 124 no answer in time, 125 the guest is gone, 126 the store cannot be reached.
 * Spec     docs/misc/xenstore-paths of Xen (~/data).
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xenstore.h>

#define OUTPUT_BYTES 1800 /* xenstored lets a guest write 2,048 bytes into a node */

enum { ASK_LATE = 124, ASK_GONE = 125, ASK_NO_STORE = 126 };

/* ---- in the guest ----------------------------------------------------------------------------------------------- */

/* Keeps the last OUTPUT_BYTES of what the command prints. Returns its exit status. */
static int run(const char *command, char output[OUTPUT_BYTES + 1])
{
	FILE *from = popen(command, "r");
	size_t have = 0, n;
	int status;

	if (!from)
		return ASK_NO_STORE;
	for (char piece[512]; (n = fread(piece, 1, sizeof(piece), from)) > 0;) {
		size_t excess = have + n > OUTPUT_BYTES ? have + n - OUTPUT_BYTES : 0;

		memmove(output, output + excess, have - excess);
		have -= excess;
		memcpy(output + have, piece, n);
		have += n;
	}
	output[have] = '\0';
	status = pclose(from);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void answer(struct xs_handle *xs, char *request)
{
	char output[OUTPUT_BYTES + 1], text[OUTPUT_BYTES + 64];
	char *command = strchr(request, ' ');
	int status, n;

	if (!command)
		return;
	*command++ = '\0';
	printf("agent %s: %s\n", request, command);
	fflush(stdout);
	status = run(command, output);
	n = snprintf(text, sizeof(text), "%s %d\n%s", request, status, output);
	if (!xs_write(xs, XBT_NULL, "data/answer", text, (unsigned)n))
		perror("agent: data/answer cannot be written");
	printf("agent %s: status %d\n%s", request, status, output);
	fflush(stdout);
}

static int serve(void)
{
	struct xs_handle *xs = xs_open(0);
	char *last = strdup("");
	unsigned n;

	if (!xs || !last || !xs_watch(xs, "data/command", "command")) {
		perror("agent: the store cannot be reached");
		return ASK_NO_STORE;
	}
	for (;;) {
		char **event = xs_read_watch(xs, &n);
		char *request = event ? xs_read(xs, XBT_NULL, "data/command", &n) : NULL;

		free(event);
		if (!request || !strcmp(request, last)) {
			free(request);
			continue;
		}
		free(last);
		last = strdup(request);
		answer(xs, request);
		free(request);
	}
}

/* ---- in Domain-0 ------------------------------------------------------------------------------------------------- */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The answer to request number, without the number; heap; NULL when there is none yet. */
static char *read_answer(struct xs_handle *xs, const char *path, const char *number)
{
	unsigned n;
	char *text = xs_read(xs, XBT_NULL, path, &n);
	size_t length = strlen(number);

	if (!text)
		return NULL;
	if (strncmp(text, number, length) || text[length] != ' ') {
		free(text);
		return NULL;
	}
	memmove(text, text + length + 1, strlen(text + length + 1) + 1);
	return text;
}

static int wait_answer(struct xs_handle *xs, unsigned domid, const char *number, double until)
{
	struct pollfd fd = {.fd = xs_fileno(xs), .events = POLLIN};
	char path[64];
	char *text;
	int status;

	snprintf(path, sizeof(path), "/local/domain/%u/data/answer", domid);
	if (!xs_watch(xs, path, "answer") || !xs_watch(xs, "@releaseDomain", "gone"))
		return ASK_NO_STORE;
	while (!(text = read_answer(xs, path, number))) {
		double left = until - now();

		if (!xs_is_domain_introduced(xs, domid))
			return ASK_GONE;
		if (left <= 0)
			return ASK_LATE;
		if (poll(&fd, 1, (int)(left * 1000) + 1) > 0)
			for (char **event; (event = xs_check_watch(xs));)
				free(event);
	}
	status = atoi(text);
	fputs(strchr(text, '\n') ? strchr(text, '\n') + 1 : "", stdout);
	free(text);
	return status;
}

static int ask(unsigned domid, double seconds, const char *command)
{
	struct xs_handle *xs = xs_open(0);
	char path[64], number[32], *text;
	int n, status = ASK_NO_STORE;

	if (!xs)
		return ASK_NO_STORE;
	snprintf(path, sizeof(path), "/local/domain/%u/data/command", domid);
	snprintf(number, sizeof(number), "%d.%ld", (int)getpid(), (long)(now() * 1000));
	n = asprintf(&text, "%s %s", number, command);
	if (!xs_is_domain_introduced(xs, domid))
		status = ASK_GONE;
	else if (n > 0 && xs_write(xs, XBT_NULL, path, text, (unsigned)n))
		status = wait_answer(xs, domid, number, now() + seconds);
	if (n > 0)
		free(text);
	xs_close(xs);
	return status;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "serve"))
		return serve();
	if (argc == 5 && !strcmp(argv[1], "ask"))
		return ask((unsigned)atoi(argv[2]), atof(argv[3]), argv[4]);
	fputs("usage: xen-agent serve | ask DOMID SECONDS COMMAND\n", stderr);
	return 2;
}
