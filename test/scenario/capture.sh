#!/bin/bash
# What a guest sends and gets is captured as it was, filtered, cut, counted, and read by tcpdump; it is mirrored to another port.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_requires tcpdump python3
scenario_begin sluiced sluice-blkback
[ -x "$SLUICE_BUILD/tools/sluice-netback" ] || skip "sluice-netback is not built here"
refuses "no sluice-netback serves" "${cli[@]}" --run-dir "$system_run_dir" capture vif1.0 -w "$system_dir/x.pcapng"
[ ! -e "$system_dir/x.pcapng" ] || fail "a capture that could not begin leaves a file"
system_start sluice-netback --ageing 0 --port "net_pcap0,tx_pcap=$system_dir/port.pcap" --port "net_pcap1,tx_pcap=$system_dir/mirror.pcap" ||
	fail "sluice-netback"

frames=$(tcpdump -nr examples/capture.pcap 2>/dev/null | wc -l)
some=$(tcpdump -nr examples/capture.pcap arp or icmp 2>/dev/null | wc -l)
[ "$some" -gt 0 ] && [ "$some" -lt "$frames" ] || fail "the example has arp or icmp among other packets: $some of $frames"

same_frames() { "$SLUICE_BUILD/tools/pcap-compare" examples/capture.pcap "$1"; }

system_padded examples/capture.pcap "$system_dir/capture.img"
truncate -s 4M "$system_dir/received.img"
sluice create -q examples/pcap-receive.cfg "$guest_kernel" "disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/received.img']" || fail "receiver"
system_until 10 is_connected vif receiver 0 || fail "the receiver's vif connects"
vif=vif$(sluice domid receiver).0

refuses "there is no vif77.0" "${cli[@]}" --run-dir "$system_run_dir" capture vif77.0 -w "$system_dir/x.pcapng"
refuses "makes no sense" "${cli[@]}" --run-dir "$system_run_dir" capture "$vif" -w "$system_dir/x.pcapng" tcp prt 80
refuses "cannot be written" "${cli[@]}" --run-dir "$system_run_dir" capture "$vif" -w "$system_dir/no/x.pcapng"
refuses "-w FILE" "${cli[@]}" --run-dir "$system_run_dir" capture "$vif"
refuses "no direction" "${cli[@]}" --run-dir "$system_run_dir" capture "$vif" -Q up -w "$system_dir/x.pcapng"
refuses "no number" "${cli[@]}" --run-dir "$system_run_dir" capture "$vif" -s 0 -w "$system_dir/x.pcapng"
refuses "there is no port" "${cli[@]}" --run-dir "$system_run_dir" mirror "$vif" net_tap7
refuses "cannot be mirrored" "${cli[@]}" --run-dir "$system_run_dir" mirror "$vif" "$vif"
[ ! -e "$system_dir/x.pcapng" ] || fail "a capture that could not begin leaves a file"

# Whoever speaks nonsense at the socket is sent away; what he holds open harms nobody.
python3 - "$system_run_dir/netback" "$vif" <<'PY' || fail "nonsense at the socket"
import socket, struct, sys
def connected():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(sys.argv[1])
    s.settimeout(10)
    return s
def request(vif=sys.argv[2].encode(), magic=0x31434c53, directions=3, snap=100, ring=1 << 17, insns=(), to=b'', nr=None):
    nr = len(insns) if nr is None else nr
    return struct.pack('=IIIIQII64s64s', magic, directions, 0xffffffff, snap, 0, ring, nr, vif, to) + b''.join(insns)
silent = [connected() for _ in range(3)]
refused = [b'x', b'\0' * 160, request()[:-1], request() + b'y', request(nr=1), request(nr=0xffffffff), request(magic=1), request(vif=b'v' * 64),
           request(snap=0), request(ring=4096), request(directions=8), b'z' * 100000, request(to=b'vif9.9'),
           request(insns=[struct.pack('=HBBI', 0x15, 200, 200, 1)]), request(insns=[struct.pack('=HBBI', 0xffff, 0, 0, 0)] * 4096)]
for n, message in enumerate(refused):
    s = connected()
    s.send(message)
    answer = s.recv(4096)
    assert struct.unpack('=II', answer[:8]) == (0x31434c53, 0) and answer[32:34] != b'\0\0', f'message {n}: {answer[:64]}'
    assert s.recv(4096) == b'', f'message {n}: the connection stays'
