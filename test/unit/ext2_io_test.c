/*
 * test/unit/ext2_io_test.c - libext2fs over a blkfront in a box: what it writes, the host's e2fsck finds sound.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "box.h"
#include "frontends/ext2_io.h"
#include "raw_back.h"
#include "tools/guest_tree.h"

#define DEVID 51712u
#define DISK_BYTES (16u << 20)

static struct box box;
static domid_t domid;
static struct hv *guest;
static struct frontbus bus;
static struct raw_back back[2];
static struct blkfront *bf[2];
static uint8_t *disk[2];
static char dir[] = "/tmp/sluice-ext2-XXXXXX";
static char image[64];

struct offer {
	uint8_t *disk;
	const char *info;
	const char *sector_size;
	uint64_t nr_good; /* sectors from there on fail */
};

static struct offer offers[2];

static void serve(struct raw_back *b)
{
	const struct offer *o = b->arg;
	char sectors[16];

	snprintf(sectors, sizeof(sectors), "%u", DISK_BYTES / 512);
	raw_back_write(b, "max-ring-page-order", "1");
	raw_back_write(b, "feature-flush-cache", "1");
	raw_back_state(b, XenbusStateInitWait);
	if (!raw_back_wait_front(b, XenbusStateInitialised))
		return;
	raw_back_connect_vbd(b);
	raw_back_write(b, "sectors", sectors);
	raw_back_write(b, "sector-size", o->sector_size);
	raw_back_write(b, "info", o->info);
	raw_back_state(b, XenbusStateConnected);
	raw_back_serve_disk(b, o->disk, o->nr_good);
}

/* mkfs.ext4 on the image file, with the options, then into the memory of a back end. */
static bool make_fs(uint8_t *into, const char *options)
{
	char command[256];
	FILE *f;
	bool ok;

	snprintf(command, sizeof(command), "truncate -s %u %s && mkfs.ext4 -q -F %s %s", DISK_BYTES, image, options, image);
	if (system(command))
		return false;
	f = fopen(image, "rb");
	ok = f && fread(into, 1, DISK_BYTES, f) == DISK_BYTES;
	if (f)
		fclose(f);
	return ok;
}

static int fsck(const uint8_t *from)
{
	FILE *f = fopen(image, "wb");
	char command[128];
	bool ok = f && fwrite(from, 1, DISK_BYTES, f) == DISK_BYTES;

	if (f && fclose(f))
		ok = false;
	snprintf(command, sizeof(command), "e2fsck -fn %s >/dev/null 2>&1", image);
	return ok ? system(command) : -1;
}

static int start_with(const char *info, const char *sector_size, uint64_t nr_good)
{
	static const char *const names[] = {"xvda", "xvdb"};

	box_start(&box);
	domid = box_create(&box, "a", 8192);
	for (unsigned i = 0; i < 2; i++)
		box_add_vbd(&box, domid, DEVID + 16 * i, "/nowhere", "w");
	guest = box_run(&box, domid, "a");
	if (frontbus_init(&bus, guest))
		return -1;
	for (unsigned i = 0; i < 2; i++) {
		disk[i] = calloc(1, DISK_BYTES);
		offers[i] = (struct offer){disk[i], info, sector_size, nr_good};
		raw_back_start(&back[i], box_open_dom0(&box), "vbd", domid, DEVID + 16 * i, serve, &offers[i]);
		if (blkfront_create(&bus, DEVID + 16 * i, NULL, &bf[i]) || blkfront_wait_connected(bf[i], 10000) ||
		    ext2_io_add(names[i], bf[i]))
			return -1;
	}
	return 0;
}

static int start(void **state)
{
	return start_with("0", "512", DISK_BYTES / 512);
}

static int start_read_only(void **state)
{
	return start_with("4", "512", DISK_BYTES / 512);
}

static int start_large_sectors(void **state)
{
	return start_with("0", "4096", DISK_BYTES / 512);
}

static int start_damaged(void **state)
{
	return start_with("0", "512", DISK_BYTES / 1024);
}

static int stop(void **state)
{
	ext2_io_remove("xvda");
	ext2_io_remove("xvdb");
	for (unsigned i = 0; i < 2; i++) {
		blkfront_destroy(bf[i]);
		raw_back_stop(&back[i]);
		free(disk[i]);
	}
	box_end(&box, domid, guest);
	return 0;
}

static ext2_filsys open_fs(const char *name, int flags)
{
	ext2_filsys fs = NULL;

	assert_int_equal(ext2fs_open(name, EXT2_FLAG_64BITS | flags, 0, 0, &ext2_io_manager, &fs), 0);
	if (flags & EXT2_FLAG_RW)
		assert_int_equal(ext2fs_read_bitmaps(fs), 0);
	return fs;
}

