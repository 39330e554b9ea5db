/*
 * tools/guest_tree.c - copies and compares directory trees of two ext4 file systems, with libext2fs.
 *
 * Directories, files (several names of one stay one), symbolic links; owners, modes, times. Devices, sockets and pipes are
 * counted as skipped.
 */
#include "tools/guest_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	struct tree *t;
	ext2_ino_t to_dir;
	bool (*visit)(struct tree *t, ext2_ino_t from, ext2_ino_t to_dir, const char *name);
};

static bool fail(struct tree *t, const char *what, errcode_t error)
{
	t->what = what;
	t->error = error;
	return false;
}

static int visit_entry(struct ext2_dir_entry *entry, int offset, int blocksize, char *buf, void *arg)
{
	struct walk *w = arg;
	struct tree *t = w->t;
	size_t at = strlen(t->path);
	char name[EXT2_NAME_LEN + 1];
	int len = ext2fs_dirent_name_len(entry);
	bool ok;

	(void)offset, (void)blocksize, (void)buf;
	memcpy(name, entry->name, (size_t)len);
	name[len] = '\0';
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	if (at + (size_t)len + 2 > sizeof(t->path))
		return fail(t, "following a path", ENAMETOOLONG), DIRENT_ABORT;
	t->path[at] = '/';
	memcpy(t->path + at + 1, name, (size_t)len + 1);
	ok = w->visit(t, entry->inode, w->to_dir, name);
	if (!ok)
		return DIRENT_ABORT;
	t->path[at] = '\0';
	return 0;
}

static bool walk(struct tree *t, ext2_ino_t from_dir, ext2_ino_t to_dir,
		 bool (*visit)(struct tree *, ext2_ino_t, ext2_ino_t, const char *))
{
	struct walk w = {t, to_dir, visit};
	errcode_t err;

	if (t->depth == TREE_MAX_DEPTH)
		return fail(t, "following directories", ELOOP);
	t->depth++;
	err = ext2fs_dir_iterate(t->from, from_dir, 0, NULL, visit_entry, &w);
	t->depth--;
	if (err && !t->error)
		return fail(t, "reading a directory", err);
	return !t->error;
}

static errcode_t read_inode(ext2_filsys fs, ext2_ino_t ino, struct ext2_inode_large *inode)
{
	memset(inode, 0, sizeof(*inode));
	return ext2fs_read_inode_full(fs, ino, (struct ext2_inode *)inode, sizeof(*inode));
}

/* Owner, mode and times as the source has them. */
static bool copy_attributes(struct tree *t, const struct ext2_inode_large *from, ext2_ino_t to)
{
	struct ext2_inode_large inode;
	errcode_t err = read_inode(t->to, to, &inode);

	if (err)
		return fail(t, "reading the new inode", err);
	inode.i_mode = from->i_mode;
	inode.i_uid = from->i_uid;
	inode.i_gid = from->i_gid;
	inode.osd2.linux2.l_i_uid_high = from->osd2.linux2.l_i_uid_high;
	inode.osd2.linux2.l_i_gid_high = from->osd2.linux2.l_i_gid_high;
	inode.i_atime = from->i_atime;
	inode.i_ctime = from->i_ctime;
	inode.i_mtime = from->i_mtime;
	if (EXT2_INODE_SIZE(t->to->super) > EXT2_GOOD_OLD_INODE_SIZE && inode.i_extra_isize >= 16) {
		inode.i_ctime_extra = from->i_ctime_extra;
		inode.i_mtime_extra = from->i_mtime_extra;
		inode.i_atime_extra = from->i_atime_extra;
	}
	err = ext2fs_write_inode_full(t->to, to, (struct ext2_inode *)&inode, sizeof(inode));
	return err ? fail(t, "writing the new inode", err) : true;
}

static bool link_name(struct tree *t, ext2_ino_t dir, const char *name, ext2_ino_t ino)
{
	errcode_t err = ext2fs_link(t->to, dir, name, ino, EXT2_FT_REG_FILE);

	if (err == EXT2_ET_DIR_NO_SPACE) {
		err = ext2fs_expand_dir(t->to, dir);
		if (!err)
			err = ext2fs_link(t->to, dir, name, ino, EXT2_FT_REG_FILE);
	}
	return err ? fail(t, "entering a name", err) : true;
}

