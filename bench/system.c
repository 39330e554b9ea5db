/*
 * bench/system.c - a private Sluice system for a bench.
 */
#include "bench/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "tools/device_nodes.h"

struct system sys;

static void remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	char name[4096];

	while (dir && (e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (unlink(name) < 0)
			remove_dir(name);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

void system_stop_last(void)
{
	pid_t pid = sys.daemon[--sys.nr_daemons];

	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

/* Back ends first; guests end with sluiced. */
void system_end(void)
{
	hv_close(sys.hv);
	sys.hv = NULL;
	while (sys.nr_daemons)
		system_stop_last();
	if (sys.dir[0])
		remove_dir(sys.dir);
	sys.dir[0] = '\0';
}

void system_die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", sys.bench);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	system_end();
	exit(1);
}

static void interrupted(int signo)
{
	(void)signo;
	system_die("interrupted"); /* benches' loops hold no lock that system_end wants */
}

static void exec_daemon(const char *name, int cpu, int ready_fd, char *const extra[])
{
	char program[sizeof(sys.tools) + 64], log[128], ready[16];
	char *argv[24] = {program, "--run-dir", sys.dir, "--ready-fd", ready};
	int log_fd;

	for (unsigned i = 0; extra && extra[i]; i++)
		argv[5 + i] = extra[i];
	snprintf(program, sizeof(program), "%s/%s", sys.tools, name);
	snprintf(log, sizeof(log), "%s/%s.log", sys.dir, name);
	snprintf(ready, sizeof(ready), "%d", ready_fd);
	log_fd = open(log, O_CREAT | O_WRONLY | O_APPEND, 0600);
	dup2(log_fd, 2);
	bench_pin(cpu);
	execv(program, argv);
	_exit(127);
}

/* Returns when it serves. */
static void launch(pid_t *slot, const char *name, int cpu, char *const extra[])
{
	int pipe_fd[2];
	char ready;
	pid_t pid;

	if (pipe(pipe_fd) < 0)
		system_die("no pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		system_die("%s cannot be started: %s", name, strerror(errno));
	if (pid == 0) {
		close(pipe_fd[0]);
		exec_daemon(name, cpu, pipe_fd[1], extra);
	}
	close(pipe_fd[1]);
	*slot = pid;
	if (read(pipe_fd[0], &ready, 1) != 1)
		system_die("%s did not start (is %s/%s built?)", name, sys.tools, name);
	close(pipe_fd[0]);
}

pid_t system_start(const char *name, int cpu, char *const extra[])
{
	launch(&sys.daemon[sys.nr_daemons++], name, cpu, extra);
	return sys.daemon[sys.nr_daemons - 1];
}

void system_kill_and_start(unsigned nr, const char *name, int cpu, char *const extra[])
{
	kill(sys.daemon[nr], SIGKILL);
	waitpid(sys.daemon[nr], NULL, 0);
	launch(&sys.daemon[nr], name, cpu, extra);
}

void system_begin(const char *argv0)
{
	struct hv_options opt = {.run_dir = sys.dir};
	struct rlimit files;
	char *slash;
	int err;

	sys.bench = strrchr(argv0, '/') ? strrchr(argv0, '/') + 1 : argv0;
	signal(SIGINT, interrupted);
	signal(SIGTERM, interrupted);
	/* Two memfds, an eventfd or so, for each domain in each back end. */
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (!realpath(argv0, sys.tools) || !(slash = strrchr(sys.tools, '/')))
		system_die("cannot find the build folder of %s", argv0);
	strcpy(slash, "/../tools");
	strcpy(sys.dir, "/tmp/sluice-bench-XXXXXX");
	if (!mkdtemp(sys.dir)) {
		sys.dir[0] = '\0';
		system_die("no folder in /tmp: %s", strerror(errno));
	}
	system_start("sluiced", SYSTEM_ANY_CPU, NULL);
	err = hv_open_dom0(&opt, &sys.hv);
	if (!err)
		sys.store = hv_store(sys.hv, &err);
	if (!sys.store)
		system_die("sluiced does not answer: %s", strerror(-err));
}

struct hv *system_attach(const char *name, unsigned memory_mib, const char *disk_target)
{
	char devices[512];

	snprintf(devices, sizeof(devices), "disk=['format=raw,vdev=xvda,access=rw,target=%s']\n", disk_target);
	return system_become(name, memory_mib, devices);
}

domid_t system_make_domain(const char *name, const char *lines, int kernel_fd)
{
	char text[sizeof(sys.tools) + 512], *why = NULL, *warnings = NULL;
	struct domain_config config;
	domid_t domid;
	int err;

	snprintf(text, sizeof(text), "name=\"%s\"\n%s", name, lines);
	err = domain_config_parse(&config, "bench", text, &why, &warnings);
	if (!err)
		err = domain_config_resolve(&config, &why);
	if (err)
		system_die("config: %s", why);
	struct toolstack_domain domain = {.name = name, .vcpus = 1, .memory_kib = config.memory_kib};
	memcpy(domain.uuid, config.uuid, sizeof(domain.uuid));
	err = toolstack_domain_create(sys.hv, &domain, &domid);
	if (!err && kernel_fd >= 0)
		err = toolstack_domain_load(sys.hv, domid, kernel_fd, config.cmdline);
	if (!err)
		err = device_nodes_write(sys.store, domid, &config);
	if (!err)
		err = device_nodes_wait(sys.store, domid, &config, SYSTEM_CONNECT_MS, &why);
	if (!err)
		err = toolstack_domain_unpause(sys.hv, domid);
	if (err)
		system_die("domain %s: %s", name, why ? why : strerror(-err));
	free(warnings);
	domain_config_finish(&config);
	return domid;
}

struct hv *system_become(const char *name, unsigned memory_mib, const char *devices)
{
	struct hv_options opt = {.run_dir = sys.dir, .attach = name};
	struct hv *guest = NULL;
	char lines[1024];
	int err;

	snprintf(lines, sizeof(lines), "memory=%u\nkernel=\"\"\n%s", memory_mib, devices);
	system_make_domain(name, lines, SYSTEM_NO_KERNEL);
	err = hv_open_guest(&opt, &guest);
	if (err)
		system_die("domain %s: %s", name, strerror(-err));
	return guest;
}
