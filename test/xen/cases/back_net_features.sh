# Linux's xen-netfront over sluice-netback: each feature that both have is agreed on and used, and what was sent arrives.
# boot: pvh
# limit: 300
backends sluice large
guest nets pv 2 30 "$(vif_of 30)" "" xen-netfront
id=$(guest_domid nets)
vif=vif$id.0
counter() { program_counter sluice-netback "$vif.$1"; }
front_key() { xenstore-read "/local/domain/$id/device/vif/0/$1" 2>/dev/null; }
agreed() {
	local key
	for key in "$@"; do
		[ "$(front_key "$key")" = 1 ] || fail "the front end does not ask for $key"
	done
}

ip addr add fd09::1/64 dev tap0 nodad
in_guest nets 'echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad; ip addr add fd09::30/64 dev eth0'
expect "the guest answers" until_true 20 ping -q -c 1 -W 1 10.9.0.30
expect "over IPv6, too" until_true 20 ping -6 -q -c 1 -W 1 fd09::30

same "two queues are agreed on" 2 "$(front_key multi-queue-num-queues)"
[ -n "$(front_key queue-1/event-channel-tx)" ] && [ -n "$(front_key queue-1/event-channel-rx)" ] || fail "no split event channels"
agreed feature-rx-notify feature-sg feature-gso-tcpv4 feature-gso-tcpv6 feature-ipv6-csum-offload
[ "$(front_key feature-no-csum-offload)" = 1 ] && fail "the front end wants whole checksums"

# streams FAMILY GUEST DOMAIN-0 MIB: large frames and blank checksums both ways.
streams() {
	local tx_gso rx_gso blank bridge_address=$3
	tx_gso=$(counter tx_gso) rx_gso=$(counter rx_gso) blank=$(counter tx_csum_blank)
	capture_start tap0
	check_tcp nets "$2" "$4"
	capture_stop
	[ $(($(counter tx_csum_blank) - blank)) -gt 0 ] || fail "every checksum from the guest was whole"
	grep -q "$3\.[0-9]* > $2\..*incorrect" "$RIG_KEEP/capture.txt" || fail "every checksum to the guest was whole"
	same "the guest saw no wrong one" 0 "$(ask nets 10 "$wrong_checksums")"
	feature "blank checksums $1" "$(($(counter tx_csum_blank) - blank)) packets from the guest"
	[ $(($(counter tx_gso) - tx_gso)) -gt 0 ] || fail "no large frame from the guest"
	feature "GSO $1 from the guest" "$(($(counter tx_gso) - tx_gso)) frames"
	[ $(($(counter rx_gso) - rx_gso)) -gt 0 ] || fail "no large frame to the guest"
	feature "GSO $1 to the guest" "$(($(counter rx_gso) - rx_gso)) frames"
}
streams IPv4 10.9.0.30 10.9.0.1 1
streams IPv6 fd09::30 fd09::1 1

# Either end chooses by the flow; flows are made until each queue had some.
another_flow() {
	local way
	ask nets 10 "echo x | nc -w 1 10.9.0.1 9 >/dev/null 2>&1; true" >/dev/null
	echo x | nc -w 1 10.9.0.30 9 >/dev/null 2>&1
	for way in q0.tx q1.tx q0.rx q1.rx; do
		[ "$(counter $way"_packets")" -gt 0 ] || return 1
	done
}
until_true 30 another_flow || fail "a queue is not used"
feature "several queues" "$(counter q0.tx_packets) and $(counter q1.tx_packets) frames from, \
$(counter q0.rx_packets) and $(counter q1.rx_packets) to the guest"
[ "$(ask nets 10 "awk '/vif0-q[01]-[tr]x/ && \$2 + \$3 > 0' /proc/interrupts | wc -l")" = 4 ] || fail "an event channel had no event"
feature "split event channels" "four of them had events"

# An XDP program gets what lies behind the headroom; it passes nothing when that is not where a frame begins.
in_guest nets 'xdp-look eth0 >/tmp/xdp.log 2>&1 & echo $! >/tmp/xdp.pid
n=0; while ! grep -q attached /tmp/xdp.log && [ $n -lt 100 ]; do usleep 50000; n=$((n + 1)); done; grep attached /tmp/xdp.log'
same "256 bytes before each frame are asked for" 256 "$(front_key xdp-headroom)"
expect "the vif is connected" until_true 10 device_connected nets vif 0
check_ping nets 10.9.0.1 1400 10
in_guest nets 'kill $(cat /tmp/xdp.pid)'
expect "and none when the program has gone" until_true 10 eval '[ "$(front_key xdp-headroom)" = 0 ]'
check_ping nets 10.9.0.1 56 10
feature "xdp-headroom" "256 bytes, and an XDP program that looks behind them"

