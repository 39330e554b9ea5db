/*
 * tools/cmd_capture.c - sluice capture and mirror: a vif's packets into a pcapng file, or to another port of the bridge.
 *
 *      expression --libpcap--> BPF --request--> sluice-netback --ring--> pcapng --> file or standard output
 *
 * Owns     the file it writes. What a packet costs here is paid by this process; the back end never waits for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "hv/clock.h"
#include "tools/capture_client.h"
#include "tools/cmd.h"
#include "tools/pcapng.h"

#define DEFAULT_RING_KIB 16384u
#define BUSY_MS 2 /* while packets come, it looks by itself so often: then nobody has to wake it */

struct capture_options {
	bool is_mirror;
	const char *vif, *to, *file;
	unsigned long snap_bytes, queue, limit, seconds, ring_kib;
	uint32_t directions;
	char *filter; /* heap; "": none */
};

static volatile sig_atomic_t must_stop;
static int stop_fd = -1;

/* The fd ends a wait, the flag a write; without SA_RESTART both return. */
static void on_signal(int signo)
{
	uint64_t one = 1;
	int saved = errno;

	must_stop = 1;
	if (write(stop_fd, &one, sizeof(one)) < 0)
		must_stop = 1;
	errno = saved;
}

/* ---- the command line ------------------------------------------------------------------------------------------- */

static int parse_number(char option, const char *text, unsigned long min, unsigned long max, unsigned long *value)
{
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || *value < min || *value > max)
		return cmd_fail("-%c %s is no number from %lu to %lu", option, text, min, max);
	return 0;
}

static int parse_direction(const char *text, uint32_t *directions)
{
	static const char *const names[] = {[CAPTURE_TX] = "tx", [CAPTURE_RX] = "rx", [CAPTURE_TX | CAPTURE_RX] = "both"};

	for (uint32_t i = CAPTURE_TX; i <= (CAPTURE_TX | CAPTURE_RX); i++)
		if (strcmp(text, names[i]) == 0) {
			*directions = i;
			return 0;
		}
	return cmd_fail("-Q %s is no direction: tx (from the guest), rx (to it) or both", text);
}

static int parse_option(struct capture_options *o, int c)
{
	switch (c) {
	case 'w':
		o->file = optarg;
		return 0;
	case 'Q':
		return parse_direction(optarg, &o->directions);
	case 's':
		return parse_number('s', optarg, 1, CAPTURE_MAX_BYTES, &o->snap_bytes);
	case 'q':
		return parse_number('q', optarg, 0, 65535, &o->queue);
	case 'c':
		return parse_number('c', optarg, 1, ULONG_MAX - 1, &o->limit);
	case 't':
		return parse_number('t', optarg, 1, 31536000, &o->seconds);
	case 'B':
		return parse_number('B', optarg, CAPTURE_RING_MIN_BYTES >> 10, CAPTURE_RING_MAX_BYTES >> 10, &o->ring_kib);
	default:
		return CMD_USAGE;
	}
}

/* What is left are the words of the filter. */
static int join_filter(struct capture_options *o, int argc, char **argv)
{
	size_t bytes = 1;

	for (int i = optind; i < argc; i++)
		bytes += strlen(argv[i]) + 1;
	o->filter = calloc(1, bytes);
	if (!o->filter)
		return cmd_fail("no memory");
	for (int i = optind; i < argc; i++) {
		strcat(o->filter, argv[i]);
		if (i + 1 < argc)
			strcat(o->filter, " ");
	}
	return 0;
}

/* Options may stand before and behind the vif and the port. */
static int parse(struct capture_options *o, int argc, char **argv)
{
	const char **names[] = {&o->vif, &o->to};
	const char *known = o->is_mirror ? "+Q:q:c:t:" : "+w:Q:s:q:c:t:B:";
	unsigned nr_names = o->is_mirror ? 2 : 1;
	int c, ret = 0;

	for (unsigned i = 0; i <= nr_names && !ret; i++) {
		while (!ret && (c = getopt(argc, argv, known)) != -1)
			ret = parse_option(o, c);
		if (ret || i == nr_names)
			break;
		if (optind == argc)
			return CMD_USAGE;
		*names[i] = argv[optind++];
		if (strlen(*names[i]) >= CAPTURE_NAME_BYTES || **names[i] == '\0')
			ret = cmd_fail("'%.80s' is no name of a port", *names[i]);
	}
	if (!ret && !o->is_mirror && !o->file)
		ret = cmd_fail("capture needs -w FILE; - is standard output, as tcpdump -r - reads it");
	return ret ? ret : join_filter(o, argc, argv);
}

/* ---- the request ------------------------------------------------------------------------------------------------ */

