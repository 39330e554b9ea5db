# A front end of ours is killed in a domain that lives on: the back end learns of it at once, gives everything back, and serves the next.
# boot: bad
# limit: 240
backends sluice
guest_destroy pv1
guest front pv 1 "" "$(vif_of 7)" "$(disk_of xvda "$(image front.img 4)")" xen-evtchn+xen-gntdev+xen-gntalloc
id=$(guest_domid front)

# begins LOG COMMAND: our front end, until it is killed.
begins() {
	in_guest front "sluice-guest --hv xen $2 >/tmp/$1.log 2>&1 </dev/null & echo \$! >/tmp/$1.pid"
}
back_is_closed() { [ "$(xenstore-read "$(back_path front "$1" "$2")/state")" = 6 ]; }

# dies TYPE NUMBER PROGRAM LOG
dies() {
	expect "the $1 is connected" until_true 20 device_connected front "$1" "$2"
	in_guest front "kill -KILL \$(cat /tmp/$4.pid)"
	expect "killed: $3 closes the $1 by itself" until_true 5 back_is_closed "$1" "$2"
	same "and says so" 1 "$(grep -c "$1/$id/$2: the front end's process is gone" "$RIG_KEEP/$3.log")"
}
begins disk "blk-size xvda 1 100"
begins net "net-echo 0 100"
dies vbd 51712 sluice-blkback disk
dies vif 0 sluice-netback net
same "the front ends' states are as they were" "4 4" \
	"$(xenstore-read "/local/domain/$id/device/vbd/51712/state") $(xenstore-read "/local/domain/$id/device/vif/0/state")"
same "sluice-blkback maps no page" 0 "$(grep -c xen/gntdev "/proc/$(program_pid sluice-blkback)/maps")"
same "sluice-netback maps no page" 0 "$(grep -c xen/gntdev "/proc/$(program_pid sluice-netback)/maps")"
in_guest front "sluice-guest --hv xen blk-verify xvda 1 >/tmp/said 2>&1 || { cat /tmp/said; false; }"
holds "the next front end's writes come back"
begins net "net-echo 0 100"
expect "the next vif is connected" until_true 20 device_connected front vif 0
guest_destroy front
expect_nothing_left "$id" "when it is destroyed"
