#!/bin/bash
# ./dev demo: a guest's packets and disk blocks go through real rings to real devices, and what arrives is checked.
#
#      1  sluiced, sluice-netback (a bridge, and a port that writes a pcap), sluice-blkback
#      2  guests from examples/*.cfg
#      3  network: a real capture, guest A -> bridge -> guest B and the pcap port; compared byte for byte
#      4  storage: a tree of real files into an ext4 image through blkfront; e2fsck and SHA-256 on the host
#      5  rates, and a table of them
#
# Owns     a private run directory (nothing of the host's is touched) and demo-out/, which each run replaces.
# Fails    exit 1 and a sentence; always: every process started here is ended and nothing stays mounted, also on Ctrl-C.
set -u
cd "$(dirname "$(readlink -f "$0")")/.." || exit 1
. tools/system.sh

# bash 5.2 loses a trap when the signal comes while it reads a command substitution. So a second shell does the work, in a
# session of its own, and this one only waits; an interruption is handed on until the other has taken it.
interrupted() {
	local i
	trap '' INT TERM HUP
	[ -n "$worker" ] || exit "$1" # nothing was started
	echo
	echo "demo: interrupted, cleaning up" >&2
	for ((i = 0; i < 20; i++)); do
		kill -TERM "$worker" 2>/dev/null
		system_gone "$worker" 1 && break
	done
	kill -KILL -- "-$worker" 2>/dev/null # none is left there, as a rule
	wait "$worker" 2>/dev/null
	exit "$1"
}

if [ -z "${DEMO_WORKER:-}" ]; then
	worker=''
	trap 'interrupted 130' INT
	trap 'interrupted 143' TERM HUP
	DEMO_WORKER=1 setsid bash demo/demo.sh "$@" &
	worker=$!
	wait "$worker"
	exit
fi

out=${DEMO_OUT:-demo-out}
seconds=${DEMO_SECONDS:-3}
started=$SECONDS
guest_kernel="kernel=\"$(readlink -f "$system_build")/tools/sluice-guest\""

say() { printf '%s\n' "$*"; }
step() { printf '\n[%s/5] %s\n' "$1" "$2"; }

die() {
	echo "demo: $*" >&2
	[ -d "$out/log" ] && echo "demo: the logs are in $out/log" >&2
	exit 1
}

