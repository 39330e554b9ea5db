#!/bin/bash
# Every man page passes mandoc's own checks, and every program has one.
cd "$1" || exit 1
command -v mandoc >/dev/null || { echo "skipped: mandoc is not installed"; exit 77; }
status=0
for page in docs/man/*.8; do
	out=$(mandoc -T lint -W warning "$page" 2>&1) || { echo "$out"; status=1; }
done
for program in sluiced sluice sluice-netback sluice-blkback sluice-guest; do
	[ -f "docs/man/$program.8" ] || { echo "$program has no man page"; status=1; }
done
exit $status
