# sluice-netback serves Linux's xen-netfront in a PVH guest of two vcpus; Domain-0 is behind a Linux bridge,
# of which our TAP port is a member.
# boot: pvh
# limit: 240
backends sluice bridged
usual_guest pvh2
capture_start tap0
check_ping pvh2 $bridge_address 56 20
check_ping pvh2 $bridge_address 8000 20
check_tcp pvh2 10.9.0.3 4
capture_is_clean "the port of the Linux bridge sees no bad checksum"
