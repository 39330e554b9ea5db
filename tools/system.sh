# tools/system.sh - one private Sluice system: its run directory, daemons, guests, and their end. Sourced by the demo and by
# the scenario tests.
#
#   system_begin; system_start sluiced; system_start sluice-blkback --engine libaio; sluice create ...; system_end
#
# Owns     $system_dir and every process started here, each known by its id.
# Fails    system_start: non-zero, and the program's last words on standard error.

system_build=${SLUICE_BUILD:-build}
system_dir=''
system_run_dir=''
system_pids=()  # of daemons, in the order of their start
system_names=()
system_job=''   # what system_run waits for
system_mounts=() # mount points inside $system_dir

system_begin() {
	system_dir=$(mktemp -d "${TMPDIR:-/tmp}/sluice.XXXXXX") || return 1
	system_run_dir=$system_dir/run
	mkdir -p "$system_run_dir" "$system_dir/log"
	export XENSTORED_PATH=$system_run_dir/xenstored
}

sluice() {
	"$system_build/tools/sluice" --run-dir "$system_run_dir" "$@"
}

# system_start PROGRAM OPTION...: starts a daemon and waits until it serves. Its words go to log/PROGRAM.log; its id is in $system_pid.
system_start() {
	local program=$1 ready=$system_dir/ready.$RANDOM log=$system_dir/log/$1.log line
	shift
	mkfifo "$ready" || return 1
	"$system_build/tools/$program" --run-dir "$system_run_dir" --ready-fd 9 "$@" 9>"$ready" </dev/null >>"$log" 2>&1 &
	system_pid=$!
	system_pids+=("$system_pid")
	system_names+=("$program")
	# End of file instead of a line: it ended, or closed the descriptor without being ready.
	if read -r -t 30 line <"$ready"; then
		rm -f "$ready"
		return 0
	fi
	rm -f "$ready"
	tail -n 3 "$log" >&2
	echo "$program did not start" >&2
	return 1
}

# system_gone PID SECONDS: waits for a process to end; false when it is still there.
system_gone() {
	local i
	for ((i = 0; i < $2 * 20; i++)); do
		kill -0 "$1" 2>/dev/null || return 0
		# A child that has ended but was not waited for yet.
		case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) in
		Z* | '') return 0 ;;
		esac
		sleep .05
	done
	return 1
}

# system_stop PROGRAM [SIGNAL]: ends the daemon of that name; its exit status.
system_stop() {
	local i pid status
	for i in "${!system_pids[@]}"; do
		[ "${system_names[i]}" = "$1" ] || continue
		pid=${system_pids[i]}
		unset "system_pids[i]" "system_names[i]"
		kill "-${2:-TERM}" "$pid" 2>/dev/null
		if ! system_gone "$pid" 10; then
			echo "$1 (process $pid) does not end when asked" >&2
			kill -KILL "$pid" 2>/dev/null
		fi
		wait "$pid" 2>/dev/null
		status=$?
		return $status
	done
	return 1
}

# Processes that descend from the given ones: guests, mostly.
system_descendants() {
	local pid children
	for pid in "$@"; do
		children=$(cat "/proc/$pid/task/"*/children 2>/dev/null) || continue
		[ -n "$children" ] || continue
		# shellcheck disable=SC2086
		echo $children
		# shellcheck disable=SC2086
		system_descendants $children
	done
}

# Runs a command that may take long, so that a signal to this shell is acted upon at once.
system_run() {
	local status
	"$@" &
	system_job=$!
	wait "$system_job"
	status=$?
	system_job=''
	return $status
}

# Ends everything, back ends first. False when something had to be forced or stayed behind.
system_end() {
	local i pid left=0 guests order
	[ -n "$system_dir" ] || return 0
	if [ -n "$system_job" ]; then
		kill "$system_job" 2>/dev/null
		wait "$system_job" 2>/dev/null
		system_job=''
	fi
	# shellcheck disable=SC2046
	guests=$(system_descendants "${system_pids[@]}")
	order=("${!system_pids[@]}")
	for ((i = ${#order[@]} - 1; i >= 0; i--)); do
		pid=${system_pids[order[i]]}
		kill -TERM "$pid" 2>/dev/null
		if ! system_gone "$pid" 5; then
			echo "process $pid does not end when asked" >&2
			kill -KILL "$pid" 2>/dev/null
			left=1
		fi
		wait "$pid" 2>/dev/null
	done
	for pid in $guests; do
		if ! system_gone "$pid" 2; then
			echo "process $pid was left behind: $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)" >&2
			kill -KILL "$pid" 2>/dev/null
			left=1
		fi
	done
	system_pids=() system_names=()
	for i in "${system_mounts[@]}"; do
		umount "$i" || left=1
	done
	system_mounts=()
	rm -rf --one-file-system "$system_dir"
	system_dir=''
	return $left
}

# system_connected TYPE DOMAIN-NAME DEVID: are both ends in state Connected?
system_connected() {
	local domid
	domid=$(sluice domid "$2" 2>/dev/null) &&
		[ "$(xenstore-read "/local/domain/$domid/device/$1/$3/state" "/local/domain/0/backend/$1/$domid/$3/state" 2>/dev/null |
			tr '\n' ' ')" = "4 4 " ]
}

# system_until SECONDS COMMAND...: repeats the command until it succeeds.
system_until() {
	local i seconds=$1
	shift
	for ((i = 0; i < seconds * 20; i++)); do
		"$@" && return 0
		sleep .05
	done
	return 1
}

# system_padded FILE IMAGE: a copy of FILE as a disk: whole sectors.
system_padded() {
	cp "$1" "$2" && truncate -s %512 "$2"
}
