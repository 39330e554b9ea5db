# Our network front end and Linux's xen-netback: each feature that both have is agreed on and used by a kernel's network stack, which
# lives over a TAP in the guest: several queues with split event channels, large frames and blank checksums, the control ring's hash.
# boot: linux
# limit: 400
backends linux
echo 2 >/sys/module/xen_netback/parameters/max_queues
ip addr replace fd09::1/64 dev xenbr0 nodad
guest front pv 1 "" "$(vif_of 7)" "" xen-evtchn+xen-gntdev+xen-gntalloc+tun
id=$(guest_domid front)
vif=vif$id.0

# tap OPTION...: the guest's TAP is there and answers.
tap() {
	in_guest front "sluice-guest --hv xen tap 0 --address 10.9.0.7/24 --address fd09::7/64 $* >/tmp/tap.log 2>&1 </dev/null & echo \$! >/tmp/tap.pid
n=0; while ! grep -q ^ready /tmp/tap.log && [ \$n -lt 400 ]; do usleep 50000; n=\$((n + 1)); done; cat /tmp/tap.log; grep -q ^ready /tmp/tap.log"
	until_true 20 ping -q -c 1 -W 1 10.9.0.7 >/dev/null || fail "no answer from the TAP"
}
in_tap="nsenter -t \$(cat /tmp/tap.pid) -n"
end_tap() {
	in_guest front 'kill $(cat /tmp/tap.pid); n=0; while kill -0 $(cat /tmp/tap.pid) 2>/dev/null && [ $n -lt 100 ]; do usleep 50000; n=$((n + 1)); done'
}
front_key() { xenstore-read "/local/domain/$id/device/vif/0/$1" 2>/dev/null; }
statistic() { cat "/sys/class/net/$vif/statistics/$1"; }

# average DIRECTION COMMAND...: bytes of a frame in that direction of the vif's, while the command runs.
average() {
	local direction=$1 bytes frames
	bytes=$(statistic "$1_bytes") frames=$(statistic "$1_packets")
	shift
	"$@"
	average=$((($(statistic "${direction}_bytes") - bytes) / ($(statistic "${direction}_packets") - frames)))
}
to_guest() {
	local bytes=$((2 << 20)) stream=$RIG_KEEP/stream
	in_guest front "$in_tap nc -l -p 5001 -e sh -c 'head -c $bytes | md5sum' >/dev/null 2>&1 </dev/null &"
	sleep 1
	same "2 MiB of TCP to the TAP are whole ($2)" "$(md5_of "$stream")" "$(timeout 60 nc "$1" 5001 <"$stream" | cut -d' ' -f1)"
}
from_guest() {
	local bytes=$((2 << 20))
	nc -l -p 5001 -e sh -c "head -c $bytes | md5sum" >/dev/null 2>&1 </dev/null &
	sleep 0.3
	same "2 MiB of TCP from the TAP are whole ($2)" "$(ask front 30 "md5sum </tmp/stream | cut -d' ' -f1")" \
		"$(ask front 60 "$in_tap nc $1 5001 </tmp/stream | cut -d' ' -f1")"
}
dd if=/dev/urandom of="$RIG_KEEP/stream" bs=1M count=2 2>/dev/null
in_guest front 'dd if=/dev/urandom of=/tmp/stream bs=1M count=2 2>/dev/null'

# offloads FAMILY GUEST DOMAIN-0: large frames and blank checksums both ways.
offloads() {
	capture_start "$vif"
	average tx to_guest "$2" "$1"
	[ "$average" -gt 1514 ] || fail "frames to the guest are $average bytes long"
	feature "GSO $1 to the guest" "$average bytes a frame"
	average rx from_guest "$3" "$1"
	[ "$average" -gt 1514 ] || fail "frames from the guest are $average bytes long"
	feature "GSO $1 from the guest" "$average bytes a frame"
	capture_stop
	grep -q "$2.[0-9]* > $3.*incorrect" "$RIG_KEEP/capture.txt" || fail "every checksum from the guest was whole"
	grep -q "$3.[0-9]* > $2.*incorrect" "$RIG_KEEP/capture.txt" || fail "every checksum to the guest was whole"
	same "neither receiver saw a wrong checksum" "0 0" "$(eval "$wrong_checksums") $(ask front 10 "$in_tap $wrong_checksums")"
	feature "blank checksums $1" "both ways"
}

