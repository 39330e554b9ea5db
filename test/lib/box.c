/*
 * test/lib/box.c - starts and stops the box; writes device nodes.
 */
#include "box.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/core.h"
#include "hv/log.h"
#include "hv/store_client.h"

#define PATIENCE_MS 10000

static void die(const char *what, int err)
{
	fprintf(stderr, "box: %s: %s\n", what, strerror(err < 0 ? -err : err));
	abort();
}

static void check(const char *what, int err)
{
	if (err)
		die(what, err);
}

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!dir)
		die("/proc/self/fd", errno);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* ---- the core -------------------------------------------------------------------------------------------------------- */

static void *run_core(void *arg)
{
	struct box *box = arg;
	struct core_options options = {.run_dir = box->run_dir};
	struct core *core = NULL;

	box->err = loop_create(&box->loop);
	if (!box->err)
		box->err = core_create(box->loop, &options, &core);
	sem_post(&box->is_up);
	if (!box->err)
		loop_run(box->loop);
	core_destroy(core);
	return NULL;
}

void box_start(struct box *box)
{
	memset(box, 0, sizeof(*box));
	log_init("box", getenv("SLUICE_LOG") ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR);
	strcpy(box->run_dir, "/tmp/sluice-box-XXXXXX");
	if (!mkdtemp(box->run_dir))
		die("mkdtemp", errno);
	box->nr_fds = count_fds();
	sem_init(&box->is_up, 0, 0);
	check("thread", pthread_create(&box->thread, NULL, run_core, box));
	while (sem_wait(&box->is_up))
		;
	check("core_create", box->err);
	box->dom0 = box_open_dom0(box);
}

/* What the core makes and leaves on purpose: logs, and the empty directory that guests see as their root. */
static void remove_left_over(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char child[512];

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
		if (unlink(child))
			remove_left_over(child);
	}
	closedir(dir);
	rmdir(path);
}

static void check_no_socket_is_left(const struct box *box)
{
	static const char *const names[] = {LOCAL_HYPERCALL_SOCKET, LOCAL_STORE_SOCKET};
	char path[128];
	struct stat st;

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", box->run_dir, names[i]);
		if (!lstat(path, &st))
			die(path, EEXIST);
	}
}

void box_stop(struct box *box)
{
	struct toolstack_info info[2];
	int n = toolstack_domain_list(box->dom0, 1, info, 2);
	unsigned nr_fds;

	if (n != 0) {
		fprintf(stderr, "box: domain %u is left behind\n", n > 0 ? info[0].domid : 0);
		abort();
	}
	hv_close(box->dom0);
	loop_stop(box->loop);
	pthread_join(box->thread, NULL);
	loop_destroy(box->loop);
	sem_destroy(&box->is_up);
	check_no_socket_is_left(box);
	nr_fds = count_fds();
	if (nr_fds != box->nr_fds) {
		fprintf(stderr, "box: %u fds before, %u after\n", box->nr_fds, nr_fds);
		abort();
	}
	remove_left_over(box->run_dir);
}

/* ---- domains --------------------------------------------------------------------------------------------------------- */

struct hv *box_open_dom0(struct box *box)
{
	struct hv_options options = {.run_dir = box->run_dir};
	struct hv *hv;

	check("hv_open_dom0", hv_open_dom0(&options, &hv));
	return hv;
}

domid_t box_create_vcpus(struct box *box, const char *name, uint64_t memory_kib, unsigned vcpus)
{
	static uint32_t serial;
	struct toolstack_domain d = {.name = name, .vcpus = vcpus, .memory_kib = memory_kib};
	domid_t domid;

	serial++;
	memcpy(d.uuid, &serial, sizeof(serial));
	check("toolstack_domain_create", toolstack_domain_create(box->dom0, &d, &domid));
	return domid;
}

domid_t box_create(struct box *box, const char *name, uint64_t memory_kib)
{
	return box_create_vcpus(box, name, memory_kib, 1);
}

struct hv *box_run(struct box *box, domid_t domid, const char *name)
{
	struct hv_options options = {.run_dir = box->run_dir, .attach = name};
	struct hv *hv;

	check("toolstack_domain_unpause", toolstack_domain_unpause(box->dom0, domid));
	check("hv_open_guest", hv_open_guest(&options, &hv));
	return hv;
}

