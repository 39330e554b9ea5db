# The rig itself: Linux's own back ends serve a PV guest.
# boot: linux
# limit: 80
backends linux
disk=$(image a.img 8)
sum=$(md5_of "$disk")
guest pv1 pv 1 2 "$(vif_of 2)" "$(disk_of xvda "$disk")"
same "the guest reads what Domain-0 wrote" "$sum" "$(ask pv1 60 'md5sum </dev/xvda | cut -d" " -f1')"
in_guest pv1 "ping -q -c 20 -i 0.05 $bridge_address | grep '20 packets received'"
holds "twenty packets there and back"
