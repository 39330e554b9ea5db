/*
 * test/fuzz/store_fuzz.c - the store's wire and requests, as Domain-0 over a socket and as a guest over a ring.
 *
 * Input: steps of one byte that says who and how, then what it needs:
 *   bit 0     the guest, else Domain-0
 *   bits 1-2  0: a message: type, transaction, length, payload   1: raw bytes: length, bytes
 *             2: the client takes its answers   3: the guest's page is scribbled on: offset (2 bytes), value (4 bytes)
 * The store must be whole after every input.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/log.h"
#include "hv/store_conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at, *end;
};

struct rig {
	struct loop *loop;
	struct store *store;
	struct xenstore_domain_interface page;
	int fd; /* Domain-0's end */
};

static unsigned take_byte(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static unsigned take_bytes(struct input *in, void *out, unsigned len)
{
	unsigned n = (size_t)(in->end - in->at) < len ? (unsigned)(in->end - in->at) : len;

	if (n)
		memcpy(out, in->at, n);
	in->at += n;
	return n;
}

static void wake(void *arg)
{
	(void)arg;
}

static int introduce(void *arg, domid_t domid, uint64_t frame, evtchn_port_t port)
{
	struct rig *rig = arg;

	return domid == 1 ? store_introduce(rig->store, 1, &rig->page, wake, NULL) : -ENOENT;
}

static bool domain_exists(void *arg, domid_t domid)
{
	return domid < 4;
}

static void put(struct rig *rig, bool guest, const void *data, unsigned len)
{
	if (guest) {
		store_ring_put(store_ring_requests(&rig->page), data, len);
		store_ring_event(rig->store, 1);
	} else if (rig->fd >= 0 && send(rig->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		/* Full, or ended by the store: either is an answer. */
	}
	loop_run_once(rig->loop, 0);
}

static void take_answers(struct rig *rig, bool guest)
{
	static char answers[65536];
	bool was_full;

	if (!guest) {
		while (recv(rig->fd, answers, sizeof(answers), MSG_DONTWAIT) > 0)
			;
		return;
	}
	if (store_ring_take(store_ring_responses(&rig->page), answers, sizeof(answers), &was_full) > 0)
		store_ring_event(rig->store, 1);
	loop_run_once(rig->loop, 0);
}

static void step(struct rig *rig, struct input *in)
{
	unsigned who = take_byte(in);
	struct xsd_sockmsg header = {0};
	char bytes[sizeof(header) + 256];
	unsigned len, at;
	uint32_t value = 0;

	switch (who >> 1 & 3) {
	case 0:
		header.type = take_byte(in);
		header.tx_id = take_byte(in);
		header.len = take_byte(in);
		len = take_bytes(in, bytes + sizeof(header), header.len);
		header.len = len;
		memcpy(bytes, &header, sizeof(header));
		put(rig, who & 1, bytes, (unsigned)sizeof(header) + len);
		break;
	case 1:
		len = take_bytes(in, bytes, take_byte(in));
		put(rig, who & 1, bytes, len);
		break;
	case 2:
		take_answers(rig, who & 1);
		break;
	case 3:
		at = take_byte(in);
		at = (at << 8 | take_byte(in)) % (sizeof(rig->page) - sizeof(value));
		take_bytes(in, &value, sizeof(value));
		memcpy((char *)&rig->page + at, &value, sizeof(value));
		store_ring_event(rig->store, 1);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct store_quota quota = {.nodes = 30, .watches = 8, .transactions = 3, .memory_bytes = 32768};
	static struct rig rig;
	struct store_hooks hooks = {&rig, introduce, NULL, domain_exists};
	struct input in = {data, data + size};
	int fds[2], ret;

	log_init("store_fuzz", LOG_LEVEL_ERROR);
	memset(&rig, 0, sizeof(rig));
	ret = loop_create(&rig.loop);
	assert(!ret);
	ret = store_create(rig.loop, &hooks, &quota, &rig.store);
	assert(!ret);
	ret = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
	assert(!ret);
	rig.fd = fds[0];
	ret = store_conn_create_socket(rig.store, fds[1]);
	assert(!ret);
	ret = store_write(rig.store, "/local/domain/1", "", 0);
	assert(!ret);
	ret = store_introduce(rig.store, 1, &rig.page, wake, NULL);
	assert(!ret);
	for (unsigned steps = 0; in.at < in.end && steps < 1000; steps++)
		step(&rig, &in);
	ret = store_validate(rig.store);
	assert(!ret);
	store_release_domain(rig.store, 1);
	ret = store_validate(rig.store);
	assert(!ret);
	store_destroy(rig.store);
	loop_destroy(rig.loop);
	close(rig.fd);
	return 0;
}
