#!/bin/bash
# The demo, interrupted at any point, leaves no process, no mount, no file in its temporary folder.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_begin
[ -x "$SLUICE_BUILD/tools/sluice-netback" ] || skip "sluice-netback is not built here"

work=$system_dir/tmp
mkdir "$work"
mounts=$(wc -l </proc/self/mounts)

# Processes that carry the demo's own temporary folder in their environment: all that it started.
left() { grep -lsZ -F "DEMO_MARK=$work" /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | cut -d/ -f3 | grep -vx "$$"; }

for case in INT:0.3 TERM:0.8 INT:1.5 INT:3 TERM:5 INT:8; do
	signal=${case%:*}
	# A shell without job control lets its background children ignore SIGINT: give it back.
	(
		export TMPDIR=$work DEMO_MARK=$work DEMO_OUT=$work/out
		exec env --default-signal=INT,TERM bash demo/demo.sh
	) >"$system_dir/demo.log" 2>&1 </dev/null &
	demo=$!
	sleep "${case#*:}"
	kill -"$signal" $demo 2>/dev/null
	system_gone $demo 15 || { kill -KILL $demo; fail "SIG$signal after ${case#*:} s: the demo does not end: $(tail -n 5 "$system_dir/demo.log")"; }
	wait $demo
	status=$?
	none_left() { [ -z "$(left)" ]; }
	system_until 5 none_left || fail "SIG$signal after ${case#*:} s leaves: $(for p in $(left); do tr '\0' ' ' <"/proc/$p/cmdline"; done)"
	[ -z "$(find "$work" -maxdepth 1 -name 'sluice.*')" ] || fail "SIG$signal after ${case#*:} s leaves files: $(ls "$work")"
	[ "$(wc -l </proc/self/mounts)" -eq "$mounts" ] || fail "SIG$signal after ${case#*:} s leaves a mount"
	holds "SIG$signal after ${case#*:} s (exit $status) leaves nothing"
done
