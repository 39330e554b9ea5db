/*
 * tools/guest_copy.c - copy-tree: everything on one ext4 disk onto another, read back and compared.
 */
#include "frontends/ext2_io.h"
#include "hv/clock.h"
#include "tools/guest.h"
#include "tools/guest_tree.h"

#include <et/com_err.h>
#include <stdlib.h>

/* Opens a file system; NULL: the sentence has been said. */
static ext2_filsys open_fs(struct guest *g, const char *disk, bool writable)
{
	ext2_filsys fs = NULL;
	int flags = EXT2_FLAG_64BITS | (writable ? EXT2_FLAG_RW : 0);
	errcode_t err = ext2fs_open(disk, flags, 0, 0, &ext2_io_manager, &fs);

	if (!err && ext2fs_has_feature_journal_needs_recovery(fs->super)) {
		guest_fail(g, "disk %s: its journal must be replayed first; run e2fsck on it", disk);
		ext2fs_close_free(&fs);
		return NULL;
	}
	if (!err && writable)
		err = ext2fs_read_bitmaps(fs);
	if (err) {
		guest_fail(g, "disk %s cannot be opened as ext4: %s", disk, error_message(err));
		if (fs)
			ext2fs_free(fs);
		return NULL;
	}
	return fs;
}

static int say_tree_error(struct guest *g, const struct tree *t)
{
	if (t->different)
		return guest_fail(g, "%s came back different", t->path);
	return guest_fail(g, "%s: %s: %s", t->path[0] ? t->path : "/", t->what, error_message(t->error));
}

static double seconds_since(uint64_t start)
{
	return (double)(clock_now_ns() - start) / 1e9;
}

static int copy(struct guest *g, struct tree *t, const char *source, const char *target)
{
	uint64_t start = clock_now_ns();
	errcode_t err;
	bool ok;

	t->from = open_fs(g, source, false);
	t->to = t->from ? open_fs(g, target, true) : NULL;
	if (!t->to) {
		if (t->from)
			ext2fs_close_free(&t->from);
		return 1;
	}
	guest_say(g, "copying %s to %s", source, target);
	ok = tree_copy(t);
	if (!ok)
		say_tree_error(g, t);
	/* Also after a failure: what was copied until then is left in a sound file system. */
	err = ext2fs_close_free(&t->to);
	if (err && ok)
		ok = !guest_fail(g, "disk %s: closing the file system: %s", target, error_message(err));
	ext2fs_close_free(&t->from);
	if (!ok)
		return 1;
	guest_figure(g, "tree_files", (double)t->files, "files");
	guest_figure(g, "tree_directories", (double)t->directories, "directories");
	guest_figure(g, "tree_symlinks", (double)t->symlinks, "links");
	guest_figure(g, "tree_skipped", (double)t->skipped, "entries");
	guest_figure(g, "tree_bytes", (double)t->bytes, "bytes");
	guest_figure(g, "tree_write_time", seconds_since(start), "s");
	return 0;
}

static int compare(struct guest *g, struct tree *t, const char *source, const char *target)
{
	uint64_t start = clock_now_ns();
	bool ok;

	*t = (struct tree){.from = open_fs(g, source, false)};
	t->to = t->from ? open_fs(g, target, false) : NULL;
	if (!t->to) {
		if (t->from)
			ext2fs_close_free(&t->from);
		return 1;
	}
	ok = tree_compare(t);
	if (!ok)
		say_tree_error(g, t);
	ext2fs_close_free(&t->to);
	ext2fs_close_free(&t->from);
	guest_figure(g, "tree_verified", (double)t->bytes, "bytes");
	guest_figure(g, "tree_verify_time", seconds_since(start), "s");
	return !ok;
}

static int copy_and_compare(struct guest *g, struct blkfront *target, char **argv)
{
	struct tree *t = calloc(1, sizeof(*t));
	int code, rc;

	if (!t)
		return guest_fail(g, "no memory");
	add_error_table(&et_ext2_error_table);
	code = copy(g, t, argv[0], argv[1]);
	rc = code ? 0 : blkfront_flush(target);
	if (rc < 0)
		code = guest_fail(g, "disk %s: flushing: %s", argv[1], strerror(-rc));
	if (!code)
		code = compare(g, t, argv[0], argv[1]);
	free(t);
	return code;
}

int guest_copy_tree(struct guest *g, int argc, char **argv)
{
	struct blkfront *from, *to = NULL;
	int code = 1;

	(void)argc;
	if (!strcmp(argv[0], argv[1]))
		return guest_fail(g, "source and target are the same disk, %s", argv[0]);
	from = guest_open_disk(g, argv[0], 0);
	if (from)
		to = guest_open_disk(g, argv[1], 0);
	if (to && blkfront_get_disk(to)->is_read_only) {
		guest_fail(g, "disk %s is read-only; the copy needs a writable one", argv[1]);
	} else if (to) {
		ext2_io_add(argv[0], from);
		ext2_io_add(argv[1], to);
		code = copy_and_compare(g, to, argv);
		ext2_io_remove(argv[0]);
		ext2_io_remove(argv[1]);
	}
	blkfront_destroy(to);
	blkfront_destroy(from);
	return code;
}
