# sluice-blkback serves Linux's xen-blkfront in a PV guest.
# boot: pv
# limit: 240
backends sluice
usual_guest pv1
expect "the disk is connected" device_connected pv1 vbd 51712
check_disk pv1 xvda /images/a.img
