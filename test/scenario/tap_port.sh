#!/bin/bash
# TAP ports with offloads: Linux's own stack at both ends, large frames in one piece, checksums judged by a real receiver; and a vif
# on a Linux bridge. All in a network namespace of the test's own, the far end in another.
: "${SLUICE_SOURCE:?}" "${SLUICE_BUILD:?}"
if [ -z "$PORTS_OWN_NET" ]; then
	[ "$(id -u)" -eq 0 ] || { echo "skipped: needs root"; exit 77; }
	unshare -n true 2>/dev/null || { echo "skipped: no network namespaces here"; exit 77; }
	PORTS_OWN_NET=1 exec unshare -n bash "$0" "$@"
fi
. "$SLUICE_SOURCE/test/lib/scenario.sh" || exit 1
scenario_requires ip ping python3 xenstore-write
scenario_begin sluiced sluice-blkback
[ -x "$SLUICE_BUILD/tools/sluice-netback" ] || skip "sluice-netback is not built here"
[ -c /dev/net/tun ] || skip "no /dev/net/tun here"
stats=$system_dir/stats
stat_of() { sed -n "s/^$1 //p" "$stats"; }

# talk.py: far end's process id, address: 8 MiB of TCP each way, compared; then UDP datagrams up to a fragmented one.
cat >"$system_dir/talk.py" <<'PY'
import ctypes, os, random, socket, sys, threading
far_ns, address = sys.argv[1:3]
family = socket.AF_INET6 if ':' in address else socket.AF_INET
def setns(path):
    fd = os.open(path, os.O_RDONLY)
    assert ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) == 0
    os.close(fd)
data = random.Random(1).randbytes(8 << 20)
def receive(s):
    parts = []
    while chunk := s.recv(1 << 16):
        parts.append(chunk)
    return b''.join(parts)
def serve():
    setns(far_ns)
    tcp = socket.create_server((address, 5000), family=family)
    udp = socket.socket(family, socket.SOCK_DGRAM)
    udp.bind((address, 5001))
    udp.settimeout(10)
    ready.set()
    c, _ = tcp.accept()
    assert receive(c) == data, 'near to far'
    c.sendall(data)
    c.close()
    for _ in range(4):
        payload, peer = udp.recvfrom(65536)
        udp.sendto(payload, peer)
ready, errors = threading.Event(), []
def run():
    try:
        serve()
    except BaseException as e:
        errors.append(e)
        ready.set()
t = threading.Thread(target=run)
t.start()
ready.wait()
s = socket.create_connection((address, 5000), timeout=20)
s.sendall(data)
s.shutdown(socket.SHUT_WR)
assert receive(s) == data, 'far to near'
u = socket.socket(family, socket.SOCK_DGRAM)
u.settimeout(10)
for size in (1, 100, 1472, 9000):
    sent = bytes(i & 255 for i in range(size))
    u.sendto(sent, (address, 5001))
    assert u.recv(65536) == sent, f'a datagram of {size}'
t.join()
assert not errors, errors
PY

