# The rig itself: Linux's own back ends serve a PV guest, and pass the checks that ours must pass.
# boot: linux
# limit: 240
backends linux
usual_guest pv1
check_disk pv1 xvda /images/a.img
check_ping pv1 $bridge_address 56 20
check_tcp pv1 10.9.0.2 4
id=$(guest_domid pv1)
guest_destroy pv1
expect_nothing_left "$id" "when it is destroyed"
