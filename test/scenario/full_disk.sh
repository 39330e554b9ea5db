#!/bin/bash
# A host file system that is full: the guest's writes fail and it is told; logs are cut short; nothing hangs, nothing dies.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_requires mount umount mkfs.ext4
scenario_begin

mkdir "$system_dir/small"
mount -t tmpfs -o size=8m tmpfs "$system_dir/small" 2>/dev/null || skip "no tmpfs can be mounted here"
system_mounts+=("$system_dir/small")

system_start sluiced || fail "sluiced"
system_start sluice-blkback || fail "sluice-blkback"
# A sparse image of 64 MiB on 8 MiB: the writes beyond it find no room.
truncate -s 64M "$system_dir/small/sparse.img"
in_system create -q -F examples/idle.cfg "$guest_kernel" 'name="writer"' "vif=[]" 'memory=64' 'extra="blk-verify xvda 32"' \
	"disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/small/sparse.img']" >/dev/null && fail "a guest writes 32 MiB to 8"
holds "the guest is told that its writes failed"
in_system list >/dev/null || fail "sluiced goes on"
truncate -s 16M "$system_dir/other.img"
in_system create -q -F examples/idle.cfg "$guest_kernel" 'name="other"' "vif=[]" 'memory=64' 'extra="blk-verify xvda 8"' \
	"disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/other.img']" >/dev/null || fail "the back end serves other disks: $(tail -n 3 "$(guest_log other)")"
holds "the back end serves other disks"
expect_nothing_left "after the writer failed"
system_stop sluice-blkback || fail "sluice-blkback ends well"
system_stop sluiced || fail "sluiced ends well"

# No room for the core's files.
dd if=/dev/zero of="$system_dir/small/fill" bs=64k 2>/dev/null
mkdir "$system_dir/small/run" 2>/dev/null
dd if=/dev/zero of="$system_dir/small/fill2" bs=1 count=65536 2>/dev/null
"$SLUICE_BUILD/tools/sluiced" --run-dir "$system_dir/small/run" --ready-fd 9 9>"$system_dir/ready" </dev/null 2>"$system_dir/full.err" &
core=$!
started() { [ -s "$system_dir/ready" ] || ! kill -0 $core 2>/dev/null; }
system_until 10 started || { kill $core; fail "sluiced neither starts nor says why"; }
if kill -0 $core 2>/dev/null && [ -s "$system_dir/ready" ]; then
	# It needs no room to start. A guest's log has none: the guest runs all the same.
	"${cli[@]}" --run-dir "$system_dir/small/run" create -q examples/idle.cfg "$guest_kernel" 'name="quiet"' "vif=[]" 'extra="idle"' || { kill $core; fail "a full log stops a guest"; }
	"${cli[@]}" --run-dir "$system_dir/small/run" shutdown -w quiet >/dev/null || { kill $core; fail "the guest does not end"; }
	kill $core
	system_gone $core 10 || fail "sluiced does not end"
	holds "with no room for logs guests run all the same"
else
	[ "$(grep -c . "$system_dir/full.err")" -ge 1 ] || fail "sluiced says nothing"
	holds "sluiced says: $(tail -n 1 "$system_dir/full.err")"
fi
