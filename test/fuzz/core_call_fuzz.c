/*
 * test/fuzz/core_call_fuzz.c - hypercalls and raw messages of any content, from a guest and from Domain-0, to a core.
 *
 * Input: records of
 *      mode    bit 0: the guest, not Domain-0; bit 1: the bytes are the message itself; bit 2: Domain-0 connects anew first
 *      nr cmd  of the hypercall
 *      where   the argument lies: 0 at 4096, 1 at 0, 2 far away, 3 across the end, else 256 times that
 *      count   third argument
 *      len     and that many bytes of argument
 *
 * Nothing may be left behind: as many files are open afterwards as before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core_box.h"
#include "hv/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct record {
	uint8_t mode, nr, cmd, where, count, len;
};

static uint64_t address_of(const struct core_client *c, uint8_t where)
{
	switch (where) {
	case 0:
		return 4096;
	case 1:
		return 0;
	case 2:
		return UINT64_MAX - 7;
	case 3:
		return c->area_bytes - 8;
	default:
		return where * 256u;
	}
}

static void call(struct core_client *c, const struct record *r, const uint8_t *bytes)
{
	uint64_t at = address_of(c, r->where), arg[3] = {r->cmd, at, r->count};

	if (at < c->area_bytes && r->len <= c->area_bytes - at)
		memcpy(c->area + at, bytes, r->len);
	if (r->nr == __HYPERVISOR_domctl || r->nr == __HYPERVISOR_sysctl)
		arg[0] = at;
	if (r->nr == __HYPERVISOR_set_timer_op)
		arg[0] = r->count;
	if (r->nr == __HYPERVISOR_console_io) {
		arg[1] = r->len;
		arg[2] = at;
	}
	core_client_call(c, r->nr, arg[0], arg[1], arg[2], -1);
}

static void play(struct core_box *box, struct core_client *dom0, struct core_client *guest, const uint8_t *data, size_t size)
{
	struct record r;

	while (size >= sizeof(r)) {
		struct core_client *c;

		memcpy(&r, data, sizeof(r));
		data += sizeof(r);
		size -= sizeof(r);
		if (r.len > size)
			r.len = (uint8_t)size;
		if (r.mode & 4) {
			core_client_close(dom0);
			if (core_client_hello(box, dom0, LOCAL_KIND_DOM0, NULL))
				abort();
		}
		c = r.mode & 1 ? guest : dom0;
		if (r.mode & 2) {
			core_client_send(c, data, r.len, -1);
			core_box_turn(box);
		} else {
			call(c, &r, data);
		}
		data += r.len;
		size -= r.len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct core_client dom0, guest;
	struct core_box box;
	int before = dup(2), after;

	log_init("core_call_fuzz", LOG_LEVEL_ERROR);
	close(before);
	core_box_init(&box, false);
	if (core_client_hello(&box, &dom0, LOCAL_KIND_DOM0, NULL))
		abort();
	core_box_attach(&dom0, core_box_domain(&dom0, "guest"), "guest", &guest);
	play(&box, &dom0, &guest, data, size);
	if (store_validate(box.core->store))
		abort();
	core_client_close(&guest);
	core_client_close(&dom0);
	core_box_finish(&box);
	after = dup(2);
	close(after);
	if (before != after) {
		fprintf(stderr, "a file was left open\n");
		abort();
	}
	return 0;
}