static int compile(const char *expression, struct bpf_program *program)
{
	static const char prefix[] = "can't parse filter expression: ";
	pcap_t *p = pcap_open_dead(DLT_EN10MB, CAPTURE_MAX_BYTES);
	const char *why;
	int ret = 0;

	if (!p)
		return cmd_fail("no memory");
	if (pcap_compile(p, program, expression, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		why = pcap_geterr(p);
		if (strncmp(why, prefix, sizeof(prefix) - 1) == 0)
			why += sizeof(prefix) - 1;
		ret = cmd_fail("the filter '%s' makes no sense: %s", expression, why);
	} else if (program->bf_len > CAPTURE_MAX_INSNS) {
		ret = cmd_fail("the filter is too long: it takes %u BPF instructions, %u are allowed", program->bf_len,
			       CAPTURE_MAX_INSNS);
		pcap_freecode(program);
	}
	pcap_close(p);
	return ret;
}

/* The ring takes a power of two: the next one up. */
static uint32_t ring_bytes(unsigned long kib)
{
	uint32_t bytes = CAPTURE_RING_MIN_BYTES;

	while (bytes < kib << 10)
		bytes *= 2;
	return bytes;
}

static int make_request(const struct capture_options *o, struct capture_request **out)
{
	struct bpf_program program = {0};
	struct capture_request *rq;

	if (o->filter[0]) {
		int ret = compile(o->filter, &program);

		if (ret)
			return ret;
	}
	rq = calloc(1, sizeof(*rq) + program.bf_len * sizeof(rq->insns[0]));
	if (rq) {
		*rq = (struct capture_request){
			.magic = CAPTURE_MAGIC,
			.directions = o->directions,
			.queue = (uint32_t)o->queue,
			.snap_bytes = (uint32_t)o->snap_bytes,
			.limit = o->limit,
			.ring_bytes = o->is_mirror ? 0 : ring_bytes(o->ring_kib),
			.nr_insns = program.bf_len,
		};
		strcpy(rq->vif, o->vif);
		strcpy(rq->to, o->to);
		for (unsigned i = 0; i < program.bf_len; i++)
			rq->insns[i] = (struct capture_insn){.code = program.bf_insns[i].code,
							     .jt = program.bf_insns[i].jt,
							     .jf = program.bf_insns[i].jf,
							     .k = program.bf_insns[i].k};
	}
	pcap_freecode(&program);
	*out = rq;
	return rq ? 0 : cmd_fail("no memory");
}

/* ---- packets ---------------------------------------------------------------------------------------------------- */

/* Writes down what is there; returns whether there was anything, or -errno. */
static int drain(struct capture_client *c, struct pcapng *out)
{
	struct capture_record rec;
	const uint8_t *bytes;
	int got, any = 0;

	while ((got = capture_ring_take(&c->ring, &rec, &bytes)) > 0) {
		int err = pcapng_put(out,
				     &(struct pcapng_packet){
					     .realtime_ns = capture_client_time(c, rec.tsc),
					     .dropped = rec.dropped,
					     .bytes = rec.bytes,
					     .frame_bytes = rec.frame_bytes,
					     .queue = rec.queue,
					     .flags = rec.direction == CAPTURE_TX ? PCAPNG_OUTBOUND : PCAPNG_INBOUND,
				     },
				     bytes);

		if (err)
			return err;
		capture_ring_done(&c->ring, &rec);
		any = 1;
	}
	return got < 0 ? got : any;
}

/* Waits for packets, news, a signal, or the time's end. is_busy: not for packets. */
static void wait_for_more(struct capture_client *c, bool is_busy, int64_t until_ms)
{
	struct pollfd fds[] = {{stop_fd, POLLIN, 0}, {c->sock, POLLIN, 0}, {c->wake_fd, POLLIN, 0}};
	int64_t left = until_ms ? until_ms - clock_now_ms() : -1;
	uint64_t count;

	if (until_ms && left < 0)
		left = 0;
	if (is_busy && (left < 0 || left > BUSY_MS))
		left = BUSY_MS;
	if (left > INT_MAX)
		left = INT_MAX;
	if (poll(fds, 3, (int)left) > 0 && fds[2].revents && read(c->wake_fd, &count, sizeof(count)) < 0)
		return; /* somebody has taken it: we look in any case */
	capture_client_hear(c);
}

static bool is_over(const struct capture_client *c, int64_t until_ms)
{
	return must_stop || c->is_ended || load_relaxed(&c->ring.sh->is_over) || (until_ms && clock_now_ms() >= until_ms);
}

/* Until it is over; out: NULL for a mirror. -errno of a write. */
static int run(struct capture_client *c, struct pcapng *out, unsigned long seconds)
{
	int64_t until_ms = seconds ? clock_now_ms() + (int64_t)seconds * 1000 : 0;
	int any = 0;

	while (any >= 0 && !is_over(c, until_ms)) {
		any = out ? drain(c, out) : 0;
		if (any == 0 && out)
			any = pcapng_flush(out);
		if (any == 0 && capture_ring_arm(&c->ring))
			continue;
		if (any >= 0)
			wait_for_more(c, any > 0, until_ms);
	}
	capture_client_stop(c);
	if (out && any >= 0)
		any = drain(c, out);
	return any < 0 ? any : 0;
}

/* ---- what was it? ----------------------------------------------------------------------------------------------- */

static struct pcapng_statistics statistics(const struct capture_client *c)
{
	const struct capture_area *sh = c->ring.sh;

	return (struct pcapng_statistics){
		.seen = load_relaxed(&sh->seen), .accepted = load_relaxed(&sh->accepted), .dropped = load_relaxed(&sh->dropped)};
}

/* One line on standard error, where packets are not. */
static int summary(const struct capture_client *c, const struct capture_options *o)
{
	struct pcapng_statistics s = statistics(c);

	fprintf(stderr, "%s: %llu packets %s%s, %llu dropped, %llu seen%s%s\n", o->vif, (unsigned long long)(s.accepted - s.dropped),
		o->is_mirror ? "mirrored to " : "captured", o->to, (unsigned long long)s.dropped, (unsigned long long)s.seen,
		c->why[0] ? "; " : "", c->why);
	if (c->is_lost)
		return cmd_fail("sluice-netback is gone");
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int write_capture(struct capture_client *c, const struct capture_options *o, int fd)
{
	struct pcapng_interface interface = {.name = o->vif, .filter = o->filter, .snap_bytes = (uint32_t)o->snap_bytes};
	uint64_t begin_ns = now_ns();
	struct pcapng out;
	int err = pcapng_begin(&out, fd, &must_stop, &interface);

	if (!err)
		err = run(c, &out, o->seconds);
	if (!err) {
		struct pcapng_statistics s = statistics(c);

		s.begin_ns = begin_ns;
		s.end_ns = now_ns();
		err = pcapng_put_statistics(&out, &s);
		if (!err)
			err = pcapng_flush(&out);
	}
	pcapng_finish(&out);
	if (err == -EPROTO)
		return cmd_fail("sluice-netback's packets make no sense: sluice is of another version");
	/* A reader that has seen enough, or a signal during a write: the end that was wanted. */
	if (err && err != -EPIPE && err != -EINTR)
		return cmd_fail("%s cannot be written: %s", o->file, strerror(-err));
	if (err)
		strcpy(c->why, "the reader stopped, so not all of them were written");
	return 0;
}

static int capture_to_file(struct capture_client *c, const struct capture_options *o)
{
	bool is_stdout = strcmp(o->file, "-") == 0;
	int fd = is_stdout ? STDOUT_FILENO : open(o->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int ret;

	if (fd < 0)
		return cmd_fail("%s cannot be written: %s", o->file, strerror(errno));
	ret = write_capture(c, o, fd);
	if (!is_stdout && close(fd) < 0 && !ret)
		ret = cmd_fail("%s cannot be written: %s", o->file, strerror(errno));
	return ret;
}

static int take_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (stop_fd < 0 || sigaction(SIGINT, &action, NULL) || sigaction(SIGTERM, &action, NULL) || sigaction(SIGHUP, &action, NULL))
		return cmd_fail("no event source: %s", strerror(errno));
	return 0;
}

static int serve(struct cmd *cmd, const struct capture_options *o)
{
	struct capture_request *rq = NULL;
	char why[CAPTURE_WHY_BYTES];
	struct capture_client c;
	int ret = make_request(o, &rq);

	if (ret)
		return ret;
	ret = take_signals();
	if (ret)
		goto free_request;
	if (capture_client_open(&c, cmd->run_dir, rq, why))
		ret = cmd_fail("%s", why);
	else if (o->is_mirror)
		ret = run(&c, NULL, o->seconds);
	else
		ret = capture_to_file(&c, o);
	if (!ret)
		ret = summary(&c, o);
	capture_client_close(&c);
	close(stop_fd);

free_request:
	free(rq);
	return ret;
}

static int command(struct cmd *cmd, bool is_mirror, int argc, char **argv)
{
	struct capture_options o = {
		.is_mirror = is_mirror,
		.to = "",
		.snap_bytes = CAPTURE_MAX_BYTES,
		.queue = CAPTURE_ANY_QUEUE,
		.ring_kib = DEFAULT_RING_KIB,
		.directions = CAPTURE_TX | CAPTURE_RX,
	};
	int ret;

	optind = 1;
	ret = parse(&o, argc, argv);
	if (!ret && !is_mirror && strcmp(o.file, "-") == 0 && isatty(STDOUT_FILENO))
		ret = cmd_fail("packets are not written to a terminal: use -w FILE, or pipe them into tcpdump -r -");
	if (!ret)
		ret = serve(cmd, &o);
	free(o.filter);
	return ret;
}

int cmd_capture(struct cmd *cmd, int argc, char **argv)
{
	return command(cmd, false, argc, argv);
}

int cmd_mirror(struct cmd *cmd, int argc, char **argv)
{
	return command(cmd, true, argc, argv);
}
