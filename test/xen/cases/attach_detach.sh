# Disks and vifs come and go while the guest runs.
# boot: pv
# limit: 240
backends sluice
usual_guest pv1
image c.img 4 >/dev/null
id=$(guest_domid pv1)
for round in 1 2; do
	xl block-attach pv1 "$(disk_of xvdb /images/c.img)" || fail "xl block-attach fails"
	in_guest pv1 'n=0; while [ ! -b /dev/xvdb ] && [ $n -lt 100 ]; do usleep 50000; n=$((n + 1)); done'
	same "a disk attached to the running guest is read (round $round)" "$(md5_of /images/c.img)" "$(ask pv1 30 'md5sum </dev/xvdb | cut -d" " -f1')"
	xl block-detach pv1 xvdb || fail "xl block-detach fails"
	in_guest pv1 'n=0; while [ -b /dev/xvdb ] && [ $n -lt 100 ]; do usleep 50000; n=$((n + 1)); done; test ! -e /dev/xvdb'
	expect "detached, it leaves no node" until_true 10 eval "! xenstore-exists /local/domain/0/backend/vbd/$id/51728"
	xl network-attach pv1 $(vif_of 18 | tr , ' ') || fail "xl network-attach fails"
	in_guest pv1 'n=0; while [ ! -e /sys/class/net/eth1 ] && [ $n -lt 100 ]; do usleep 50000; n=$((n + 1)); done
		ip addr add 10.9.1.2/24 dev eth1 && ip link set eth1 up'
	expect "the vif is connected" until_true 10 device_connected pv1 vif 1
	ip addr replace 10.9.1.1/24 dev tap0
	check_ping pv1 10.9.1.1 56 5
	xl network-detach pv1 1 || fail "xl network-detach fails"
	expect "detached, it leaves no node" until_true 10 eval "! xenstore-exists /local/domain/0/backend/vif/$id/1"
	in_guest pv1 'test ! -e /sys/class/net/eth1'
done
check_ping pv1 $bridge_address 56 5
