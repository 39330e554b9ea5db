#!/bin/bash
# Stock DPDK programs over our drivers: testpmd as a guest (net_netfront) against sluice-netback, and as the back end (net_netback) of
# two guests that run a kernel's network stack.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_requires dpdk-testpmd ping nsenter iperf3 ss stdbuf
scenario_begin sluiced
[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
[ -e "$SLUICE_BUILD/tools/librte_net_sluice.so" ] || skip "librte_net_sluice.so is not built here"
system_start sluice-netback || fail "sluice-netback"
# DPDK refuses plugins below a folder that everybody may write to, as /tmp.
plugin=$(mktemp -d /run/sluice-plugin.XXXXXX)/librte_net_sluice.so
cp "$SLUICE_BUILD/tools/librte_net_sluice.so" "$plugin" || fail "a copy of the plugin"
trap 'status=$?; rm -rf "${plugin%/*}"; (exit $status); scenario_finish' EXIT

# testpmd_start DEVARGS OPTION...: its words go to log/testpmd.log, commands come through fd 8.
testpmd_start() {
	local device=$1
	shift
	rm -f "$system_dir/testpmd.in"
	mkfifo "$system_dir/testpmd.in"
	stdbuf -oL dpdk-testpmd --lcores '0@0,1@0' --no-pci --no-telemetry --no-huge --no-shconf -m 128 -d "$plugin" ${device:+--vdev "$device"} $more_devices -- -i \
		--total-num-mbufs=8192 "$@" <"$system_dir/testpmd.in" >"$system_dir/log/testpmd.log" 2>&1 &
	testpmd_pid=$!
	exec 8<>"$system_dir/testpmd.in"
	system_until 20 testpmd_says 'testpmd>' || fail "testpmd starts"
}
testpmd_says() { grep -qs -- "$1" "$system_dir/log/testpmd.log"; }
tell() { echo "$*" >&8; }
testpmd_end() {
	tell stop
	tell quit
	system_gone "$testpmd_pid" 20 || fail "testpmd does not end"
	wait "$testpmd_pid" || fail "testpmd ends well"
	exec 8>&-
}
more_devices=''

# ---- as a guest -------------------------------------------------------------------------------------------------------------

start_tap 2
echoes() {
	in_ns 2 ping -c 1 -W 1 10.9.0.99 >/dev/null 2>&1
}
listed() { sluice network-list -s "$1" | awk -v name="vif.$(sluice domid "$1").0.$2" '$1 == name { print $2 }'; }
for device in 1,zero-copy=no 2,zero-copy=yes; do
	queues=${device%,*}
	create_tap 1
	testpmd_start "net_netfront0,attach=g1,run_dir=$system_run_dir,${device#*,}" --rxq=$queues --txq=$queues --forward-mode=icmpecho
	tell start
	system_until 10 echoes || fail "testpmd answers a ping"
	in_ns 2 ping -A -c 500 -s 1400 -p a55a0ff0 10.9.0.99 >"$system_dir/pings"
	grep -q ' 500 received' "$system_dir/pings" || fail "testpmd answers 500 pings"
	grep -q 'wrong data' "$system_dir/pings" && fail "answers hold what was sent"
	lent=0 resent=0
	for ((i = 0; i < queues; i++)); do
		lent=$((lent + $(listed g1 front.queue.$i.rx_lent)))
		resent=$((resent + $(listed g1 front.queue.$i.tx_resent)))
	done
	case $device in
	*yes) [ "$lent" -ge 500 ] && [ "$resent" = "$lent" ] || fail "$lent frames stayed in their pages, $resent went back so" ;;
	*no) [ "$lent$resent" = 00 ] || fail "$lent frames stayed in their pages without zero-copy=yes" ;;
	esac
	holds "testpmd as a guest answers 500 pings of 1400 bytes ($queues queues), $resent of them from the page they came in"
	testpmd_end
	system_until 10 is_gone g1 || fail "the guest ends with testpmd"
