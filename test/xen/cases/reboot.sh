# A guest that reboots finds its devices again.
# boot: pv
# limit: 240
backends sluice
usual_guest pv1
id=$(guest_domid pv1)
in_guest pv1 'dd if=/dev/urandom of=/tmp/w bs=64k count=16 2>/dev/null; dd if=/tmp/w of=/dev/xvda bs=64k conv=fsync 2>/dev/null'
wrote=$(dd if=/images/a.img bs=64k count=16 2>/dev/null | md5sum)
ask pv1 3 'reboot -f'
expect "it starts again under another number" until_true 60 eval "guest_runs pv1 && [ \$(guest_domid pv1) != $id ]"
expect "it answers again" until_true 60 ask pv1 20 true
same "it reads what it wrote before" "$wrote" "$(ask pv1 30 'dd if=/dev/xvda bs=64k count=16 2>/dev/null | md5sum')"
check_ping pv1 $bridge_address 56 5
expect_nothing_left "$id" "of its first life"
