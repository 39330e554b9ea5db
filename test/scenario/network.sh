#!/bin/bash
# Every frame of a real capture goes through two rings and the bridge and arrives as it was, at a guest and at a pcap port.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_begin sluiced sluice-blkback
[ -x "$SLUICE_BUILD/tools/sluice-netback" ] || skip "sluice-netback is not built here"
system_start sluice-netback --ageing 0 --port "net_pcap0,tx_pcap=$system_dir/port.pcap" || fail "sluice-netback"

system_padded examples/capture.pcap "$system_dir/capture.img"
truncate -s 4M "$system_dir/received.img"
sluice create -q examples/pcap-receive.cfg "$guest_kernel" "disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/received.img']" || fail "receiver"
system_until 10 is_connected vif receiver 0 || fail "the receiver's vif connects"
sluice create -q -F examples/pcap-send.cfg "$guest_kernel" "disk=['format=raw,vdev=xvda,access=ro,target=$system_dir/capture.img']" >/dev/null ||
	fail "the sender ends well"
system_until 60 is_gone receiver || fail "the receiver got all frames"
system_stop sluice-netback || fail "sluice-netback ends well"
"$SLUICE_BUILD/tools/pcap-compare" examples/capture.pcap "$system_dir/received.img" || fail "the guest received something else"
holds "the guest received what was sent"
"$SLUICE_BUILD/tools/pcap-compare" examples/capture.pcap "$system_dir/port.pcap" || fail "the port received something else"
holds "the pcap port received what was sent"

# The comparison itself can fail.
printf '\125' | dd of="$system_dir/received.img" bs=1 seek=3000 conv=notrunc 2>/dev/null
"$SLUICE_BUILD/tools/pcap-compare" examples/capture.pcap "$system_dir/received.img" >/dev/null && fail "a changed byte goes unseen"
holds "one changed byte is seen"
expect_nothing_left "after both guests ended"
