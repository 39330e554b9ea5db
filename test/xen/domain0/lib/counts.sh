# test/xen/domain0/lib/counts.sh - what a load costs Domain-0: calls of the kernel's functions through which every back end, ours or
# Linux's, reaches Xen. Seconds mean nothing under emulation, counts do.
#
# Each probe is a kprobe with a histogram by program. The drivers for user space are counted without the toolstack's processes.

tracing=/sys/kernel/tracing

# function, and the register that holds how many grants it is about (System V order; "-": it is about none).
probes='
gnttab_batch_copy si
gnttab_map_refs cx
gnttab_unmap_refs cx
notify_remote_via_irq -
gntdev_ioctl -
evtchn_ioctl -
evtchn_write -
evtchn_read -
xen_blkif_be_int -
xenvif_interrupt -
xenvif_tx_interrupt -
xenvif_rx_interrupt -
'
evtchn_notify=$((0x44504)) # IOCTL_EVTCHN_NOTIFY

counts_setup() {
	local function register condition
	[ ! -d $tracing/events/rig ] || return 0
	while read -r function register; do
		[ -n "$function" ] || continue
		[ "$register" = - ] && register=si
		condition=
		[ "$function" = evtchn_ioctl ] && condition=" if n == $evtchn_notify"
		echo "p:rig/$function $function n=%$register:u32" >>$tracing/kprobe_events 2>/dev/null || continue
		echo "hist:keys=common_pid.execname:vals=n$condition" >"$tracing/events/rig/$function/trigger" || fail "$function cannot be counted"
	done <<<"$probes"
}

# Every line: function, calls, sum of n. Histograms leave out what interrupts an idle processor, so calls are the kprobe's own hits,
# but for the drivers for user space, which are counted by program.
counts_read() {
	local function file
	for file in "$tracing"/events/rig/*/hist; do
		function=${file%/hist}
		function=${function##*/}
		sed -nE 's/^\{ common_pid: ([^ ]+) .*hitcount: *([0-9]+) *n: *([0-9]+).*/\1 \2 \3/p' "$file" |
			awk -v f="$function" -v hits="$(awk -v f="$function" '$1 == f {print $2}' $tracing/kprobe_profile)" '
				f !~ /^evtchn_/ || $1 !~ /^(xenstore|xenconsole|xl|xen-agent)/ {c += $2; n += $3}
				END {print f, (f ~ /^evtchn_/ ? c : hits) + 0, n + 0}'
	done
}

# counts_of LOAD KIND UNITS COMMAND...: runs the load, prints what one unit of it cost.
# UNITS: the command that says how many requests or packets the guest has had until now.
counts_of() {
	local load=$1 kind=$2 units=$3 before after
	shift 3
	counts_read >"$RIG_KEEP/counts.before"
	before=$($units)
	"$@"
	after=$($units)
	counts_read >"$RIG_KEEP/counts.after"
	awk -v load="$load" -v kind="$kind" -v units=$((after - before)) '
		FNR == NR { calls[$1] = $2; sum[$1] = $3; next }
		{ c[$1] = $2 - calls[$1]; s[$1] = $3 - sum[$1] }
		function figure(name, value) { printf "figure %s %s %s %.3f\n", load, kind, name, value / units }
		END {
			printf "figure %s %s units %d\n", load, kind, units
			figure("copy_calls", c["gnttab_batch_copy"]); figure("copied_pieces", s["gnttab_batch_copy"])
			figure("map_calls", c["gnttab_map_refs"]); figure("maps", s["gnttab_map_refs"])
			figure("unmap_calls", c["gnttab_unmap_refs"]); figure("unmaps", s["gnttab_unmap_refs"])
			figure("notifications", c["notify_remote_via_irq"] + c["evtchn_ioctl"])
			figure("events", c["evtchn_read"] + c["xen_blkif_be_int"] + c["xenvif_interrupt"] + c["xenvif_tx_interrupt"] + c["xenvif_rx_interrupt"])
			figure("driver_calls", c["gntdev_ioctl"] + c["evtchn_ioctl"] + c["evtchn_write"] + c["evtchn_read"])
		}' "$RIG_KEEP/counts.before" "$RIG_KEEP/counts.after"
}
