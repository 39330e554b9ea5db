#!/bin/bash
# The block back end is killed at random points under a verified load, and started again: no write that was answered is lost,
# and the load sees nothing but a pause.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
engine=$SLUICE_BUILD/tools/libsluice-fio.so
scenario_requires fio
[ -f "$engine" ] || skip "the fio engine is not built here: ./dev deps could not get fio's source"
scenario_begin sluiced sluice-blkback

printf '%s\n' 'name = "load"' 'memory = 64' 'vcpus = 1' 'kernel = ""' >"$system_dir/load.cfg"
truncate -s 16M "$system_dir/disk.img"
in_system create -q "$system_dir/load.cfg" "disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/disk.img']" || fail "a domain"
# Every block is written once, at a pace that leaves time for the cuts, a flush every 16; then all are read and checked.
timeout 90 fio --ioengine="external:$engine" --thread=1 --sluice_attach=load --sluice_run_dir="$system_run_dir" --name=load \
	--filename=xvda --rw=randwrite --bs=4k --iodepth=16 --rate_iops=1500 --fsync=16 --verify=crc32c --verify_fatal=1 --verify_state_save=0 \
	>"$system_dir/fio.out" 2>&1 &
load=$!
system_until 10 is_connected vbd load 51712 || fail "the disk connects"
cuts=0
while kill -0 $load 2>/dev/null && [ $cuts -lt 4 ]; do
	sleep "0.$((RANDOM % 50 + 10))"
	system_stop sluice-blkback KILL
	system_start sluice-blkback || fail "a new back end starts"
	system_until 10 is_connected vbd load 51712 || fail "the disk connects again"
	cuts=$((cuts + 1))
done
wait $load || fail "after $cuts cuts: $(grep -E 'fio:|verify|err' "$system_dir/fio.out" | head -n 5)"
[ $cuts -ge 3 ] || fail "the load was over after $cuts cuts"
holds "all 4096 blocks are there after $cuts cuts, and the load went on by itself"
load_gone() { is_gone load; }
system_until 10 load_gone || fail "the domain ends with fio"
expect_nothing_left "after the load"
