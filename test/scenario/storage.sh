#!/bin/bash
# A guest writes files into an ext4 image through blkfront; the host finds them whole. With each engine that keeps data.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_requires mkfs.ext4 e2fsck debugfs
scenario_begin sluiced

mkdir "$system_dir/tree"
cp -r tools examples LICENSE "$system_dir/tree/"
head -c 5000001 /dev/urandom >"$system_dir/tree/large"
: >"$system_dir/tree/empty"
ln -s large "$system_dir/tree/link"
truncate -s 24M "$system_dir/source.img"
mkfs.ext4 -q -F -d "$system_dir/tree" "$system_dir/source.img" || fail "mkfs.ext4 -d"
files_of() { (cd "$1" && find . -path ./lost+found -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum); }
files_of "$system_dir/tree" >"$system_dir/sent"

copy() {
	in_system create -q -F examples/copy-tree.cfg "$guest_kernel" \
		"disk=['format=raw,vdev=xvda,access=ro,target=$system_dir/source.img','format=raw,vdev=xvdb,access=$1,target=$2']" >/dev/null
}

for engine in io_uring libaio; do
	system_start sluice-blkback --engine $engine || fail "sluice-blkback --engine $engine"
	target=$system_dir/$engine.img
	truncate -s 32M "$target"
	mkfs.ext4 -q -F "$target"
	copy rw "$target" || fail "$engine: the guest copies: $(tail -n 2 "$(guest_log copier)")"
	e2fsck -fn "$target" >/dev/null 2>&1 || fail "$engine: e2fsck finds damage"
	rm -rf "$system_dir/back"
	mkdir "$system_dir/back"
	debugfs -R "rdump / $system_dir/back" "$target" >/dev/null 2>&1
	files_of "$system_dir/back" | diff "$system_dir/sent" - >&2 || fail "$engine: files differ"
	[ "$(readlink "$system_dir/back/link")" = large ] || fail "$engine: the symbolic link"
	holds "$engine: e2fsck is clean and every file's SHA-256 is right"
	system_stop sluice-blkback || fail "sluice-blkback ends well"
done

system_start sluice-blkback || fail "sluice-blkback"
truncate -s 32M "$system_dir/ro.img"
mkfs.ext4 -q -F "$system_dir/ro.img"
before=$(sha256sum <"$system_dir/ro.img")
copy ro "$system_dir/ro.img" && fail "copying to a read-only disk succeeds"
[ "$before" = "$(sha256sum <"$system_dir/ro.img")" ] || fail "a read-only disk was written to"
holds "a read-only disk stays as it was, and the guest is told"
system_stop sluice-blkback

system_start sluice-blkback --engine memory || fail "sluice-blkback --engine memory"
truncate -s 32M "$system_dir/memory.img"
mkfs.ext4 -q -F "$system_dir/memory.img"
before=$(sha256sum <"$system_dir/memory.img")
copy rw "$system_dir/memory.img" || fail "memory: the guest copies and reads back: $(tail -n 2 "$(guest_log copier)")"
[ "$before" = "$(sha256sum <"$system_dir/memory.img")" ] || fail "the memory engine wrote to the image"
holds "the memory engine serves reads and writes and leaves the image alone"
expect_nothing_left "after all guests ended"
