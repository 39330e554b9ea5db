#!/bin/bash
# Records examples/capture.pcap: real traffic between two network namespaces over a veth pair, offloads off, so that what is
# captured is what a wire would carry. Needs root, and the Debian packages iproute2 ethtool tcpdump python3 iputils-ping.
#
#   record-capture.sh [OUTPUT]
#
# Contents, both directions: ARP, ping, DNS queries and answers over UDP, TCP with full-size segments (mtu 1500: 1448 bytes of
# data) each way, a jumbo datagram and a jumbo ping (mtu 9000), IPv6 neighbour discovery, ping and TCP.
set -eu
output=$(readlink -f "${1:-$(dirname "$0")/capture.pcap}")
a=slc-a-$$ b=slc-b-$$
work=$(mktemp -d)
dump_pid=''
finish() {
	[ -z "$dump_pid" ] || kill "$dump_pid" 2>/dev/null || true
	ip netns del $a 2>/dev/null || true
	ip netns del $b 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

in_a() { ip netns exec $a "$@"; }
in_b() { ip netns exec $b "$@"; }

ip netns add $a
ip netns add $b
ip -n $a link add veth0 mtu 9000 address 00:16:3e:00:00:0a type veth peer name veth0 netns $b mtu 9000 address 00:16:3e:00:00:0b
for ns in $a $b; do
	# Quiet: no router solicitations, no multicast reports, addresses usable at once.
	ip netns exec $ns sysctl -q -w net.ipv6.conf.all.router_solicitations=0 net.ipv6.conf.veth0.router_solicitations=0 \
		net.ipv6.conf.veth0.accept_dad=0 net.ipv6.conf.veth0.autoconf=0 net.ipv6.conf.veth0.addr_gen_mode=1
	ip netns exec $ns ethtool -K veth0 tx off rx off sg off tso off gso off gro off
	ip -n $ns link set veth0 multicast off
	ip -n $ns link set lo up
	ip -n $ns link set veth0 up
done >/dev/null
ip -n $a addr add 10.98.0.1/24 dev veth0
ip -n $b addr add 10.98.0.2/24 dev veth0
ip -n $a -6 addr add fd98::1/64 dev veth0 nodad
ip -n $b -6 addr add fd98::2/64 dev veth0 nodad
# TCP at Ethernet's size; the jumbo datagrams alone use the 9000 bytes.
ip -n $a route change 10.98.0.0/24 dev veth0 proto kernel scope link src 10.98.0.1 advmss 1460
ip -n $b route change 10.98.0.0/24 dev veth0 proto kernel scope link src 10.98.0.2 advmss 1460
ip -n $a -6 route change fd98::/64 dev veth0 proto kernel metric 256 advmss 1440
ip -n $b -6 route change fd98::/64 dev veth0 proto kernel metric 256 advmss 1440
sleep 2 # what the links say when they come up is over before the recording begins

cat >"$work/talk.py" <<'END'
import socket, struct, sys

NAMES = ["example.org", "packages.debian.org", "xenproject.org", "a.very.long.name.with.many.labels.example.net"]

def query(number, name):
    labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0"
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">2H", 1, 1)

def answer(q, number):
    rest = q[12:]
    records = b"".join(b"\xc0\x0c" + struct.pack(">2HIH4B", 1, 1, 300, 4, 192, 0, 2, i) for i in range(1 + number % 8))
    return q[:2] + struct.pack(">5H", 0x8180, 1, 1 + number % 8, 0, 0) + rest + records

def serve_udp(where):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((where, 53))
    print("ready", flush=True)
    for number in range(len(NAMES) * 4):
        q, peer = s.recvfrom(512)
        s.sendto(answer(q, number), peer)
    jumbo, peer = s.recvfrom(9000)
    s.sendto(jumbo[::-1], peer)

def ask_udp(where):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((where, 53))
    for number in range(len(NAMES) * 4):
        s.send(query(number, NAMES[number % len(NAMES)]))
        s.recv(512)
    s.send(bytes(i % 251 for i in range(8972)))   # 9000 bytes of IP packet
    s.recv(9000)

def data(n, seed):
    return bytes((i * 7 + seed + (i >> 8)) & 255 for i in range(n))

def read_all(c, n):
    got = b""
    while len(got) < n:
        part = c.recv(n - len(got))
        if not part:
            sys.exit("connection ended early")
        got += part
    return got

def serve_tcp(where, n):
    s = socket.create_server((where, 8080), family=socket.AF_INET6 if ":" in where else socket.AF_INET)
    print("ready", flush=True)
    c, _ = s.accept()
    if read_all(c, n) != data(n, 1):
        sys.exit("wrong data")
    c.sendall(data(n, 2))
    c.recv(1)
    c.close()

def talk_tcp(where, n):
    c = socket.create_connection((where, 8080))
    c.sendall(data(n, 1))
    if read_all(c, n) != data(n, 2):
        sys.exit("wrong data")
    c.close()

kind, where = sys.argv[1:3]
{"serve_udp": serve_udp, "ask_udp": ask_udp}.get(kind, lambda w: globals()[kind](w, int(sys.argv[3])))(where)
END

in_a tcpdump -q -U -i veth0 -s 0 -w "$work/capture.pcap" 2>"$work/tcpdump.log" &
dump_pid=$!
until grep -q 'listening on' "$work/tcpdump.log"; do sleep .1; done

# talk SERVE ASK ADDRESS [BYTES]: the server in b is ready before the client in a begins.
talk() {
	local server
	in_b python3 "$work/talk.py" "$1" "${@:3}" >"$work/server" &
	server=$!
	until grep -q ready "$work/server"; do sleep .05; done
	in_a python3 "$work/talk.py" "$2" "${@:3}"
	wait $server
}

in_a ping -q -c 4 -i .2 10.98.0.2 >/dev/null
in_b ping -q -c 2 -i .2 -s 1400 10.98.0.1 >/dev/null
in_a ping -q -c 2 -i .2 -s 8972 -M do 10.98.0.2 >/dev/null
talk serve_udp ask_udp 10.98.0.2
talk serve_tcp talk_tcp 10.98.0.2 100000
in_a ping -q -6 -c 4 -i .2 fd98::2 >/dev/null
talk serve_tcp talk_tcp fd98::2 40000
sleep .3
kill $dump_pid
wait $dump_pid || true
dump_pid=''
mv "$work/capture.pcap" "$output"
chown 0:0 "$output"
chmod 644 "$output"
grep -E 'captured|dropped' "$work/tcpdump.log"
echo "recorded $output: $(stat -c %s "$output") bytes"
