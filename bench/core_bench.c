/*
 * bench/core_bench.c - what a wake-up through an event channel and an empty hypercall cost, against the bare system calls.
 *
 *      core.evtchn_wake_ratio   from hv_notify in Domain-0 until a guest that slept in poll has taken the event
 *                               : from write to an eventfd until a thread that slept in poll has read it
 *      core.evtchn_wake_guest_ratio   the same from a guest to Domain-0
 *      core.hypercall_ratio     xen_version to the core and back : a message to a process on a SEQPACKET socket and back, all
 *                               on one processor, where nothing but the work itself counts
 *      core.hypercall_apart_ratio     the same between two processors, where waking the other one does
 *
 * Ours and the reference take turns, sample by sample, on the same processors; the core and the echo are processes of their own.
 * A ratio is of two medians of one round.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xen/version.h>

#include "bench/bench.h"
#include "hv/core.h"
#include "hv/log.h"
#include "hv/toolstack.h"
#include "rings/atomics.h"

#define ROUNDS 15
#define SAMPLES 400 /* of each kind in a round */
#define DOZE_NS 30000 /* until the other thread sleeps for certain, or nearly so */

static char run_dir[] = "/tmp/sluice-bench-XXXXXX";

static void die(const char *what, int err)
{
	fprintf(stderr, "core_bench: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

/* ---- the other processes ------------------------------------------------------------------------------------------------ */

static void stop_loop(void *arg, int signo)
{
	loop_stop(arg);
}

static void run_core(int ready_fd)
{
	struct core_options options = {.run_dir = run_dir};
	struct loop *loop;
	struct core *core;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	log_init("core", LOG_LEVEL_ERROR);
	if (loop_create(&loop) || core_create(loop, &options, &core) || !loop_add_signal(loop, SIGTERM, stop_loop, loop) ||
	    write(ready_fd, "\n", 1) != 1)
		_exit(1);
	loop_run(loop);
	core_destroy(core);
	loop_destroy(loop);
	_exit(0);
}

static pid_t start_core(void)
{
	int fds[2];
	char c;
	pid_t pid;

	if (!mkdtemp(run_dir) || pipe(fds))
		die("run directory", errno);
	pid = fork();
	if (pid < 0)
		die("fork", errno);
	if (!pid)
		run_core(fds[1]);
	close(fds[1]);
	if (read(fds[0], &c, 1) != 1)
		die("the core does not start", EIO);
	close(fds[0]);
	return pid;
}

/* The messages are as long as a hypercall's. */
static pid_t start_echo(int *sock)
{
	struct local_call call;
	struct local_return ret = {0};
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		die("socketpair", errno);
	pid = fork();
	if (pid < 0)
		die("fork", errno);
	if (!pid) {
		close(fds[0]);
		while (recv(fds[1], &call, sizeof(call), 0) == (ssize_t)sizeof(call))
			if (send(fds[1], &ret, sizeof(ret), MSG_NOSIGNAL) < 0)
				break;
		_exit(0);
	}
	close(fds[1]);
	*sock = fds[0];
	return pid;
}

/* ---- wake-ups ------------------------------------------------------------------------------------------------------------ */

/* A thread that sleeps on an fd, and counts how often it woke and took what came. */
struct sleeper {
	pthread_t thread;
	struct hv *hv; /* NULL: a plain eventfd */
	int fd;
	int cpu;
	uint32_t count, must_end;
};

static void *sleep_and_count(void *arg)
{
	struct sleeper *s = arg;
	struct pollfd pfd = {.fd = s->fd, .events = POLLIN};
	evtchn_port_t ports[4];
	uint64_t value;

	bench_pin(s->cpu);
	while (poll(&pfd, 1, -1) == 1) {
		if (s->hv)
			hv_event_take(s->hv, s->fd, ports, 4);
		else if (read(s->fd, &value, sizeof(value)) != (ssize_t)sizeof(value))
			break;
		if (load_acquire(&s->must_end))
			break;
		store_release(&s->count, s->count + 1);
	}
	return NULL;
}

static void doze(void)
{
	uint64_t end = bench_now_ns() + DOZE_NS;

	while (bench_now_ns() < end)
		cpu_relax();
}

/* port 0: writes the sleeper's plain eventfd. */
static double time_wake(struct sleeper *s, struct hv *from, evtchn_port_t port)
{
	uint32_t before = load_acquire(&s->count);
	uint64_t one = 1, start;

	doze();
	start = bench_now_ns();
	if (port)
		hv_notify(from, port);
	else if (write(s->fd, &one, sizeof(one)) < 0)
		die("eventfd", errno);
	while (load_acquire(&s->count) == before)
		cpu_relax();
	return (double)(bench_now_ns() - start);
}

static double median(double samples[], unsigned n)
{
	qsort(samples, n, sizeof(*samples), bench_compare);
	return samples[n / 2];
}

static void bench_wake(const char *name, const char *ns_name, struct hv *from, evtchn_port_t from_port, struct hv *to, int to_fd, int cpu)
{
	struct sleeper ours = {.hv = to, .fd = to_fd, .cpu = cpu};
	struct sleeper plain = {.fd = eventfd(0, EFD_CLOEXEC), .cpu = cpu};
	double ratio[ROUNDS], ns[ROUNDS], a[SAMPLES], b[SAMPLES];
	uint64_t one = 1;

	if (plain.fd < 0)
		die("eventfd", errno);
	pthread_create(&ours.thread, NULL, sleep_and_count, &ours);
	pthread_create(&plain.thread, NULL, sleep_and_count, &plain);
	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < SAMPLES; i++) {
			a[i] = time_wake(&ours, from, from_port);
			b[i] = time_wake(&plain, NULL, 0);
		}
		ns[r] = median(a, SAMPLES);
		ratio[r] = ns[r] / median(b, SAMPLES);
	}
	store_release(&ours.must_end, 1);
	store_release(&plain.must_end, 1);
	hv_notify(from, from_port);
	if (write(plain.fd, &one, sizeof(one)) < 0)
		die("eventfd", errno);
	pthread_join(ours.thread, NULL);
	pthread_join(plain.thread, NULL);
	close(plain.fd);
	bench_report(name, "ratio", ratio, ROUNDS);
	bench_report(ns_name, "ns", ns, ROUNDS);
}