tap --queues 2 --hash
same "two queues are agreed on" 2 "$(front_key multi-queue-num-queues)"
[ -n "$(front_key queue-1/event-channel-tx)" ] || fail "no split event channels"
[ -n "$(front_key ctrl-ring-ref)" ] || fail "no control ring"
in_guest front 'grep "^sends:.* csum4 csum6 gso4 gso6" /tmp/tap.log && grep "^takes:.* csum4 csum6 gso4 gso6" /tmp/tap.log'
expect "20 pings are answered" ping -q -c 20 -i 0.05 -s 1400 10.9.0.7
offloads IPv4 10.9.0.7 10.9.0.1
until_true 20 ping -6 -q -c 1 -W 1 fd09::7 >/dev/null || fail "no answer over IPv6"
offloads IPv6 fd09::7 fd09::1

# Either end chooses by the flow; flows are made until each ring had some.
debug=/sys/kernel/debug/xen-netback/$vif
used_rings() { awk '/^rsp prod/ && $3 > 0 {n++} END {print n + 0}' $debug/io_ring_q0 $debug/io_ring_q1; }
another_flow() {
	ask front 10 "$in_tap nc -w 1 10.9.0.1 9 </dev/null >/dev/null 2>&1; true" >/dev/null
	nc -w 1 10.9.0.7 9 </dev/null >/dev/null 2>&1
	[ "$(used_rings)" = 4 ]
}
until_true 30 another_flow || fail "a queue is not used: $(cat $debug/io_ring_q*)"
feature "several queues" "two, both used both ways"
same "each queue has two interrupts that came" 4 "$(awk "/$vif-q[01]-[tr]x/ && \$2 > 0" /proc/interrupts | wc -l)"
feature "split event channels" "four of them had events"
cat $debug/ctrl
grep -qi toeplitz $debug/ctrl || fail "xen-netback hashes by nothing"
feature "control ring, hash" "$(grep -i -m 1 toeplitz $debug/ctrl | tr -s ' ')"
end_tap
guest_destroy front

[ "$RIG_FULL" = yes ] || { echo 0 >/sys/module/xen_netback/parameters/max_queues; return 0; }

# A guest that takes nothing for a second is stalled, in this xen-netback's eyes.
backends_down
modprobe xen-netback rx_stall_timeout_msecs=1000 rx_drain_timeout_msecs=1000 || fail "xen-netback cannot be loaded"
backends linux
guest front pv 1 "" "$(vif_of 7)" "" xen-evtchn+xen-gntdev+xen-gntalloc+tun
id=$(guest_domid front)
vif=vif$id.0
in_guest front 'dd if=/dev/urandom of=/tmp/stream bs=1M count=2 2>/dev/null'
tap --no-offload --slots 32
[ -z "$(front_key multi-queue-num-queues)" ] && [ -n "$(front_key tx-ring-ref)" ] || fail "one queue has not its keys at the top"
holds "one queue has its keys at the top"
average tx to_guest 10.9.0.7 "no offloads"
[ "$average" -le 1514 ] || fail "frames to the guest are $average bytes long"
average rx from_guest $bridge_address "no offloads"
[ "$average" -le 1514 ] || fail "frames from the guest are $average bytes long"
feature "no offloads" "no frame of more than 1514 bytes"
in_guest front 'kill -STOP $(cat /tmp/tap.pid)'
flood 10.9.0.7 2000
carrier_is() { [ "$(cat "/sys/class/net/$vif/carrier")" = "$1" ]; }
expect "xen-netback finds the front end stalled" until_true 20 carrier_is 0
in_guest front 'kill -CONT $(cat /tmp/tap.pid)'
expect "and no longer so when it takes frames again" until_true 20 carrier_is 1
expect "which it answers" until_true 20 ping -q -c 1 -W 1 10.9.0.7
feature "rx stall" "the carrier went and came"
end_tap
ip link set "$vif" mtu 9000
ip link set xenbr0 mtu 9000
tap --mtu 9000
capture_start "$vif"
ping -q -c 10 -i 0.05 -s 8900 10.9.0.7 >/dev/null
capture_stop
[ "$(grep -c 'length 8928' "$RIG_KEEP/capture.txt")" -ge 2 ] && ! grep -q 'flags \[+\]' "$RIG_KEEP/capture.txt" ||
	fail "the pings were not whole: $(head -n 4 "$RIG_KEEP/capture.txt")"
feature "MTU of 9000" "pings of 8900 bytes in one frame each way"
feature "scatter-gather" "such a frame has three pages"
end_tap
guest_destroy front
backends_down
