# Both back ends are killed while the guest writes, and started again: it sees a pause, and no write is lost.
# boot: pv
# limit: 240
backends sluice
usual_guest pv1
writer_start pv1
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
writer_stop pv1 /images/a.img
check_ping pv1 $bridge_address 56 10
