# Our block front end and Linux's xen-blkback: each feature that both have is agreed on and used, and what was written comes back.
# boot: linux
# limit: 300
backends linux
disk=$(image front.img 16)
backing=$(losetup -f) # what disk_of takes for it
guest_disk=$(disk_of xvda "$disk")
sectored=$(losetup --show -f --sector-size 4096 "$(image front-4096.img 4)") || fail "no loop device with 4096-byte sectors"
echo 2 >/sys/module/xen_blkback/parameters/max_queues
guest front pv 1 "" "" "$guest_disk phy:$sectored,xvdb,rw" xen-evtchn+xen-gntdev+xen-gntalloc

# agrees FEATURE COMMAND LINE...: the command ends well in the guest, and says lines that begin so.
agrees() {
	local what=$1 command="sluice-guest --hv xen $2 >/tmp/said 2>&1" line
	shift 2
	for line in "$@"; do
		command+=" && grep -q '^$line\\b' /tmp/said"
	done
	in_guest front "{ $command; } || { cat /tmp/said; false; }"
	feature "$what" "$*"
}
agrees "persistent grants" "blk-verify xvda 4 --persistent" "blk_persistent 1" "blk_copies 1" "blk_errors 0"
agrees "no persistent grants" "blk-verify xvda 4 --no-persistent" "blk_persistent 0" "blk_errors 0"
agrees "indirect segments" "blk-verify xvda 4 --bytes 262144 --depth 2" "blk_segments 256" "blk_split 0" "blk_errors 0"
agrees "no indirect segments" "blk-verify xvda 4 --bytes 262144 --depth 2 --segments 11" "blk_segments 11" "blk_indirect 0" "blk_errors 0"
for order in 0 1 2 3 4; do
	agrees "ring order $order" "blk-verify xvda 1 --depth 16 --bytes 4096 --ring-order $order" \
		"blk_ring_pages $((1 << order))" "blk_errors 0"
done
dmesg -c >/dev/null
agrees "32-bit ring layout" "blk-verify xvda 4 --x86-32 --bytes 262144 --depth 2" "blk_x86_32 1" "blk_segments 256" "blk_errors 0"
dmesg | grep -m 1 'xen-blkback: .*(x86_32-abi)' || fail "Linux's back end reads another layout: $(dmesg | grep blkback)"
agrees "several queues" "blk-verify xvda 4 --queues 2" "blk_queues 2" "blk_errors 0"
agrees "4096-byte sectors" "blk-verify xvdb 2" "blk_sector_size 4096" "blk_errors 0"
agrees "flush" "blk-order xvda flush" "done"
agrees "barrier" "blk-order xvda barrier" "done"
agrees "discard granularity" "blk-info xvda" "blk_discard 1" \
	"blk_discard_granularity $(xenstore-read "$(back_path front vbd 51712)/discard-granularity")"
agrees "discard" "blk-order xvda discard 0 2048" "done"
in_guest front 'sluice-guest --hv xen blk-size xvda 40960 30 >/tmp/size 2>&1 </dev/null &
n=0; while ! grep -q ready /tmp/size && [ $n -lt 200 ]; do usleep 50000; n=$((n + 1)); done'
truncate -s 20M "$disk" && losetup -c "$backing"
in_guest front 'n=0; while ! grep -q blk_sectors /tmp/size && [ $n -lt 200 ]; do usleep 50000; n=$((n + 1)); done
grep "blk_sectors 40960" /tmp/size || { cat /tmp/size; false; }'
feature "resize" "from 32768 to 40960 sectors while connected"
guest_destroy front
losetup -d "$sectored"
