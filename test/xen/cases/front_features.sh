# Our block front end and Linux's xen-blkback: each feature that both have is agreed on and used, and what was written comes back.
# boot: linux
# limit: 300
backends linux
disk=$(image front.img 16)
guest front pv 1 "" "" "$(disk_of xvda "$disk")" xen-evtchn+xen-gntdev+xen-gntalloc

# agrees WHAT COMMAND LINE...: the command ends well in the guest, and says lines that begin so.
agrees() {
	local what=$1 command="sluice-guest --hv xen $2 >/tmp/said 2>&1" line
	shift 2
	for line in "$@"; do
		command+=" && grep -q '^$line\\b' /tmp/said"
	done
	in_guest front "{ $command; } || { cat /tmp/said; false; }"
	holds "$what: $*"
}
agrees "persistent grants" "blk-verify xvda 4 --persistent" "blk_persistent 1" "blk_copies 1" "blk_errors 0"
agrees "grants that are mapped for each request" "blk-verify xvda 4 --no-persistent" "blk_persistent 0" "blk_errors 0"
agrees "lists of segments" "blk-verify xvda 4 --bytes 262144 --depth 2" "blk_segments 256" "blk_split 0" "blk_errors 0"
agrees "the same without lists" "blk-verify xvda 4 --bytes 262144 --depth 2 --segments 11" "blk_segments 11" "blk_indirect 0" "blk_errors 0"
for order in 1 2 3 4; do
	agrees "a ring of $((1 << order)) pages" "blk-verify xvda 1 --depth 16 --bytes 4096 --ring-order $order" \
		"blk_ring_pages $((1 << order))" "blk_errors 0"
done
agrees "a flush" "blk-order xvda flush" "done"
agrees "a barrier" "blk-order xvda barrier" "done"
agrees "a discard" "blk-order xvda discard 0 2048" "done"
