# Front ends that write nonsense into the store: the device is closed, its error node says why, and the other devices go on.
# boot: bad
# limit: 240
backends sluice
usual_guest pv1
# A domain that is paused for ever, whose front ends are written by hand.
guest_destroy puppet
cat >"$RIG_KEEP/puppet.cfg" <<-CFG
	name = "puppet"
	type = "pv"
	kernel = "/rig/vmlinux"
	memory = 128
	vif = ["$(vif_of 30)"]
	disk = ["$(disk_of xvda "$(image p.img 2)")"]
CFG
xl create -q -p "$RIG_KEEP/puppet.cfg" || fail "xl cannot create puppet"
id=$(guest_domid puppet)

# front vif|vbd NUMBER KEY VALUE...: writes keys of a front end.
front() {
	local path=/local/domain/$id/device/$1/$2
	shift 2
	while [ $# -gt 0 ]; do
		xenstore-write -- "$path/$1" "$2"
		shift 2
	done
}
closed_with_error() {
	case $(xenstore-read "$(back_path puppet "$1" "$2")/state") in
	5 | 6) ;;
	*) return 1 ;;
	esac
	xenstore-read "$(back_path puppet "$1" "$2")/error" >"$RIG_KEEP/error" 2>/dev/null
}

# closes TYPE NUMBER SENTENCE: what the front end did makes the back end close; then both begin anew.
closes() {
	expect "$3: the $1 is closed" until_true 20 closed_with_error "$1" "$2"
	same "its error node says why: $(cat "$RIG_KEEP/error")" 1 "$(grep -c . "$RIG_KEEP/error")"
	front "$1" "$2" state 6
	until_true 20 eval "[ \$(xenstore-read $(back_path puppet "$1" "$2")/state) = 6 ]"
	front "$1" "$2" state 1
	expect "and offered again" until_true 20 eval "[ \$(xenstore-read $(back_path puppet "$1" "$2")/state) = 2 ]"
}

front vbd 51712 ring-ref 999999 event-channel 1 protocol x86_64-abi state 3
closes vbd 51712 "a ring-ref that cannot be mapped"
front vbd 51712 ring-ref 8 event-channel 77777 state 3
closes vbd 51712 "a ring-ref that was not granted"
front vbd 51712 ring-ref '-1x' event-channel ' ' state 3
closes vbd 51712 "garbage for numbers"
front vbd 51712 ring-page-order 99 ring-ref0 8 state 3
closes vbd 51712 "a ring of 2^99 pages"
front vif 0 tx-ring-ref 999999 rx-ring-ref 8 event-channel 1 request-rx-copy 1 state 4
closes vif 0 "a ring-ref that cannot be mapped"
front vif 0 tx-ring-ref '' rx-ring-ref '' event-channel nothing state 4
closes vif 0 "garbage for numbers"
front vif 0 multi-queue-num-queues 4000000000 state 4
closes vif 0 "four billion queues"

# States in an order that no driver has: no answer is asked for, only that the back ends live and the devices can be removed.
for state in 4 2 1 5 3 6 0 8 x; do
	front vbd 51712 state $state
	front vif 0 state $state
	sleep 0.1
done
program_runs sluice-blkback && program_runs sluice-netback || fail "a back end died of the states of a front end"
holds "states in any order end no back end"
guest_destroy puppet
expect_nothing_left "$id" "when a front end dies between two states"

# No map is granted any more: gntdev's limit. The toolstack's own maps come first.
xl create -q -p "$RIG_KEEP/puppet.cfg" || fail "xl cannot create puppet again"
id=$(guest_domid puppet)
limit=/sys/module/xen_gntdev/parameters/limit
before=$(cat $limit)
echo 0 >$limit
front vbd 51712 ring-ref 8 event-channel 1 protocol x86_64-abi state 3
closes vbd 51712 "the quota of maps reached"
echo "$before" >$limit
guest_destroy puppet
expect_nothing_left "$id" "when no page of it could be mapped"

check_ping pv1 $bridge_address 56 5
same "the other guest's disk is read as before" "$(md5_of /images/a.img)" "$(ask pv1 60 'md5sum </dev/xvda | cut -d" " -f1')"
