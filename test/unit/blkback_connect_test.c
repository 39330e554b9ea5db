/*
 * test/unit/blkback_connect_test.c - what a vbd reads from the store, what it writes there, and what it says when it refuses.
 *
 * The store is a table here, and the hypervisor only notes what is open, so that every key can be wrong in turn.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "blkback/vbd.h"
#include "hv/log.h"
#include "test.h"

#define BACK "/local/domain/0/backend/vbd/3/51712"
#define FRONT "/local/domain/3/device/vbd/51712"
#define MAX_KEYS 64

static struct {
	char path[128];
	char value[128];
} keys[MAX_KEYS];
static unsigned nr_keys;

static struct {
	char said[512]; /* by handshake_fail */
	unsigned nr_mapped, nr_peers, nr_ports;
	grant_ref_t refs[16];
	unsigned nr_refs;
	evtchn_port_t port;
	int map_error, bind_error, peer_error;
	int event_fd;
	bool is_map_dear;
	void *ring;
	char run_dir[64];
} world;

static void set(const char *dir, const char *key, const char *value)
{
	char path[128];
	unsigned i;

	snprintf(path, sizeof(path), "%s/%s", dir, key);
	for (i = 0; i < nr_keys && strcmp(keys[i].path, path); i++)
		;
	assert_true(i < MAX_KEYS);
	nr_keys = i == nr_keys ? nr_keys + 1 : nr_keys;
	strcpy(keys[i].path, path);
	snprintf(keys[i].value, sizeof(keys[i].value), "%s", value ? value : "");
	if (!value)
		keys[i].path[0] = 0; /* removed */
}

static const char *get(const char *path)
{
	for (unsigned i = 0; i < nr_keys; i++)
		if (!strcmp(keys[i].path, path))
			return keys[i].value;
	return NULL;
}

/* ---- what connect.c calls ---- */

