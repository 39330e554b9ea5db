/*
 * tools/guest_tree.h - walks one ext4 file system and does something with each entry in another.
 *
 * Trusts   the file systems as far as libext2fs checks them; depth and name lengths are bounded here.
 * Fails    false; what and why are in the tree.
 */
#ifndef SLUICE_TOOLS_GUEST_TREE_H
#define SLUICE_TOOLS_GUEST_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include <ext2fs/ext2fs.h>

#define TREE_MAX_DEPTH 64u
#define TREE_CHUNK_BYTES 65536u

struct tree_link { /* a file with several names that was copied already */
	ext2_ino_t from;
	ext2_ino_t to;
};

struct tree {
	ext2_filsys from;
	ext2_filsys to;
	uint64_t files, directories, symlinks, bytes, skipped;
	uint64_t different;
	unsigned depth;
	char path[4096]; /* of the entry at hand, for messages */
	errcode_t error; /* 0: none */
	const char *what; /* was being done when it came */
	struct tree_link *links;
	unsigned nr_links;
	uint8_t chunk[TREE_CHUNK_BYTES];
	uint8_t other_chunk[TREE_CHUNK_BYTES];
};

/* Copies everything below from's root into to's root. */
bool tree_copy(struct tree *t);
/* Compares everything below from's root with what to has; path names the last difference. */
bool tree_compare(struct tree *t);

#endif
