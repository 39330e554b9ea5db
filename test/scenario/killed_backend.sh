#!/bin/bash
# A back end is killed under load: sluiced goes on, the guest is not harmed beyond its device, a new back end serves new guests.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_begin sluiced sluice-blkback sluice-netback
sluiced_pid=${system_pids[0]}

truncate -s 16M "$system_dir/a.img" "$system_dir/b.img"
load() {
	sluice create -q examples/blk-bench.cfg "$guest_kernel" 'name="load"' "extra=\"blk-bench xvda randwrite 4096 32 600 $1\"" \
		"disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/a.img']"
}
# With several queues the event channels are the queues', not the device's.
load "--queues 3" || fail "a guest under load"
system_until 10 is_connected vbd load 51712 || fail "its disk connects"
system_stop sluice-blkback KILL
system_until 10 is_gone load || fail "the guest with three queues learns that its disk is gone, and ends"
holds "a guest whose disk has three queues learns that its back end was killed"
system_start sluice-blkback || fail "a new sluice-blkback starts"
load "" || fail "a guest under load"
system_until 10 is_connected vbd load 51712 || fail "its disk connects"
system_stop sluice-blkback KILL
sluice list >/dev/null || fail "sluiced goes on"
kill -0 "$sluiced_pid" || fail "sluiced lives"
holds "sluiced goes on after its block back end was killed"
system_until 10 is_gone load || fail "the guest learns that its disk is gone, and ends"
grep -q "xvda" "$(guest_log load)" || fail "the guest says which disk went: $(tail -n 3 "$(guest_log load)")"
holds "a guest learns that its back end was killed, says so and ends"
system_start sluice-blkback || fail "a new sluice-blkback starts"
sluice create -q -F examples/idle.cfg "$guest_kernel" 'name="next"' "vif=[]" 'memory=64' 'extra="blk-verify xvda 4"' \
	"disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/b.img']" >/dev/null || fail "a new guest: $(tail -n 3 "$(guest_log next)")"
holds "a new block back end serves a new guest"

sluice create -q examples/idle.cfg "$guest_kernel" 'name="net"' || fail "a guest with a vif"
system_until 10 is_connected vif net 0 || fail "its vif connects"
system_stop sluice-netback KILL
sluice list >/dev/null || fail "sluiced goes on"
timeout 20 "${cli[@]}" --run-dir "$system_run_dir" shutdown -w net >/dev/null || fail "the guest of a killed network back end shuts down when asked"
holds "the guest of a killed network back end shuts down when asked"
system_start sluice-netback || fail "a new sluice-netback starts"
sluice create -q examples/idle.cfg "$guest_kernel" 'name="net2"' || fail "a new guest with a vif"
system_until 10 is_connected vif net2 0 || fail "a new network back end serves a new guest"
holds "a new network back end serves a new guest"
sluice destroy net2
# The back end has offered the device, and then does nothing more.
sluice create -q -p examples/idle.cfg "$guest_kernel" 'name="waits"' || fail "a paused guest"
netback_pid=${system_pids[-1]}
kill -STOP "$netback_pid"
sluice unpause waits
frontend_waits() { [ "$(xenstore-read "/local/domain/$(sluice domid waits)/device/vif/0/state")" = 4 ]; }
system_until 10 frontend_waits || fail "the guest waits for its back end"
timeout 10 "${cli[@]}" --run-dir "$system_run_dir" shutdown -w waits >/dev/null
status=$?
kill -CONT "$netback_pid"
[ $status -eq 0 ] || fail "a guest that waits for a silent back end shuts down when asked"
holds "a guest that waits for a silent back end shuts down when asked"
expect_nothing_left "after all ended"
