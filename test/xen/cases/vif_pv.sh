# sluice-netback serves Linux's xen-netfront in a PV guest; Domain-0 is reached through DPDK's TAP port.
# boot: pv
# limit: 240
backends sluice
usual_guest pv1
expect "the vif is connected" device_connected pv1 vif 0
capture_start tap0
check_ping pv1 $bridge_address 56 20
check_ping pv1 $bridge_address 1400 20
check_ping pv1 $bridge_address 8000 20
check_tcp pv1 10.9.0.2 4
capture_is_clean "Domain-0 sees no bad checksum"
