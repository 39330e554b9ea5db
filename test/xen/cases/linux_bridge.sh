# A vif that names a Linux bridge gets a TAP interface of its own there: large frames and blank checksums cross it in one piece.
# boot: pv
# limit: 240
backends sluice
usual_guest pv1
id=$(guest_domid pv1)
ip link add lanbr0 type bridge
ip addr add 10.9.2.1/24 dev lanbr0
ip link set lanbr0 up
xl network-attach pv1 bridge=lanbr0 mac=00:16:3e:00:00:22 script=/bin/true || fail "xl network-attach fails"
in_guest pv1 'n=0; while [ ! -e /sys/class/net/eth1 ] && [ $n -lt 200 ]; do usleep 50000; n=$((n + 1)); done
	ip addr add 10.9.2.2/24 dev eth1 && ip link set eth1 up'
expect "the vif is connected" until_true 10 device_connected pv1 vif 1
expect "its TAP is a port of the bridge" until_true 10 test -e "/sys/class/net/lanbr0/brif/vif$id.1"
bridge_address=10.9.2.1
until_true 20 ask pv1 5 "ping -q -c 1 $bridge_address >/dev/null"
check_ping pv1 $bridge_address 56 20
check_ping pv1 $bridge_address 8000 10
check_tcp pv1 10.9.2.2 4
xl network-detach pv1 1 || fail "xl network-detach fails"
expect "detached, it leaves no TAP" until_true 10 test ! -e "/sys/class/net/vif$id.1"
ip link del lanbr0