ip link set lo up
unshare -n sleep 300 </dev/null >/dev/null 2>&1 &
far_pid=$!
trap 'status=$?; kill "$far_pid" 2>/dev/null; (exit $status); scenario_finish' EXIT
has_own_net() { [ "$(readlink "/proc/$far_pid/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
system_until 5 has_own_net || fail "a namespace for the far end"

# joins PORT: a bridge with tap:near here and PORT, whose interface is called far, over there.
joins() {
	system_start sluice-netback --stats-file "$stats" --port tap:near --port "$@" || fail "ports tap:near and $1"
	ip link set far netns "$far_pid" || fail "far goes to the other namespace"
	nsenter -t "$far_pid" -n sh -c 'ip link set lo up; ip addr add 10.7.0.2/24 dev far; ip addr add fd07::2/64 dev far nodad; ip link set far up'
	ip addr add 10.7.0.1/24 dev near && ip addr add fd07::1/64 dev near nodad && ip link set near up || fail "addresses"
}

talks() {
	local address
	for address in 10.7.0.2 fd07::2; do
		timeout 60 python3 "$system_dir/talk.py" "/proc/$far_pid/ns/net" "$address" || fail "$1: TCP and UDP to $address"
	done
	system_stop sluice-netback || fail "sluice-netback ends well with $1"
}

joins tap:far
talks "two taps"
[ $(($(stat_of near.in_bytes) / $(stat_of near.in_packets))) -gt 3000 ] || fail "large frames cross in one piece"
[ "$(stat_of far.segmented)" -eq 0 ] && [ "$(stat_of near.checksums)" -eq 0 ] || fail "nothing is done between two taps"
holds "TCP and UDP over IPv4 and IPv6 between two taps, large frames in one piece"

if [ "$(nproc)" -ge 2 ]; then
	joins tap:far --lcores "$(taskset -cp $$ | python3 -c 'import re, sys
cpus = [n for a, b in re.findall(r"(\d+)(?:-(\d+))?", sys.stdin.read().split(":")[1]) for n in range(int(a), int(b or a) + 1)]
print(f"{cpus[0]},{cpus[1]}")')"
	ip -d link show near | grep -q 'numqueues 2 ' || fail "near has a queue for each packet thread"
	talks "two taps of two queues"
	holds "two packet threads serve two taps, each by a queue of its own"
fi

joins net_tap1,iface=far
talks "a tap and a plain port"
[ "$(stat_of net_tap1.segmented)" -gt 100 ] || fail "large frames are cut for a port without segmentation"
holds "a real receiver accepts every checksum and segment that was made for a plain port"
ip link show near >/dev/null 2>&1 && fail "the tap stays behind"
holds "the taps are gone with the program"

# ---- a vif on a Linux bridge
ip link add lxbr type bridge && ip link set lxbr up promisc on || skip "this kernel has no bridges"
system_start sluice-netback --stats-file "$stats" || fail "sluice-netback"
cat >"$system_dir/count.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(('lxbr', 3))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
s.settimeout(20)
print('listening', flush=True)
for n in range(int(sys.argv[1])):
    s.recv(65536)
print('done', flush=True)
PY
system_padded examples/capture.pcap "$system_dir/capture.img"
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 2>/dev/null
python3 "$system_dir/count.py" 300 >"$system_dir/counted" &
counter=$!
system_until 5 grep -q listening "$system_dir/counted" || fail "a listener on the bridge"
sluice create -q -F examples/pcap-send.cfg "$guest_kernel" "vif=['bridge=lxbr,vifname=guest0']" \
	"disk=['format=raw,vdev=xvda,access=ro,target=$system_dir/capture.img']" >/dev/null || fail "the sender ends well"
wait "$counter" || fail "the Linux bridge saw the guest's frames"
grep -q done "$system_dir/counted" || fail "the Linux bridge saw the guest's frames"
holds "a guest's frames reach a Linux bridge through a tap of its own"
unplugged() { ! ip link show guest0 >/dev/null 2>&1; }
system_until 10 unplugged || fail "the tap goes with its vif"
holds "the tap goes with its vif"

# ---- the cable of a guest on a Linux bridge: each end is told of the other
printf 'name="cabled"\nkernel=""\nmemory=32\nvif=["bridge=lxbr,vifname=guest1"]\n' >"$system_dir/cabled.cfg"
sluice create -q "$system_dir/cabled.cfg" || fail "a guest"
: >"$system_dir/log/cabled.log"
"$SLUICE_BUILD/tools/sluice-guest" --attach cabled --run-dir "$system_run_dir" tap 0 --address 10.8.0.2/24 >"$system_dir/log/cabled.log" 2>&1 &
cabled=$!
system_until 10 grep -q '^ready' "$system_dir/log/cabled.log" || fail "the guest is ready"
ip addr add 10.8.0.1/24 dev lxbr
answers() { ping -c 1 -W 1 10.8.0.2 >/dev/null 2>&1; }
system_until 10 answers || fail "the guest answers through the Linux bridge"
[ "$(ip -o link show guest1 | sed 's/.* mtu \([0-9]*\).*/\1/')" -eq 1500 ] || fail "guest1 has the vif's MTU"
back=/local/domain/0/backend/vif/$(sluice domid cabled)/0
xenstore-write "$back/mtu" 4000 || fail "the toolstack writes another MTU"
has_mtu() { ip -o link show guest1 | grep -q ' mtu 4000 '; }
system_until 10 has_mtu || fail "another MTU is in force at once"
holds "an interface has the MTU that the store says, when it is made and when it changes"

ip link set guest1 down
system_until 10 grep -q "cable of the vif is out" "$system_dir/log/cabled.log" || fail "the guest learns that its interface is down"
ip link set guest1 up
system_until 10 grep -q "cable of the vif is in" "$system_dir/log/cabled.log" || fail "the guest learns that its interface is up"
system_until 10 answers || fail "the guest answers again"
holds "a guest learns that its interface was set down, and up again"

kill -STOP "$cabled"
ping -q -l 4000 -c 4000 -s 1400 10.8.0.2 >/dev/null 2>&1 & # all at once
flood=$!
has_no_carrier() { ip link show guest1 | grep -q NO-CARRIER; }
is_plugged() { ! has_no_carrier; }
system_until 10 has_no_carrier || fail "a guest that takes nothing has no carrier"
kill "$flood" && wait "$flood"
kill -CONT "$cabled"
system_until 10 is_plugged || fail "a guest that takes packets again has its carrier back"
system_until 10 answers || fail "the guest answers after its stall"
holds "a guest that stops taking packets loses its carrier, until it goes on"
sluice shutdown cabled >/dev/null || fail "the guest is shut down"
wait "$cabled" || fail "the guest ends well"

ip link add taken0 type dummy 2>/dev/null || ip link add taken0 type bridge
sluice create -q -F examples/pcap-send.cfg "$guest_kernel" "vif=['bridge=lxbr,vifname=taken0']" \
	"disk=['format=raw,vdev=xvda,access=ro,target=$system_dir/capture.img']" >/dev/null 2>&1
says_taken() { grep -q "cannot make interface taken0: an interface of that name exists already" "$system_dir/log/sluice-netback.log"; }
system_until 10 says_taken || fail "a clear sentence about the name that is in use"
holds "a vif whose interface's name is in use closes with the reason"
system_stop sluice-netback || fail "sluice-netback ends well"
refuses "interface taken0: an interface of that name exists already" \
	"$SLUICE_BUILD/tools/sluice-netback" --run-dir "$system_run_dir" --port tap:taken0
refuses "is no name for an interface" "$SLUICE_BUILD/tools/sluice-netback" --run-dir "$system_run_dir" --port tap:a-name-that-is-too-long
expect_nothing_left "after the taps"
