# Three disks, one of them read-only, and two vifs in one guest.
# boot: pvh
# limit: 240
backends sluice bridged
guest_destroy pv1
image c.img 4 >/dev/null
image d.img 4 >/dev/null
guest many pv 1 4 "$(vif_of 4) $(vif_of 20)" "$(disk_of xvda "$(image a.img 8)") $(disk_of xvdb /images/c.img ro) $(disk_of xvdc /images/d.img)"
same "the second disk is read" "$(md5_of /images/c.img)" "$(ask many 30 'md5sum </dev/xvdb | cut -d" " -f1')"
same "the third disk is read" "$(md5_of /images/d.img)" "$(ask many 30 'md5sum </dev/xvdc | cut -d" " -f1')"
in_guest many 'dd if=/dev/urandom of=/tmp/w bs=64k count=16 2>/dev/null; ! dd if=/tmp/w of=/dev/xvdb bs=64k conv=fsync 2>/dev/null'
holds "the read-only disk refuses a write"
in_guest many 'dd if=/tmp/w of=/dev/xvdc bs=64k conv=fsync 2>/dev/null && test "$(cat /sys/block/xvdb/ro)" = 1'
same "the other takes it" "$(ask many 20 'md5sum </tmp/w | cut -d" " -f1')" "$(dd if=/images/d.img bs=64k count=16 2>/dev/null | md5sum | cut -d' ' -f1)"
check_ping many $bridge_address 56 5
in_guest many 'ip addr del 10.9.0.4/24 dev eth0; ip addr add 10.9.0.20/24 dev eth1 && ip link set eth1 up'
check_ping many $bridge_address 56 5
id=$(guest_domid many)
ask many 5 'poweroff -f'
expect "it powers off" until_true 20 eval '! guest_runs many'
expect_nothing_left "$id" "when it has powered off"
