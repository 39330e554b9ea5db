#!/bin/bash
# A back end is killed under load and started again: its guests see a pause, and nothing is lost or harmed. One that does not come
# back in time: sluiced goes on, the guests learn that their devices are gone, a new back end serves new guests.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_requires curl nsenter ping python3
scenario_begin sluiced sluice-blkback sluice-netback
[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
netback_log=$system_dir/log/sluice-netback.log

truncate -s 16M "$system_dir/a.img" "$system_dir/b.img"
# load NAME QUEUES: it writes its disk for as long as it lives.
load() {
	sluice create -q examples/blk-bench.cfg "$guest_kernel" "name=\"$1\"" "extra=\"blk-bench xvda randwrite 4096 32 600 $2\"" \
		"disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/a.img']" || fail "a guest under load"
	system_until 10 is_connected vbd "$1" 51712 || fail "its disk connects"
}

# ---- started again in time ----------------------------------------------------------------------------------------------

load again "--queues 3"
for signal in KILL KILL TERM; do
	system_stop sluice-blkback $signal
	is_connected vbd again 51712 || fail "the disk stays connected after SIG$signal"
	system_start sluice-blkback || fail "a new sluice-blkback starts"
done
[ "$(grep -c "vbd [0-9]*/51712: connected, 3 queues.*, taken over" "$system_dir/log/sluice-blkback.log")" -eq 3 ] || fail "three take-overs"
moves() {
	local before
	before=$(stat -c %y "$system_dir/a.img")
	sleep .2
	[ "$(stat -c %y "$system_dir/a.img")" != "$before" ]
}
system_until 5 moves || fail "the guest writes on"
[ -s "$(guest_log again)" ] && grep -i "closed\|error" "$(guest_log again)" && fail "the guest noticed"
sluice destroy again
holds "a guest under load whose disk has three queues notices nothing of two kills and a stop"

tap_pid=()
start_tap() {
	printf 'name="t%s"\nkernel=""\nmemory=32\nvif=["mac=00:16:3e:00:00:0%s"]\n' "$1" "$1" >"$system_dir/t$1.cfg"
	sluice create -q "$system_dir/t$1.cfg" || fail "guest $1"
	"$SLUICE_BUILD/tools/sluice-guest" --attach "t$1" --run-dir "$system_run_dir" tap 0 --address "10.9.0.$1/24" >"$system_dir/log/tap$1.log" 2>&1 &
	tap_pid[$1]=$!
	system_until 10 grep -q '^ready' "$system_dir/log/tap$1.log" || fail "tap $1 is ready"
}
start_tap 1
start_tap 2
mkdir "$system_dir/www"
head -c 64M /dev/urandom >"$system_dir/www/file"
nsenter --net="/proc/${tap_pid[1]}/ns/net" python3 -m http.server 8000 --directory "$system_dir/www" >/dev/null 2>&1 &
system_pids+=($!) system_names+=(http)
answers() { nsenter --net="/proc/${tap_pid[2]}/ns/net" curl -s -o /dev/null --max-time 1 http://10.9.0.1:8000/; }
system_until 10 answers || fail "the web server answers"
# Slower than the path is, so that the kills come in the middle.
nsenter --net="/proc/${tap_pid[2]}/ns/net" curl -s --limit-rate 16M --max-time 60 -o "$system_dir/got" http://10.9.0.1:8000/file &
transfer=$!
kills=0
while kill -0 $transfer 2>/dev/null && [ $kills -lt 6 ]; do
	sleep "0.$((RANDOM % 40 + 10))"
	system_stop sluice-netback "$([ $kills -eq 3 ] && echo TERM || echo KILL)"
	system_start sluice-netback || fail "a new sluice-netback starts"
	kills=$((kills + 1))
done
wait $transfer || fail "the transfer ends well after $kills restarts: $(tail -n 5 "$system_dir"/log/tap?.log)"
cmp "$system_dir/got" "$system_dir/www/file" || fail "the file arrived whole"
[ "$kills" -ge 4 ] || fail "the transfer was over after $kills restarts"
[ "$(grep -c "taken over" "$netback_log")" -eq $((kills * 2)) ] || fail "each vif is taken over each time"
# Each back end has moved a part of it.
counted=$(sluice network-list -s t1 | awk -v name="vif.$(sluice domid t1).0.queue.0.tx_bytes" '$1 == name { print $2 }')
[ "${counted:-0}" -ge $((64 << 20)) ] || fail "the last back end's counters go on with those before: ${counted:-no} bytes"
system_stop http
for n in 1 2; do
	is_connected vif "t$n" 0 || fail "guest $n is connected"
	sluice shutdown "t$n" >/dev/null
	wait "${tap_pid[n]}" || fail "tap $n ends well"
done
holds "a file crosses two guests' interfaces whole while their back end is killed or stopped $kills times"
system_stop sluice-netback
system_stop sluice-blkback
expect_nothing_left "after the guests that saw a pause"

# ---- not started again in time ------------------------------------------------------------------------------------------

system_stop sluiced || fail "sluiced ends well"
system_start sluiced --keep-devices 1 && sluiced_pid=$system_pid || fail "sluiced"
system_start sluice-blkback && system_start sluice-netback || fail "the back ends"
# With several queues the event channels are the queues', not the device's.
load load "--queues 3"
system_stop sluice-blkback KILL
sluice list >/dev/null || fail "sluiced goes on"
kill -0 "$sluiced_pid" || fail "sluiced lives"
grep -q "the back end process [0-9]* is gone; 1 device stays connected for 1.0 s, for the next one" "$system_dir/log/sluiced.log" ||
	fail "sluiced says what it does"
system_until 10 is_gone load || fail "the guest with three queues learns that its disk is gone, and ends"
grep -q "no back end came for its vbd 51712; the device is closed" "$system_dir/log/sluiced.log" || fail "sluiced says what it did"
grep -q "xvda" "$(guest_log load)" || fail "the guest says which disk went: $(tail -n 3 "$(guest_log load)")"
holds "a guest whose back end does not come back learns of it, says so and ends"
system_start sluice-blkback || fail "a new sluice-blkback starts"
sluice create -q -F examples/idle.cfg "$guest_kernel" 'name="next"' "vif=[]" 'memory=64' 'extra="blk-verify xvda 4"' \
	"disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/b.img']" >/dev/null || fail "a new guest: $(tail -n 3 "$(guest_log next)")"
holds "a new block back end serves a new guest"

start_tap 1
start_tap 2
pings() { nsenter --net="/proc/${tap_pid[1]}/ns/net" ping -c 1 -W 1 10.9.0.2 >/dev/null 2>&1; }
says() { [ "$(grep -c "the cable of the vif is $1" "$system_dir/log/tap1.log")" -eq "$2" ]; }
system_until 10 pings || fail "the guests reach each other"
for round in 1 2; do
	system_stop sluice-netback KILL
	system_until 10 says out $round || fail "the guest learns that its back end is gone"
	system_start sluice-netback || fail "a new sluice-netback starts"
	system_until 10 says in $round || fail "the guest connects to the next back end"
	system_until 10 pings || fail "the guests reach each other again"
done
for n in 1 2; do
	sluice shutdown "t$n" >/dev/null
	wait "${tap_pid[n]}" || fail "tap $n ends well"
	grep -q "^net_lost [0-9]* slots" "$system_dir/log/tap$n.log" || fail "tap $n says what was lost"
done
holds "two guests outlive their back end: link down, link up by itself, with the one that comes"

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
