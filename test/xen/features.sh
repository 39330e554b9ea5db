#!/bin/bash
# test/xen/features.sh LOGS CASE... - tables of what Linux's drivers and ours agreed on and used, of what those of the cases that ran
# said in LOGS: back_features, back_net_features (Linux's front ends over our back ends), front_features, front_tap (ours over Linux's
# back ends).
#
# "used": agreed on, used, and what came of it was right; "-": the case did not get that far, or tries it with --full only; "Linux has
# none": there is no peer to try it with.
set -u
logs=$1
shift
ran=" $* "

# cell CASE NAME LACKING: LACKING: Linux's side does not have it.
cell() {
	if [ "$3" = yes ]; then
		echo "Linux has none"
	elif [[ $ran != *" $1 "* ]]; then
		echo "(not run)"
	elif grep -q "^ok: feature $2: " "$logs/$1.log" 2>/dev/null; then
		echo used
	else
		echo -
	fi
}

# table BACK_CASE FRONT_CASE TITLE TITLE: names come in lines; "!f" behind one: Linux's front end does not have it, "!b": its back end.
table() {
	local name lacks
	[[ $ran == *" $1 "* || $ran == *" $2 "* ]] || return 0
	printf '\n%-26s %-32s %s\n' feature "$3" "$4"
	while IFS='!' read -r name lacks; do
		printf '%-26s %-32s %s\n' "$name" "$(cell "$1" "$name" "$([[ $lacks == *f* ]] && echo yes)")" \
			"$(cell "$2" "$name" "$([[ $lacks == *b* ]] && echo yes)")"
	done
}

table back_features front_features "xen-blkfront, sluice-blkback" "our front end, xen-blkback" <<-'NAMES'
	persistent grants
	no persistent grants
	indirect segments
	no indirect segments
	ring order 0
	ring order 1
	ring order 2
	ring order 3
	ring order 4
	several queues
	flush
	barrier
	discard
	resize
	4096-byte sectors
	fewer offers
NAMES
table back_net_features front_tap "xen-netfront, sluice-netback" "our front end, xen-netback" <<-'NAMES'
	several queues
	split event channels
	scatter-gather
	blank checksums IPv4
	blank checksums IPv6
	GSO IPv4 from the guest
	GSO IPv4 to the guest
	GSO IPv6 from the guest
	GSO IPv6 to the guest
	no offloads
	MTU of 9000
	rx stall
	control ring, hash!f
	multicast control!f
	xdp-headroom
	staging grants!fb
NAMES
