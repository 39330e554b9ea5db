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
# counter DOMAIN NAME: what the back end has counted, or, as front.NAME, the front end.
counter() {
	local end=''
	[ "${2#front.}" = "$2" ] || end=front.
	sluice block-list -s "$1" 2>"$system_dir/list.err" | awk -v name="vbd.$(sluice domid "$1").51712.${end}queue.0.${2#front.}" '$1 == name {print $2}'
}

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
# Each moment the front end has asked for as many reads as the back end has answered, or some more.
before=$(counter busy reads) asked=$(counter busy front.reads) after=$(counter busy reads)
[ "$before" -gt 0 ] && [ "$before" -le "$asked" ] && [ "$asked" -le $((after + 1)) ] || fail "back, front, back: $before $asked $after reads"
system_until 10 test "$(counter busy front.read_ns.count)" -gt 0 || fail "the front end times some reads"
[ "$(counter busy read_ns.p50)" -le "$(counter busy read_ns.p99)" ] || fail "percentiles of the back end's times"
[ "$(counter busy front.batch.max)" -eq 1 ] || fail "bursts of one request: $(counter busy front.batch.max)"
holds "both ends' counters are shown, and agree"
# A guest names a page that holds something else, or none; a file of somebody else's.
front=/local/domain/$(sluice domid busy)/device/vbd/51712
ref=$(xenstore-read "$front/counters-ref")
for wrong in "$(xenstore-read "$front/ring-ref" 2>/dev/null || xenstore-read "$front/ring-ref0")" 1 4000000000 99999999999 nonsense; do
	xenstore-write "$front/counters-ref" "$wrong"
	[ -z "$(counter busy front.reads)" ] || fail "counters at ref $wrong"
	[ "$(counter busy reads)" -gt 0 ] || fail "the back end's counters are gone with ref $wrong"
	[ "$(wc -l <"$system_dir/list.err")" -le 1 ] || fail "ref $wrong: $(cat "$system_dir/list.err")"
done
xenstore-write "$front/counters-ref" "$ref"
file=$system_run_dir/vbd-$(sluice domid busy)-51712.stats
mv "$file" "$file.kept"
head -c 20000 /dev/urandom >"$file"
[ -z "$(counter busy reads)" ] && grep -q "make no sense" "$system_dir/list.err" || fail "a file of noise: $(cat "$system_dir/list.err")"
head -c 3000 "$file.kept" >"$file.cut" && mv "$file.cut" "$file"
[ -z "$(counter busy reads)" ] && grep -q "make no sense" "$system_dir/list.err" || fail "a file cut short: $(cat "$system_dir/list.err")"
mv "$file.kept" "$file"
[ "$(counter busy reads)" -gt 0 ] && [ ! -s "$system_dir/list.err" ] || fail "the file is back: $(cat "$system_dir/list.err")"
holds "counters that make no sense are said to, and nothing else is lost"
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
