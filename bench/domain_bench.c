/*
 * bench/domain_bench.c - how long a domain with a vif and a vbd takes to be made, and what an idle one costs.
 *
 *      domain_bench [NUMBER]      domains to make, 1000 when nothing is said
 *
 * Starts sluiced, sluice-netback and sluice-blkback of the same build in a run directory of its own, and makes domains one after
 * the other as `sluice create` does: built, nodes written, both back ends waited for, unpaused; the clock stops when both
 * devices are Connected. Every guest is a sandboxed sluice-guest that idles.
 *
 *      core.domain_create_ms            median of the first 20
 *      core.domain_create_growth_1000   median of the last 20 over median of the first 20
 *      core.domain_overhead_kib         growth of the three daemons' proportional set size for each domain, without guests' RAM
 *      core.guest_rss_kib               resident set of the smallest guest process
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/system.h"
#include "hv/handshake.h"

#define NR_ENDS 20
#define GUEST_MIB 8
#define GUEST_RAM_NAME "sluice-ram" /* as the core names an extent's memfd */

static int kernel_fd;

static void start_system(const char *argv0)
{
	char path[sizeof(sys.tools) + 64];
	int fd;

	system_begin(argv0);
	snprintf(path, sizeof(path), "%s/disk.img", sys.dir);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 1 << 20) < 0)
		system_die("no image %s: %s", path, strerror(errno));
	close(fd);
	system_start("sluice-netback", SYSTEM_ANY_CPU, NULL);
	system_start("sluice-blkback", SYSTEM_ANY_CPU, NULL);
	snprintf(path, sizeof(path), "%s/sluice-guest", sys.tools);
	kernel_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (kernel_fd < 0)
		system_die("%s: %s", path, strerror(errno));
}

/* ---- one domain ----------------------------------------------------------------------------------------------------- */

static bool is_connected(const char *state_path)
{
	uint64_t state;

	return store_client_read_uint(sys.store, STORE_NO_TX, &state, "%s", state_path) == 0 && state == XenbusStateConnected;
}

static void wait_connected(domid_t domid)
{
	char path[2][96], *fired, *token;
	bool done[2] = {false, false};

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path[i], sizeof(path[i]), "/local/domain/0/backend/%s/%u/%s/state", i ? "vbd" : "vif", domid,
			 i ? "51712" : "0");
		store_client_watch(sys.store, path[i], "bench");
	}
	while (!done[0] || !done[1]) {
		if (store_client_wait(sys.store, SYSTEM_CONNECT_MS) <= 0)
			system_die("%s does not become Connected", path[done[0]]);
		while (!store_client_next_watch(sys.store, &fired, &token)) {
			free(fired);
			free(token);
		}
		for (unsigned i = 0; i < 2; i++)
			done[i] = done[i] || is_connected(path[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		store_client_unwatch(sys.store, path[i], "bench");
}

/* Milliseconds from nothing to two Connected devices. */
static double make_domain(unsigned number)
{
	char name[32], lines[sizeof(sys.tools) + 256];
	uint64_t start;

	snprintf(name, sizeof(name), "bench-%u", number);
	snprintf(lines, sizeof(lines),
		 "memory=%d\nkernel=\"%s/sluice-guest\"\nextra=\"idle 0 xvda\"\nvif=['']\n"
		 "disk=['format=raw,vdev=xvda,access=ro,target=%s/disk.img']\n",
		 GUEST_MIB, sys.tools, sys.dir);
	start = bench_now_ns();
	wait_connected(system_make_domain(name, lines, kernel_fd));
	return (double)(bench_now_ns() - start) / 1e6;
}

/* ---- what it costs ---------------------------------------------------------------------------------------------------- */

/*
 * A daemon's proportional set size without the pages of guests' RAM, which are the guests'. Everything else counts: heap, stacks,
 * shared info, grant frames, active grants, page-granular remainders.
 */
static double pss_kib(pid_t pid)
{
	char path[64], line[512], mode[5];
	unsigned long from, to;
	double total = 0, kib;
	bool is_ram = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	f = fopen(path, "re");
	if (!f)
		system_die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) == 3)
			is_ram = strstr(line, "memfd:" GUEST_RAM_NAME);
		if (!is_ram && sscanf(line, "Pss: %lf kB", &kib) == 1)
			total += kib;
	}
	fclose(f);
	return total;
}

static double daemons_kib(void)
{
	double total = 0;

	for (unsigned i = 0; i < sys.nr_daemons; i++)
		total += pss_kib(sys.daemon[i]);
	return total;
}

/* The resident set of sluiced's smallest child. */
static double guest_rss_kib(void)
{
	char path[96], line[256];
	double least = 0, kib;
	FILE *children, *f;
	int pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)sys.daemon[0], (int)sys.daemon[0]);
	children = fopen(path, "re");
	while (children && fscanf(children, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/status", pid);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "VmRSS: %lf kB", &kib) == 1 && (least == 0 || kib < least))
				least = kib;
		if (f)
			fclose(f);
	}
	if (children)
		fclose(children);
	return least;
}

static double median(double *samples, unsigned n)
{
	qsort(samples, n, sizeof(*samples), bench_compare);
	return samples[n / 2];
}

int main(int argc, char **argv)
{
	unsigned number = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;
	double *ms = calloc(number ? number : 1, sizeof(*ms)), first[NR_ENDS], before, rss, overhead, growth;

	if (!ms || number < 2 * NR_ENDS) {
		fprintf(stderr, "domain_bench: at least %d domains, please\n", 2 * NR_ENDS);
		return 2;
	}
	start_system(argv[0]);
	make_domain(0); /* what is paid once, by the first */
	before = daemons_kib();
	for (unsigned i = 0; i < number; i++) {
		ms[i] = make_domain(i + 1);
		if ((i + 1) % 100 == 0)
			fprintf(stderr, "\rdomain_bench: %u of %u domains", i + 1, number);
	}
	fputc('\n', stderr);
	overhead = (daemons_kib() - before) / number;
	rss = guest_rss_kib();
	memcpy(first, ms, sizeof(first));
	bench_report("core.domain_create_ms", "ms", first, NR_ENDS);
	growth = median(ms + number - NR_ENDS, NR_ENDS) / median(first, NR_ENDS);
	if (number == 1000)
		printf("core.domain_create_growth_1000 %.3g ratio\n", growth);
	else
		printf("core.domain_create_growth_%u %.3g ratio\n", number, growth);
	printf("core.domain_overhead_kib %.4g KiB\n", overhead);
	printf("core.guest_rss_kib %.4g KiB\n", rss);
	free(ms);
	system_end();
	return 0;
}
