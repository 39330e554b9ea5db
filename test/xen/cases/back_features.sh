# Linux's xen-blkfront over sluice-blkback: each feature that both have is agreed on and used, and what was written is in the image.
# boot: pv
# limit: 400
backends sluice
program_runs sluice-blkback || fail "sluice-blkback does not run"

# Disks that wait for their turn: the front end is loaded anew for each, with other parameters, and told which device is its.
for disk in a b c d f g; do
	image "features-$disk.img" 4 >/dev/null
done
sectored=$(losetup --show -f --sector-size 4096 "$(image features-e.img 4)") || fail "no loop device with 4096-byte sectors"
# shellcheck disable=SC2046
guest features pv 2 "" "" "$(for disk in a b c d f g; do disk_of "xvd$disk" "/images/features-$disk.img"; done) \
	$(disk_of xvde "$sectored")" crc32c_generic
in_guest features 'echo 0 >/sys/bus/xen/drivers_autoprobe && dd if=/dev/urandom of=/tmp/w bs=64k count=32 2>/dev/null'
id=$(guest_domid features)

counter() { program_counter sluice-blkback "vbd.total.$1"; }
front_said() { xenstore-read "/local/domain/$id/device/vbd/$devid/$1" 2>/dev/null || echo 0; }
limit_of() { ask features 10 "cat /sys/block/$vdev/queue/$1"; }
# blkfront writes no order for one page and no number for one queue.
agreed_queues() { xenstore-read "/local/domain/$id/device/vbd/$devid/multi-queue-num-queues" 2>/dev/null || echo 1; }
agreed_pages() { echo $((1 << $(front_said ring-page-order))); }
back_end_said() { grep "vbd $id/$devid: connected" "$RIG_KEEP/sluice-blkback.log" | tail -n 1; }

# A disk that is bound keeps the front end loaded.
unload='for d in /sys/bus/xen/drivers/vbd/vbd-*; do [ ! -e $d ] || echo ${d##*/} >/sys/bus/xen/drivers/vbd/unbind; done
! grep -q ^xen_blkfront /proc/modules || rmmod xen-blkfront'