/* An empty regular file, not yet in any directory. */
static bool new_file(struct tree *t, ext2_ino_t dir, const struct ext2_inode_large *from, ext2_ino_t *ino)
{
	struct ext2_inode_large inode = {.i_mode = from->i_mode, .i_links_count = 1};
	ext2_extent_handle_t handle;
	errcode_t err = ext2fs_new_inode(t->to, dir, from->i_mode, NULL, ino);

	if (err)
		return fail(t, "taking an inode", err);
	if (EXT2_INODE_SIZE(t->to->super) > EXT2_GOOD_OLD_INODE_SIZE)
		inode.i_extra_isize = sizeof(inode) - EXT2_GOOD_OLD_INODE_SIZE;
	if (ext2fs_has_feature_extents(t->to->super)) {
		inode.i_flags |= EXT4_EXTENTS_FL;
		err = ext2fs_extent_open2(t->to, *ino, (struct ext2_inode *)&inode, &handle);
		if (err)
			return fail(t, "starting a file", err);
		ext2fs_extent_free(handle);
	}
	err = ext2fs_write_new_inode(t->to, *ino, (struct ext2_inode *)&inode);
	if (err)
		return fail(t, "writing the new inode", err);
	ext2fs_inode_alloc_stats2(t->to, *ino, 1, 0);
	return true;
}

static bool copy_bytes(struct tree *t, ext2_file_t in, ext2_file_t out)
{
	unsigned got, put;
	errcode_t err;

	for (;;) {
		err = ext2fs_file_read(in, t->chunk, TREE_CHUNK_BYTES, &got);
		if (err)
			return fail(t, "reading the file", err);
		if (!got)
			return true;
		err = ext2fs_file_write(out, t->chunk, got, &put);
		if (err || put != got)
			return fail(t, "writing the file", err ? err : EIO);
		t->bytes += got;
	}
}

static bool copy_content(struct tree *t, ext2_ino_t from, ext2_ino_t to)
{
	ext2_file_t in, out;
	errcode_t err = ext2fs_file_open(t->from, from, 0, &in);
	bool ok;

	if (err)
		return fail(t, "opening the file", err);
	err = ext2fs_file_open(t->to, to, EXT2_FILE_WRITE, &out);
	if (err) {
		ext2fs_file_close(in);
		return fail(t, "opening the new file", err);
	}
	ok = copy_bytes(t, in, out);
	ext2fs_file_close(in);
	err = ext2fs_file_close(out);
	return ok && err ? fail(t, "closing the new file", err) : ok;
}

/* The copy of a file that has several names, if one of them was met before; 0: not yet. */
static ext2_ino_t find_link(const struct tree *t, ext2_ino_t from)
{
	for (unsigned i = 0; i < t->nr_links; i++)
		if (t->links[i].from == from)
			return t->links[i].to;
	return 0;
}

static bool remember_link(struct tree *t, ext2_ino_t from, ext2_ino_t to)
{
	struct tree_link *more = realloc(t->links, (t->nr_links + 1) * sizeof(*more));

	if (!more)
		return fail(t, "remembering a file with several names", ENOMEM);
	t->links = more;
	t->links[t->nr_links++] = (struct tree_link){from, to};
	return true;
}

static bool copy_second_name(struct tree *t, ext2_ino_t to, ext2_ino_t to_dir, const char *name)
{
	struct ext2_inode_large inode;
	errcode_t err = read_inode(t->to, to, &inode);

	inode.i_links_count++;
	if (!err)
		err = ext2fs_write_inode_full(t->to, to, (struct ext2_inode *)&inode, sizeof(inode));
	return err ? fail(t, "counting names", err) : link_name(t, to_dir, name, to);
}

