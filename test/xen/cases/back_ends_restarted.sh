# Both back ends are stopped and started while the guest writes and pings: it sees a pause, no error and no reset.
# boot: pv
# limit: 240
backends sluice
usual_guest pv1
writer_start pv1
in_guest pv1 "ping -q -i 0.2 -c 1000 $bridge_address >/tmp/ping 2>&1 & echo \$! >/tmp/ping.pid"
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
writer_stop pv1 /images/a.img
check_ping pv1 $bridge_address 56 10
ask pv1 10 'kill -INT $(cat /tmp/ping.pid)'
