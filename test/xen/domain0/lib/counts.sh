# test/xen/domain0/lib/counts.sh - what a load costs Domain-0: calls of the kernel's functions through which every back end, ours or Linux's,
# reaches Xen. Seconds mean nothing under emulation, counts do.
#
# Each probe is a kprobe with a histogram by program, so that xenstored and xenconsoled can be left out.

tracing=/sys/kernel/tracing

# function, the register that holds how many grants it is about (System V order), and what is counted.
probes='
gnttab_batch_copy si copy
gnttab_map_refs cx map
gnttab_unmap_refs cx unmap
notify_remote_via_irq di kernel-notify
gntdev_ioctl si gntdev-call
evtchn_ioctl si evtchn-call
evtchn_write dx evtchn-call
evtchn_interrupt di event
xen_blkif_be_int di event
xenvif_interrupt di event
xenvif_tx_interrupt di event
xenvif_rx_interrupt di event
xenvif_ctrl_irq_fn di event
'

counts_setup() {
	local function register
	[ ! -d $tracing/events/rig ] || return 0
	while read -r function register _; do
		[ -n "$function" ] || continue
		echo "p:rig/$function $function n=%$register:u32" >>$tracing/kprobe_events 2>/dev/null || continue
		echo 'hist:keys=common_pid.execname:vals=n' >"$tracing/events/rig/$function/trigger" || fail "$function cannot be counted"
	done <<<"$probes"
}

# Every line: function, calls, sum of n; of whoever is not a toolstack process.
counts_read() {
	local function file
	for file in "$tracing"/events/rig/*/hist; do
		function=${file%/hist}
		sed -nE 's/^\{ common_pid: ([^ ]+) .*hitcount: *([0-9]+) *n: *([0-9]+).*/\1 \2 \3/p' "$file" |
			awk -v f="${function##*/}" '$1 !~ /^(xenstore|xenconsole|xl|xen-agent)/ {c += $2; n += $3} END {print f, c + 0, n + 0}'
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
			figure("events", c["evtchn_interrupt"] + c["xen_blkif_be_int"] + c["xenvif_interrupt"] + c["xenvif_tx_interrupt"] + c["xenvif_rx_interrupt"])
			figure("system_calls", c["gntdev_ioctl"] + c["evtchn_ioctl"] + c["evtchn_write"])
		}' "$RIG_KEEP/counts.before" "$RIG_KEEP/counts.after"
}
