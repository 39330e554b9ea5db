/*
 * tools/sluice-blkback.c - the block back end as a program: its arguments, nothing else.
 */
#include <errno.h>
#include <string.h>

#include "blkback/blkback.h"
#include "hv/log.h"
#include "hv/xenbus.h"
#include "tools/backend.h"

#define MAX_BUSY_POLL_US 1000000ul

static const char usage_text[] =
	"usage: sluice-blkback [options]\n"
	"Serves the block devices of all guests.\n"
	"  --engine NAME       io_uring (default), libaio, sync, memory (writes are forgotten), null (does no I/O)\n"
	"  --direct MODE       O_DIRECT: auto (default), on, off\n"
	"  --sqpoll            io_uring: a kernel thread takes requests\n"
	"  --iopoll            io_uring: completions are polled for; needs O_DIRECT\n"
	"  --busy-poll USEC    look again so long at most before sleeping (default 100)\n"
	"  --max-queues N      queues offered for each device (default 4)\n"
	"  --max-segments N    segments offered for an indirect request (default 256; 0: none are offered)\n"
	"  --persistent N      pages that a queue keeps mapped at most (default 1056; 0: none)\n"
	"  --merge KIB         requests for adjacent sectors become one of so much at most (default 64; 0: never)\n"
	"  --pages MODE        auto (default): maps granted pages where that is cheap; copy: copies them everywhere\n" BACKEND_USAGE;

enum {
	OPT_ENGINE = 256, OPT_DIRECT, OPT_SQPOLL, OPT_IOPOLL, OPT_BUSY_POLL, OPT_MAX_QUEUES, OPT_MAX_SEGMENTS, OPT_PERSISTENT,
	OPT_MERGE, OPT_PAGES,
};

static const struct option long_options[] = {
	BACKEND_LONG_OPTIONS,
	{"engine", required_argument, NULL, OPT_ENGINE},
	{"direct", required_argument, NULL, OPT_DIRECT},
	{"sqpoll", no_argument, NULL, OPT_SQPOLL},
	{"iopoll", no_argument, NULL, OPT_IOPOLL},
	{"busy-poll", required_argument, NULL, OPT_BUSY_POLL},
	{"max-queues", required_argument, NULL, OPT_MAX_QUEUES},
	{"max-segments", required_argument, NULL, OPT_MAX_SEGMENTS},
	{"persistent", required_argument, NULL, OPT_PERSISTENT},
	{"merge", required_argument, NULL, OPT_MERGE},
	{"pages", required_argument, NULL, OPT_PAGES},
	{NULL, 0, NULL, 0},
};

static int parse_engine(struct blkback_options *opt, const char *name)
{
	opt->disk.engine = disk_engine_find(name);
	if (opt->disk.engine)
		return 0;
	fprintf(stderr, "sluice-blkback: there is no engine %s: use one of %s\n", name, disk_engine_names());
	return -EINVAL;
}

static int parse_direct(struct blkback_options *opt, const char *mode)
{
	static const char *const modes[] = {
		[DISK_DIRECT_AUTO] = "auto", [DISK_DIRECT_ON] = "on", [DISK_DIRECT_OFF] = "off"};

	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(mode, modes[i])) {
			opt->disk.direct = (enum disk_direct)i;
			return 0;
		}
	fprintf(stderr, "sluice-blkback: --direct %s is unknown: use auto, on or off\n", mode);
	return -EINVAL;
}

static int parse_pages(struct blkback_options *opt, const char *mode)
{
	opt->is_copying = !strcmp(mode, "copy");
	if (opt->is_copying || !strcmp(mode, "auto"))
		return 0;
	fprintf(stderr, "sluice-blkback: --pages %s is unknown: use auto or copy\n", mode);
	return -EINVAL;
}

static int parse_own(const struct backend *b, void *arg, int c)
{
	struct blkback_options *opt = arg;

	switch (c) {
	case OPT_ENGINE:
		return parse_engine(opt, optarg);
	case OPT_DIRECT:
		return parse_direct(opt, optarg);
	case OPT_PAGES:
		return parse_pages(opt, optarg);
	case OPT_MAX_QUEUES:
		return backend_parse_number(b, "--max-queues", optarg, 1, BLKBACK_MAX_QUEUES, &opt->max_queues);
	case OPT_MAX_SEGMENTS:
		return backend_parse_number(b, "--max-segments", optarg, 0, BLKBACK_MAX_SEGMENTS, &opt->max_segments);
	case OPT_PERSISTENT:
		return backend_parse_number(b, "--persistent", optarg, 0, BLKBACK_MAX_PERSISTENT, &opt->nr_persistent);
	case OPT_MERGE:
		return backend_parse_number(b, "--merge", optarg, 0, BLKBACK_MAX_MERGE_KIB, &opt->max_merge_kib);
	case OPT_SQPOLL:
		opt->disk.is_polled_submit = true;
		return 0;
	case OPT_IOPOLL:
		opt->disk.is_polled_complete = true;
		return 0;
	default:
		return backend_parse_number(b, "--busy-poll", optarg, 0, MAX_BUSY_POLL_US, &opt->busy_poll_us);
	}
}

static void print_stats(void *devices, FILE *out)
{
	blkback_print_stats(devices, out);
}

int main(int argc, char **argv)
{
	struct backend b = {.program = "sluice-blkback", .usage = usage_text};
	struct blkback_options opt = BLKBACK_OPTIONS;
	struct blkback *bb;
	char why[HV_WHY_BYTES];
	int err = backend_parse(&b, argc, argv, long_options, parse_own, &opt);

	if (err)
		return err > 0 ? 0 : 2;
	if (backend_open(&b))
		return 1;
	err = blkback_create(b.loop, b.hv, &opt, &bb);
	if (err) {
		xenbus_explain(b.hv, "vbd", err, why, sizeof(why));
		log_error("%s", why);
	} else {
		log_info("serving, engine %s", opt.disk.engine->name);
		err = backend_run(&b, print_stats, bb);
		blkback_destroy(bb);
	}
	backend_close(&b);
	return err ? 1 : 0;
}
