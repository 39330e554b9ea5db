/*
 * tools/guest.c - console lines, devices by name, the request to shut down.
 */
#include "tools/guest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void say(struct guest *g, const char *prefix, const char *fmt, va_list ap)
{
	char line[1024];
	size_t at = (size_t)snprintf(line, sizeof(line), "%s", prefix);
	int n = vsnprintf(line + at, sizeof(line) - at - 1, fmt, ap);

	if (n < 0)
		return;
	at += (size_t)n < sizeof(line) - at - 1 ? (size_t)n : sizeof(line) - at - 2;
	line[at++] = '\n';
	guest_console_write(&g->console, line, at);
}

void guest_say(struct guest *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(g, "", fmt, ap);
	va_end(ap);
}

int guest_fail(struct guest *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(g, "error: ", fmt, ap);
	va_end(ap);
	return 1;
}

void guest_figure(struct guest *g, const char *name, double value, const char *unit)
{
	if (value == (double)(uint64_t)value)
		guest_say(g, "%s %llu %s", name, (unsigned long long)value, unit);
	else
		guest_say(g, "%s %.3f %s", name, value, unit);
}

bool guest_must_stop(struct guest *g)
{
	frontbus_pump(&g->bus);
	return g->bus.is_stopping || g->bus.is_lost;
}

bool guest_number(struct guest *g, const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || v < min || v > max) {
		guest_fail(g, "%s is '%s', but must be a number from %llu to %llu", what, text, (unsigned long long)min,
			   (unsigned long long)max);
		return false;
	}
	*value = v;
	return true;
}

bool guest_take_number(struct guest *g, int *argc, char **argv, const char *name, uint64_t max, uint64_t *value)
{
	int kept = 0;

	for (int i = 0; i < *argc; i++) {
		if (strcmp(argv[i], name)) {
			argv[kept++] = argv[i];
			continue;
		}
		if (i + 1 == *argc)
			return guest_fail(g, "%s needs a number after it", name), false;
		if (!guest_number(g, name, argv[++i], 0, max, value))
			return false;
	}
	*argc = kept;
	return true;
}

void guest_say_not_connected(struct guest *g, const char *kind, const char *name, int rc, const struct handshake *h)
{
	char *why = NULL;

	if (rc == -ECANCELED)
		return; /* asked to end: nothing went wrong */
	if (rc == -ENOENT) {
		guest_fail(g, "%s %s does not exist in this domain; add it to the domain's configuration", kind, name);
		return;
	}
	if (h && store_client_readf(h->store, STORE_NO_TX, &why, "%s/error", h->own_path) < 0)
		why = NULL;
	if (rc == -ETIMEDOUT)
		guest_fail(g, "%s %s: no back end has connected within %d seconds; is it running?", kind, name,
			   GUEST_CONNECT_MS / 1000);
	else
		guest_fail(g, "%s %s cannot be used: %s", kind, name, why ? why : strerror(-rc));
	free(why);
}

struct netfront *guest_open_vif(struct guest *g, const char *devid, const struct netfront_options *opt)
{
	static const struct netfront_options plain = {.busy_poll_us = NETFRONT_BUSY_POLL_US};
	struct netfront *nf = NULL;
	uint64_t id;
	int rc;

	if (!guest_number(g, "VIF", devid, 0, 65535, &id))
		return NULL;
	rc = netfront_create(&g->bus, (unsigned)id, opt ? opt : &plain, &nf);
	if (!rc)
		rc = netfront_wait_connected(nf, GUEST_CONNECT_MS);
	if (!rc)
		return nf;
	guest_say_not_connected(g, "vif", devid, rc, nf ? &nf->handshake : NULL);
	netfront_destroy(nf);
	return NULL;
}