/* A tree by the host's own tools, inside the image. */
static void make_tree(const char *options)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "rm -rf %s/t && mkdir -p %s/t/a/b/c && cd %s/t && head -c 1000000 /dev/urandom >a/big && head -c 300 /dev/urandom "
		 ">a/b/small && : >a/empty && ln -s b/small a/short && ln -s %0100d a/long && ln a/big a/b/second && chmod 640 "
		 "a/b/small && touch -d 2001-02-03 a/big && mkfifo a/pipe && truncate -s 5000000 a/sparse",
		 dir, dir, dir, 1);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "-d %s/t %s", dir, options);
	assert_true(make_fs(disk[0], command));
}

static struct tree *copy_tree(void)
{
	struct tree *t = calloc(1, sizeof(*t));

	t->from = open_fs("xvda", 0);
	t->to = open_fs("xvdb", EXT2_FLAG_RW);
	if (!tree_copy(t))
		fail_msg("%s: %s: %ld", t->path, t->what, (long)t->error);
	assert_int_equal(ext2fs_close_free(&t->to), 0);
	assert_int_equal(ext2fs_close_free(&t->from), 0);
	return t;
}

static bool compare_tree(struct tree *t)
{
	bool ok;

	memset(t, 0, sizeof(*t));
	t->from = open_fs("xvda", 0);
	t->to = open_fs("xvdb", 0);
	ok = tree_compare(t);
	ext2fs_close_free(&t->to);
	ext2fs_close_free(&t->from);
	return ok;
}

static void a_copied_tree_is_sound_and_the_same(void **state)
{
	static const char *const options[] = {"", "-b 1024", "-O ^extents,^64bit,^metadata_csum", "-I 128", "-O ^has_journal -b 4096"};

	for (unsigned i = 0; i < ARRAY_LEN(options); i++) {
		struct tree *t;

		make_tree("");
		assert_true(make_fs(disk[1], options[i]));
		t = copy_tree();
		assert_int_equal(t->files, 5 - 1);
		assert_int_equal(t->symlinks, 2);
		assert_int_equal(t->skipped, 1);
		assert_int_equal(t->directories, 4); /* with lost+found */
		assert_int_equal(fsck(disk[1]), 0);
		assert_true(compare_tree(t));
		free(t);
	}
}

static void one_changed_byte_is_seen(void **state)
{
	static const uint8_t mark[] = "a mark that is nowhere else on this disk";
	char command[256];
	struct tree *t;
	uint8_t *found;

	snprintf(command, sizeof(command), "mkdir -p %s/m && printf '%s' >%s/m/marked", dir, (const char *)mark, dir);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "-d %s/m", dir);
	assert_true(make_fs(disk[0], command));
	assert_true(make_fs(disk[1], ""));
	t = copy_tree();
	assert_true(compare_tree(t));
	found = memmem(disk[1], DISK_BYTES, mark, sizeof(mark) - 1);
	assert_non_null(found);
	found[3] ^= 1;
	assert_false(compare_tree(t));
	assert_int_equal(t->different, 1);
	assert_string_equal(t->path, "/marked");
	free(t);
}

static void a_full_disk_is_reported_and_left_sound(void **state)
{
	static const struct {
		const char *options;
		errcode_t error;
	} t[] = {{"-N 16", EXT2_ET_INODE_ALLOC_FAIL}, {"-N 12000 -I 1024", EXT2_ET_BLOCK_ALLOC_FAIL}};

	make_tree("");
	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct tree *tree = calloc(1, sizeof(*tree));

		assert_true(make_fs(disk[1], t[i].options));
		tree->from = open_fs("xvda", 0);
		tree->to = open_fs("xvdb", EXT2_FLAG_RW);
		assert_false(tree_copy(tree));
		assert_int_equal(tree->error, t[i].error);
		assert_int_equal(ext2fs_close_free(&tree->to), 0);
		ext2fs_close_free(&tree->from);
		assert_int_equal(fsck(disk[1]), 0);
		free(tree);
	}
}

static void a_read_only_disk_is_opened_for_reading_only(void **state)
{
	ext2_filsys fs = NULL;

	assert_true(make_fs(disk[0], ""));
	assert_int_equal(ext2fs_open("xvda", EXT2_FLAG_64BITS | EXT2_FLAG_RW, 0, 0, &ext2_io_manager, &fs), EROFS);
	fs = open_fs("xvda", 0);
	ext2fs_close_free(&fs);
	assert_int_equal(ext2fs_open("xvdz", EXT2_FLAG_64BITS, 0, 0, &ext2_io_manager, &fs), ENOENT);
}

