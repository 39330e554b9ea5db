#!/bin/bash
# test/xen/run.sh - boots Debian's Xen under QEMU's software emulation and runs the cases in its Domain-0. `./dev test xen` calls it.
#
#   run.sh BUILD [--full] [CASE...]
#
# Each case is a script in cases/, run inside Domain-0; its head says what it proves, in which boot it takes part ("boot:"), how many
# seconds it may take ("limit:"), what Xen is told besides at that boot ("xen:"), and whether it is left out unless --full is given
# ("full") or its name ("only by name"). Cases of one boot run one after the other in one Domain-0, since a boot and a guest's start
# are dear under emulation.
#
# Owns     BUILD/xen: packages and images (packages.sh, images.sh), logs/<case>.log, logs/<boot>.console of the last run.
# Fails    exit 1: a case failed; 77: QEMU or a package is missing, said in one sentence; nothing has run then.
set -u
rig=$(dirname "$(readlink -f "$0")")
. "$rig/packages.sh"
. "$rig/images.sh"

build=${1:?the build folder}
shift
cache=$(readlink -f "$build")/xen
logs=$cache/logs
token=rig$RANDOM$RANDOM$RANDOM
full=no
# Two emulated machines at a time, where there are two processors and memory for them: XEN_JOBS=1 makes it one.
jobs=${XEN_JOBS:-$(($(nproc) > 1 ? 2 : 1))}
# Of one boot, in seconds: what may come before the first case and after the last.
boot_seconds=120

skip() {
	echo "skipped: $*"
	exit 77
}

# ---- cases ------------------------------------------------------------------------------------------------------------

case_names() {
	local file
	for file in "$rig"/cases/*.sh; do
		basename "$file" .sh
	done
}

case_key() { sed -n "s/^# $2: *//p" "$rig/cases/$1.sh"; }
case_takes_part() {
	! grep -q '^# only by name' "$rig/cases/$1.sh" && { [ $full = yes ] || ! grep -q '^# full' "$rig/cases/$1.sh"; }
}

# What Xen is told besides at the boot of these cases.
xen_words() {
	local name
	for name in "$@"; do
		case_key "$name" xen
	done | sort -u | tr '\n' ' '
}

# Those with most cases first: the shorter ones fill what time is left.
boots_of() {
	local name
	for name in "$@"; do
		case_key "$name" boot
	done | sort | uniq -c | sort -k1,1nr -k2 | awk '{print $2}'
}

cases_of_boot() {
	local boot=$1 name
	shift
	for name in "$@"; do
		[ "$(case_key "$name" boot)" = "$boot" ] && echo "$name"
	done
}

# ---- boots -------------------------------------------------------------------------------------------------------------

declare -A boot_pid=() boot_cases=() boot_until=() boot_shown=() # of each boot that runs

end_qemu() {
	kill -KILL "${boot_pid[$1]}" 2>/dev/null
	wait "${boot_pid[$1]}" 2>/dev/null
	unset "boot_pid[$1]"
}
end_all() {
	local boot
	for boot in "${!boot_pid[@]}"; do
		end_qemu "$boot"
	done
}
trap end_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Without SMAP: with it, a PV kernel's own IRET faults in QEMU 7.2. eager-fpu: with lazy switching, registers leak between vcpus in the
# emulator. One emulated processor: with two, PVH guests die early. Guests may still have several vcpus.
start_qemu() {
	local boot=$1 cases=$2 xen_arguments
	xen_arguments="console=com1 com1=115200,8n1 dom0_mem=704M,max:704M dom0_max_vcpus=1 loglvl=info guest_loglvl=info noreboot"
	xen_arguments+=" spec-ctrl=eager-fpu $3"
	setpriv --pdeathsig KILL qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max,-smap -m 1500M -smp 1 \
		-nodefaults -display none -no-reboot -serial "file:$logs/$boot.console" -serial "file:$logs/$boot.words" \
		-kernel "$cache/images/xen" -append "$xen_arguments" \
		-initrd "$cache/images/vmlinux console=hvc0 sluice.token=$token sluice.full=$full sluice.cases=$cases,$cache/images/domain0.cpio" \
		</dev/null >"$logs/$boot.qemu" 2>&1 &
	boot_pid[$boot]=$!
}

# The words of one case: what came between its begin and its end.
case_words() {
	awk -v begin="$token begin $2" -v end="$token end $2 " '
		index($0, end) == 1 { exit }
		inside
		$0 == begin { inside = 1 }' "$logs/$1.words"
}

# show_verdict BOOT CASE STATUS SECONDS: a line of the table; of a failed case also what it said last and where all of it is.
show_verdict() {
	local log=$logs/$2.log
	case_words "$1" "$2" >"$log"
	case $3 in
	passed) passed=$((passed + 1)) ;;
	skipped) skipped=$((skipped + 1)) ;;
	*) failed=$((failed + 1)) ;;
	esac
	printf '%-28s %-8s %6s\n' "$2" "$3" "$4"
	if [ "$3" = failed ]; then
		sed '/^---- /,$d' "$log" | grep -v '^ok: ' | tail -n 4 | sed 's/^/    /'
		echo "    its log is $log, the console of Domain-0 and Xen $logs/$1.console"
	elif [ "$3" = skipped ]; then
		grep '^skipped: ' "$log" | sed 's/^/    /'
	fi
}

