/*
 * tools/sluice-blkback.c - the block back end as a program: arguments, signals, nothing else.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "blkback/blkback.h"
#include "hv/local_abi.h"
#include "hv/log.h"

#define MAX_BUSY_POLL_US 1000000ul

struct options {
	const char *run_dir;
	const char *stats_file;
	int ready_fd;
	enum log_level level;
	struct blkback_options blkback;
};

struct program {
	const struct options *opt;
	struct loop *loop;
	struct hv *hv;
	struct blkback *bb;
	bool is_lost;
};

static const char usage_text[] =
	"usage: sluice-blkback [options]\n"
	"Serves the block devices of all guests.\n"
	"  --run-dir DIR       where sluiced's sockets are (else $SLUICE_RUN_DIR, else /run/sluice)\n"
	"  --engine NAME       io_uring (default), libaio, memory (writes are forgotten)\n"
	"  --direct MODE       O_DIRECT: auto (default), on, off\n"
	"  --busy-poll USEC    look again so long before sleeping (default 20)\n"
	"  --stats-file PATH   write counters there at exit and at SIGUSR1 (else SIGUSR1 prints them)\n"
	"  --ready-fd N        write a line there and close it when devices are served\n"
	"  -v, --verbose       log more\n"
	"  -h, --help          this text\n";

enum { OPT_RUN_DIR = 256, OPT_ENGINE, OPT_DIRECT, OPT_BUSY_POLL, OPT_STATS_FILE, OPT_READY_FD };

static const struct option long_options[] = {
	{"run-dir", required_argument, NULL, OPT_RUN_DIR},
	{"engine", required_argument, NULL, OPT_ENGINE},
	{"direct", required_argument, NULL, OPT_DIRECT},
	{"busy-poll", required_argument, NULL, OPT_BUSY_POLL},
	{"stats-file", required_argument, NULL, OPT_STATS_FILE},
	{"ready-fd", required_argument, NULL, OPT_READY_FD},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int parse_number(const char *what, const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || *value > max) {
		fprintf(stderr, "sluice-blkback: %s %s is no number from 0 to %lu\n", what, text, max);
		return -EINVAL;
	}
	return 0;
}

static int parse_engine(struct options *opt, const char *name)
{
	opt->blkback.engine = disk_engine_find(name);
	if (opt->blkback.engine)
		return 0;
	fprintf(stderr, "sluice-blkback: there is no engine %s: use one of %s\n", name, disk_engine_names());
	return -EINVAL;
}

static int parse_direct(struct options *opt, const char *mode)
{
	static const char *const modes[] = {
		[DISK_DIRECT_AUTO] = "auto", [DISK_DIRECT_ON] = "on", [DISK_DIRECT_OFF] = "off"};

	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(mode, modes[i])) {
			opt->blkback.direct = (enum disk_direct)i;
			return 0;
		}
	fprintf(stderr, "sluice-blkback: --direct %s is unknown: use auto, on or off\n", mode);
	return -EINVAL;
}

static int parse_option(struct options *opt, int c)
{
	unsigned long n;

	switch (c) {
	case OPT_RUN_DIR:
		opt->run_dir = optarg;
		return 0;
	case OPT_ENGINE:
		return parse_engine(opt, optarg);
	case OPT_DIRECT:
		return parse_direct(opt, optarg);
	case OPT_BUSY_POLL:
		if (parse_number("--busy-poll", optarg, MAX_BUSY_POLL_US, &n))
			return -EINVAL;
		opt->blkback.busy_poll_us = (unsigned)n;
		return 0;
	case OPT_STATS_FILE:
		opt->stats_file = optarg;
		return 0;
	case OPT_READY_FD:
		if (parse_number("--ready-fd", optarg, 1u << 20, &n))
			return -EINVAL;
		opt->ready_fd = (int)n;
		return 0;
	case 'v':
		opt->level = LOG_LEVEL_DEBUG;
		return 0;
	default:
		return -EINVAL; /* getopt has said why */
	}
}