s = connected()  # a capture whose reader says more than it should: that is its end
s.send(request())
assert struct.unpack('=II', s.recv(4096)[:8]) == (0x31434c53, 1)
s.send(b'more')
while s.recv(4096):
    pass
crowd = [connected() for _ in range(40)]
assert any(c.recv(4096) for c in crowd[-1:]), 'the fortieth is told that there are too many'
PY
holds "requests that make no sense are refused, one by one"

begins all capture "$vif" -w "$system_dir/all.pcapng"
begins filtered capture "$vif" -w "$system_dir/filtered.pcapng" arp or icmp
begins short capture -s 60 "$vif" -Q rx -w "$system_dir/short.pcapng"
begins sent capture "$vif" -Q tx -w "$system_dir/sent.pcapng"
begins first capture "$vif" -c 5 -w "$system_dir/first.pcapng"
begins other-queue capture "$vif" -q 3 -w "$system_dir/queue.pcapng"
"${cli[@]}" --run-dir "$system_run_dir" capture "$vif" -c "$frames" -w - 2>"$system_dir/piped.said" |
	tcpdump -nr - >"$system_dir/piped" 2>/dev/null &
piped=$!
begins mirror mirror "$vif" net_pcap1 arp or icmp
system_until 10 looks_on 10 || fail "seven captures and a mirror look on" # two have ended before
sluice create -q -F examples/pcap-send.cfg "$guest_kernel" "disk=['format=raw,vdev=xvda,access=ro,target=$system_dir/capture.img']" >/dev/null ||
	fail "the sender ends well"
system_until 60 is_gone receiver || fail "the receiver got all frames"

# The vif is gone, and with it its captures: all but those that had enough have said so.
for name in all filtered short sent first other-queue mirror; do
	system_gone "${capture_job[$name]}" 10 || fail "the capture '$name' outlives its vif"
	wait "${capture_job[$name]}" || fail "$name ends well: $(cat "$system_dir/$name.said")"
	holds "$name: $(cat "$system_dir/$name.said")"
done
wait $piped || fail "tcpdump reads what it is given"
same_frames "$system_dir/all.pcapng" || fail "the capture differs from what was sent"
holds "a capture holds every frame, byte for byte"
[ "$(counted "$system_dir/filtered.pcapng")" -eq "$some" ] || fail "the filter lets $some packets pass"
grep -q "$some packets captured, 0 dropped, $frames seen" "$system_dir/filtered.said" || fail "the summary counts"
holds "a filter passes what tcpdump's own passes"
[ "$(counted "$system_dir/short.pcapng")" -eq "$frames" ] || fail "direction rx has all frames"
[ "$(tcpdump -nr "$system_dir/short.pcapng" -w - 2>/dev/null | wc -c)" -le $((24 + frames * 76)) ] || fail "60 bytes of each at most"
[ "$(counted "$system_dir/sent.pcapng")" -eq 0 ] || fail "the receiver sends nothing"
[ "$(counted "$system_dir/queue.pcapng")" -eq 0 ] || fail "queue 3 has nothing"
holds "direction, queue and snap length are obeyed"
[ "$(counted "$system_dir/first.pcapng")" -eq 5 ] || fail "five packets and no more"
[ "$(wc -l <"$system_dir/piped")" -eq "$frames" ] || fail "tcpdump printed every frame from the pipe"
holds "a count ends a capture; a pipe feeds tcpdump"

# Ctrl-C; a back end that goes.
sluice create -q examples/pcap-receive.cfg "$guest_kernel" "disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/received.img']" || fail "receiver"
system_until 10 is_connected vif receiver 0 || fail "the second receiver's vif connects"
vif=vif$(sluice domid receiver).0
begins quiet capture "$vif" -w "$system_dir/quiet.pcapng"
begins left capture "$vif" -w "$system_dir/left.pcapng"
system_until 10 looks_on 12 || fail "two more look on"
ends quiet "0 packets captured"
[ "$(counted "$system_dir/quiet.pcapng")" -eq 0 ] || fail "an empty capture is a file that tcpdump reads"
sluice destroy receiver || fail "destroy"
expect_nothing_left "after the guests"
system_stop sluice-netback || fail "sluice-netback ends well"
system_gone "${capture_job[left]}" 10 || fail "a capture outlives the back end"
[ ! -e "$system_run_dir/netback" ] || fail "the socket stays behind"
[ "$(counted "$system_dir/mirror.pcap")" -eq $((frames + some)) ] || fail "the mirror's port got $some packets beyond the $frames"
holds "a mirror sends copies to its port"