static bool copy_file(struct tree *t, ext2_ino_t from, const struct ext2_inode_large *inode, ext2_ino_t to_dir, const char *name)
{
	ext2_ino_t to = inode->i_links_count > 1 ? find_link(t, from) : 0;

	if (to)
		return copy_second_name(t, to, to_dir, name);
	if (!new_file(t, to_dir, inode, &to) || !link_name(t, to_dir, name, to) || !copy_content(t, from, to) ||
	    !copy_attributes(t, inode, to))
		return false;
	t->files++;
	return inode->i_links_count > 1 ? remember_link(t, from, to) : true;
}

/* Where a symbolic link points, NUL-terminated. */
static bool read_target(struct tree *t, ext2_filsys fs, ext2_ino_t ino, const struct ext2_inode_large *inode, char *target,
			size_t room)
{
	unsigned got;
	ext2_file_t f;
	errcode_t err;

	if (inode->i_size >= room || (inode->i_flags & EXT4_INLINE_DATA_FL))
		return fail(t, "reading a symbolic link", EXT2_ET_SYMLINK_LOOP);
	if (ext2fs_is_fast_symlink((struct ext2_inode *)(uintptr_t)inode)) {
		memcpy(target, inode->i_block, inode->i_size);
		target[inode->i_size] = '\0';
		return true;
	}
	err = ext2fs_file_open(fs, ino, 0, &f);
	if (!err) {
		err = ext2fs_file_read(f, target, inode->i_size, &got);
		ext2fs_file_close(f);
	}
	if (err || got != inode->i_size)
		return fail(t, "reading a symbolic link", err ? err : EIO);
	target[got] = '\0';
	return true;
}

static bool copy_symlink(struct tree *t, ext2_ino_t from, const struct ext2_inode_large *inode, ext2_ino_t to_dir, const char *name)
{
	char target[4096];
	ext2_ino_t to;
	errcode_t err;

	if (!read_target(t, t->from, from, inode, target, sizeof(target)))
		return false;
	err = ext2fs_symlink(t->to, to_dir, 0, name, target);
	if (err == EXT2_ET_DIR_NO_SPACE) {
		err = ext2fs_expand_dir(t->to, to_dir);
		if (!err)
			err = ext2fs_symlink(t->to, to_dir, 0, name, target);
	}
	if (!err)
		err = ext2fs_lookup(t->to, to_dir, name, (int)strlen(name), NULL, &to);
	if (err)
		return fail(t, "making a symbolic link", err);
	t->symlinks++;
	return copy_attributes(t, inode, to);
}

static bool copy_entry(struct tree *t, ext2_ino_t from, ext2_ino_t to_dir, const char *name);

static bool copy_directory(struct tree *t, ext2_ino_t from, const struct ext2_inode_large *inode, ext2_ino_t to_dir,
			   const char *name)
{
	ext2_ino_t to;
	errcode_t err = ext2fs_lookup(t->to, to_dir, name, (int)strlen(name), NULL, &to);

	if (err == EXT2_ET_FILE_NOT_FOUND) {
		err = ext2fs_mkdir(t->to, to_dir, 0, name);
		if (err == EXT2_ET_DIR_NO_SPACE) {
			err = ext2fs_expand_dir(t->to, to_dir);
			if (!err)
				err = ext2fs_mkdir(t->to, to_dir, 0, name);
		}
		if (!err)
			err = ext2fs_lookup(t->to, to_dir, name, (int)strlen(name), NULL, &to);
	}
	if (err)
		return fail(t, "making a directory", err);
	err = ext2fs_check_directory(t->to, to);
	if (err)
		return fail(t, "using a directory that is there already", err);
	t->directories++;
	return walk(t, from, to, copy_entry) && copy_attributes(t, inode, to);
}

