#!/bin/bash
# Ports of every kind that needs no hardware: frames pass between them over the bridge. No guest takes part; the network
# devices live in a namespace of the test's own.
: "${SLUICE_SOURCE:?}" "${SLUICE_BUILD:?}"
if [ -z "$PORTS_OWN_NET" ]; then
	[ "$(id -u)" -eq 0 ] || { echo "skipped: needs root"; exit 77; }
	unshare -n true 2>/dev/null || { echo "skipped: no network namespaces here"; exit 77; }
	PORTS_OWN_NET=1 exec unshare -n bash "$0" "$@"
fi
. "$SLUICE_SOURCE/test/lib/scenario.sh" || exit 1
scenario_requires ip python3
scenario_begin sluiced
[ -x "$SLUICE_BUILD/tools/sluice-netback" ] || skip "sluice-netback is not built here"
[ -c /dev/net/tun ] || skip "no /dev/net/tun here"
stats=$system_dir/stats

# frames.py FROM TO: sends 100 frames of 60 to 1514 bytes out of the device FROM and expects them at TO, in order.
cat >"$system_dir/frames.py" <<'PY'
import socket, sys
source, target = sys.argv[1:3]
TYPE = 0x88b5
def opened(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TYPE))
    s.bind((name, TYPE))
    s.settimeout(10)
    return s
out, into = opened(source), opened(target)
for n in range(100):
    size = 60 + n * 1454 // 99
    frame = bytes.fromhex('02000000000b02000000000a88b5') + n.to_bytes(2, 'big')
    frame += bytes((n + i) & 255 for i in range(size - len(frame)))
    out.send(frame)
    while True:
        got, address = into.recvfrom(65536)
        if address[2] != socket.PACKET_OUTGOING:
            break
    assert got == frame, f'frame {n}: {len(got)} bytes came, {len(frame)} were sent'
PY

# starts PORT...: a bridge with the tap "near" and these ports; false: the kernel here cannot do it.
starts() {
	local options=()
	for port in "$@"; do options+=(--port "$port"); done
	system_start sluice-netback --stats-file "$stats" --port net_tap0,iface=near "${options[@]}" 2>"$system_dir/why" || return 1
	ip link set near up
}

stops() {
	system_stop sluice-netback || fail "sluice-netback ends well with $1"
}

passes() {
	python3 "$system_dir/frames.py" "$1" "$2" || fail "frames from $1 to $2"
}

stat_of() {
	sed -n "s/^$1 //p" "$stats"
}

echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 2>/dev/null # no frames but ours

starts net_tap1,iface=far || fail "two taps"
ip link set far up
passes near far
passes far near
stops net_tap
[ "$(stat_of net_tap1.out_packets)" -ge 100 ] || fail "the counters know of 100 frames"
holds "frames pass between two taps, both ways"
ip link show near >/dev/null 2>&1 && fail "the tap stays behind"
holds "the taps are gone with the program"

starts net_ring0 || fail "net_ring"
passes near near
stops net_ring
holds "a ring port gives back what it took"

starts net_null0 "net_pcap0,tx_pcap=$system_dir/out.pcap" || fail "net_null, net_pcap"
python3 - <<'PY' || fail "sending"
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('near', 0))
for n in range(100):
    s.send(bytes.fromhex('02000000000b02000000000a88b5') + bytes([n]) * 100)
PY
recorded() { [ "$(stat -c %s "$system_dir/out.pcap" 2>/dev/null)" = $((24 + 100 * (16 + 114))) ]; }
system_until 10 recorded || fail "the pcap holds 100 frames of 114 bytes"
stops net_pcap
[ "$(stat_of net_null0.out_packets)" -eq 100 ] || fail "net_null took 100 frames"
[ "$(stat_of net_null0.in_packets)" -eq 0 ] || fail "net_null brings nothing"
holds "a null port and a pcap port take what comes"

ip link set near up 2>/dev/null
# Ports join in order, and a file is played as soon as it has joined: the listener comes first.
starts "net_pcap1,tx_pcap=$system_dir/copy.pcap" "net_pcap0,rx_pcap=$system_dir/out.pcap,tx_pcap=$system_dir/again.pcap" ||
	fail "net_pcap, reading"
replayed() { [ "$(stat -c %s "$system_dir/copy.pcap" 2>/dev/null)" = $((24 + 100 * (16 + 114))) ]; }
system_until 10 replayed || fail "a recorded file is played into the bridge"
stops "net_pcap, reading"
holds "a pcap port brings what its file holds"

for kind in net_af_packet0 net_af_xdp0; do
	if ! ip link add v0 type veth peer name v1 2>/dev/null; then
		echo "not tried: $kind (no veth in this kernel)"
		continue
	fi
	ip link set v0 up && ip link set v1 up
	if starts "$kind,iface=v0"; then
		passes near v1
		passes v1 near
		stops "$kind"
		holds "frames pass between a tap and $kind, both ways"
	else
		unset "system_pids[-1]" "system_names[-1]"
		grep -q "cannot open port '$kind,iface=v0'" "$system_dir/log/sluice-netback.log" || fail "$kind: no clear sentence"
		echo "not tried: $kind (this kernel or DPDK cannot: $(tail -n 1 "$system_dir/log/sluice-netback.log"))"
	fi
	ip link del v0
done