int store_client_readf(struct store_client *sc, uint32_t tx, char **value, const char *fmt, ...)
{
	char path[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	if (!get(path))
		return -ENOENT;
	*value = strdup(get(path));
	return *value ? 0 : -ENOMEM;
}

int store_client_read_uint(struct store_client *sc, uint32_t tx, uint64_t *value, const char *fmt, ...)
{
	char path[256], *end;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	if (!get(path))
		return -ENOENT;
	*value = strtoull(get(path), &end, 0);
	return *end || end == get(path) ? -EINVAL : 0;
}

int store_client_printf(struct store_client *sc, uint32_t tx, const char *dir, const char *key, const char *fmt, ...)
{
	char value[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	set(dir, key, value);
	return 0;
}

int store_client_rm(struct store_client *sc, uint32_t tx, const char *path)
{
	char dir[128];

	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = 0;
	set(dir, strrchr(path, '/') + 1, NULL);
	return 0;
}

void store_client_prefetch(struct store_client *sc, const char *dir, const char *const names[], unsigned nr)
{
}

void store_client_batch_begin(struct store_client *sc)
{
}

int store_client_batch_end(struct store_client *sc)
{
	return 0;
}

void handshake_fail(struct handshake *h, const char *fmt, ...)
{
	va_list ap;

	assert_string_equal(world.said, ""); /* one sentence, once */
	va_start(ap, fmt);
	vsnprintf(world.said, sizeof(world.said), fmt, ap);
	va_end(ap);
}

int hv_peer_open(struct hv *hv, domid_t domid, struct hv_peer **out)
{
	assert_int_equal(domid, 3);
	if (world.peer_error)
		return world.peer_error;
	world.nr_peers++;
	*out = (struct hv_peer *)&world;
	return 0;
}

void hv_peer_close(struct hv_peer *peer)
{
	world.nr_peers--;
}

int hv_peer_map_ring(struct hv_peer *peer, const grant_ref_t refs[], unsigned nr, void **ring)
{
	if (world.map_error)
		return world.map_error;
	assert_true(nr <= 16);
	memcpy(world.refs, refs, nr * sizeof(refs[0]));
	world.nr_refs = nr;
	world.nr_mapped++;
	*ring = world.ring = aligned_alloc(PAGE_BYTES, nr * PAGE_BYTES);
	assert_non_null(*ring);
	ring_head_init(*ring);
	return 0;
}

void hv_peer_unmap_ring(struct hv_peer *peer, void *ring)
{
	free(ring);
	world.nr_mapped--;
}

int hv_evtchn_bind_interdomain(struct hv *hv, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port)
{
	if (world.bind_error)
		return world.bind_error;
	if (remote_port == 666)
		return -EINVAL;
	world.port = remote_port;
	world.nr_ports++;
	*port = 99;
	return 0;
}

int hv_evtchn_close(struct hv *hv, evtchn_port_t port)
{
	assert_int_equal(port, 99);
	world.nr_ports--;
	return 0;
}

int hv_event_fd(struct hv *hv, evtchn_port_t port)
{
	return world.event_fd;
}

unsigned hv_event_take(struct hv *hv, int fd, evtchn_port_t ports[], unsigned max)
{
	return 0;
}

void hv_notify(struct hv *hv, evtchn_port_t port)
{
}

unsigned hv_peer_map(struct hv_peer *peer, struct hv_map_op ops[], unsigned n)
{
	return n;
}

unsigned hv_peer_unmap(struct hv_peer *peer, const grant_handle_t handles[], unsigned n)
{
	return 0;
}

unsigned hv_peer_copy(struct hv_peer *peer, struct grant_copy_op ops[], unsigned n)
{
	return n;
}

const char *hv_run_dir(const struct hv *hv)
{
	return world.run_dir;
}

bool hv_map_is_cheap(const struct hv *hv)
{
	return !world.is_map_dear;
}

unsigned hv_peer_ram(const struct hv_peer *peer, struct iovec ram[GATE_MAX_EXTENTS])
{
	return 0;
}

const uint32_t *hv_peer_ram_epoch(const struct hv_peer *peer)
{
	return NULL;
}

/* ---- a device with everything right ---- */

struct rig {
	struct handshake h;
	struct vbd vbd;
	struct blkback_options options;
	char image[64];
};

static void rig_start(struct rig *r)
{
	int fd;

	memset(r, 0, sizeof(*r));
	memset(&world, 0, sizeof(world));
	nr_keys = 0;
	strcpy(r->image, "/tmp/sluice-connect-XXXXXX");
	fd = mkstemp(r->image);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	world.event_fd = eventfd(0, EFD_NONBLOCK);
	strcpy(world.run_dir, "/tmp/sluice-connect-run-XXXXXX");
	assert_non_null(mkdtemp(world.run_dir));
	r->options = (struct blkback_options)BLKBACK_OPTIONS;
	r->options.disk.engine = &disk_mem;
	assert_int_equal(vbd_init(&r->vbd, &r->options, world.run_dir, -1, 3, 51712), 0);
	r->h = (struct handshake){.driver = &vbd_driver, .other_domid = 3, .devid = 51712, .priv = &r->vbd};
	strcpy(r->h.own_path, BACK);
	strcpy(r->h.other_path, FRONT);
	set(BACK, "params", r->image);
	set(BACK, "mode", "w");
	set(FRONT, "ring-ref", "8");
	set(FRONT, "event-channel", "5");
	set(FRONT, "protocol", "x86_64-abi");
}

static void rig_stop(struct rig *r)
{
	vbd_driver.disconnect(&r->h);
	vbd_driver.disconnect(&r->h); /* harmless when not connected */
	assert_int_equal(world.nr_mapped, 0);
	assert_int_equal(world.nr_ports, 0);
	assert_int_equal(world.nr_peers, 0);
	vbd_finish(&r->vbd);
	assert_int_equal(rmdir(world.run_dir), 0); /* nothing is left there */
	close(world.event_fd);
	unlink(r->image);
}

/* The whole handshake, which goes well. */
static void offer_and_connect(struct rig *r)
{
	assert_int_equal(vbd_driver.offer(&r->h), 0);
	assert_int_equal(vbd_driver.connect(&r->h), 0);
}

static void a_good_front_end_is_connected(void **state)
{
	struct rig r;

	rig_start(&r);
	assert_int_equal(vbd_driver.offer(&r.h), 0);
	assert_string_equal(get(BACK "/feature-flush-cache"), "1");
	assert_string_equal(get(BACK "/max-ring-page-order"), "4");
	assert_string_equal(get(BACK "/feature-barrier"), "1");
	assert_string_equal(get(BACK "/feature-persistent"), "1");
	assert_string_equal(get(BACK "/feature-max-indirect-segments"), "256");
	assert_string_equal(get(BACK "/multi-queue-max-queues"), "4");
	assert_int_equal(vbd_driver.connect(&r.h), 0);
	assert_string_equal(get(BACK "/sectors"), "2048");
	assert_string_equal(get(BACK "/sector-size"), "512");
	assert_string_equal(get(BACK "/info"), "0");
	assert_int_equal(world.refs[0], 8);
	assert_int_equal(world.nr_refs, 1);
	assert_int_equal(world.port, 5);
	assert_string_equal(world.said, "");
	/* Once more: a front end that reconnects. */
	vbd_driver.disconnect(&r.h);
	offer_and_connect(&r);
	rig_stop(&r);
}

static void a_read_only_disk_says_so(void **state)
{
	struct rig r;

	rig_start(&r);
	set(BACK, "mode", "r");
	assert_int_equal(vbd_driver.offer(&r.h), 0);
	assert_true(r.vbd.image.is_readonly);
	assert_int_equal(vbd_driver.connect(&r.h), 0);
	assert_string_equal(get(BACK "/info"), "4"); /* VDISK_READONLY */
	rig_stop(&r);
}

static void every_ring_order_is_read(void **state)
{
	for (unsigned order = 0; order <= 4; order++) {
		char key[32], value[32];
		struct rig r;

		rig_start(&r);
		set(FRONT, "ring-ref", NULL);
		snprintf(value, sizeof(value), "%u", order);
		set(FRONT, "ring-page-order", value);
		for (unsigned i = 0; i < 1u << order; i++) {
			snprintf(key, sizeof(key), "ring-ref%u", i);
			snprintf(value, sizeof(value), "%u", 100 + i);
			set(FRONT, key, value);
		}
		offer_and_connect(&r);
		assert_int_equal(world.nr_refs, 1u << order);
		for (unsigned i = 0; i < 1u << order; i++)
			assert_int_equal(world.refs[i], 100 + i);
		rig_stop(&r);
	}
}

static void what_a_front_end_may_leave_out_is_not_missed(void **state)
{
	static const struct {
		const char *key, *value;
	} cases[] = {
		{"protocol", NULL},      {"multi-queue-num-queues", "1"}, {"ring-page-order", "0"},
		    {"feature-persistent", "1"}, {"protocol", "x86_32-abi"}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		rig_start(&r);
		set(FRONT, cases[i].key, cases[i].value);
		offer_and_connect(&r);
		assert_int_equal(world.refs[0], 8);
		rig_stop(&r);
	}
}

static void a_bad_front_end_is_told_what_is_wrong(void **state)
{
	static const struct {
		const char *key, *value, *says;
	} cases[] = {
		{"ring-ref", NULL, "ring-ref"}, {"ring-ref", "", "ring-ref"},
		{"ring-ref", "eight", "ring-ref"},
		{"ring-ref", "4294967296", "ring-ref"},
		{"event-channel", NULL, "event-channel"},
		{"event-channel", "99999999999999999999", "event-channel"},
		{"ring-page-order", "5", "max-ring-page-order is 4"}, {"ring-page-order", "4294967295", "max-ring-page-order is 4"},
		{"ring-page-order", "18446744073709551615", "ring-page-order"},
		{"ring-page-order", "x", "ring-page-order"},
		{"ring-page-order", "1", "ring-ref0"},
		{"protocol", "arm-abi", "use x86_64-abi"},
		{"protocol", "", "use x86_64-abi"},
		{"multi-queue-num-queues", "5", "multi-queue-num-queues"},
		{"multi-queue-num-queues", "x", "multi-queue-num-queues"},
		{"multi-queue-num-queues", "2", "queue-0/ring-ref"},
		{"multi-queue-num-queues", "0", "multi-queue-num-queues"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		rig_start(&r);
		assert_int_equal(vbd_driver.offer(&r.h), 0);
		set(FRONT, cases[i].key, cases[i].value);
		assert_true(vbd_driver.connect(&r.h) < 0);
		if (!strstr(world.said, cases[i].says))
			fail_msg("%s=%s: \"%s\"", cases[i].key, cases[i].value ? cases[i].value : "(none)", world.said);
		assert_null(r.vbd.link);
		rig_stop(&r);
	}
}

static void a_bad_disk_is_refused_with_a_sentence(void **state)
{
	static const struct {
		const char *key, *value, *says;
	} cases[] = {
		{"params", "/no/such/image", "/no/such/image does not exist"},
		{"params", NULL, "names no image"},
		{"params", "/dev/null", "neither a file nor a block device"},
		{"mode", "x", "use r or w"}, {"mode", NULL, "no mode"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		rig_start(&r);
		set(BACK, cases[i].key, cases[i].value);
		assert_true(vbd_driver.offer(&r.h) < 0);
		if (!strstr(world.said, cases[i].says))
			fail_msg("%s: \"%s\"", cases[i].key, world.said);
		assert_false(r.vbd.is_image_open);
		rig_stop(&r);
	}
}

static void a_failed_connect_leaves_nothing_open(void **state)
{
	static const struct {
		int *error;
		const char *says;
	} cases[] = {
		{&world.peer_error, "cannot be reached"}, {&world.map_error, "cannot be mapped"}, {&world.bind_error, "cannot be bound"}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		rig_start(&r);
		assert_int_equal(vbd_driver.offer(&r.h), 0);
		*cases[i].error = -EACCES;
		assert_int_equal(vbd_driver.connect(&r.h), -EACCES);
		assert_non_null(strstr(world.said, cases[i].says));
		*cases[i].error = 0;
		world.said[0] = 0;
		assert_int_equal(vbd_driver.connect(&r.h), 0); /* the image is still open: it may try again */
		rig_stop(&r);
	}
}

static void each_queue_has_its_own_folder(void **state)
{
	struct rig r;

	rig_start(&r);
	set(FRONT, "ring-ref", NULL);
	set(FRONT, "event-channel", NULL);
	set(FRONT, "multi-queue-num-queues", "3");
	set(FRONT, "ring-page-order", "1");
	for (unsigned q = 0; q < 3; q++)
		for (unsigned i = 0; i < 3; i++) {
			static const char *const names[] = {"ring-ref0", "ring-ref1", "event-channel"};
			char key[48], value[16];

			snprintf(key, sizeof(key), "queue-%u/%s", q, names[i]);
			snprintf(value, sizeof(value), "%u", 10 * q + i + 1);
			set(FRONT, key, value);
		}
	offer_and_connect(&r);
	assert_int_equal(world.nr_mapped, 3);
	assert_int_equal(world.nr_ports, 3);
	assert_int_equal(world.refs[1], 22);
	assert_int_equal(world.port, 23);
	assert_int_equal(r.vbd.link->nr_queues, 3);
	rig_stop(&r);
}

static void a_queue_that_fails_takes_the_others_with_it(void **state)
{
	struct rig r;

	rig_start(&r);
	set(FRONT, "multi-queue-num-queues", "2");
	for (unsigned q = 0; q < 2; q++) {
		set(FRONT, q ? "queue-1/ring-ref" : "queue-0/ring-ref", "8");
		set(FRONT, q ? "queue-1/event-channel" : "queue-0/event-channel", q ? "666" : "5");
	}
	assert_int_equal(vbd_driver.offer(&r.h), 0);
	assert_int_equal(vbd_driver.connect(&r.h), -EINVAL);
	assert_non_null(strstr(world.said, "event-channel 666 cannot be bound"));
	assert_null(r.vbd.link);
	rig_stop(&r);
}

static void what_cannot_be_done_is_not_offered(void **state)
{
	struct rig r;

	rig_start(&r);
	r.options.max_queues = 1;
	r.options.max_segments = 0;
	r.options.nr_persistent = 0;
	set(BACK, "discard-enable", "0");
	/* What a back end before this one offered. */
	set(BACK, "multi-queue-max-queues", "4");
	set(BACK, "feature-max-indirect-segments", "256");
	assert_int_equal(vbd_driver.offer(&r.h), 0);
	assert_string_equal(get(BACK "/multi-queue-max-queues"), "1");
	assert_string_equal(get(BACK "/feature-max-indirect-segments"), "0");
	assert_string_equal(get(BACK "/feature-persistent"), "0");
	assert_string_equal(get(BACK "/feature-discard"), "0");
	assert_null(get(BACK "/discard-granularity"));
	rig_stop(&r);
}

static void the_front_end_and_the_platform_choose_where_pages_lie(void **state)
{
	static const struct {
		bool is_dear, is_copying;
		const char *persistent;
		enum pages_mode mode;
	} cases[] = {
		{false, false, NULL, PAGES_MAP},  {true, false, NULL, PAGES_COPY},       {false, true, "0", PAGES_COPY},
		{true, true, "x", PAGES_COPY},    {true, false, "1", PAGES_PERSISTENT}, {false, false, "1", PAGES_PERSISTENT},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		rig_start(&r);
		world.is_map_dear = cases[i].is_dear;
		r.options.is_copying = cases[i].is_copying;
		set(FRONT, "feature-persistent", cases[i].persistent);
		offer_and_connect(&r);
		assert_int_equal(queue_pages_mode(r.vbd.link->queue[0].queue), cases[i].mode);
		rig_stop(&r);
	}
}

static void a_cdrom_is_read_only_and_says_so(void **state)
{
	struct rig r;

	rig_start(&r);
	set(BACK, "device-type", "cdrom");
	set(BACK, "removable", "1");
	offer_and_connect(&r);
	assert_true(r.vbd.limits.is_readonly);
	assert_string_equal(get(BACK "/info"), "7"); /* VDISK_CDROM, VDISK_REMOVABLE, VDISK_READONLY */
	rig_stop(&r);
}

static void an_image_that_grew_is_told_by_size_and_state(void **state)
{
	struct rig r;

	rig_start(&r);
	r.options.disk.engine = &disk_sync;
	offer_and_connect(&r);
	r.h.connected = true;
	assert_int_equal(truncate(r.image, (1 << 21) + 100), 0);
	vbd_driver.own_changed(&r.h, "sectors"); /* any other key */
	assert_string_equal(get(BACK "/sectors"), "2048");
	vbd_driver.own_changed(&r.h, "resize"); /* its own removal */
	assert_string_equal(get(BACK "/sectors"), "2048");
	set(BACK, "resize", "1");
	vbd_driver.own_changed(&r.h, "resize");
	assert_null(get(BACK "/resize"));
	assert_string_equal(get(BACK "/sectors"), "4096");
	assert_string_equal(get(BACK "/state"), "4");
	assert_int_equal(r.vbd.limits.sectors, 4096);
	assert_int_equal(truncate(r.image, 1 << 20), 0);
	set(BACK, "resize", "1");
	vbd_driver.own_changed(&r.h, "resize");
	assert_string_equal(get(BACK "/sectors"), "2048");
	rig_stop(&r);
}

static void limits_follow_the_store(void **state)
{
	struct rig r;

	rig_start(&r);
	set(BACK, "limit-read-iops", "1000");
	set(BACK, "limit-write-bytes", "5000000");
	assert_int_equal(vbd_driver.offer(&r.h), 0);
	assert_int_equal(r.vbd.limit.bucket[LIMIT_READ_IOPS].rate, 1000);
	assert_int_equal(r.vbd.limit.bucket[LIMIT_WRITE_BYTES].rate, 5000000);
	assert_int_equal(r.vbd.limit.bucket[LIMIT_READ_BYTES].rate, 0);
	assert_int_equal(vbd_driver.connect(&r.h), 0);
	set(BACK, "limit-read-iops", "0");
	vbd_driver.own_changed(&r.h, "limit-read-iops");
	assert_int_equal(r.vbd.limit.bucket[LIMIT_READ_IOPS].rate, 0);
	set(BACK, "limit-write-bytes", "fast");
	vbd_driver.own_changed(&r.h, "limit-write-bytes");
	set(BACK, "limit-write-bytes", "99999999999999999");
	vbd_driver.own_changed(&r.h, "limit-write-bytes");
	assert_int_equal(r.vbd.limit.bucket[LIMIT_WRITE_BYTES].rate, 5000000); /* nonsense changes nothing */
	set(BACK, "limit-write-bytes", NULL);
	vbd_driver.own_changed(&r.h, "limit-write-bytes");
	assert_int_equal(r.vbd.limit.bucket[LIMIT_WRITE_BYTES].rate, 0);
	rig_stop(&r);
}

/* The back end is gone without a word: its memory is, and its files and the store are not. */
static void rig_kill(struct rig *r)
{
	static const char *const files[] = {"vbd-3-51712.inflight", "vbd-3-51712.stats"};
	char path[ARRAY_LEN(files)][128], copy[ARRAY_LEN(files)][288];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path[i], sizeof(path[i]), "%s/%s", world.run_dir, files[i]);
		snprintf(copy[i], sizeof(copy[i]), "%s.killed", path[i]);
		assert_int_equal(link(path[i], copy[i]), 0);
	}
	vbd_driver.disconnect(&r->h);
	vbd_finish(&r->vbd);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		assert_int_equal(access(path[i], F_OK), -1); /* a clean end leaves nothing */
		assert_int_equal(rename(copy[i], path[i]), 0);
	}
	assert_int_equal(vbd_init(&r->vbd, &r->options, world.run_dir, -1, 3, 51712), 0);
	r->h.is_takeover = r->h.is_unclean = true;
}

static void a_running_device_is_taken_over_with_what_was_offered_and_counted(void **state)
{
	struct rig r;

	rig_start(&r);
	r.options.max_segments = 1000;
	offer_and_connect(&r);
	r.vbd.stats[0].stats.reads = 7;
	rig_kill(&r);
	r.options.max_segments = 32;
	assert_int_equal(vbd_driver.connect(&r.h), 0);
	assert_int_equal(r.vbd.limits.max_segments, 1000);
	assert_int_equal(r.vbd.stats[0].stats.reads, 7);
	assert_string_equal(world.said, "");
	rig_stop(&r);
}

static void a_journal_that_is_not_this_connections_is_not_believed(void **state)
{
	static const struct {
		const char *dir, *key, *value;
	} cases[] = {
		{BACK, "inflight-token", "1"}, {BACK, "inflight-token", NULL}, {FRONT, "event-channel", "6"}, {FRONT, "ring-ref", "9"}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (unsigned unclean = 0; unclean < 2; unclean++) {
			struct rig r;

			rig_start(&r);
			offer_and_connect(&r);
			rig_kill(&r);
			r.h.is_unclean = unclean;
			set(cases[i].dir, cases[i].key, cases[i].value);
			if (unclean) {
				char path[128];

				assert_true(vbd_driver.connect(&r.h) < 0);
				assert_non_null(strstr(world.said, "what it had in flight is not known"));
				snprintf(path, sizeof(path), "%s/vbd-3-51712.inflight", world.run_dir);
				assert_int_equal(unlink(path), 0);
			} else {
				assert_int_equal(vbd_driver.connect(&r.h), 0); /* all had been answered */
			}
			rig_stop(&r);
		}
}

static void connecting_and_disconnecting_fast_leaves_nothing(void **state)
{
	struct rig r;

	rig_start(&r);
	for (unsigned i = 0; i < 300; i++) {
		offer_and_connect(&r);
		if (i % 3 == 0)
			vbd_driver.own_changed(&r.h, "limit-read-iops");
		if (i % 5 == 0)
			vbd_look(&r.vbd);
		vbd_driver.disconnect(&r.h);
		assert_int_equal(world.nr_mapped + world.nr_ports + world.nr_peers, 0);
		assert_null(r.vbd.link);
	}
	rig_stop(&r);
}

/* An engine whose I/O takes as long as the test wants. */
static struct {
	struct disk_queue base;
	struct disk_io *io;
	int has_io, is_released;
} hang;

static int hang_create(const struct disk_queue_config *config, struct disk_queue **out)
{
	*out = &hang.base;
	return 0;
}

static void hang_destroy(struct disk_queue *queue)
{
}

static void hang_submit(struct disk_queue *queue, struct disk_io *io)
{
	hang.io = io;
	store_release(&hang.has_io, 1); /* pairs with the test's acquire */
}

static int hang_poll(struct disk_queue *queue, struct disk_io *done[], unsigned max, unsigned *woken)
{
	if (!hang.io || !load_acquire(&hang.is_released)) /* pairs with the test's release */
		return 0;
	done[0] = hang.io;
	hang.io = NULL;
	return 1;
}

static int hang_wait(struct disk_queue *queue)
{
	usleep(200);
	return 0;
}

static const struct disk_engine hang_engine = {
	.name = "hang", .create = hang_create, .destroy = hang_destroy, .submit = hang_submit, .poll = hang_poll, .wait = hang_wait};

static void an_image_that_hangs_holds_up_its_own_device_only(void **state)
{
	struct blkif_request flush = {.operation = BLKIF_OP_FLUSH_DISKCACHE, .id = 1};
	struct blkif_ring_front front;
	struct rig r;

	memset(&hang, 0, sizeof(hang));
	hang.base.engine = &hang_engine;
	rig_start(&r);
	r.options.disk.engine = &hang_engine;
	offer_and_connect(&r);
	blkif_ring_front_init(&front, world.ring, PAGE_BYTES);
	blkif_ring_front_put(&front, &flush);
	blkif_ring_front_push(&front);
	while (!load_acquire(&hang.has_io))
		usleep(100);
	vbd_driver.disconnect(&r.h); /* comes back */
	assert_int_equal(world.nr_mapped, 1);
	assert_false(vbd_is_over(&r.vbd));
	vbd_look(&r.vbd);
	assert_int_equal(vbd_driver.connect(&r.h), -EBUSY);
	assert_non_null(strstr(world.said, "has not finished the I/O"));
	world.said[0] = 0;
	store_release(&hang.is_released, 1);
	while (!vbd_is_over(&r.vbd))
		usleep(100);
	vbd_look(&r.vbd);
	assert_int_equal(world.nr_mapped + world.nr_ports + world.nr_peers, 0);
	assert_int_equal(vbd_driver.connect(&r.h), 0);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_front_end_is_connected),
		cmocka_unit_test(a_read_only_disk_says_so),
		cmocka_unit_test(every_ring_order_is_read),
		cmocka_unit_test(what_a_front_end_may_leave_out_is_not_missed),
		cmocka_unit_test(a_bad_front_end_is_told_what_is_wrong),
		cmocka_unit_test(a_bad_disk_is_refused_with_a_sentence),
		cmocka_unit_test(a_failed_connect_leaves_nothing_open),
		cmocka_unit_test(each_queue_has_its_own_folder),
		cmocka_unit_test(a_queue_that_fails_takes_the_others_with_it),
		cmocka_unit_test(what_cannot_be_done_is_not_offered),
		cmocka_unit_test(the_front_end_and_the_platform_choose_where_pages_lie),
		cmocka_unit_test(a_cdrom_is_read_only_and_says_so),
		cmocka_unit_test(an_image_that_grew_is_told_by_size_and_state),
		cmocka_unit_test(limits_follow_the_store),
		cmocka_unit_test(connecting_and_disconnecting_fast_leaves_nothing),
		cmocka_unit_test(an_image_that_hangs_holds_up_its_own_device_only),
		cmocka_unit_test(a_running_device_is_taken_over_with_what_was_offered_and_counted),
		cmocka_unit_test(a_journal_that_is_not_this_connections_is_not_believed),
	};

	log_init("blkback_connect", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
