# test/xen/domain0/lib/checks.sh - what a guest must be able to do with a disk and a vif, whoever serves them. Each check says what held.

# check_disk GUEST VDEV IMAGE: reads, writes, flushes; a file system made in the guest is sound at both ends.
check_disk() {
	local guest=$1 device=/dev/$2 image=$3 wrote
	same "$guest reads $2 as Domain-0 sees it" "$(md5_of "$image")" \
		"$(ask "$guest" 60 "md5sum <$device | cut -d' ' -f1")"
	in_guest "$guest" "dd if=/dev/urandom of=/tmp/w bs=64k count=64 2>/dev/null
		dd if=/tmp/w of=$device bs=64k seek=16 conv=fsync 2>/dev/null"
	wrote=$(ask "$guest" 30 "md5sum </tmp/w | cut -d' ' -f1")
	same "what $guest wrote and flushed is in the image" "$wrote" \
		"$(dd if="$image" bs=64k skip=16 count=64 2>/dev/null | md5sum | cut -d' ' -f1)"
	in_guest "$guest" "echo 3 >/proc/sys/vm/drop_caches; dd if=$device bs=64k skip=16 count=64 2>/dev/null | cmp - /tmp/w"
	in_guest "$guest" "dd if=/tmp/w of=/tmp/x bs=4k skip=5 count=100 2>/dev/null
		dd if=$device iflag=direct bs=4k skip=261 count=100 2>/dev/null | cmp - /tmp/x"
	holds "and comes back to it, in large pieces and past its cache in small ones"
	in_guest "$guest" "/bin/mke2fs -q -F -t ext4 $device && mount -t ext4 $device /mnt && cp /tmp/w /mnt/w &&
		mkdir /mnt/d && cp /bin/busybox /mnt/d/ && sync &&
		cmp /tmp/w /mnt/w && umount /mnt && /bin/e2fsck -fn $device >/dev/null 2>&1"
	holds "a file system made in $guest is sound there"
	expect "and in Domain-0" e2fsck_quiet "$image"
}

e2fsck_quiet() { e2fsck -fn "$1" >/dev/null 2>&1; }

# check_ping GUEST ADDRESS BYTES COUNT: four in five come back. busybox's ping misses one now and then that its kernel has delivered; what
# arrives whole and in order is check_tcp's to say.
check_ping() {
	in_guest "$1" "ping -q -s $3 -c $4 -i 0.05 $2 >/tmp/pinged; tail -n 2 /tmp/pinged; \
test \$((\$(sed -n 's/.*, \([0-9]*\) packets received.*/\1/p' /tmp/pinged) * 5)) -ge $(($4 * 4))"
	holds "$1 pings $2: $4 packets of $3 bytes there and back"
}

# check_tcp GUEST ADDRESS MIB: a stream each way between a guest and Domain-0. The receiver answers with the sum of what it got.
check_tcp() {
	local guest=$1 address=$2 mib=$3 bytes=$(($3 << 20)) stream=$RIG_KEEP/stream listener
	dd if=/dev/urandom of="$stream" bs=1M count="$mib" 2>/dev/null
	in_guest "$guest" "nc -l -p 5001 -e sh -c 'head -c $bytes | md5sum' >/dev/null 2>&1 </dev/null &"
	sleep 0.3
	same "$mib MiB of TCP from Domain-0 to $guest are whole" "$(md5_of "$stream")" \
		"$(timeout 60 nc "$address" 5001 <"$stream" | cut -d' ' -f1)"
	in_guest "$guest" "dd if=/dev/urandom of=/tmp/stream bs=1M count=$mib 2>/dev/null"
	nc -l -p 5001 -e sh -c "head -c $bytes | md5sum" >/dev/null 2>&1 </dev/null &
	listener=$!
	sleep 0.3
	same "$mib MiB of TCP from $guest to Domain-0 are whole" "$(ask "$guest" 30 "md5sum </tmp/stream | cut -d' ' -f1")" \
		"$(ask "$guest" 60 "nc $bridge_address 5001 </tmp/stream | cut -d' ' -f1")"
	kill $listener 2>/dev/null
	in_guest "$guest" 'rm /tmp/stream'
	rm "$stream"
}

