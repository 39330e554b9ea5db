# Both back ends are killed while the guest writes and pings, and started again: the guest sees a pause, and no write is lost.
# boot: pv
# limit: 240
backends sluice
usual_guest pv1
in_guest pv1 "dmesg -c >/dev/null; rm -f /tmp/stop /tmp/rounds /tmp/err; dd if=/dev/urandom of=/tmp/w bs=64k count=64 2>/dev/null
(n=0; while [ ! -e /tmp/stop ]; do dd if=/tmp/w of=/dev/xvda bs=16k oflag=direct 2>>/tmp/err && n=\$((n + 1)); done; echo \$n >/tmp/rounds) >/dev/null 2>&1 &"
sleep 1
for round in 1 2; do
	program_stop sluice-blkback KILL
	program_stop sluice-netback KILL
	expect "sluice-blkback starts again after a kill (round $round)" program_start sluice-blkback
	expect "and sluice-netback" program_start sluice-netback --port net_tap0,iface=tap0
	tap_up
	sleep 2
	same "the disk is connected" "4 4" "$(device_states pv1 vbd 51712)"
	same "the vif is connected" "4 4" "$(device_states pv1 vif 0)"
done
guest_seconds=100
in_guest pv1 'touch /tmp/stop; n=0; while [ ! -e /tmp/rounds ] && [ $n -lt 900 ]; do usleep 100000; n=$((n + 1)); done; test $(cat /tmp/rounds) -gt 0'
in_guest pv1 'dmesg | grep -iE "i/o error|xvda" && exit 1; true'
holds "the writes went on without an error"
same "and are in the image" "$(ask pv1 20 'md5sum </tmp/w | cut -d" " -f1')" "$(dd if=/images/a.img bs=64k count=64 2>/dev/null | md5sum | cut -d' ' -f1)"
check_ping pv1 $bridge_address 56 10