/* The channel itself: odd sizes and places against a plain copy of the disk. */
static void any_bytes_may_be_read_and_written(void **state)
{
	static const struct {
		unsigned long long block;
		int count; /* negative: bytes */
	} t[] = {{0, 1}, {1, 1}, {0, -1024}, {3, -100}, {5, -513}, {7, -4097}, {9, 3}, {100, 64}, {9, 1}, {0, 256}, {11, -1}};
	uint8_t *model = calloc(1, DISK_BYTES), *buffer = malloc(1 << 20);
	uint32_t seed = 5;
	io_channel ch;

	assert_int_equal(ext2_io_manager.open("xvda", IO_FLAG_RW, &ch), 0);
	assert_int_equal(ext2_io_manager.set_blksize(ch, 1024), 0);
	for (unsigned round = 0; round < 20 * ARRAY_LEN(t); round++) {
		unsigned i = round % ARRAY_LEN(t);
		size_t bytes = t[i].count < 0 ? (size_t)-t[i].count : (size_t)t[i].count * 1024;

		for (size_t k = 0; k < bytes; k++)
			buffer[k] = (uint8_t)test_random(&seed);
		memcpy(model + t[i].block * 1024, buffer, bytes);
		assert_int_equal(ext2_io_manager.write_blk64(ch, t[i].block, t[i].count, buffer), 0);
		for (unsigned k = 0; k < ARRAY_LEN(t); k++) {
			bytes = t[k].count < 0 ? (size_t)-t[k].count : (size_t)t[k].count * 1024;
			assert_int_equal(ext2_io_manager.read_blk64(ch, t[k].block, t[k].count, buffer), 0);
			assert_memory_equal(buffer, model + t[k].block * 1024, bytes);
		}
	}
	memset(buffer, 0xa5, 700);
	memcpy(model + 777, buffer, 700);
	assert_int_equal(ext2_io_manager.write_byte(ch, 777, 700, buffer), 0);
	assert_int_equal(ext2_io_manager.flush(ch), 0);
	assert_memory_equal(disk[0], model, 1 << 20);
	assert_int_equal(ext2_io_manager.read_blk64(ch, DISK_BYTES / 1024, 1, buffer), EINVAL);
	assert_int_equal(ext2_io_manager.read_blk64(ch, UINT64_MAX, 1, buffer), EINVAL);
	assert_int_equal(ext2_io_manager.set_blksize(ch, 1000), EINVAL);
	assert_int_equal(ext2_io_manager.close(ch), 0);
	free(model);
	free(buffer);
}

static void what_cannot_be_written_is_told_at_flush_and_at_close(void **state)
{
	const unsigned long long good = 7, bad = DISK_BYTES / 1024 - 7;
	uint8_t *buffer = calloc(1, 1024);
	io_channel ch;

	assert_int_equal(ext2_io_manager.open("xvda", IO_FLAG_RW, &ch), 0);
	assert_int_equal(ext2_io_manager.write_blk64(ch, bad, 1, buffer), 0);
	assert_int_equal(ext2_io_manager.flush(ch), EIO);
	assert_int_equal(ext2_io_manager.flush(ch), EIO);
	memset(buffer, 0x42, 1024);
	assert_int_equal(ext2_io_manager.write_blk64(ch, good, 1, buffer), 0);
	assert_int_equal(ext2_io_manager.read_blk64(ch, bad - 200, 1, buffer), EIO);
	assert_int_equal(ext2_io_manager.close(ch), EIO);
	assert_int_equal(disk[0][good * 1024], 0x42);
	free(buffer);
}

static int make_dir(void **state)
{
	if (system("command -v mkfs.ext4 e2fsck >/dev/null"))
		return -1;
	if (!mkdtemp(dir))
		return -1;
	snprintf(image, sizeof(image), "%s/image", dir);
	return 0;
}

static int remove_dir(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_copied_tree_is_sound_and_the_same, start, stop),
		cmocka_unit_test_setup_teardown(one_changed_byte_is_seen, start, stop),
		cmocka_unit_test_setup_teardown(a_full_disk_is_reported_and_left_sound, start, stop),
		cmocka_unit_test_setup_teardown(a_read_only_disk_is_opened_for_reading_only, start_read_only, stop),
		cmocka_unit_test_setup_teardown(any_bytes_may_be_read_and_written, start, stop),
		cmocka_unit_test_setup_teardown(any_bytes_may_be_read_and_written, start_large_sectors, stop),
		cmocka_unit_test_setup_teardown(what_cannot_be_written_is_told_at_flush_and_at_close, start_damaged, stop),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