done
create_tap 1
testpmd_start "net_netfront0,attach=g1,run_dir=$system_run_dir,slots=64" --forward-mode=txonly --eth-peer=0,00:16:3e:00:00:02 --txpkts=64,200,1000
tell start
sleep 1
tell stop
tell "show port stats 0"
system_until 10 testpmd_says 'TX-bytes: *[1-9]' || fail "statistics"
sent=$(awk '/TX-packets:.*TX-errors/ { print $2 }' "$system_dir/log/testpmd.log" | tail -n 1)
[ "$sent" -gt 1000 ] || fail "testpmd sent only $sent packets"
[ "$(awk '/TX-packets:.*TX-errors/ { print $4 }' "$system_dir/log/testpmd.log" | tail -n 1)" = 0 ] || fail "testpmd saw errors"
holds "testpmd sent $sent packets of three pieces"
# Three that show the same: the ethdev, and both ends' shared memory.
: >"$system_dir/log/testpmd.log"
tell "show port xstats 0"
system_until 10 testpmd_says 'queue.0.tx_ns.max' || fail "extended statistics"
xstat() { awk -v name="queue.0.$1:" '$1 == name { print $2 }' "$system_dir/log/testpmd.log"; }
for counter in tx_packets tx_bytes tx_batch.count tx_batch.p50 notify_sent; do
	[ -n "$(xstat $counter)" ] && [ "$(xstat $counter)" = "$(listed g1 front.queue.0.$counter)" ] ||
		fail "$counter: testpmd has $(xstat $counter), sluice $(listed g1 front.queue.0.$counter)"
done
taken() { [ "$(listed g1 queue.0.tx_packets)" = "$sent" ] && [ "$(listed g1 queue.0.tx_bytes)" = "$(xstat tx_bytes)" ]; }
system_until 10 taken || fail "the guest sent $sent, its back end took $(listed g1 queue.0.tx_packets)"
[ "$(listed g1 front.queue.0.tx_ns.count)" -gt 0 ] && [ "$(listed g1 queue.0.tx_ns.count)" -gt 0 ] || fail "times of both ends"
holds "net_netfront's extended statistics are what sluice network-list shows, and the back end counted the same"

# What it listens to: it receives 20 pings to a multicast address when it wants all, or that address, else none of them.
in_ns 2 ip route add 239.0.0.0/8 dev tap0 || fail "a route"
hears() {
	tell "clear port stats 0"
	tell "show port info 0" # in turn: the counters are cleared when this has been said
	sleep 0.3
	in_ns 2 ping -q -c 20 -i 0.01 -W 0.1 -s 200 239.1.2.3 >/dev/null 2>&1
	sleep 0.3
	: >"$system_dir/log/testpmd.log"
	tell "show port stats 0"
	system_until 10 testpmd_says 'RX-packets' || fail "statistics"
	[ "$(awk '/RX-packets:/ { print $2 }' "$system_dir/log/testpmd.log" | tail -n 1)" -ge 20 ]
}
tell "set fwd rxonly"
tell start
hears || fail "a program that wants everything hears multicasts"
tell "set promisc 0 off"
hears && fail "a program that listens to no address hears multicasts"
tell "mcast_addr add 0 01:00:5e:01:02:03"
hears || fail "a program hears the address that it listens to"
tell "mcast_addr remove 0 01:00:5e:01:02:03"
hears && fail "a program hears an address that it no longer listens to"
tell "set allmulti 0 on"
hears || fail "a program that wants all multicasts hears them"
tell "set allmulti 0 off"
tell stop
holds "testpmd hears the multicasts that it asks for: all, those of a list, none"

# Its back end goes, and another takes the vif over.
is_sending() {
	tell "clear port stats 0"
	sleep .3
	: >"$system_dir/log/testpmd.log"
	tell "show port stats 0"
	system_until 5 testpmd_says 'TX-packets: *[1-9]'
}
tell "set fwd txonly"
tell start
is_sending || fail "testpmd sends"
system_stop sluice-netback || fail "sluice-netback ends"
system_start sluice-netback || fail "sluice-netback"
is_sending || fail "testpmd sends on through the next back end"
tell "show port info 0"
system_until 15 testpmd_says 'Link status: up' || fail "the link is up"
holds "testpmd outlives its back end, and sends on through the next"
testpmd_end
system_until 10 is_gone g1 || fail "the guest ends with testpmd"
end_tap 2

