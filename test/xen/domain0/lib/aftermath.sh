#!/bin/bash
# test/xen/domain0/lib/aftermath.sh - after a failed case: what the log should hold, then a clean slate for the next case.
cd /rig || exit 1
for part in verdict backends guests; do
	. "lib/$part.sh"
done
echo "---- domains"
xl list -v
echo "---- store"
xenstore-ls -f /local/domain 2>/dev/null | grep -E '/(backend|device|error|data)/' | head -n 120
for log in "$RIG_KEEP"/*.log /var/log/xen/console/*.log /var/log/xen/xl-*.log; do
	[ -s "$log" ] || continue
	echo "---- ${log##*/}"
	tail -n 30 "$log" | tr -d '\r'
done
echo "---- Domain-0's kernel"
dmesg | tail -n 15
echo "---- Xen"
xl dmesg | tail -n 15
guests_down
for program in sluice-blkback sluice-netback; do
	program_stop $program KILL
done
backends_down