static bool copy_entry(struct tree *t, ext2_ino_t from, ext2_ino_t to_dir, const char *name)
{
	struct ext2_inode_large inode;
	errcode_t err = read_inode(t->from, from, &inode);
	ext2_ino_t there;

	if (err)
		return fail(t, "reading an inode", err);
	if (LINUX_S_ISDIR(inode.i_mode))
		return copy_directory(t, from, &inode, to_dir, name);
	if (!ext2fs_lookup(t->to, to_dir, name, (int)strlen(name), NULL, &there))
		return fail(t, "making a new entry", EEXIST);
	if (LINUX_S_ISREG(inode.i_mode))
		return copy_file(t, from, &inode, to_dir, name);
	if (LINUX_S_ISLNK(inode.i_mode))
		return copy_symlink(t, from, &inode, to_dir, name);
	t->skipped++;
	return true;
}

bool tree_copy(struct tree *t)
{
	bool ok = walk(t, EXT2_ROOT_INO, EXT2_ROOT_INO, copy_entry);

	free(t->links);
	t->links = NULL;
	t->nr_links = 0;
	return ok;
}

static bool note_different(struct tree *t)
{
	t->different++;
	return fail(t, "comparing", EIO);
}

static bool compare_bytes(struct tree *t, ext2_file_t a, ext2_file_t b)
{
	for (;;) {
		unsigned got_a, got_b;
		errcode_t err = ext2fs_file_read(a, t->chunk, TREE_CHUNK_BYTES, &got_a);

		if (!err)
			err = ext2fs_file_read(b, t->other_chunk, TREE_CHUNK_BYTES, &got_b);
		if (err)
			return fail(t, "reading back", err);
		if (got_a != got_b || memcmp(t->chunk, t->other_chunk, got_a))
			return note_different(t);
		if (!got_a)
			return true;
		t->bytes += got_a;
	}
}

static bool compare_content(struct tree *t, ext2_ino_t from, ext2_ino_t to)
{
	ext2_file_t a, b;
	errcode_t err = ext2fs_file_open(t->from, from, 0, &a);
	bool ok;

	if (err)
		return fail(t, "opening the file", err);
	err = ext2fs_file_open(t->to, to, 0, &b);
	if (err) {
		ext2fs_file_close(a);
		return fail(t, "opening the copy", err);
	}
	ok = compare_bytes(t, a, b);
	ext2fs_file_close(a);
	ext2fs_file_close(b);
	return ok;
}

static bool compare_target(struct tree *t, ext2_ino_t from, const struct ext2_inode_large *a, ext2_ino_t to,
			   const struct ext2_inode_large *b)
{
	char *want = (char *)t->chunk, *have = (char *)t->other_chunk;

	if (!read_target(t, t->from, from, a, want, 4096) || !read_target(t, t->to, to, b, have, 4096))
		return false;
	return strcmp(want, have) ? note_different(t) : true;
}

static bool has_same_attributes(const struct ext2_inode_large *a, const struct ext2_inode_large *b)
{
	return a->i_mode == b->i_mode && a->i_uid == b->i_uid && a->i_gid == b->i_gid && a->i_mtime == b->i_mtime &&
	       (LINUX_S_ISDIR(a->i_mode) || a->i_size == b->i_size);
}

static bool compare_entry(struct tree *t, ext2_ino_t from, ext2_ino_t to_dir, const char *name)
{
	struct ext2_inode_large a, b;
	ext2_ino_t to = 0;
	errcode_t err = read_inode(t->from, from, &a);

	if (!err && !LINUX_S_ISDIR(a.i_mode) && !LINUX_S_ISREG(a.i_mode) && !LINUX_S_ISLNK(a.i_mode))
		return true;
	if (!err)
		err = ext2fs_lookup(t->to, to_dir, name, (int)strlen(name), NULL, &to);
	if (!err)
		err = read_inode(t->to, to, &b);
	if (err)
		return fail(t, "looking for the copy", err);
	if (!has_same_attributes(&a, &b))
		return note_different(t);
	if (LINUX_S_ISDIR(a.i_mode))
		return walk(t, from, to, compare_entry);
	return LINUX_S_ISREG(a.i_mode) ? compare_content(t, from, to) : compare_target(t, from, &a, to, &b);
}

bool tree_compare(struct tree *t)
{
	return walk(t, EXT2_ROOT_INO, EXT2_ROOT_INO, compare_entry);
}