refused_vdev() {
	local words=$1 device=$2
	timeout 30 dpdk-testpmd --lcores '0@0' --no-pci --no-telemetry --no-huge --no-shconf -m 64 -d "$plugin" --vdev "$device" -- -i </dev/null >"$system_dir/refused" 2>&1
	grep -q -- "$words" "$system_dir/refused" || fail "'$device' should be refused with '$words': $(grep -vi eal "$system_dir/refused" | head -n 5)"
	holds "refused: $(grep -m1 -- "$words" "$system_dir/refused")"
}
refused_vdev "there is no domain 'nobody'" "net_netfront0,attach=nobody,run_dir=$system_run_dir"
refused_vdev "no sluiced answers in /nowhere" "net_netfront0,attach=g1,run_dir=/nowhere"
refused_vdev "cannot be understood" "net_netfront0,colour=red"
refused_vdev "vif=x is not a number" "net_netfront0,attach=g1,vif=x"
refused_vdev "attach= is empty or too long" "net_netfront0,attach="
refused_vdev "zero-copy=maybe is neither yes nor no" "net_netfront0,attach=g1,zero-copy=maybe"
create_tap 1
refused_vdev "vif 7 does not exist" "net_netfront0,attach=g1,vif=7,run_dir=$system_run_dir"
system_until 10 is_gone g1 || fail "guest 1 is gone"

# ---- as the back end ---------------------------------------------------------------------------------------------------------

system_stop sluice-netback || fail "sluice-netback ends"
more_devices="--vdev net_netback1,guest=g2,run_dir=$system_run_dir"
testpmd_start "net_netback0,guest=g1,run_dir=$system_run_dir" --rxq=2 --txq=2 --forward-mode=io --port-topology=paired
tell start
start_tap 1 --queues 2
start_tap 2
pings() { in_ns 1 ping -c 1 -W 1 "$1" >/dev/null 2>&1; }
system_until 10 pings 10.9.0.2 || fail "ping through testpmd"
system_until 10 pings fd09::2 || fail "ping through testpmd over IPv6"
in_ns 1 ping -q -A -c 500 -s 1400 10.9.0.2 | grep -q ' 500 received' || fail "500 pings through testpmd"
holds "two guests ping each other through testpmd, which serves their vifs"
nsenter --net="/proc/${tap_pid[2]}/ns/net" iperf3 -s >"$system_dir/log/iperf3.log" 2>&1 &
system_pids+=($!)
system_names+=(iperf3)
is_listening() { [ -n "$(in_ns 2 ss -Hltn 'sport = :5201')" ]; }
system_until 10 is_listening || fail "iperf3 listens"
run_iperf "$system_dir/iperf" -t 1 -c 10.9.0.2 || fail "iperf3: $(tail -n 2 "$system_dir/iperf")"
run_iperf "$system_dir/iperf" -t 1 -R -P 4 -c fd09::2 || fail "iperf3: $(tail -n 2 "$system_dir/iperf")"
holds "TCP passes it both ways, over IPv4 and IPv6"
bad=$(in_ns 2 cat /proc/net/snmp | awk '/^Tcp:/ { if (!at) { for (i = 2; i <= NF; i++) if ($i == "InCsumErrors") at = i } else print $at }')
[ "$bad" = 0 ] || fail "guest 2 saw $bad wrong checksums"
holds "no receiver saw a wrong checksum"
# As the back end: what the ethdev says, the file says.
: >"$system_dir/log/testpmd.log"
tell "show port xstats 0"
system_until 10 testpmd_says 'queue.1.rx_ns.max' || fail "extended statistics"
system_until 10 testpmd_says 'testpmd>' || fail "all of them"
for counter in tx_drop_bad_grant rx_drop_too_long tx_gso; do
	[ -n "$(xstat $counter)" ] && [ "$(xstat $counter)" = "$(listed g1 queue.0.$counter)" ] ||
		fail "$counter: testpmd has $(xstat $counter), sluice $(listed g1 queue.0.$counter)"
done
[ "$(listed g1 queue.0.tx_packets)" -ge "$(xstat tx_packets)" ] && [ "$(xstat tx_packets)" -ge 100 ] ||
	fail "packets: testpmd has $(xstat tx_packets), sluice $(listed g1 queue.0.tx_packets)"
holds "net_netback's extended statistics are what sluice network-list shows"