# Shows the verdicts that have come since the last look.
show_verdicts() {
	local boot=$1 mark end name status seconds nr=0
	while read -r mark end name status seconds; do
		nr=$((nr + 1))
		[ $nr -gt "${boot_shown[$boot]}" ] && show_verdict "$boot" "$name" "$status" "$seconds"
	done < <(grep -a "^$token end .* [0-9.]*$" "$logs/$boot.words" 2>/dev/null)
	boot_shown[$boot]=$nr
}

# Nothing of what ran may have crashed, whatever the cases say.
check_console() {
	local faults
	faults=$(grep -a -m 3 -E 'segfault at|traps: |BUG: |Oops: |Kernel panic|Xen BUG|Assertion .* failed|general protection fault' \
		"$logs/$1.console")
	[ -n "$faults" ] || return 0
	echo "something crashed in boot $1:"
	sed 's/^/    /' <<<"$faults"
	echo "    the console is $logs/$1.console"
	failed=$((failed + 1))
}

begin_boot() {
	local boot=$1 limit=$boot_seconds name seconds
	shift
	rm -f "$logs/$boot".*
	for name in "$@"; do
		seconds=$(case_key "$name" limit)
		limit=$((limit + ${seconds:-60}))
		rm -f "$logs/$name.log"
	done
	boot_cases[$boot]="$*"
	boot_shown[$boot]=0
	boot_until[$boot]=$((SECONDS + limit))
	start_qemu "$boot" "$(tr ' ' + <<<"$*")" "$(xen_words "$@")"
}

# A look at a boot that runs; at its end, what it owes.
look_at_boot() {
	local boot=$1 name is_over=no
	kill -0 "${boot_pid[$boot]}" 2>/dev/null || is_over=yes
	if [ $is_over = no ] && [ $SECONDS -ge "${boot_until[$boot]}" ]; then
		echo "boot $boot does not end: ended by force"
		is_over=yes
	fi
	show_verdicts "$boot"
	[ $is_over = yes ] || return 0
	end_qemu "$boot"
	for name in ${boot_cases[$boot]}; do
		[ -e "$logs/$name.log" ] || show_verdict "$boot" "$name" failed -
	done
	check_console "$boot"
}

# run_boots BOOT...: as many at a time as there are processors for.
run_boots() {
	local boot
	while [ $# -gt 0 ] || [ ${#boot_pid[@]} -gt 0 ]; do
		while [ $# -gt 0 ] && [ ${#boot_pid[@]} -lt "$jobs" ]; do
			# shellcheck disable=SC2046
			begin_boot "$1" $(cases_of_boot "$1" "${chosen[@]}")
			shift
		done
		sleep 0.3
		for boot in "${!boot_pid[@]}"; do
			look_at_boot "$boot"
		done
	done
}

# ---- all of it --------------------------------------------------------------------------------------------------------

chosen=()
while [ $# -gt 0 ]; do
	case $1 in
	--full) full=yes ;;
	-*)
		echo "the Xen rig knows --full and names of cases, not '$1'" >&2
		exit 1
		;;
	*)
		if [ ! -f "$rig/cases/$1.sh" ]; then
			echo "the Xen rig has no case '$1'; its cases are: $(case_names | tr '\n' ' ')" >&2
			exit 1
		fi
		chosen+=("$1")
		;;
	esac
	shift
done
if [ ${#chosen[@]} -eq 0 ]; then
	for name in $(case_names); do
		case_takes_part "$name" && chosen+=("$name")
	done
fi

for tool in qemu-system-x86_64 cpio modprobe dpkg-deb apt-get ldd python3 tcpdump ethtool; do
	command -v $tool >/dev/null || skip "$tool is not installed: run ./dev deps"
done
passed=0 failed=0 skipped=0 start=$SECONDS
mkdir -p "$logs"
packages_prepare "$cache" xen_packages || skip "${packages_why:-the packages cannot be prepared in $cache}"
images_prepare "$cache" "$build" || {
	echo "$images_why"
	exit 1
}
echo "the images are made after $((SECONDS - start)) s"
printf '%-28s %-8s %6s\n' case result seconds
# shellcheck disable=SC2046
run_boots $(boots_of "${chosen[@]}")
bash "$rig/features.sh" "$logs" "${chosen[@]}"
echo "xen: $passed passed, $failed failed, $skipped skipped in $((SECONDS - start)) s"
[ $failed -eq 0 ] && [ $((passed + skipped)) -gt 0 ]
