#!/bin/bash
# test/xen/domain0/lib/case.sh CASE - one case in a shell of its own. Exit 0: it said something with
# `holds` and nothing failed; 77: skipped.
set -u
cd /rig || exit 1
for part in verdict backends guests checks; do
	. "lib/$part.sh"
done
. "cases/$1.sh"
verdict_end
