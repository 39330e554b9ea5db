/*
 * tools/sluiced.c - the hypervisor core as a program: arguments, run directory, lock, signals.
 *
 * Runs in the foreground; SIGTERM or SIGINT ends it: guests are killed, sockets and lock removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/core.h"
#include "hv/log.h"

struct arguments {
	const char *run_dir;
	int ready_fd; /* -1: nobody waits */
	unsigned max_domains;
	unsigned keep_s;
};

#define DEFAULT_KEEP_S 30u
#define MAX_KEEP_S 86400u

static const char usage[] =
	"Usage: sluiced [options]\n"
	"The hypervisor core: domains, event channels, grant tables and the store, for guests on this machine.\n"
	"\n"
	"  --run-dir DIR      sockets, lock and logs (default: $SLUICE_RUN_DIR, else " LOCAL_DEFAULT_RUN_DIR ")\n"
	"  --max-domains N    how many guests there can be at a time (default 4096)\n"
	"  --keep-devices N   how many seconds devices wait for their back end to be started again (default 30; 0: not at all)\n"
	"  --ready-fd N       write a newline to this file descriptor once it serves\n"
	"  -h, --help         this text\n"
	"  -V, --version      the version\n";

static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || n < min || n > max)
		return false;
	*out = (unsigned)n;
	return true;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct arguments *args)
{
	static const struct option options[] = {
		{"run-dir", required_argument, NULL, 'r'},  {"max-domains", required_argument, NULL, 'm'},
		{"ready-fd", required_argument, NULL, 'f'}, {"keep-devices", required_argument, NULL, 'k'},
		{"help", no_argument, NULL, 'h'},           {"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	unsigned number;
	int opt;

	while ((opt = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		switch (opt) {
		case 'r':
			args->run_dir = optarg;
			break;
		case 'm':
			if (!parse_number(optarg, 1, DOMID_FIRST_RESERVED - 1, &args->max_domains)) {
				log_error("--max-domains %s: give a number from 1 to %u", optarg, DOMID_FIRST_RESERVED - 1);
				return 1;
			}
			break;
		case 'k':
			if (!parse_number(optarg, 0, MAX_KEEP_S, &args->keep_s)) {
				log_error("--keep-devices %s: give a number of seconds from 0 to %u", optarg, MAX_KEEP_S);
				return 1;
			}
			break;
		case 'f':
			if (!parse_number(optarg, 0, 1u << 20, &number) || fcntl((int)number, F_GETFD) < 0) {
				log_error("--ready-fd %s: not an open file descriptor", optarg);
				return 1;
			}
			args->ready_fd = (int)number;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("sluiced " SLUICE_VERSION);
			return 0;
		default:
			fputs("Try 'sluiced --help'.\n", stderr);
			return 1;
		}
	}
	if (optind < argc) {
		log_error("unexpected argument '%s'; try 'sluiced --help'", argv[optind]);
		return 1;
	}
	return -1;
}

/* The directory, made if need be, and its lock. The fd, or -1 with the sentence said. */
static int lock_run_dir(const char *run_dir, char *path, size_t size)
{
	char pid[16] = "";
	struct stat st;
	int fd;

	if (mkdir(run_dir, 0700) && errno != EEXIST) {
		log_error("cannot make the run directory %s: %s; choose another with --run-dir", run_dir, strerror(errno));
		return -1;
	}
	if ((size_t)snprintf(path, size, "%s/lock", run_dir) >= size || strlen(run_dir) > 90) {
		log_error("the run directory's name is too long for a socket: %s; choose a shorter one with --run-dir", run_dir);
		return -1;
	}
	for (;;) {
		struct stat named;

		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0) {
			log_error("cannot write to the run directory %s: %s; choose another with --run-dir", run_dir, strerror(errno));
			return -1;
		}
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			if (read(fd, pid, sizeof(pid) - 1) < 0)
				pid[0] = '\0';
			pid[strcspn(pid, "\n")] = '\0';
			log_error("another sluiced (pid %s) serves %s; stop it, or choose another directory with --run-dir",
				  pid[0] ? pid : "unknown", run_dir);
			close(fd);
			return -1;
		}
		/* The one before us may have removed the name between our open and our lock. */
		if (!fstat(fd, &st) && !stat(path, &named) && st.st_ino == named.st_ino && st.st_dev == named.st_dev)
			break;
		close(fd);
	}
	if (ftruncate(fd, 0) || dprintf(fd, "%d\n", (int)getpid()) < 0)
		log_warn("cannot write the pid to %s: %s", path, strerror(errno));
	return fd;
}

/* A guest's queue takes a few fds: as many as the host gives. */
static void raise_fd_limit(void)
{
	struct rlimit limit, most = {1u << 20, 1u << 20};

	if (!setrlimit(RLIMIT_NOFILE, &most) || getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit); /* up to the hard limit is always allowed */
}

static void stop(void *arg, int signo)
{
	loop_stop(arg);
}

static void say_ready(int fd)
{
	if (fd < 0)
		return;
	if (write(fd, "\n", 1) != 1)
		log_warn("nobody reads --ready-fd %d: %s", fd, strerror(errno));
	close(fd);
}

static int serve(struct loop *loop, const struct arguments *args)
{
	const struct core_options options = {.run_dir = args->run_dir, .max_domains = args->max_domains,
					     .keep_ms = args->keep_s * 1000};
	struct core *core;
	int err;

	if (!loop_add_signal(loop, SIGTERM, stop, loop) || !loop_add_signal(loop, SIGINT, stop, loop))
		return -errno;
	err = core_create(loop, &options, &core);
	if (err) {
		log_error("cannot serve in %s: %s", args->run_dir, strerror(-err));
		return err;
	}
	log_set_sink(core_log_line, &core->log);
	log_info("serving in %s", args->run_dir);
	say_ready(args->ready_fd);
	err = loop_run(loop);
	log_info("ending");
	log_set_sink(NULL, NULL);
	core_destroy(core);
	return err;
}

int main(int argc, char **argv)
{
	struct arguments args = {.run_dir = getenv("SLUICE_RUN_DIR"), .ready_fd = -1, .keep_s = DEFAULT_KEEP_S};
	char lock_path[512];
	struct loop *loop;
	int err, lock_fd;

	log_init("sluiced", LOG_LEVEL_INFO);
	err = parse(argc, argv, &args);
	if (err >= 0)
		return err;
	if (!args.run_dir || !args.run_dir[0])
		args.run_dir = LOCAL_DEFAULT_RUN_DIR;
	signal(SIGPIPE, SIG_IGN);
	raise_fd_limit();
	lock_fd = lock_run_dir(args.run_dir, lock_path, sizeof(lock_path));
	if (lock_fd < 0)
		return 1;
	err = loop_create(&loop);
	if (!err) {
		err = serve(loop, &args);
		loop_destroy(loop);
	}
	unlink(lock_path);
	close(lock_fd);
	return err ? 1 : 0;
}
