#!/bin/bash
# Each feature of blkif between our two ends: agreed on, used, and what was written comes back.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_begin sluiced sluice-blkback

truncate -s 40M "$system_dir/disk.img"
guest() {
	printf '%s\n' 'name = "features"' 'memory = 64' 'vcpus = 1' "$guest_kernel" "extra = \"$1\"" >"$system_dir/features.cfg"
	: >"$(guest_log features)" 2>/dev/null
	in_system create -q -F "$system_dir/features.cfg" "disk=['format=raw,vdev=xvda,access=${2:-rw},target=$system_dir/disk.img']" >/dev/null
}
figure() { awk -v name="$1" '$1 == name {value = $2} END {print value}' "$(guest_log features)"; }

# agrees COMMAND FIGURE=VALUE...: the guest runs it well, and says these figures. VALUE may be >N.
agrees() {
	local command=$1 want have
	shift
	guest "$command" || fail "$command: $(tail -n 2 "$(guest_log features)")"
	for want in "$@"; do
		have=$(figure "${want%%=*}")
		case ${want#*=} in
		'>'*) [ -n "$have" ] && [ "$have" -gt "${want##*>}" ] || fail "$command: $want, not '$have'" ;;
		*) [ "$have" = "${want#*=}" ] || fail "$command: $want, not '$have'" ;;
		esac
	done
	holds "$command: $*"
}

for order in 0 1 2 3 4; do
	agrees "blk-verify xvda 8 --depth 32 --ring-order $order" "blk_ring_pages=$((1 << order))" blk_verified=8388608
done
for queues in 2 4; do
	agrees "blk-verify xvda 8 --bytes 4096 --depth 64 --queues $queues" "blk_queues=$queues" blk_verified=8388608
done
agrees "blk-verify xvda 32 --bytes 1048576 --depth 4 --ring-order 2" blk_segments=256 'blk_indirect=>0' blk_split=0 blk_verified=33554432
agrees "blk-verify xvda 32 --bytes 1048576 --depth 4 --ring-order 4 --segments 11" blk_segments=11 blk_indirect=0 'blk_split=>0'
agrees "blk-verify xvda 8 --bytes 131072 --depth 16 --ring-order 1 --x86-32" blk_x86_32=1 'blk_indirect=>0' blk_verified=8388608
agrees "blk-verify xvda 8 --persistent" blk_persistent=1 'blk_copied=>16000000'
agrees "blk-verify xvda 8 --bytes 131072 --depth 16 --ring-order 2 --persistent --queues 2" blk_persistent=1 'blk_indirect=>0'
agrees "blk-verify xvda 8 --untrusted --no-persistent" blk_persistent=0 'blk_copied=>16000000'
agrees "blk-verify xvda 1 --bytes 512 --depth 32" blk_verified=1048576 blk_copied=0
agrees "blk-order xvda flush"
agrees "blk-order xvda discard 0 2048"
cmp -n 1048576 "$system_dir/disk.img" /dev/zero || fail "what was discarded reads as it was"
[ "$(od -An -tx1 -j1048576 -N8 "$system_dir/disk.img" | tr -d ' 0\n')" ] || fail "more was discarded than was asked for"
holds "a discard takes away what was asked for, and no more"
guest "blk-order xvda discard 0 2048" ro && fail "a read-only disk was discarded"
grep -Eq "Read-only|not supported" "$(guest_log features)" || fail "a discard on a read-only disk: $(tail -n 2 "$(guest_log features)")"
holds "a discard on a read-only disk is refused"
guest "blk-info xvda --speed 3" && fail "an unknown option is taken"
grep -q "'--speed' is not an option of a disk" "$(guest_log features)" || fail "$(tail -n 2 "$(guest_log features)")"
holds "an unknown option is told"
expect_nothing_left "after all guests"
