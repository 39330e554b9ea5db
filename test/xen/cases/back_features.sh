# Linux's xen-blkfront over sluice-blkback: each feature that both have is agreed on and used, and what was written is in the image.
# boot: pv
# limit: 400
backends sluice
program_runs sluice-blkback || fail "sluice-blkback does not run"

# Disks that wait for their turn: the front end is loaded anew for each, with other parameters, and told which device is its.
disks='a b c d f g h'
sectored=$(losetup --show -f --sector-size 4096 "$(image features-e.img 4)") || fail "no loop device with 4096-byte sectors"
# A second vcpu is for a second queue; it makes a guest's start twice as long.
# shellcheck disable=SC2046
guest features pv $([ "$RIG_FULL" = yes ] && echo 2 || echo 1) "" "" "$(for disk in $disks; do disk_of "xvd$disk" "$(image "features-$disk.img" 4)"; done) \
	$(disk_of xvde "$sectored")" crc32c_generic
in_guest features 'echo 0 >/sys/bus/xen/drivers_autoprobe && dd if=/dev/urandom of=/tmp/w bs=64k count=32 2>/dev/null'
id=$(guest_domid features)

counter() { program_counter sluice-blkback "vbd.total.$1"; }
front_said() { xenstore-read "/local/domain/$id/device/vbd/$devid/$1" 2>/dev/null || echo 0; }
offer() { xenstore-write "$(back_path features vbd "$devid")/$1" "$2"; }
offered() { xenstore-read "$(back_path features vbd "$devid")/$1"; }
limit_of() { ask features 10 "cat /sys/block/$vdev/queue/$1"; }
# blkfront writes no order for one page and no number for one queue.
agreed_queues() { xenstore-read "/local/domain/$id/device/vbd/$devid/multi-queue-num-queues" 2>/dev/null || echo 1; }
agreed_pages() { echo $((1 << $(front_said ring-page-order))); }
back_end_said() { grep "vbd $id/$devid: connected" "$RIG_KEEP/sluice-blkback.log" | tail -n 1; }

# A disk that is bound keeps the front end loaded.
unload='for d in /sys/bus/xen/drivers/vbd/vbd-*; do [ ! -e $d ] || echo ${d##*/} >/sys/bus/xen/drivers/vbd/unbind; done
! grep -q ^xen_blkfront /proc/modules || rmmod xen-blkfront'

# turn VDEV: all that follows is about this disk, which is not yet connected.
turn() {
	vdev=$1
	devid=$((51712 + 16 * ($(printf '%d' "'${1#xvd}") - 97)))
	image=/images/features-${1#xvd}.img
}

# connect PARAMETER...: the disk becomes the guest's, by a front end with these parameters.
connect() {
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

# try VDEV QUEUES ORDER PERSISTENT SEGMENTS: with a front end that wants so much, which is agreed on and used.
try() {
	turn "$1"
	connect "max_queues=$2 max_ring_page_order=$3 feature_persistent=$4 max_indirect_segments=$(($5 > 11 ? $5 : 1))"
	shift
	used "$@"
}

# causes COUNTER COMMAND: the guest's command makes the back end count more of them; how many in $caused.
causes() {
	caused=$(counter "$1")
	in_guest features "$2"
	caused=$(($(counter "$1") - caused))
	[ $caused -gt 0 ] || fail "the back end has seen no $1"
}

features_end() {
	in_guest features 'dmesg | grep -iE "i/o error|blkfront.*(fail|error)" && exit 1; true'
	guest_destroy features
	until_true 10 losetup -d "$sectored"
}

# Linux takes a page for each segment of each slot when grants are persistent: many segments need a small ring.
try xvda 1 0 1 256
feature "persistent grants" "$(back_end_said)"
feature "indirect segments" "$(limit_of max_segments) segments at most"
causes flushes "dd if=/tmp/w of=/dev/xvda bs=4k seek=700 count=3 conv=fsync 2>/dev/null"
is_whole "flushed"
feature "flush" "$caused flushes for an fsync"

try xvdb 1 1 0 11
feature "no persistent grants" "$(back_end_said)"
feature "no indirect segments" "11 segments at most"
blocks=$(stat -c %b "$image")
causes discards 'blkdiscard -o 1048576 -l 2097152 /dev/xvdb'
[ "$(stat -c %b "$image")" -le $((blocks - 4096)) ] || fail "the image has no hole: $(stat -c %b "$image") blocks of $blocks"
is_whole "with a hole"
feature "discard" "the image has $((blocks - $(stat -c %b "$image"))) blocks fewer"

# Linux prefers a flush where it is offered; here the toolstack says that it is not. It makes the pieces larger that can be discarded, too.
turn xvdf
same "a hole in the image has whole blocks" "$(stat -c %o "$image")" "$(offered discard-granularity)"
offer feature-flush-cache 0
offer discard-granularity 65536
connect max_ring_page_order=0 max_queues=1 feature_persistent=0
causes barriers "dd if=/tmp/w of=/dev/xvdf bs=4k seek=700 count=3 conv=fsync 2>/dev/null"
is_whole "behind a barrier"
feature "barrier" "$caused barriers for an fsync"
same "the guest knows what can be discarded" 65536 "$(limit_of discard_granularity)"
feature "discard granularity" "65536 bytes, as offered"

[ "$RIG_FULL" = yes ] || { features_end; return; }

try xvdc 2 2 1 32
feature "several queues" "$(back_end_said)"
truncate -s 6M "$image"
offer resize 1
in_guest features 'n=0; while [ $(cat /sys/block/xvdc/size) != 12288 ] && [ $n -lt 100 ]; do usleep 50000; n=$((n + 1)); done
test $(cat /sys/block/xvdc/size) = 12288 && dd if=/tmp/w of=/dev/xvdc bs=64k seek=64 count=32 conv=fsync 2>/dev/null'
is_whole "larger"
feature "resize" "from 8192 to 12288 sectors while connected"

try xvdd 2 3 0 64

try xvde 1 4 1 11
same "sectors of 4096 bytes are offered" 4096 "$(offered sector-size)"
same "and taken" 4096 "$(limit_of logical_block_size)"
in_guest features "dd if=/tmp/w of=/dev/xvde bs=512 seek=4001 count=3 conv=fsync 2>/dev/null"
is_whole "after a write of less than a sector"
feature "4096-byte sectors" "blkfront's blocks are as large"

# next_back_end OPTION...: what the one before it offered is not taken for its word.
next_back_end() {
	program_stop sluice-blkback || fail "sluice-blkback does not end"
	program_start sluice-blkback "$@" || fail "sluice-blkback does not start"
}
next_back_end --max-queues 1 --max-segments 0 --persistent 0
turn xvdg
connect max_queues=2
used 1 0 0 11
feature "fewer offers" "of the back end that came next"

# No device here can forget for good, but memory can: a copy of the image, which stays as it is.
next_back_end --engine memory
turn xvdh
same "a secure discard is offered" 1 "$(offered discard-secure)"
connect
causes secure_discards 'blkdiscard -s -o 1048576 -l 2097152 /dev/xvdh'
dd if=/dev/zero of="$image" bs=1M seek=1 count=2 conv=notrunc 2>/dev/null
is_whole "but for what was discarded"
feature "secure discard" "$caused of them, zeroes where they were"
program_stop sluice-blkback
features_end
