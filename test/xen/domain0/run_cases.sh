#!/bin/bash
# test/xen/domain0/run_cases.sh - runs the cases that the kernel command line names (sluice.cases=a+b), one after the other.
#
# Speaks to run.sh on the host through standard output, in lines that begin with sluice.token=, which no case knows:
#     <token> begin CASE            what follows is the case's log
#     <token> end CASE STATUS SECONDS    STATUS: passed, skipped, failed
#     <token> all                   every case had its turn
set -u
argument() { sed -n "s/.*sluice\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
token=$(argument token)
export RIG_FULL RIG_KEEP=/run/rig
RIG_FULL=$(argument full)
cd /rig || exit 1

uptime_s() { cut -d' ' -f1 /proc/uptime; }

for name in $(argument cases | tr + ' '); do
	echo "$token begin $name"
	start=$(uptime_s)
	limit=$(sed -n 's/^# limit: *//p' "cases/$name.sh")
	timeout -k 5 "${limit:-60}" bash lib/case.sh "$name"
	status=$?
	verdict=failed
	case $status in
	0) verdict=passed ;;
	77) verdict=skipped ;;
	124 | 137) echo "the case did not end within ${limit:-60} s" ;;
	esac
	if [ $verdict = failed ]; then
		bash lib/aftermath.sh
	fi
	echo "$token end $name $verdict $(echo "$(uptime_s) $start" | awk '{printf "%.1f", $1 - $2}')"
done
echo "$token all"
