/*
 * test/unit/blkback_device_test.c - images that are block devices: loop devices with sectors of 512 and 4096 bytes. Skipped where
 * this machine gives us none.
 */
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include "disk_rig.h"

static const struct disk_engine *const engines[] = {&disk_uring, &disk_aio, &disk_sync};

struct device {
	char file[64];
	char path[64];
	int fd;
};

/* false: none to be had. The device ends with its last descriptor. */
static bool device_open(struct device *d, uint32_t sector_bytes)
{
	struct loop_config config = {.block_size = sector_bytes, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), number, file;
	bool is_there = false;

	disk_rig_make_file(d->file, DISK_RIG_SECTORS * BLKIF_SECTOR_BYTES);
	file = open(d->file, O_RDWR | O_CLOEXEC);
	/* Another test may be quicker to take the free one. */
	for (int tries = 0; control >= 0 && !is_there && tries < 10; tries++) {
		number = ioctl(control, LOOP_CTL_GET_FREE);
		snprintf(d->path, sizeof(d->path), "/dev/loop%d", number);
		d->fd = number >= 0 ? open(d->path, O_RDWR | O_CLOEXEC) : -1;
		if (d->fd < 0)
			break;
		config.fd = (uint32_t)file;
		is_there = ioctl(d->fd, LOOP_CONFIGURE, &config) == 0;
		if (!is_there)
			close(d->fd);
	}
	if (control >= 0)
		close(control);
	close(file);
	if (!is_there)
		unlink(d->file);
	return is_there;
}

static void device_close(struct device *d)
{
	close(d->fd);
	unlink(d->file);
}

static void rig_start(struct disk_rig *r, const struct device *d, const struct disk_engine *engine)
{
	memset(r, 0, sizeof(*r));
	strcpy(r->path, "/nonexistent"); /* nothing for the rig to remove */
	if (disk_rig_open_image(&r->image, engine, d->path, false, DISK_DIRECT_AUTO, r->why, r->note))
		fail_msg("%s", r->why);
	disk_rig_make_queue(r);
}

static void a_device_has_its_own_sectors_and_discards(void **state)
{
	static const uint32_t sector_bytes[] = {512, 4096};

	for (size_t s = 0; s < ARRAY_LEN(sector_bytes); s++) {
		struct device d;

		if (!device_open(&d, sector_bytes[s]))
			skip();
		for (size_t e = 0; e < ARRAY_LEN(engines); e++) {
			struct disk_rig r;
			struct iovec v;

			rig_start(&r, &d, engines[e]);
			assert_true(r.image.is_block);
			assert_int_equal(r.image.sectors, DISK_RIG_SECTORS);
			assert_int_equal(r.image.sector_bytes, sector_bytes[s]);
			assert_true(r.image.physical_sector_bytes >= sector_bytes[s]);
			assert_true(r.image.can_discard);
			assert_false(r.image.can_secure_discard);
			assert_int_equal(r.image.discard_granularity_bytes % sector_bytes[s], 0);
			v = (struct iovec){r.ram, 16 * PAGE_BYTES};
			disk_rig_fill(r.ram, 16 * PAGE_BYTES, 7);
			assert_int_equal(disk_rig_do(&r, DISK_WRITE, 8, &v, 1), 0);
			assert_int_equal(disk_rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
			assert_int_equal(disk_rig_discard(&r, DISK_DISCARD, 16, 16), 0);
			assert_int_equal(disk_rig_discard(&r, DISK_DISCARD, 64, 8), 0); /* the second one knows how */
			v.iov_base = r.ram + 20 * PAGE_BYTES;
			assert_int_equal(disk_rig_do(&r, DISK_READ, 8, &v, 1), 0);
			for (unsigned page = 0; page < 16; page++) {
				bool is_gone = page == 1 || page == 2 || page == 7;

				if (is_gone)
					memset(r.ram + page * PAGE_BYTES, 0, PAGE_BYTES);
				assert_memory_equal(r.ram + page * PAGE_BYTES, r.ram + (20 + page) * PAGE_BYTES, PAGE_BYTES);
			}
			disk_rig_stop(&r);
		}
		device_close(&d);
	}
}

static void a_device_that_grew_is_measured_anew(void **state)
{
	struct disk_rig r;
	struct device d;
	uint64_t sectors;

	if (!device_open(&d, 4096))
		skip();
	rig_start(&r, &d, &disk_uring);
	assert_int_equal(truncate(d.file, 2 * DISK_RIG_SECTORS * BLKIF_SECTOR_BYTES + 512), 0);
	assert_int_equal(disk_image_measure(&r.image, &sectors), 0);
	assert_int_equal(sectors, DISK_RIG_SECTORS);
	assert_int_equal(ioctl(d.fd, LOOP_SET_CAPACITY), 0);
	assert_int_equal(disk_image_measure(&r.image, &sectors), 0);
	assert_int_equal(sectors, 2 * DISK_RIG_SECTORS);
	disk_rig_stop(&r);
	device_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_has_its_own_sectors_and_discards),
		cmocka_unit_test(a_device_that_grew_is_measured_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
