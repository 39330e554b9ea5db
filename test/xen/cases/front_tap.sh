# Our network front end and Linux's xen-netback: each feature that both have is agreed on and used by a kernel's network stack, which
# lives over a TAP in the guest: several queues with split event channels, large frames and blank checksums, the control ring's hash.
# boot: linux
# limit: 300
backends linux
echo 2 >/sys/module/xen_netback/parameters/max_queues
guest front pv 1 "" "$(vif_of 7)" "" xen-evtchn+xen-gntdev+xen-gntalloc+tun
id=$(guest_domid front)

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
streams() {
	local bytes=$((2 << 20)) stream=$RIG_KEEP/stream
	ping -q -c 20 -i 0.05 -s 1400 10.9.0.7 | grep -q ' 20 packets received' || fail "20 pings are answered"
	dd if=/dev/urandom of="$stream" bs=1M count=2 2>/dev/null
	in_guest front "$in_tap nc -l -p 5001 -e sh -c 'head -c $bytes | md5sum' >/dev/null 2>&1 </dev/null &"
	sleep 1
	same "2 MiB of TCP to the TAP are whole ($*)" "$(md5_of "$stream")" "$(timeout 60 nc 10.9.0.7 5001 <"$stream" | cut -d' ' -f1)"
	in_guest front 'dd if=/dev/urandom of=/tmp/stream bs=1M count=2 2>/dev/null'
	nc -l -p 5001 -e sh -c "head -c $bytes | md5sum" >/dev/null 2>&1 </dev/null &
	sleep 0.3
	same "2 MiB of TCP from the TAP are whole ($*)" "$(ask front 30 "md5sum </tmp/stream | cut -d' ' -f1")" \
		"$(ask front 60 "$in_tap nc $bridge_address 5001 </tmp/stream | cut -d' ' -f1")"
}

tap --queues 2 --hash
same "two queues are agreed on" 2 "$(front_key multi-queue-num-queues)"
[ -n "$(front_key queue-1/event-channel-tx)" ] || fail "no split event channels"
[ -n "$(front_key ctrl-ring-ref)" ] || fail "no control ring"
holds "split event channels and a control ring are agreed on"
in_guest front 'grep "^sends:.* csum4 csum6 gso4 gso6" /tmp/tap.log && grep "^takes:.* csum4 csum6 gso4 gso6" /tmp/tap.log'
holds "large frames and blank checksums are agreed on, both families and ways"
streams "two queues, all offloads, hash"
until_true 10 ask front 10 "$in_tap ping -c 1 -W 1 $bridge_address >/dev/null"
same "the TAP's receiver saw no wrong checksum" 0 \
	"$(ask front 10 "$in_tap awk '/^Tcp:/ { if (at) print \$at; else for (i = 2; i <= NF; i++) if (\$i == \"InCsumErrors\") at = i }' /proc/net/snmp")"
end_tap
guest_destroy front
guest front pv 1 "" "$(vif_of 7)" "" xen-evtchn+xen-gntdev+xen-gntalloc+tun
id=$(guest_domid front)
tap --no-offload --slots 32
[ -z "$(front_key multi-queue-num-queues)" ] && [ -n "$(front_key tx-ring-ref)" ] || fail "one queue has not its keys at the top"
holds "one queue has its keys at the top"
streams "one queue, no offloads, few pages"
end_tap
echo 0 >/sys/module/xen_netback/parameters/max_queues