# flood ADDRESS COUNT: full frames that nobody waits for; busybox's nc has no UDP.
flood() {
	local n frame
	printf -v frame '%1400s' x
	exec 5<>"/dev/udp/$1/9"
	for ((n = 0; n < $2; n++)); do
		printf %s "$frame" >&5
	done 2>/dev/null
	exec 5>&-
}

# A command that prints how many TCP segments its kernel found to have a wrong checksum.
wrong_checksums="awk '/^Tcp:/ { if (at) print \$at; else for (i = 2; i <= NF; i++) if (\$i == \"InCsumErrors\") at = i }' /proc/net/snmp"

# writer_start GUEST: from now on it writes one file to xvda over and over, past its cache.
writer_start() {
	in_guest "$1" 'dmesg -c >/dev/null; rm -f /tmp/stop /tmp/rounds /tmp/failed
		dd if=/dev/urandom of=/tmp/w bs=64k count=64 2>/dev/null'
	in_guest "$1" '(n=0; while [ ! -e /tmp/stop ]; do
		dd if=/tmp/w of=/dev/xvda bs=16k oflag=direct 2>>/tmp/said && n=$((n + 1)) || touch /tmp/failed
		done; echo $n >/tmp/rounds) >/dev/null 2>&1 &'
}

# writer_stop GUEST IMAGE: every write was answered well, and the last ones are in the image.
writer_stop() {
	guest_seconds=150 in_guest "$1" 'touch /tmp/stop; n=0
		while [ ! -e /tmp/rounds ] && [ $n -lt 1200 ]; do usleep 100000; n=$((n + 1)); done
		test "$(cat /tmp/rounds)" -gt 0 && test ! -e /tmp/failed'
	in_guest "$1" 'dmesg | grep -iE "i/o error|xvda" && exit 1; true'
	holds "the writes went on without an error"
	same "and are in the image" "$(ask "$1" 20 'md5sum </tmp/w | cut -d" " -f1')" \
		"$(dd if="$2" bs=64k count=64 2>/dev/null | md5sum | cut -d' ' -f1)"
}

# What Domain-0's receiver would see: capture_start INTERFACE ... capture_stop, or capture_is_clean SENTENCE.
capture_start() {
	tcpdump -Z root -i "$1" -s 0 -U -w "$RIG_KEEP/capture.pcap" >/dev/null 2>"$RIG_KEEP/tcpdump.log" &
	echo $! >"$RIG_KEEP/tcpdump.pid"
	until_true 10 grep -q 'listening on' "$RIG_KEEP/tcpdump.log" || fail "tcpdump does not start: $(cat "$RIG_KEEP/tcpdump.log")"
}

# As text in $RIG_KEEP/capture.txt.
capture_stop() {
	sleep 0.3
	kill "$(cat "$RIG_KEEP/tcpdump.pid")"
	wait "$(cat "$RIG_KEEP/tcpdump.pid")" 2>/dev/null
	tcpdump -Z root -nn -vv -r "$RIG_KEEP/capture.pcap" >"$RIG_KEEP/capture.txt" 2>/dev/null
}

capture_is_clean() {
	local tcp bad
	capture_stop
	tcp=$(grep -c 'cksum 0x.* (correct)' "$RIG_KEEP/capture.txt")
	bad=$(grep -c -e 'bad cksum' -e 'incorrect' "$RIG_KEEP/capture.txt")
	[ "$tcp" -gt 20 ] || fail "the capture holds only $tcp packets with a checksum"
	[ "$bad" -eq 0 ] || fail "$bad of $((tcp + bad)) packets have a bad checksum:" \
		"$(grep -m 2 -e 'bad cksum' -e incorrect "$RIG_KEEP/capture.txt")"
	holds "$1 ($tcp packets looked at)"
}