# connect VDEV PARAMETER...: the disk becomes the guest's, by a front end with these parameters.
connect() {
	vdev=$1 number=$(printf '%d' "'${1#xvd}")
	devid=$((51712 + 16 * (number - 97)))
	image=/images/features-${1#xvd}.img
	shift
	in_guest features "$unload && modprobe xen-blkfront $* && echo vbd-$devid >/sys/bus/xen/drivers/vbd/bind
n=0; while [ ! -b /dev/$vdev ] && [ \$n -lt 200 ]; do usleep 50000; n=\$((n + 1)); done; test -b /dev/$vdev"
}

is_whole() {
	same "$vdev: guest and image agree, $1" "$(md5_of "$image")" \
		"$(ask features 30 "echo 3 >/proc/sys/vm/drop_caches; md5sum </dev/$vdev | cut -d' ' -f1")"
}

# used QUEUES ORDER PERSISTENT(0|1) SEGMENTS: what was agreed; then more requests than the ring has slots, and larger ones than
# fit in 11 segments.
used() {
	local slots=$((32 << $2)) before indirect line
	same "$vdev: queues" "$1" "$(agreed_queues)"
	same "$vdev: pages of a ring" $((1 << $2)) "$(agreed_pages)"
	same "$vdev: segments of a request" "$4" "$(limit_of max_segments)"
	line=$(back_end_said)
	echo "$line"
	grep -q " $1 queues\?, rings\? of $((1 << $2)) pages\?\b" <<<"$line" || fail "not so says the back end: $line"
	[ "$(grep -c 'persistent grants' <<<"$line")" = "$3" ] || fail "persistent grants are to be $3: $line"
	before=$(counter writes) indirect=$(counter indirect)
	in_guest features "for cpu in $(seq -s ' ' 0 $(($1 - 1))); do
taskset \$((1 << cpu)) dd if=/tmp/w of=/dev/$vdev bs=4k seek=\$((cpu * 512)) count=$((slots > 480 ? 480 : slots)) oflag=direct 2>/dev/null &
done; wait; taskset 1 dd if=/tmp/w of=/dev/$vdev bs=4k count=40 oflag=direct 2>/dev/null"
	[ $(($(counter writes) - before)) -gt "$slots" ] || fail "fewer requests than $slots slots"
	[ "$(counter indirect)" = "$indirect" ] || fail "small requests came as indirect ones"
	in_guest features "dd if=/tmp/w of=/dev/$vdev bs=256k seek=1 count=4 oflag=direct 2>/dev/null
dd if=/dev/$vdev of=/dev/null bs=256k count=4 iflag=direct 2>/dev/null"
	indirect=$(($(counter indirect) - indirect))
	[ $((indirect > 0)) = $(($4 > 11)) ] || fail "$indirect indirect requests with $4 segments"
	same "$vdev: queues that had events" "$1" "$(ask features 10 "awk '/blkif/ && \$2 + \$3 > 0' /proc/interrupts | wc -l")"
	is_whole "after $(($(counter writes) - before)) writes, $indirect indirect requests"
	feature "ring order $2" "$line"
}

features_end() {
	in_guest features 'dmesg | grep -iE "i/o error|blkfront.*(fail|error)" && exit 1; true'
	guest_destroy features
	until_true 10 losetup -d "$sectored"
}

# Linux takes a page for each segment of each slot when grants are persistent: many segments need a small ring.
connect xvda max_ring_page_order=0 max_queues=1 max_indirect_segments=256
used 1 0 1 256
feature "persistent grants" "$(back_end_said)"
feature "indirect segments" "$(limit_of max_segments) segments at most"
flushes=$(counter flushes)
in_guest features "dd if=/tmp/w of=/dev/xvda bs=4k seek=700 count=3 conv=fsync 2>/dev/null"
flushes=$(($(counter flushes) - flushes))
[ $flushes -gt 0 ] || fail "fsync caused no flush"
is_whole "flushed"
feature "flush" "$flushes flushes for an fsync"

connect xvdb max_ring_page_order=1 max_queues=1 feature_persistent=0 max_indirect_segments=1
used 1 1 0 11
feature "no persistent grants" "$(back_end_said)"
feature "no indirect segments" "11 segments at most"
blocks=$(stat -c %b "$image")
in_guest features 'blkdiscard -o 1048576 -l 2097152 /dev/xvdb'
[ "$(stat -c %b "$image")" -le $((blocks - 4096)) ] || fail "the image has no hole: $(stat -c %b "$image") blocks of $blocks"
is_whole "with a hole"
feature "discard" "the image has $((blocks - $(stat -c %b "$image"))) blocks fewer"

# Linux prefers a flush where it is offered; here the toolstack says that it is not.
xenstore-write "$(back_path features vbd 51792)/feature-flush-cache" 0
connect xvdf max_ring_page_order=0 max_queues=1 feature_persistent=0
barriers=$(counter barriers)
in_guest features "dd if=/tmp/w of=/dev/xvdf bs=4k seek=700 count=3 conv=fsync 2>/dev/null"
barriers=$(($(counter barriers) - barriers))
[ $barriers -gt 0 ] || fail "fsync caused no barrier"
is_whole "behind a barrier"
feature "barrier" "$barriers barriers for an fsync"

[ "$RIG_FULL" = yes ] || { features_end; return; }

connect xvdc max_ring_page_order=2 max_queues=2
used 2 2 1 32
feature "several queues" "$(back_end_said)"
truncate -s 6M "$image"
xenstore-write "$(back_path features vbd "$devid")/resize" 1
in_guest features 'n=0; while [ $(cat /sys/block/xvdc/size) != 12288 ] && [ $n -lt 100 ]; do usleep 50000; n=$((n + 1)); done
test $(cat /sys/block/xvdc/size) = 12288 && dd if=/tmp/w of=/dev/xvdc bs=64k seek=64 count=32 conv=fsync 2>/dev/null'
is_whole "larger"
feature "resize" "from 8192 to 12288 sectors while connected"

connect xvdd max_ring_page_order=3 max_queues=2 feature_persistent=0 max_indirect_segments=64
used 2 3 0 64

connect xvde max_ring_page_order=4 max_queues=1 max_indirect_segments=1
same "sectors of 4096 bytes are offered" 4096 "$(xenstore-read "$(back_path features vbd "$devid")/sector-size")"
same "and taken" 4096 "$(limit_of logical_block_size)"
used 1 4 1 11
in_guest features "dd if=/tmp/w of=/dev/xvde bs=512 seek=4001 count=3 conv=fsync 2>/dev/null"
is_whole "after a write of less than a sector"
feature "4096-byte sectors" "blkfront's blocks are as large"

# The back end that comes next offers less, and what the one before offered is not taken for its word.
program_stop sluice-blkback || fail "sluice-blkback does not end"
program_start sluice-blkback --max-queues 1 --max-segments 0 --persistent 0 || fail "sluice-blkback does not start"
connect xvdg max_queues=2
used 1 0 0 11
feature "fewer offers" "of the back end that came next"
program_stop sluice-blkback
features_end