/* ---- hypercalls ------------------------------------------------------------------------------------------------------------ */

static double time_echo(int sock)
{
	struct local_call call = {0};
	struct local_return ret;
	uint64_t start = bench_now_ns();

	if (send(sock, &call, sizeof(call), MSG_NOSIGNAL) < 0 || recv(sock, &ret, sizeof(ret), 0) < 0)
		die("echo", errno);
	return (double)(bench_now_ns() - start);
}

static double time_hypercall(struct hv *hv)
{
	uint64_t start = bench_now_ns();

	if (hv_hypercall(hv, __HYPERVISOR_xen_version, XENVER_version, NULL, 0) <= 0)
		die("hypercall", EIO);
	return (double)(bench_now_ns() - start);
}

static void pin_process(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (cpu >= 0)
		sched_setaffinity(pid, sizeof(set), &set);
}

static void bench_hypercall(const char *name, const char *ns_name, struct hv *hv, int sock)
{
	double ratio[ROUNDS], ns[ROUNDS], a[SAMPLES], b[SAMPLES];

	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < SAMPLES; i++) {
			a[i] = time_hypercall(hv);
			b[i] = time_echo(sock);
		}
		ns[r] = median(a, SAMPLES);
		ratio[r] = ns[r] / median(b, SAMPLES);
	}
	bench_report(name, "ratio", ratio, ROUNDS);
	bench_report(ns_name, "ns", ns, ROUNDS);
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------- */

static struct hv *start_guest(struct hv *dom0, domid_t *domid)
{
	struct toolstack_domain d = {.name = "bench", .vcpus = 1, .memory_kib = 4096, .uuid = {1}};
	struct hv_options options = {.run_dir = run_dir, .attach = "bench"};
	struct hv *guest = NULL;
	int err = toolstack_domain_create(dom0, &d, domid);

	if (!err)
		err = toolstack_domain_unpause(dom0, *domid);
	if (!err)
		err = hv_open_guest(&options, &guest);
	if (err)
		die("guest", err);
	return guest;
}

static void remove_run_dir(void)
{
	char command[sizeof(run_dir) + 16];

	snprintf(command, sizeof(command), "rm -rf %s", run_dir);
	if (system(command))
		fprintf(stderr, "core_bench: %s stays behind\n", run_dir);
}

int main(void)
{
	int sock, err, first = bench_cpu(0), second = bench_cpu(1); /* before any pin */
	pid_t core = start_core(), echo = start_echo(&sock);
	struct hv_options options = {.run_dir = run_dir};
	evtchn_port_t front, back = 0;
	struct hv *dom0, *guest;
	domid_t domid;

	err = hv_open_dom0(&options, &dom0);
	if (err)
		die("hv_open_dom0", err);
	guest = start_guest(dom0, &domid);
	err = hv_evtchn_alloc_unbound(guest, 0, &front);
	if (!err)
		err = hv_evtchn_bind_interdomain(dom0, domid, front, &back);
	if (err)
		die("event channel", err);
	bench_pin(first);
	pin_process(core, first);
	pin_process(echo, first);
	bench_hypercall("core.hypercall_ratio", "core.hypercall_ns", dom0, sock);
	pin_process(core, second);
	pin_process(echo, second);
	bench_hypercall("core.hypercall_apart_ratio", "core.hypercall_apart_ns", dom0, sock);
	bench_wake("core.evtchn_wake_ratio", "core.evtchn_wake_ns", dom0, back, guest, hv_event_fd(guest, front), second);
	bench_wake("core.evtchn_wake_guest_ratio", "core.evtchn_wake_guest_ns", guest, front, dom0, hv_event_fd(dom0, back),
		   second);
	hv_close(guest);
	hv_close(dom0);
	close(sock);
	waitpid(echo, NULL, 0);
	kill(core, SIGTERM);
	waitpid(core, NULL, 0);
	remove_run_dir();
	return 0;
}