# A guest dies in the middle of traffic; the next of its name is served by the same port.
nsenter --net="/proc/${tap_pid[1]}/ns/net" iperf3 -t 30 -c 10.9.0.2 >/dev/null 2>&1 &
client=$!
sleep .5
kill -KILL "${tap_pid[2]}"
wait "${tap_pid[2]}" 2>/dev/null
system_stop iperf3
system_until 20 is_gone g2 || fail "the killed guest is gone"
kill "$client" 2>/dev/null
wait "$client"
start_tap 2
system_until 10 pings 10.9.0.2 || fail "ping to the next guest"
in_ns 1 ping -q -A -c 200 -s 1400 10.9.0.2 | grep -q ' 200 received' || fail "200 pings"
holds "a guest killed under load is gone, and the next of its name is served"
end_tap 1
end_tap 2

# The program asks for large packets. Its csum engine leaves segmentation and sums to the other port, io nothing.
tell stop
tell "port stop all"
for port in 0 1; do
	tell "port config $port rx_offload tcp_lro on"
	tell "port config $port rx_offload scatter on"
	tell "csum set ip hw $port"
	tell "csum set tcp hw $port"
	tell "csum mac-swap off $port"
	tell "tso set 1448 $port"
done
tell "port config all max-lro-pkt-size 65535"
tell "port start all"
: >"$system_dir/log/testpmd.log"
tell "show port 1 rx_offload configuration" # in turn: the ports have been started when it is said
system_until 20 testpmd_says TCP_LRO || fail "the ports take large packets"
start_tap 1
start_tap 2
# counts PORT NAME: some queue of the port's does.
counts() {
	: >"$system_dir/log/testpmd.log"
	tell "show port xstats $1"
	system_until 10 testpmd_says 'queue.1.rx_ns.max' || fail "extended statistics"
	awk -v name=".$2:" 'index($1, name) { sum += $2 } END { exit !sum }' "$system_dir/log/testpmd.log"
}
cross_whole() { counts "$1" tx_gso && counts "$2" rx_gso; }
for engine in csum io; do
	tell "set fwd $engine"
	tell start
	tell "clear port xstats all"
	system_until 10 pings 10.9.0.2 || fail "ping through testpmd with large packets"
	system_until 10 pings fd09::2 || fail "ping over IPv6 through testpmd with large packets"
	nsenter --net="/proc/${tap_pid[2]}/ns/net" iperf3 -s >"$system_dir/log/iperf3.log" 2>&1 &
	system_pids+=($!)
	system_names+=(iperf3)
	system_until 10 is_listening || fail "iperf3 listens"
	run_iperf "$system_dir/iperf" -t 1 -c 10.9.0.2 || fail "iperf3: $(tail -n 2 "$system_dir/iperf")"
	cross_whole 0 1 || fail "$engine: guest 1's large packets do not reach guest 2 in one piece"
	run_iperf "$system_dir/iperf" -t 1 -R -c fd09::2 || fail "iperf3: $(tail -n 2 "$system_dir/iperf")"
	cross_whole 1 0 || fail "$engine: guest 2's large packets do not reach guest 1 in one piece"
	system_stop iperf3
	tell stop
done
bad=$(for n in 1 2; do in_ns $n cat /proc/net/snmp; done | awk '/^Tcp: [0-9]/ { sum += $NF } END { print sum + 0 }')
[ "$bad" = 0 ] || fail "the guests saw $bad wrong checksums"
holds "large packets cross a testpmd that asks for them in one piece, through its csum engine and as they are"
end_tap 1
end_tap 2
testpmd_end
[ "$(tap_figure 1 net_staging_pages | cut -d. -f1)" -gt 0 ] || fail "testpmd keeps none of guest 1's pages mapped"
holds "testpmd keeps $(tap_figure 1 net_staging_pages) of guest 1's pages mapped"

more_devices=''
refused_vdev "names no guest" "net_netback0,run_dir=$system_run_dir"
refused_vdev "no sluiced answers in /nowhere" "net_netback0,guest=g1,run_dir=/nowhere"
refused_vdev "cannot be understood" "net_netback0,color=red"
refused_vdev "vif=65536 is not a number" "net_netback0,guest=g1,vif=65536"
system_until 10 is_gone g1 || fail "guest 1 is gone"
system_until 10 is_gone g2 || fail "guest 2 is gone"
expect_nothing_left "after all guests ended"
