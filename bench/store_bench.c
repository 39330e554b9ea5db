/*
 * bench/store_bench.c - the store: reads a second over the socket, pipelined and one at a time through libxenstore; the time from a
 * write to its watch event among 10,000 watches.
 *
 * Runs in  two threads: the server's loop, the client. Rounds of both kinds of reads are interleaved.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xenstore.h>

#include "bench.h"
#include "hv/loop.h"
#include "hv/log.h"
#include "hv/store.h"

#define ROUNDS 5
#define PIPELINED_READS 200000u
#define SYNC_READS 10000u
#define IN_FLIGHT 256u /* of the pipelining client; what it sends at once */
#define WATCHES 10000u
#define FIRES 2000u

struct server {
	struct loop *loop;
	struct store *store;
	pthread_t thread;
	char dir[32], path[64];
};

static void die(const char *what)
{
	fprintf(stderr, "store_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *serve(void *arg)
{
	struct server *s = arg;

	loop_run(s->loop);
	return NULL;
}

static void server_start(struct server *s)
{
	strcpy(s->dir, "/tmp/store_bench.XXXXXX");
	if (!mkdtemp(s->dir))
		die("mkdtemp");
	snprintf(s->path, sizeof(s->path), "%s/xenstored", s->dir);
	if (loop_create(&s->loop) < 0 || store_create(s->loop, NULL, NULL, &s->store) < 0 || store_listen(s->store, s->path) < 0)
		die("store");
	if (pthread_create(&s->thread, NULL, serve, s))
		die("pthread_create");
}

static void server_stop(struct server *s)
{
	loop_stop(s->loop);
	pthread_join(s->thread, NULL);
	store_destroy(s->store);
	loop_destroy(s->loop);
	rmdir(s->dir);
}

static int client_connect(const struct server *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, s->path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	return fd;
}

static void put_all(int fd, const void *data, size_t len)
{
	for (const char *at = data; len;) {
		ssize_t n = write(fd, at, len);

		if (n <= 0)
			die("write");
		at += n;
		len -= (size_t)n;
	}
}

static unsigned put_message(char *out, uint32_t type, const void *payload, unsigned len)
{
	struct xsd_sockmsg header = {.type = type, .len = len};

	memcpy(out, &header, sizeof(header));
	memcpy(out + sizeof(header), payload, len);
	return (unsigned)sizeof(header) + len;
}

/* Messages arrive in a stream; counts those of a type. */
struct counter {
	int fd;
	char in[1 << 16];
	size_t len;
};

static unsigned take_messages(struct counter *c, uint32_t type)
{
	struct xsd_sockmsg header;
	unsigned nr = 0;
	size_t at = 0;
	ssize_t n = read(c->fd, c->in + c->len, sizeof(c->in) - c->len);

	if (n <= 0)
		die("read");
	c->len += (size_t)n;
	while (c->len - at >= sizeof(header)) {
		memcpy(&header, c->in + at, sizeof(header));
		if (c->len - at < sizeof(header) + header.len)
			break;
		if (header.type == XS_ERROR)
			die("an error was answered");
		nr += header.type == type;
		at += sizeof(header) + header.len;
	}
	memmove(c->in, c->in + at, c->len - at);
	c->len -= at;
	return nr;
}

static void wait_messages(struct counter *c, uint32_t type, unsigned nr)
{
	for (unsigned have = 0; have < nr;)
		have += take_messages(c, type);
}

static double pipelined_reads_per_s(int fd)
{
	static const char path[] = "/local/domain/1/device/vif/0/state";
	static char batch[IN_FLIGHT * 64];
	static struct counter c;
	unsigned half = 0, sent = 0, got = 0;
	uint64_t begin = bench_now_ns();

	for (unsigned i = 0; i < IN_FLIGHT / 2; i++)
		half += put_message(batch + half, XS_READ, path, sizeof(path));
	c = (struct counter){.fd = fd};
	while (got < PIPELINED_READS) {
		while (sent < PIPELINED_READS && sent - got <= IN_FLIGHT / 2) {
			put_all(fd, batch, half);
			sent += IN_FLIGHT / 2;
		}
		got += take_messages(&c, XS_READ);
	}
	return got * 1e9 / (double)(bench_now_ns() - begin);
}

static double sync_reads_per_s(struct xs_handle *xs)
{
	uint64_t begin = bench_now_ns();

	for (unsigned i = 0; i < SYNC_READS; i++) {
		unsigned len;
		char *value = xs_read(xs, XBT_NULL, "/local/domain/1/device/vif/0/state", &len);

		if (!value)
			die("xs_read");
		free(value);
	}
	return SYNC_READS * 1e9 / (double)(bench_now_ns() - begin);
}

static void add_watches(struct counter *c)
{
	for (unsigned i = 0; i < WATCHES; i++) {
		char payload[64], message[128];
		int len = snprintf(payload, sizeof(payload), "/local/domain/%u/device/vif/0/state", i + 2) + 1;

		len += snprintf(payload + len, sizeof(payload) - (size_t)len, "t%u", i) + 1;
		put_all(c->fd, message, put_message(message, XS_WATCH, payload, (unsigned)len));
		wait_messages(c, XS_WATCH_EVENT, 1); /* answer first, then the first event */
	}
}

/* One write of another client until its event has come. */
static double watch_fire_us(struct counter *watcher, struct counter *writer)
{
	uint64_t begin = bench_now_ns();

	for (unsigned i = 0; i < FIRES; i++) {
		char payload[64], message[128];
		int len = snprintf(payload, sizeof(payload), "/local/domain/%u/device/vif/0/state", i * 5 % WATCHES + 2) + 1;

		payload[len++] = '4';
		put_all(writer->fd, message, put_message(message, XS_WRITE, payload, (unsigned)len));
		wait_messages(watcher, XS_WATCH_EVENT, 1);
		wait_messages(writer, XS_WRITE, 1);
	}
	return (double)(bench_now_ns() - begin) / 1e3 / FIRES;
}

int main(void)
{
	static struct counter watcher, writer;
	double pipelined[ROUNDS], one_by_one[ROUNDS], fire[ROUNDS];
	struct xs_handle *xs;
	struct server s;
	int fd;

	log_init("store_bench", LOG_LEVEL_WARN);
	server_start(&s);
	setenv("XENSTORED_PATH", s.path, 1);
	xs = xs_open(0);
	if (!xs || !xs_write(xs, XBT_NULL, "/local/domain/1/device/vif/0/state", "4", 1))
		die("xs_open");
	fd = client_connect(&s);
	for (unsigned i = 0; i < ROUNDS; i++) {
		pipelined[i] = pipelined_reads_per_s(fd);
		one_by_one[i] = sync_reads_per_s(xs);
	}
	watcher.fd = client_connect(&s);
	writer.fd = client_connect(&s);
	add_watches(&watcher);
	for (unsigned i = 0; i < ROUNDS; i++)
		fire[i] = watch_fire_us(&watcher, &writer);
	bench_report("core.store_reads_per_s", "reads/s", pipelined, ROUNDS);
	bench_report("core.store_sync_reads_per_s", "reads/s", one_by_one, ROUNDS);
	bench_report("core.store_watch_fire_us", "us", fire, ROUNDS);
	close(fd);
	close(watcher.fd);
	close(writer.fd);
	xs_close(xs);
	server_stop(&s);
	return 0;
}
