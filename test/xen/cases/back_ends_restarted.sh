# Both back ends are stopped and started while the guest writes and pings: it sees a pause, no error and no reset.
# boot: pv
# limit: 240
backends sluice
usual_guest pv1
in_guest pv1 "dmesg -c >/dev/null; rm -f /tmp/stop /tmp/rounds /tmp/err; dd if=/dev/urandom of=/tmp/w bs=64k count=64 2>/dev/null
(n=0; while [ ! -e /tmp/stop ]; do dd if=/tmp/w of=/dev/xvda bs=16k oflag=direct 2>>/tmp/err && n=\$((n + 1)); done; echo \$n >/tmp/rounds) >/dev/null 2>&1 &
ping -q -i 0.2 -c 1000 $bridge_address >/tmp/ping 2>&1 & echo \$! >/tmp/ping.pid"
sleep 1
for round in 1 2; do
	expect "sluice-blkback ends when asked (round $round)" program_stop sluice-blkback
	same "its device stays connected" "4 4" "$(device_states pv1 vbd 51712)"
	sleep 1
	expect "it starts again" program_start sluice-blkback
	expect "sluice-netback ends when asked" program_stop sluice-netback
	same "its device stays connected" "4 4" "$(device_states pv1 vif 0)"
	expect "it starts again" program_start sluice-netback --port net_tap0,iface=tap0
	tap_up
	sleep 2
done
in_guest pv1 'touch /tmp/stop; n=0; while [ ! -e /tmp/rounds ] && [ $n -lt 500 ]; do usleep 100000; n=$((n + 1)); done; cat /tmp/rounds; test $(cat /tmp/rounds) -gt 0'
in_guest pv1 'dmesg | grep -iE "i/o error|xvda" && exit 1; true'
holds "the writes went on without an error"
same "and are in the image" "$(ask pv1 20 'md5sum </tmp/w | cut -d" " -f1')" "$(dd if=/images/a.img bs=64k count=64 2>/dev/null | md5sum | cut -d' ' -f1)"
check_ping pv1 $bridge_address 56 10
ask pv1 10 'kill -INT $(cat /tmp/ping.pid)'