keep_logs() {
	[ -n "$system_dir" ] && [ -d "$out/log" ] || return 0
	cp -f "$system_dir"/log/*.{log,stats} "$out/log/" 2>/dev/null
	cp -f "$system_run_dir"/log/*.log "$out/log/" 2>/dev/null
}

finish() {
	local status=$?
	trap '' TERM
	keep_logs
	if ! system_end; then
		[ $status -eq 0 ] && status=1
	fi
	exit $status
}
trap finish EXIT
trap 'exit 143' TERM

# create FILE KEY=VALUE...: a guest from examples/FILE.cfg with the lines added.
create() {
	local file=$1
	shift
	sluice create -q "examples/$file.cfg" "$guest_kernel" "$@" || die "guest of examples/$file.cfg could not be created"
}

# foreground FILE KEY=VALUE...: the same, and waits for its end; false when it was not a power-off.
foreground() {
	local file=$1
	shift
	system_run sluice_foreground "examples/$file.cfg" "$guest_kernel" "$@"
}

sluice_foreground() {
	exec "$system_build/tools/sluice" --run-dir "$system_run_dir" create -q -F "$@" >/dev/null
}

guest_log() { echo "$system_run_dir/log/guest-$1.log"; }

# figure GUEST NAME: the value of the "NAME value unit" line on the guest's console.
figure() {
	awk -v name="$2" '{ sub(/\r$/, "") } $1 == name { value = $2 } END { print value == "" ? "?" : value }' "$(guest_log "$1")" 2>/dev/null
}

is_gone() { ! sluice domid "$1" >/dev/null 2>&1; }

# ---- 1, 2 -----------------------------------------------------------------------------------------------------------

start_system() {
	step 1 "starting sluiced, sluice-netback (bridge and pcap port), sluice-blkback (io_uring)"
	system_start sluiced || die "sluiced did not start"
	# The capture holds both directions of a conversation, and one guest sends them all: --ageing 0 makes the bridge a hub,
	# which learns nothing and sends every frame everywhere.
	system_start sluice-netback --ageing 0 --port "net_pcap0,tx_pcap=$(readlink -f "$out")/port.pcap" \
		--stats-file "$system_dir/log/netback-capture.stats" || die "sluice-netback did not start"
	system_start sluice-blkback --engine io_uring --stats-file "$system_dir/log/blkback.stats" ||
		die "sluice-blkback did not start"
	sluice list
}

# ---- 3 --------------------------------------------------------------------------------------------------------------

run_capture() {
	local frames=365
	step 2 "creating guest B (receiver) and guest A (sender) from examples/*.cfg"
	system_padded examples/capture.pcap "$system_dir/capture.img" || die "no room for a copy of the capture"
	truncate -s 4M "$system_dir/received.img"
	create pcap-receive "disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/received.img']"
	system_until 10 system_connected vif receiver 0 || die "guest B's network device did not connect"
	create pcap-send "disk=['format=raw,vdev=xvda,access=ro,target=$system_dir/capture.img']"
	sluice list
	sluice network-list receiver

	step 3 "network: every frame of examples/capture.pcap, A -> ring -> bridge -> ring -> B, and -> pcap port"
	system_until 60 is_gone sender || die "guest A does not finish"
	system_until 60 is_gone receiver || die "guest B did not get all $frames frames"
	keep_logs
	# The pcap port's file is complete once its program has closed it.
	system_stop sluice-netback || die "sluice-netback did not end cleanly"
	printf '      guest B:   '
	"$system_build/tools/pcap-compare" -o "$out/received.pcap" examples/capture.pcap "$system_dir/received.img" ||
		die "what guest B received is not what was sent"
	printf '      pcap port: '
	"$system_build/tools/pcap-compare" examples/capture.pcap "$out/port.pcap" ||
		die "what the pcap port received is not what was sent"
}

# ---- 4 --------------------------------------------------------------------------------------------------------------

# Real files: the project's own sources, system headers and licences, a large file, an empty one, links.
make_tree() {
	local tree=$1
	mkdir -p "$tree/sluice" "$tree/include" "$tree/empty-folder" &&
		cp -r rings grant hv netback blkback frontends tools test docs examples README.md LICENSE "$tree/sluice/" 2>/dev/null
	cp -rL /usr/include/linux /usr/include/xen "$tree/include/" &&
		cp -rL /usr/share/common-licenses "$tree/" &&
		cat /usr/lib/x86_64-linux-gnu/lib*.so.* 2>/dev/null | head -c 24000001 >"$tree/large" &&
		: >"$tree/empty" &&
		ln -s large "$tree/link" &&
		ln -s "/a/target/that/is/longer/than/sixty/characters/and/so/does/not/fit/into/an/inode" "$tree/long-link"
}

# Everything that there is to compare, one line each.
list_tree() {
	(cd "$1" && find . -path ./lost+found -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum &&
		find . -type l -printf '%p -> %l\n' | LC_ALL=C sort &&
		find . -path ./lost+found -prune -o -type d -print | LC_ALL=C sort)
}

run_storage() {
	local tree=$system_dir/tree back=$system_dir/back target=$system_dir/target.img
	step 4 "storage: a tree of real files into a 256 MiB ext4 image, through blkfront, ring and blkback"
	make_tree "$tree" || die "the tree of files could not be made"
	truncate -s 160M "$system_dir/source.img" && truncate -s 256M "$target" &&
		mkfs.ext4 -q -F -b 4096 -d "$tree" "$system_dir/source.img" && mkfs.ext4 -q -F -b 4096 "$target" || die "mkfs.ext4 failed"
	list_tree "$tree" >"$system_dir/sent.list" || die "the tree of files cannot be read"
	[ "$(grep -c . "$system_dir/sent.list")" -gt 100 ] || die "the tree of files is too small to prove anything"
	say "      guest C copies $(du -sm "$tree" | cut -f1) MiB in $(find "$tree" -type f | wc -l) files and reads them back"
	foreground copy-tree "disk=['format=raw,vdev=xvda,access=ro,target=$system_dir/source.img',
		'format=raw,vdev=xvdb,access=rw,target=$target']" || {
		tail -n 3 "$(guest_log copier)" >&2
		die "guest C did not copy the files"
	}
	say "      guest C wrote for $(figure copier tree_write_time) s, verified for $(figure copier tree_verify_time) s, and powered itself off"
	e2fsck -fn "$target" >"$out/log/e2fsck.log" 2>&1 || die "e2fsck finds the image damaged: see $out/log/e2fsck.log"
	say "      e2fsck -f: clean"
	mkdir "$back" && debugfs -R "rdump / $back" "$target" >"$out/log/debugfs.log" 2>&1
	list_tree "$back" >"$system_dir/got.list"
	if ! diff "$system_dir/sent.list" "$system_dir/got.list" >"$out/log/files.diff"; then
		die "$(grep -c '^[<>]' "$out/log/files.diff") lines differ between what was written and what is there: see $out/log/files.diff"
	fi
	say "      SHA-256 of all $(grep -c '^[0-9a-f]\{64\} ' "$system_dir/sent.list") files: the same; links and folders too"
	rm -rf "$tree" "$back" "$system_dir/source.img"
}

# ---- 5 --------------------------------------------------------------------------------------------------------------

run_packets() {
	local bytes=$1
	create net-receive "name=\"receive-$bytes\"" "extra=\"net-receive 0 $((seconds + 1))\""
	system_until 10 system_connected vif "receive-$bytes" 0 || die "the receiver's network device did not connect"
	foreground net-send "name=\"send-$bytes\"" "extra=\"net-send 0 $bytes $seconds 00:16:3e:00:02:0b\"" ||
		die "the sender failed: see $(guest_log "send-$bytes")"
	system_until 20 is_gone "receive-$bytes" || die "the receiver does not finish"
}

run_requests() {
	local depth=$1
	foreground blk-bench "name=\"bench-$depth\"" "extra=\"blk-bench xvda randread 4096 $depth $seconds\"" \
		"disk=['format=raw,vdev=xvda,access=ro,direct-io-safe,target=$system_dir/bench.img']" ||
		die "blk-bench failed: see $(guest_log "bench-$depth")"
}

run_rates() {
	local bytes depth
	step 5 "rates: $seconds s each"
	for bytes in 64 1500; do
		say "      guest to guest, $bytes bytes"
		# A program each, so that its counters are of this run alone.
		system_start sluice-netback --stats-file "$system_dir/log/netback-$bytes.stats" || die "sluice-netback did not start"
		run_packets $bytes
		system_stop sluice-netback || die "sluice-netback did not end cleanly"
	done
	system_stop sluice-blkback || die "sluice-blkback did not end cleanly"
	# Written, not sparse: a hole costs the host no read.
	dd if=/dev/zero of="$system_dir/bench.img" bs=1M count=256 conv=fsync 2>/dev/null || die "no room for a disk of 256 MiB"
	for depth in 1 32; do
		say "      4 KiB random reads of a 256 MiB file, $depth at once"
		system_start sluice-blkback --engine io_uring --stats-file "$system_dir/log/blkback-$depth.stats" ||
			die "sluice-blkback did not start"
		run_requests $depth
		system_stop sluice-blkback || die "sluice-blkback did not end cleanly"
	done
}

# counter FILE NAME: a back end's counter.
counter() { awk -v name="$2" '$1 == name { print $2 }' "$system_dir/log/$1" 2>/dev/null; }

# per_1000 COUNT WHOLE
per_1000() { awk -v n="${1:-0}" -v of="${2:-0}" 'BEGIN { if (of > 0) printf "%.1f", 1000 * n / of; else print "?" }'; }

# A figure with so many decimals; "?" stays.
rounded() { awk -v v="$1" -v d="$2" 'BEGIN { if (v == "?") print v; else printf "%.*f\n", d, v }'; }

print_packets() {
	local bytes stats row='  %-22s %12s %10s %14s %14s\n'
	# shellcheck disable=SC2059
	printf "\n$row" "" "" "" "wakes per" "1,000 packets"
	# shellcheck disable=SC2059
	printf "$row" "guest to guest" "packets/s" "Gbit/s" "by the sender" "by the bridge"
	for bytes in 64 1500; do
		stats=netback-$bytes.stats
		# shellcheck disable=SC2059
		printf "$row" "  $bytes bytes" "$(rounded "$(figure "receive-$bytes" net_received_rate)" 0)" \
			"$(rounded "$(figure "receive-$bytes" net_received_bandwidth)" 2)" \
			"$(rounded "$(figure "send-$bytes" net_notifications_per_1000_packets)" 1)" \
			"$(per_1000 "$(counter "$stats" total.notify_sent)" "$(counter "$stats" total.rx_packets)")"
	done
}

print_requests() {
	local depth stats row='  %-22s %12s %8s %8s %8s %14s %14s\n'
	# shellcheck disable=SC2059
	printf "\n$row" "" "" "latency" "in us" "" "wakes per" "1,000 requests"
	# shellcheck disable=SC2059
	printf "$row" "4 KiB random reads" "IOPS" "p50" "p99" "p99.9" "by the guest" "by blkback"
	for depth in 1 32; do
		stats=blkback-$depth.stats
		# shellcheck disable=SC2059
		printf "$row" "  $depth at once" "$(rounded "$(figure "bench-$depth" blk_iops)" 0)" \
			"$(rounded "$(figure "bench-$depth" blk_latency_p50)" 0)" \
			"$(rounded "$(figure "bench-$depth" blk_latency_p99)" 0)" \
			"$(rounded "$(figure "bench-$depth" blk_latency_p99.9)" 0)" \
			"$(rounded "$(figure "bench-$depth" blk_notifications_per_1000_requests)" 1)" \
			"$(per_1000 "$(counter "$stats" vbd.total.notifications_sent)" "$(counter "$stats" vbd.total.reads)")"
	done
}

# ---- ----------------------------------------------------------------------------------------------------------------

rm -rf "$out" && mkdir -p "$out/log" || die "$out cannot be replaced"
system_begin || die "no room in ${TMPDIR:-/tmp}"
start_system
run_capture
run_storage
run_rates
{ print_packets; print_requests; } | tee "$out/table.txt"
say
say "kept in $out/: received.pcap (guest B), port.pcap (pcap port), table.txt, log/"
keep_logs
system_end || die "something was left behind"
say "the demo took $((SECONDS - started)) s; nothing is left running"