slots=$(counter tx_slots) frames=$(counter tx_packets)
in_guest nets 'ip link set eth0 mtu 9000'
ip link set tap0 mtu 9000
capture_start tap0
check_ping nets 10.9.0.1 8900 10
capture_stop
# The capture may begin late under emulation; what it saw says how long a frame is.
[ "$(grep -c 'length 8928' "$RIG_KEEP/capture.txt")" -ge 2 ] && ! grep -q 'flags \[+\]' "$RIG_KEEP/capture.txt" ||
	fail "the pings were not whole: $(head -n 4 "$RIG_KEEP/capture.txt")"
feature "MTU of 9000" "pings of 8900 bytes in one frame each way"
check_tcp nets 10.9.0.30 1
slots=$(($(counter tx_slots) - slots)) frames=$(($(counter tx_packets) - frames))
[ $slots -gt $((frames * 3 / 2)) ] || fail "$slots slots for $frames frames"
feature "scatter-gather" "$slots slots for $frames frames"

# A guest that takes nothing for a while.
dropped() { echo $(($(counter rx_drop_no_request) + $(counter rx_drop_stalled))); }
before=$(dropped) held=$(counter rx_held)
xl pause nets
flood 10.9.0.30 2000
until_true 15 eval "[ \$(dropped) -gt $before ]" || fail "2000 frames for a guest that sleeps were kept"
xl unpause nets
expect "it goes on" until_true 20 ping -q -c 1 -W 1 10.9.0.30
check_ping nets 10.9.0.1 56 10
feature "rx stall" "$(($(counter rx_held) - held)) frames waited, $(($(dropped) - before)) were dropped, then it went on"

# The vif's packets in a file, by sluice capture, as tcpdump reads it.
sluice capture $vif -w "$RIG_KEEP/vif.pcapng" -c 6 icmp >"$RIG_KEEP/capture.log" 2>&1 &
capture=$!
until_true 20 eval "ping -q -c 1 -W 1 10.9.0.30 >/dev/null; ! kill -0 $capture 2>/dev/null"
wait $capture || fail "sluice capture fails: $(cat "$RIG_KEEP/capture.log")"
same "sluice capture has the pings" 6 "$(tcpdump -Z root -nn -r "$RIG_KEEP/vif.pcapng" 2>/dev/null | grep -c 'ICMP echo')"

# A vif of whose features the toolstack says that they are not there, and a TAP that takes none. Over IPv6: there is no word by which
# a back end could ask Linux's front end for whole checksums of IPv4.
plain_vif() {
	local key
	in_guest nets 'echo 0 >/sys/bus/xen/drivers_autoprobe'
	xl network-attach nets $(vif_of 31 | tr , ' ') || fail "xl network-attach fails"
	for key in sg gso-tcpv4 gso-tcpv6 ipv6-csum-offload split-event-channels; do
		xenstore-write "$(back_path nets vif 1)/feature-$key" 0
	done
	in_guest nets 'echo vif-1 >/sys/bus/xen/drivers/vif/bind; n=0; while [ ! -e /sys/class/net/eth1 ] && [ $n -lt 200 ]; do usleep 50000; n=$((n + 1)); done
echo 0 >/proc/sys/net/ipv6/conf/eth1/accept_dad; ip addr add fd0a::2/64 dev eth1 && ip link set eth1 up'
	same "the guest's device has no offload for IPv6" 3 "$(ask nets 10 "ethtool -k eth1 |
		grep -cE '^[[:space:]]*(tx-checksum-ipv6|scatter-gather|tcp-segmentation-offload): off'")"
	ip addr add fd0a::1/64 dev tap0 nodad
	ethtool -K tap0 tx off
	expect "a vif without features is connected" until_true 20 device_connected nets vif 1
	until_true 20 ping -6 -q -c 1 -W 1 fd0a::2 >/dev/null || fail "no answer over it"
}

no_offloads() {
	local vif=vif$id.1 bridge_address=fd0a::1
	plain_vif
	[ -z "$(xenstore-read "/local/domain/$id/device/vif/1/queue-0/event-channel-tx" 2>/dev/null)" ] || fail "event channels are split"
	capture_start tap0
	check_tcp nets fd0a::2 1
	capture_is_clean "every checksum was whole"
	! grep -qE 'length ([2-9][0-9]{3}|[0-9]{5})' "$RIG_KEEP/capture.txt" || fail "a large frame crossed the TAP"
	same "none from the guest had several slots, was large or without checksum" "$(counter tx_packets) 0 0" \
		"$(counter tx_slots) $(counter tx_gso) $(counter tx_csum_blank)"
	feature "no offloads" "$(counter tx_packets) frames from the guest, each whole in one slot"
}
[ "$RIG_FULL" != yes ] || no_offloads
guest_destroy nets
expect_nothing_left "$id" "when it is destroyed"
