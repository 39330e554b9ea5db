#!/bin/bash
# A vif's rate limits: what xl's rate= says is kept, and what somebody writes into the store holds from then on.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_begin sluiced
[ -x "$SLUICE_BUILD/tools/sluice-netback" ] || skip "sluice-netback is not built here"
stats=$system_dir/stats
system_start sluice-netback --stats-file "$stats" --port net_null0 || fail "sluice-netback"

# measure SECONDS: what the back end took from the guest in that time, in bytes a second.
taken() { sed -n 's/^total.tx_bytes //p' "$stats"; }
look() {
	rm -f "$stats"
	kill -USR1 "${system_pids[-1]}"
	system_until 5 test -s "$stats" || fail "counters"
	taken
}
measure() {
	local before after from to
	before=$(look)
	from=$(date +%s%N)
	sleep "$1"
	after=$(look)
	to=$(date +%s%N)
	echo $(((after - before) * 1000000000 / (to - from)))
}
# within NAME BYTES/S EXPECTED: never much more, and not much less unless the machine is busy; the unit test holds it to 2 %.
within() {
	[ "$2" -gt $(($3 / 2)) ] && [ "$2" -lt $(($3 * 110 / 100)) ] || fail "$1: $2 bytes/s, not $3"
	holds "$1: $2 bytes/s of $3"
}

printf 'name="sender"\nmemory=32\nvif=["rate=80Mb/s"]\nextra="net-send 0 1500 60 02:00:00:00:00:01"\n' >"$system_dir/sender.cfg"
sluice create -q "$system_dir/sender.cfg" "$guest_kernel" || fail "the sender"
system_until 10 is_connected vif sender 0 || fail "the sender's vif connects"
vif=/local/domain/0/backend/vif/$(sluice domid sender)/0
sleep 1
within "xl's rate=80Mb/s" "$(measure 2)" 10000000
xenstore-write "$vif/rate" 100000,50000
sleep 0.5
within "a limit written while it runs" "$(measure 2)" 2000000
xenstore-write "$vif/rate" 0,0
xenstore-write "$vif/rate-packets" 2000,1000000
sleep 0.5
within "a limit in packets" "$(measure 2)" 3000000
xenstore-write "$vif/rate-packets" nonsense
system_until 5 grep -q "is 'nonsense', not an amount" "$system_dir/log/sluice-netback.log" || fail "a clear sentence about nonsense"
holds "nonsense is said and changes nothing"
xenstore-rm "$vif/rate-packets"
sleep 0.5
[ "$(measure 1)" -gt 20000000 ] || fail "without a limit there is more"
holds "without a limit there is more"
sluice destroy sender || fail "destroy"
system_stop sluice-netback || fail "sluice-netback ends well"
expect_nothing_left "after the sender"
