#!/bin/bash
# An idle system, two guests with a vif and a vbd each connected, uses under 1 % of a core over 5 s.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_begin sluiced sluice-netback sluice-blkback

for n in 1 2; do
	truncate -s 4M "$system_dir/$n.img"
	sluice create -q examples/idle.cfg "$guest_kernel" "name=\"idle$n\"" 'extra="idle 0 xvda"' \
		"disk=['format=raw,vdev=xvda,access=rw,target=$system_dir/$n.img']" || fail "guest $n"
	system_until 10 is_connected vif "idle$n" 0 || fail "its vif connects"
	system_until 10 is_connected vbd "idle$n" 51712 || fail "its disk connects"
done
# utime and stime, in ticks, of every process of the system; the name in parentheses may hold blanks.
ticks() {
	local pid sum=0 line
	# shellcheck disable=SC2046
	for pid in "${system_pids[@]}" $(system_descendants "${system_pids[@]}"); do
		line=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null) || continue
		# shellcheck disable=SC2086
		set -- $line
		sum=$((sum + ${12} + ${13}))
	done
	echo $sum
}
sleep 1 # connecting is over
before=$(ticks)
sleep 5
used=$(($(ticks) - before))
hertz=$(getconf CLK_TCK)
echo "used $used ticks of 1/$hertz s in 5 s"
# 1 % of 5 s is 5 ticks of 1/100 s.
[ $used -le $((5 * hertz / 100)) ] || fail "the idle system used $((used * 1000 / hertz / 5)) ms of CPU a second"
holds "the idle system uses under 1 % of a core"
sluice destroy idle1 idle2
expect_nothing_left "afterwards"