/* 0; 1: the help was asked for and printed; -EINVAL: said what is wrong. */
static int parse_options(struct options *opt, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "vh", long_options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage_text, stdout);
			return 1;
		}
		if (parse_option(opt, c)) {
			fputs("Try sluice-blkback --help.\n", stderr);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "sluice-blkback: argument %s is one too many\nTry sluice-blkback --help.\n", argv[optind]);
		return -EINVAL;
	}
	return 0;
}

static void write_stats(const struct program *p)
{
	const char *path = p->opt->stats_file;
	FILE *out = path ? fopen(path, "w") : stdout;

	if (!out) {
		log_error("counters cannot be written to %s: %s", path, strerror(errno));
		return;
	}
	blkback_print_stats(p->bb, out);
	if (path)
		fclose(out);
	else
		fflush(out);
}

static void on_stop(void *arg, int signo)
{
	struct program *p = arg;

	loop_stop(p->loop);
}

static void on_stats(void *arg, int signo)
{
	write_stats(arg);
}

static void on_lost(void *arg, uint32_t events)
{
	struct program *p = arg;

	log_error("sluiced is gone; closing all devices");
	p->is_lost = true;
	loop_stop(p->loop);
}

static const char *run_dir(const struct options *opt)
{
	const char *dir = opt->run_dir ? opt->run_dir : getenv("SLUICE_RUN_DIR");

	return dir ? dir : LOCAL_DEFAULT_RUN_DIR;
}

static int open_hypervisor(struct program *p)
{
	struct hv_options hv_opt = {.run_dir = p->opt->run_dir};
	int err = hv_open_dom0(&hv_opt, &p->hv);

	if (err == -ENOENT || err == -ECONNREFUSED)
		log_error("no sluiced answers in %s: start sluiced first, or give its --run-dir", run_dir(p->opt));
	else if (err)
		log_error("sluiced in %s cannot be reached: %s", run_dir(p->opt), strerror(-err));
	return err;
}

static int add_sources(struct program *p)
{
	if (!loop_add_signal(p->loop, SIGTERM, on_stop, p) || !loop_add_signal(p->loop, SIGINT, on_stop, p) ||
	    !loop_add_signal(p->loop, SIGUSR1, on_stats, p) ||
	    !loop_add_fd(p->loop, hv_lost_fd(p->hv), EPOLLIN, on_lost, p))
		return -errno;
	return 0;
}

static void say_ready(int fd)
{
	if (fd < 0)
		return;
	if (write(fd, "\n", 1) != 1)
		log_warn("whoever waits at --ready-fd %d is gone", fd);
	close(fd);
}

static int serve(struct program *p)
{
	int err = add_sources(p);

	if (!err)
		err = blkback_create(p->loop, p->hv, &p->opt->blkback, &p->bb);
	if (err) {
		log_error("the store's vbd devices cannot be watched: %s", strerror(-err));
		return err;
	}
	log_info("serving, engine %s", p->opt->blkback.engine->name);
	say_ready(p->opt->ready_fd);
	err = loop_run(p->loop);
	if (p->opt->stats_file)
		write_stats(p);
	blkback_destroy(p->bb);
	return err ? err : p->is_lost ? -ENOTCONN : 0;
}

int main(int argc, char **argv)
{
	struct options opt = {
		.ready_fd = -1, .level = LOG_LEVEL_INFO, .blkback = {.engine = &disk_uring, .busy_poll_us = 20}};
	struct program p = {.opt = &opt};
	int err = parse_options(&opt, argc, argv);

	if (err)
		return err > 0 ? 0 : 2;
	log_init("sluice-blkback", opt.level);
	signal(SIGPIPE, SIG_IGN);
	err = open_hypervisor(&p);
	if (err)
		return 1;
	err = loop_create(&p.loop);
	if (!err)
		err = serve(&p);
	if (p.loop)
		loop_destroy(p.loop);
	hv_close(p.hv);
	return err ? 1 : 0;
}
