#!/bin/bash
# A guest's process is killed: its domain goes, at both ends of its devices; others go on.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_begin sluiced sluice-netback sluice-blkback
sluiced_pid=${system_pids[0]}

truncate -s 16M "$system_dir/a.img" "$system_dir/b.img"
sluice create -q examples/idle.cfg "$guest_kernel" 'name="stays"' || fail "first guest"
before=$(system_descendants "$sluiced_pid" | tr ' ' '\n' | sort)
sluice create -q examples/blk-bench.cfg "$guest_kernel" 'name="victim"' "vif=['']" 'extra="blk-bench xvda randwrite 4096 32 600"' \
	"disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/a.img']" || fail "second guest"
system_until 10 is_connected vbd victim 51712 || fail "its disk connects"
domid=$(sluice domid victim)
victims=$(system_descendants "$sluiced_pid" | tr ' ' '\n' | sort | comm -13 <(echo "$before") -)
[ -n "$victims" ] || fail "the guest has a process"
for pid in $victims; do kill -KILL "$pid"; done
system_until 10 is_gone victim || fail "the domain goes with its process"
holds "a domain goes with its killed process"
no_nodes() { ! xenstore-ls -f | grep -qE "^/local/domain/($domid|0/backend/v(if|bd)/$domid)/"; }
system_until 10 no_nodes || fail "its nodes stay: $(xenstore-ls -f | grep "/$domid/")"
holds "its nodes are gone at both ends"
is_connected vif stays 0 || system_until 5 is_connected vif stays 0 || fail "the other guest's vif"
sluice create -q -F examples/idle.cfg "$guest_kernel" 'name="next"' "vif=[]" 'memory=64' 'extra="blk-verify xvda 4"' \
	"disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/b.img']" >/dev/null || fail "a new guest: $(tail -n 3 "$(guest_log next)")"
holds "the back ends serve others"
kill -0 "$sluiced_pid" || fail "sluiced lives"
timeout 20 "${cli[@]}" --run-dir "$system_run_dir" shutdown -w stays >/dev/null || fail "the other guest ends when asked"
expect_nothing_left "after the others ended"
