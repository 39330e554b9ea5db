#!/bin/bash
# A disk is limited, made larger and looked at while its guest uses it.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_begin sluiced sluice-blkback

truncate -s 16M "$system_dir/disk.img"
config() { printf '%s\n' "name = \"$1\"" 'memory = 64' 'vcpus = 1' "$guest_kernel" "extra = \"$2\"" >"$system_dir/$1.cfg"; }
disk="disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/disk.img']"
sluice() { in_system "$@"; }
start() {
	config "$1" "$2"
	sluice create -q "$system_dir/$1.cfg" "$disk" >/dev/null || fail "$1 is created"
	system_until 10 is_connected vbd "$1" 51712 || fail "the disk of $1 connects"
}
gone() { is_gone "$1"; }
ended() { system_until 30 gone "$1" || fail "$1 ends"; }
counter() { sluice block-list -s "$1" | awk -v name=".queue.0.$2" 'index($1, name) {print $2}'; }

# The guest alone would do many times that. How exact the limit is, is for a test with a clock of its own.
start limited "blk-bench xvda randread 4096 32 4"
sluice block-limit limited xvda read-iops=3K >"$system_dir/limits" || fail "block-limit"
grep -qx "read-iops 3000" "$system_dir/limits" || fail "block-limit shows: $(cat "$system_dir/limits")"
sleep 0.3
first=$(counter limited reads) began=$(date +%s%N)
sleep 2
last=$(counter limited reads) ended_at=$(date +%s%N)
rate=$(((last - first) * 1000000000 / (ended_at - began)))
[ $rate -ge 300 ] && [ $rate -le 3300 ] || fail "limited to 3000 reads a second, $rate were let through"
[ "$(counter limited waits.limit)" -gt 0 ] || fail "nothing had to wait"
sluice block-limit limited xvda read-iops=0 >/dev/null || fail "block-limit takes the limit away"
ended limited
holds "a limit that is set and taken away while the disk is used is kept"

start larger "blk-size xvda 65536 20"
sluice block-resize larger xvda 32M >/dev/null 2>&1 # the guest may be gone before this ends
ended larger
grep -q "blk_sectors 65536" "$(guest_log larger)" || fail "the guest: $(tail -n 1 "$(guest_log larger)")"
holds "a guest sees the size that its running disk was given"

start busy "blk-bench xvda randread 4096 1 60"
[ "$(sluice block-resize busy xvda 48M)" = "98304 sectors" ] || fail "block-resize says the new size"
refuses "destroys what is there" "${cli[@]}" --run-dir "$system_run_dir" block-resize busy xvda 1M
refuses "is no size" "${cli[@]}" --run-dir "$system_run_dir" block-resize busy xvda 1000
refuses "has no disk" "${cli[@]}" --run-dir "$system_run_dir" block-resize busy xvdb
refuses "is no disk's name" "${cli[@]}" --run-dir "$system_run_dir" block-limit busy floppy
refuses "is no limit" "${cli[@]}" --run-dir "$system_run_dir" block-limit busy xvda speed=3
refuses "is no limit" "${cli[@]}" --run-dir "$system_run_dir" block-limit busy xvda read-iops=fast
sluice block-limit busy xvda read-iops=1M write-bytes=10M burst-ms=20 >/dev/null || fail "several limits at once"
[ "$(sluice block-limit busy xvda | tr '\n' ' ')" = "read-iops 1000000 write-iops - read-bytes - write-bytes 10000000 burst-ms 20 " ] ||
	fail "the limits: $(sluice block-limit busy xvda)"
holds "what makes no sense is refused with a sentence"
system_stop sluice-blkback KILL
sluice destroy busy 2>/dev/null
ended busy
[ -f "$system_run_dir/vbd-3-51712.stats" ] || fail "the counters outlive who counted"
system_start sluice-blkback || fail "sluice-blkback starts again"
ls "$system_run_dir"/vbd-* 2>/dev/null && fail "files of disks that are gone"
holds "what a killed back end left of a disk that is gone is cleaned up"
expect_nothing_left "after all guests"
