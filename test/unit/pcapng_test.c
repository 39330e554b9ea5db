/*
 * test/unit/pcapng_test.c - what is written is what libpcap reads, and options hold what they should.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "tools/pcapng.h"

static const volatile sig_atomic_t goes_on;
static const struct pcapng_interface vif = {.name = "vif7.1", .filter = "udp port 53", .snap_bytes = 65535};

static void begin(struct pcapng *p, char path[32])
{
	int fd;

	strcpy(path, "/tmp/pcapng_test.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(pcapng_begin(p, fd, &goes_on, &vif), 0);
}

static void end(struct pcapng *p, const char *path)
{
	pcapng_finish(p);
	close(p->fd);
	unlink(path);
}

static void libpcap_reads_what_was_written(void **state)
{
	static uint8_t bytes[65535];
	char path[32], why[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const uint8_t *data;
	struct pcapng p;
	pcap_t *file;

	begin(&p, path);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	for (uint32_t i = 0; i < 400; i++) {
		struct pcapng_packet packet = {
			.realtime_ns = 1700000000123456789u + i, .bytes = 1 + i * 163, .frame_bytes = 2 + i * 163, .flags = PCAPNG_INBOUND};

		assert_int_equal(pcapng_put(&p, &packet, bytes), 0);
	}
	assert_int_equal(pcapng_put_statistics(&p, &(struct pcapng_statistics){.seen = 500, .accepted = 450, .dropped = 50}), 0);
	assert_int_equal(pcapng_flush(&p), 0);
	file = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, why);
	assert_non_null(file);
	assert_int_equal(pcap_datalink(file), DLT_EN10MB);
	for (uint32_t i = 0; i < 400; i++) {
		assert_int_equal(pcap_next_ex(file, &header, &data), 1);
		assert_int_equal(header->caplen, 1 + i * 163);
		assert_int_equal(header->len, 2 + i * 163);
		assert_int_equal(header->ts.tv_sec, 1700000000);
		assert_int_equal(header->ts.tv_usec, 123456789 + i);
		assert_memory_equal(data, bytes, header->caplen);
	}
	assert_int_equal(pcap_next_ex(file, &header, &data), PCAP_ERROR_BREAK);
	pcap_close(file);
	end(&p, path);
}

/* The option's value in the block of this type; its length or -1. Blocks and options must fit one into the other. */
static int option_of(const uint8_t *file, size_t bytes, uint32_t type, size_t fixed, uint16_t code, uint8_t value[64])
{
	for (size_t at = 0; at < bytes;) {
		uint32_t head[2], tail;

		assert_true(at + 12 <= bytes);
		memcpy(head, file + at, 8);
		assert_true(head[1] % 4 == 0 && at + head[1] <= bytes);
		memcpy(&tail, file + at + head[1] - 4, 4);
		assert_int_equal(tail, head[1]);
		for (size_t o = at + 8 + fixed; head[0] == type && o < at + head[1] - 4;) {
			uint16_t opt[2];

			memcpy(opt, file + o, 4);
			if (opt[0] == code) {
				memcpy(value, file + o + 4, opt[1] < 64 ? opt[1] : 64);
				return opt[1];
			}
			o += 4 + ((opt[1] + 3u) & ~3u);
		}
		at += head[1];
	}
	return -1;
}

static void options_tell_name_resolution_direction_queue_and_drops(void **state)
{
	static uint8_t file[4096];
	struct pcapng_packet packet = {
		.bytes = 60, .frame_bytes = 60, .queue = 5, .flags = PCAPNG_OUTBOUND, .dropped = 0x100000001u};
	uint8_t bytes[60] = {0}, v[64];
	char path[32];
	struct pcapng p;
	ssize_t n;

	begin(&p, path);
	assert_int_equal(pcapng_put(&p, &packet, bytes), 0);
	assert_int_equal(pcapng_put_statistics(&p, &(struct pcapng_statistics){.seen = 9, .accepted = 8, .dropped = 7}), 0);
	assert_int_equal(pcapng_flush(&p), 0);
	n = pread(p.fd, file, sizeof(file), 0);
	assert_true(n > 0);
	assert_int_equal(option_of(file, (size_t)n, 1, 8, 2, v), 6);
	assert_memory_equal(v, "vif7.1", 6);
	assert_int_equal(option_of(file, (size_t)n, 1, 8, 9, v), 1);
	assert_int_equal(v[0], 9);
	assert_int_equal(option_of(file, (size_t)n, 1, 8, 11, v), 12);
	assert_memory_equal(v, "\0udp port 53", 12);
	assert_int_equal(option_of(file, (size_t)n, 6, 20 + 60, 2, v), 4);
	assert_int_equal(v[0], PCAPNG_OUTBOUND);
	assert_int_equal(option_of(file, (size_t)n, 6, 20 + 60, 6, v), 4);
	assert_int_equal(v[0], 5);
	assert_int_equal(option_of(file, (size_t)n, 6, 20 + 60, 4, v), 8);
	assert_memory_equal(v, "\1\0\0\0\1\0\0\0", 8);
	assert_int_equal(option_of(file, (size_t)n, 5, 12, 4, v), 8);
	assert_int_equal(v[0], 9);
	assert_int_equal(option_of(file, (size_t)n, 5, 12, 5, v), 8);
	assert_int_equal(v[0], 7);
	assert_int_equal(option_of(file, (size_t)n, 5, 12, 6, v), 8);
	assert_int_equal(v[0], 8);
	end(&p, path);
}

static void names_and_filters_of_any_length_make_a_file(void **state)
{
	char text[5000], why[PCAP_ERRBUF_SIZE], path[] = "/tmp/pcapng_test.XXXXXX";
	int fd = mkstemp(path);
	struct pcapng p;
	pcap_t *file;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(pcapng_begin(&p, fd, &goes_on, &(struct pcapng_interface){.name = "vif1.0", .filter = text, .snap_bytes = 1}), 0);
	assert_int_equal(pcapng_flush(&p), 0);
	file = pcap_open_offline(path, why);
	assert_non_null(file);
	pcap_close(file);
	end(&p, path);
}

static void a_write_that_fails_is_told_now_and_ever_after(void **state)
{
	int fd = open("/dev/full", O_WRONLY);
	struct pcapng p;

	if (fd < 0)
		skip();
	assert_int_equal(pcapng_begin(&p, fd, &goes_on, &vif), 0);
	assert_int_equal(pcapng_flush(&p), -ENOSPC);
	assert_int_equal(pcapng_flush(&p), -ENOSPC);
	pcapng_finish(&p);
	close(fd);
}

static void after_a_signal_a_pipe_that_nobody_reads_is_given_up(void **state)
{
	static const volatile sig_atomic_t stops = 1;
	static uint8_t bytes[60000];
	struct pcapng_packet packet = {.bytes = sizeof(bytes), .frame_bytes = sizeof(bytes)};
	struct pcapng p;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(pcapng_begin(&p, fds[1], &stops, &vif), 0);
	assert_int_equal(pcapng_flush(&p), 0); /* what a pipe takes is still written */
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pcapng_put(&p, &packet, bytes), 0);
	assert_int_equal(pcapng_flush(&p), -EINTR);
	pcapng_finish(&p);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libpcap_reads_what_was_written),
		cmocka_unit_test(options_tell_name_resolution_direction_queue_and_drops),
		cmocka_unit_test(names_and_filters_of_any_length_make_a_file),
		cmocka_unit_test(after_a_signal_a_pipe_that_nobody_reads_is_given_up),
		cmocka_unit_test(a_write_that_fails_is_told_now_and_ever_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
