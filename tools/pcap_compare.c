/*
 * tools/pcap_compare.c - do two captures hold the same frames, byte for byte and in the same order? Times do not count.
 *
 *      pcap-compare [-o COPY] SENT RECEIVED      exit 0: the same; 1: not, with the first difference; 2: a file is no capture
 *
 * RECEIVED may be a disk image that begins with a capture: a record of all zeros ends it. -o writes its frames as a plain capture.
 *
 * Trusts   nothing in the files: libpcap checks lengths.
 */
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct capture {
	const char *path;
	pcap_t *pcap;
	unsigned long frames;
	unsigned long long bytes;
	bool ended;
};

static int capture_open(struct capture *c, const char *path)
{
	char why[PCAP_ERRBUF_SIZE];

	*c = (struct capture){ .path = path, .pcap = pcap_open_offline(path, why) };
	if (c->pcap)
		return 0;
	fprintf(stderr, "pcap-compare: %s\n", why);
	return 2;
}

/* The next frame; NULL header at the end. 0 or an exit status. */
static int capture_next(struct capture *c, struct pcap_pkthdr **header, const u_char **data)
{
	int got = c->ended ? PCAP_ERROR_BREAK : pcap_next_ex(c->pcap, header, data);

	if (got == PCAP_ERROR) {
		fprintf(stderr, "pcap-compare: %s, after frame %lu: %s\n", c->path, c->frames, pcap_geterr(c->pcap));
		return 2;
	}
	if (got != 1 || ((*header)->caplen == 0 && (*header)->len == 0)) {
		*header = NULL;
		c->ended = true;
		return 0;
	}
	c->frames++;
	c->bytes += (*header)->caplen;
	return 0;
}

static int differ(const struct capture *sent, const char *what, unsigned long a, unsigned long b)
{
	printf("frame %lu differs: %s %lu was sent, %lu received\n", sent->frames, what, a, b);
	return 1;
}

static int compare_frame(const struct capture *sent, const struct pcap_pkthdr *sh, const u_char *sd, const struct pcap_pkthdr *rh,
			 const u_char *rd)
{
	if (sh->len != rh->len)
		return differ(sent, "length", sh->len, rh->len);
	if (sh->caplen != rh->caplen)
		return differ(sent, "captured length", sh->caplen, rh->caplen);
	for (bpf_u_int32 i = 0; i < sh->caplen; i++) {
		if (sd[i] != rd[i]) {
			printf("frame %lu differs: byte %u of %u: 0x%02x was sent, 0x%02x received\n", sent->frames, i,
			       sh->caplen, sd[i], rd[i]);
			return 1;
		}
	}
	return 0;
}

static int compare(struct capture *sent, struct capture *received, pcap_dumper_t *copy)
{
	struct pcap_pkthdr *sh, *rh;
	const u_char *sd, *rd;
	int status = 0;

	for (;;) {
		int err = capture_next(sent, &sh, &sd);

		if (!err)
			err = capture_next(received, &rh, &rd);
		if (err)
			return err;
		if (rh && copy)
			pcap_dump((u_char *)copy, rh, rd);
		if (!sh && !rh)
			return status;
		if (sh && rh && !status)
			status = compare_frame(sent, sh, sd, rh, rd);
		else
			status = 1;
	}
}

int main(int argc, char **argv)
{
	struct capture sent, received;
	pcap_dumper_t *copy = NULL;
	const char *copy_path = NULL;
	int opt, status;

	while ((opt = getopt(argc, argv, "o:")) != -1) {
		if (opt != 'o')
			return 2;
		copy_path = optarg;
	}
	if (argc - optind != 2) {
		fprintf(stderr, "usage: pcap-compare [-o COPY] SENT RECEIVED\n");
		return 2;
	}
	status = capture_open(&sent, argv[optind]);
	if (status)
		return status;
	status = capture_open(&received, argv[optind + 1]);
	if (!status && copy_path && !(copy = pcap_dump_open(received.pcap, copy_path))) {
		fprintf(stderr, "pcap-compare: %s\n", pcap_geterr(received.pcap));
		status = 2;
	}
	if (!status) {
		status = compare(&sent, &received, copy);
		if (copy)
			pcap_dump_close(copy);
		printf("%lu frames (%llu bytes) sent, %lu frames (%llu bytes) received: %s\n", sent.frames, sent.bytes,
		       received.frames, received.bytes, status ? "NOT the same" : "the same");
		if (!status && !sent.frames)
			status = 1; /* nothing proves nothing */
	}
	if (received.pcap)
		pcap_close(received.pcap);
	pcap_close(sent.pcap);
	return status;
}
