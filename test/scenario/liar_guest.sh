#!/bin/bash
# A guest that writes nonsense into its rings, its store nodes and its hypercalls harms only itself.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
[ -x "$SLUICE_BUILD/test/scenario/liar-guest" ] || skip "the liar is not built here"
scenario_begin sluiced sluice-netback sluice-blkback
daemons=("${system_pids[@]}")
liar_kernel="kernel=\"$SLUICE_BUILD/test/scenario/liar-guest\""

truncate -s 16M "$system_dir/liar.img" "$system_dir/honest.img"
sluice create -q examples/idle.cfg "$guest_kernel" 'name="witness"' || fail "the witness"
system_until 10 is_connected vif witness 0 || fail "the witness connects"

honest() {
	in_system create -q -F examples/idle.cfg "$guest_kernel" 'name="honest"' "vif=[]" 'memory=64' 'extra="blk-verify xvda 4"' \
		"disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/honest.img']" >/dev/null
}

for what in vbd-index vbd-noise vif-index vif-noise keys store-noise hypercalls; do
	sluice create -q examples/idle.cfg "$liar_kernel" "name=\"liar-$what\"" "extra=\"$what 1500\"" \
		"disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/liar.img']" || fail "$what: the liar is created"
	honest || fail "$what: an honest guest beside it suffers: $(tail -n 3 "$(guest_log honest)")"
	for i in $(seq 400); do
		is_gone "liar-$what" && break
		sleep .05
	done
	if ! is_gone "liar-$what"; then
		sluice destroy "liar-$what" || fail "$what: the liar cannot be destroyed"
	fi
	words=$(tail -n 1 "$(guest_log "liar-$what")" | tr -d '\r')
	for pid in "${daemons[@]}"; do
		kill -0 "$pid" 2>/dev/null || fail "$what: a daemon has died"
	done
	is_connected vif witness 0 || fail "$what: the witness lost its vif"
	case $what in
	vbd-index | vif-index) # an index beyond the ring closes the device
		[[ $words =~ state\ [56]$ ]] || fail "$what: the device should be closed; the liar says '$words'"
		;;
	vbd-noise | vif-noise)
		[[ $words == lied* ]] || fail "$what: it should have connected and lied; it says '$words'"
		;;
	esac
	holds "$what: harms only itself (${words:-it says nothing})"
done
honest || fail "an honest guest afterwards: $(tail -n 3 "$(guest_log honest)")"
holds "an honest guest is served afterwards"
timeout 20 "${cli[@]}" --run-dir "$system_run_dir" shutdown -w witness >/dev/null || fail "the witness shuts down when asked"
expect_nothing_left "of liars"
