# A guest is destroyed while its disk and its vif are busy: nothing of it stays in Domain-0.
# boot: pv
# limit: 240
backends sluice
usual_guest pv1
id=$(guest_domid pv1)
in_guest pv1 "(while :; do dd if=/dev/zero of=/dev/xvda bs=64k count=100 oflag=direct 2>/dev/null; done) >/dev/null 2>&1 &
(while :; do dd if=/dev/xvda of=/dev/null bs=4k iflag=direct 2>/dev/null; done) >/dev/null 2>&1 &
(while :; do ping -q -c 100 -s 1400 -A $bridge_address; done) >/dev/null 2>&1 &"
sleep 2
guest_destroy pv1
expect_nothing_left "$id" "when it is destroyed under load"
same "sluice-blkback maps no page" 0 "$(grep -c xen/gntdev "/proc/$(program_pid sluice-blkback)/maps")"
same "sluice-netback maps no page" 0 "$(grep -c xen/gntdev "/proc/$(program_pid sluice-netback)/maps")"
usual_guest pv1
check_ping pv1 $bridge_address 56 5
