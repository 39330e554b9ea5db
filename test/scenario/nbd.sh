#!/bin/bash
# A guest writes files into a qcow2 image that qemu-nbd serves; the image is sound and the files are whole. With a server that
# is not there, both ends say so.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_requires qemu-nbd qemu-img mkfs.ext4 e2fsck debugfs
scenario_begin sluiced sluice-blkback

socket=$system_dir/nbd.sock
nbd_pid=''
serve() {
	qemu-nbd --socket="$socket" --persistent --format=qcow2 --discard=unmap "$1" </dev/null >"$system_dir/log/qemu-nbd.log" 2>&1 &
	nbd_pid=$!
	system_until 10 test -S "$socket" || fail "qemu-nbd starts: $(cat "$system_dir/log/qemu-nbd.log")"
}
serve_no_more() {
	[ -z "$nbd_pid" ] || kill "$nbd_pid" 2>/dev/null
	wait "$nbd_pid" 2>/dev/null
	nbd_pid=''
	rm -f "$socket"
}
trap 'status=$?; serve_no_more; (exit $status); scenario_finish' EXIT

mkdir "$system_dir/tree"
cp -r tools examples LICENSE "$system_dir/tree/"
head -c 3000001 /dev/urandom >"$system_dir/tree/large"
truncate -s 24M "$system_dir/source.img"
mkfs.ext4 -q -F -d "$system_dir/tree" "$system_dir/source.img" || fail "mkfs.ext4 -d"
files_of() { (cd "$1" && find . -path ./lost+found -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum); }
files_of "$system_dir/tree" >"$system_dir/sent"

truncate -s 32M "$system_dir/target.img"
mkfs.ext4 -q -F "$system_dir/target.img"
qemu-img convert -f raw -O qcow2 "$system_dir/target.img" "$system_dir/target.qcow2" || fail "qemu-img convert"
serve "$system_dir/target.qcow2"
in_system create -q -F examples/copy-tree.cfg "$guest_kernel" \
	"disk=['format=raw,vdev=xvda,access=ro,target=$system_dir/source.img','format=raw,vdev=xvdb,access=rw,target=nbd:unix:$socket']" \
	>/dev/null 2>"$system_dir/create.err" || {
	grep -q "built without NBD" "$system_dir/create.err" && skip "sluice-blkback was built without NBD"
	fail "the guest copies: $(cat "$system_dir/create.err") $(tail -n 2 "$(guest_log copier)")"
}
system_until 10 nothing_left_of_domains || fail "the guest and its devices go"
serve_no_more
qemu-img check -q "$system_dir/target.qcow2" || fail "qemu-img check finds damage"
qemu-img convert -f qcow2 -O raw "$system_dir/target.qcow2" "$system_dir/back.img" || fail "qemu-img convert back"
e2fsck -fn "$system_dir/back.img" >/dev/null 2>&1 || fail "e2fsck finds damage"
mkdir "$system_dir/back"
debugfs -R "rdump / $system_dir/back" "$system_dir/back.img" >/dev/null 2>&1
files_of "$system_dir/back" | diff "$system_dir/sent" - >&2 || fail "files differ"
holds "a guest's files are whole in a qcow2 image, which qemu-img finds sound"

refuses_create "the NBD server cannot be reached" examples/copy-tree.cfg "$guest_kernel" \
	"disk=['format=raw,vdev=xvda,access=ro,target=$system_dir/source.img','format=raw,vdev=xvdb,access=rw,target=nbd:unix:$socket']"
expect_nothing_left "after a server that is not there"
