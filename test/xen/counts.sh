#!/bin/bash
# test/xen/counts.sh - what a request and a packet cost Domain-0, by Linux's back ends and by ours: "name value unit" lines, then a table
# of the same. Runs the rig's case counts, whose progress goes to standard error.
#
# Reads    SLUICE_BUILD, the build folder.
# Fails    as run.sh does.
set -u
rig=$(dirname "$(readlink -f "$0")")
build=${SLUICE_BUILD:-build}
log=$(readlink -f "$build")/xen/logs/counts.log

bash "$rig/run.sh" "$build" counts >&2 || exit
awk '
	$1 != "figure" { next }
	$4 == "units" { units[$2, $3] = $5; next }
	{
		disk = $2 ~ /^(read|write)/
		printf "xen.%s.%s.%s %s %s\n", $2, $3, $4, $5, disk ? "per_request" : "per_packet"
		value[$2, $3, $4] = $5
		if (!(($2, $4) in seen)) { seen[$2, $4] = 1; if (!($2 in known)) { known[$2] = 1; loads[++nr] = $2 } }
	}
	END {
		n = split("copy_calls copied_pieces map_calls maps unmap_calls unmaps notifications events driver_calls", what)
		printf "\n%-16s %-7s %6s", "load", "by", "units"
		for (i = 1; i <= n; i++)
			printf " %13s", what[i]
		printf "\n"
		for (l = 1; l <= nr; l++)
			for (k = 1; k <= 2; k++) {
				kind = k == 1 ? "linux" : "sluice"
				printf "%-16s %-7s %6d", loads[l], kind, units[loads[l], kind]
				for (i = 1; i <= n; i++)
					printf " %13.2f", value[loads[l], kind, what[i]]
				printf "\n"
			}
	}' "$log"