void box_wait_gone(struct box *box, domid_t domid)
{
	struct toolstack_info info;

	for (unsigned ms = 0; ms < PATIENCE_MS; ms++) {
		int n = toolstack_domain_list(box->dom0, domid, &info, 1);

		if (n == 0 || (n == 1 && info.domid != domid))
			return;
		usleep(1000);
	}
	die("a domain does not go", ETIMEDOUT);
}

void box_end(struct box *box, domid_t domid, struct hv *guest)
{
	hv_close(guest);
	box_wait_gone(box, domid);
	box_stop(box);
}

/* ---- store ----------------------------------------------------------------------------------------------------------- */

static struct store_client *store_of(struct box *box)
{
	int err = 0;
	struct store_client *sc = hv_store(box->dom0, &err);

	check("hv_store", err);
	return sc;
}

bool box_has_node(struct box *box, const char *path)
{
	char *value;
	int err = store_client_read(store_of(box), STORE_NO_TX, path, &value, NULL);

	if (!err)
		free(value);
	else if (err != -ENOENT)
		die(path, err);
	return !err;
}

static void put(struct store_client *sc, uint32_t tx, const char *dir, const char *key, const char *value)
{
	check(key, store_client_printf(sc, tx, dir, key, "%s", value));
}

static void put_dir(struct store_client *sc, uint32_t tx, const char *dir, domid_t owner, domid_t reader)
{
	char own[8], read[8];
	const char *perms[2] = {own, read};

	snprintf(own, sizeof(own), "n%u", owner);
	snprintf(read, sizeof(read), "r%u", reader);
	check(dir, store_client_mkdir(sc, tx, dir));
	check(dir, store_client_set_perms(sc, tx, dir, perms, 2));
}

struct key {
	const char *name;
	const char *value;
};

static void add_device(struct box *box, domid_t domid, const char *type, unsigned devid, const struct key front_keys[],
		       const struct key back_keys[])
{
	struct store_client *sc = store_of(box);
	char front[80], back[80], id[8];
	uint32_t tx;

	snprintf(front, sizeof(front), "/local/domain/%u/device/%s/%u", domid, type, devid);
	snprintf(back, sizeof(back), "/local/domain/0/backend/%s/%u/%u", type, domid, devid);
	snprintf(id, sizeof(id), "%u", domid);
	check("transaction", store_client_transaction_start(sc, &tx));
	put_dir(sc, tx, front, domid, 0);
	put(sc, tx, front, "backend", back);
	put(sc, tx, front, "backend-id", "0");
	for (; front_keys->name; front_keys++)
		put(sc, tx, front, front_keys->name, front_keys->value);
	put(sc, tx, front, "state", "1");
	put_dir(sc, tx, back, 0, domid);
	put(sc, tx, back, "frontend", front);
	put(sc, tx, back, "frontend-id", id);
	put(sc, tx, back, "online", "1");
	for (; back_keys->name; back_keys++)
		put(sc, tx, back, back_keys->name, back_keys->value);
	put(sc, tx, back, "state", "1");
	check("transaction", store_client_transaction_end(sc, tx, false));
}

void box_add_vif(struct box *box, domid_t domid, unsigned devid, const char *bridge)
{
	char handle[12], mac[18];
	struct key front[] = {{"handle", handle}, {"mac", mac}, {"mtu", "1500"}, {0}};
	struct key back[] = {{"handle", handle}, {"mac", mac}, {"mtu", "1500"}, {"bridge", bridge}, {"type", "vif"}, {"script", ""}, {0}};

	snprintf(handle, sizeof(handle), "%u", devid);
	snprintf(mac, sizeof(mac), "00:16:3e:00:%02x:%02x", domid & 255u, devid & 255u);
	add_device(box, domid, "vif", devid, front, back);
}

void box_add_vbd(struct box *box, domid_t domid, unsigned devid, const char *params, const char *mode)
{
	char number[12];
	struct key front[] = {{"virtual-device", number}, {"device-type", "disk"}, {0}};
	struct key back[] = {{"params", params}, {"mode", mode}, {"type", "file"}, {"device-type", "disk"}, {"dev", "xvda"}, {0}};

	snprintf(number, sizeof(number), "%u", devid);
	add_device(box, domid, "vbd", devid, front, back);
}

bool box_wait_readable(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, PATIENCE_MS) == 1;
}
