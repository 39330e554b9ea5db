#!/bin/bash
# test/xen/features.sh LOGS CASE... - tables of what Linux's drivers and ours agreed on and used, of what the cases that ran said in LOGS.
#
# "used": agreed on, used, and what came of it was right; "-": the case did not get that far, or tries it with --full only; "Linux has
# none": there is no peer to try it with.
set -u
logs=$1
shift
ran=" $* "

# those_that_ran CASES: of them, a line each.
those_that_ran() {
	local name
	for name in $1; do
		[[ $ran != *" $name "* ]] || echo "$name"
	done
}

# cell CASES NAME LACKING: LACKING: Linux's side does not have it.
cell() {
	local name result="(not run)"
	for name in $(those_that_ran "$1"); do
		[ "$result" = used ] || result=-
		grep -q "^ok: feature $2: " "$logs/$name.log" 2>/dev/null && result=used
	done
	[ "$3" != yes ] || result="Linux has none"
	echo "$result"
}

# table CASES CASES TITLE TITLE: of the two columns, which cases say so, and what is above. Names of features come in lines; "!f" behind
# one: Linux's front end does not have it, "!b": its back end.
table() {
	local name lacks
	[ -n "$(those_that_ran "$1 $2")" ] || return 0
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
	discard granularity
	secure discard
	32-bit ring layout
	resize
	4096-byte sectors
	fewer offers
NAMES
table back_net_features "front_tap front_net" "xen-netfront, sluice-netback" "our front end, xen-netback" <<-'NAMES'
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
