/*
 * test/fuzz/guest_pcap_fuzz.c - the input is a disk: whatever is on it, reading it as a capture ends.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/guest_pcap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

static int read_input(void *arg, uint64_t at, void *to, size_t len)
{
	const struct input *in = arg;

	if (at > in->size || len > in->size - at)
		abort();
	memcpy(to, in->data + at, len);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest_pcap_reader r;
	static uint8_t packet[PCAP_MAX_PACKET];
	struct input in = {data, size};
	uint64_t bytes = 0;
	uint32_t len;

	if (guest_pcap_open(&r, read_input, &in, size) < 0)
		return 0;
	while (guest_pcap_next(&r, packet, &len) > 0) {
		if (!len || len > PCAP_MAX_PACKET)
			abort();
		bytes += len + 16;
	}
	if (bytes > size)
		abort();
	return 0;
}
