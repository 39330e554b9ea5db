#!/bin/bash
# test/xen/features.sh LOGS - a table of what Linux's block drivers and ours agreed on and used, of what the rig's cases said in LOGS:
# back_features (Linux's xen-blkfront over sluice-blkback) and front_features (our front end over Linux's xen-blkback).
#
# "used": agreed on, used, and what came of it was right; "-": the case did not get that far, or does not try it.
set -u
logs=$1

# cell CASE NAME
cell() {
	if [ ! -e "$logs/$1.log" ]; then
		echo "(not run)"
	elif grep -q "^ok: feature $2: " "$logs/$1.log"; then
		echo used
	else
		echo -
	fi
}

printf '%-24s %-32s %s\n' feature "xen-blkfront, sluice-blkback" "our front end, xen-blkback"
while read -r name; do
	printf '%-24s %-32s %s\n' "$name" "$(cell back_features "$name")" "$(cell front_features "$name")"
done <<-'NAMES'
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
NAMES
