# test/xen/domain0/lib/backends.sh - who serves the guests' devices: our programs, or Linux's modules. One kind at a time, since each
# would answer for every device of its type. A kind that is up stays up for the next case.
#
# Owns     $RIG_KEEP/backends (the kind and its options), $RIG_KEEP/<program>.{pid,log}.

# program_start PROGRAM OPTION...: waits until it serves; what it says goes to $RIG_KEEP/PROGRAM.log.
program_start() {
	local program=$1 ready=$RIG_KEEP/$1.ready line
	shift
	rm -f "$ready"
	mkfifo "$ready"
	setsid "$program" --ready-fd 9 --stats-file "$RIG_KEEP/$program.stats" "$@" 9>"$ready" </dev/null >>"$RIG_KEEP/$program.log" 2>&1 &
	echo $! >"$RIG_KEEP/$program.pid"
	disown
	if ! read -r -t 30 line <"$ready"; then
		tail -n 5 "$RIG_KEEP/$program.log"
		return 1
	fi
}

program_pid() { cat "$RIG_KEEP/$1.pid" 2>/dev/null; }
program_runs() { kill -0 "$(program_pid "$1")" 2>/dev/null; }

# program_stop PROGRAM [SIGNAL]: waits until it is gone.
program_stop() {
	program_runs "$1" || return 0
	kill "-${2:-TERM}" "$(program_pid "$1")"
	until_true 20 eval "! program_runs $1" || {
		kill -KILL "$(program_pid "$1")"
		echo "$1 does not end when asked"
		return 1
	}
}

# program_counter PROGRAM NAME: of its counters, as they are now.
program_counter() {
	rm -f "$RIG_KEEP/$1.stats"
	kill -USR1 "$(program_pid "$1")"
	until_true 5 test -s "$RIG_KEEP/$1.stats" || return 1
	awk -v name="$2" '$1 == name {print $2}' "$RIG_KEEP/$1.stats"
}

bridge_address=10.9.0.1

# The Linux bridge that has Domain-0's address.
linux_bridge_up() {
	ip link show xenbr0 >/dev/null 2>&1 && return
	ip link add xenbr0 type bridge
	ip addr add $bridge_address/24 dev xenbr0
	ip link set xenbr0 up
}

# The host's end of the TAP port of our bridge has Domain-0's address, or is a port of the Linux bridge.
tap_up() {
	until_true 10 test -e /sys/class/net/tap0 || return 1
	ip link set tap0 address 02:00:00:00:00:01 # the next TAP is no stranger to the guests
	if [ "${1:-}" = bridged ]; then
		linux_bridge_up
		ip link set tap0 master xenbr0
	else
		ip addr replace $bridge_address/24 dev tap0
	fi
	ip link set tap0 up
}

backends_down() {
	case $(cat "$RIG_KEEP/backends" 2>/dev/null) in
	sluice*)
		program_stop sluice-netback
		program_stop sluice-blkback
		;;
	linux) rmmod xen-netback xen-blkback 2>/dev/null ;;
	esac
	ip link del xenbr0 2>/dev/null
	rm -f "$RIG_KEEP/backends"
}

# backends linux | backends sluice [bridged|large]: those are up afterwards; guests of another kind are gone.
# bridged: our TAP port, DPDK's, is plugged into a Linux bridge; large: it is our own, on which large frames cross in one piece.
# A vif may have two queues in each, though Domain-0 has one processor.
backends() {
	local want="$*" port
	if [ "$(cat "$RIG_KEEP/backends" 2>/dev/null)" = "$want" ] &&
		{ [ "$1" = linux ] || program_runs sluice-blkback && program_runs sluice-netback; }; then
		return
	fi
	guests_down
	backends_down
	case $1 in
	linux)
		modprobe xen-netback && modprobe xen-blkback || fail "Linux's back ends cannot be loaded"
		linux_bridge_up
		;;
	sluice)
		program_start sluice-blkback || fail "sluice-blkback does not start"
		port=net_tap0,iface=tap0
		[ "${2:-}" != large ] || port=tap:tap0
		program_start sluice-netback --port $port --queues 2 || fail "sluice-netback does not start"
		tap_up "${2:-}" || fail "sluice-netback made no TAP"
		;;
	esac
	echo "$want" >"$RIG_KEEP/backends"
}
