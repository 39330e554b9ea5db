# test/lib/scenario.sh - what scenario tests share. Each test is a bash script that sources this, calls scenario_begin, says with
# `holds` what it has seen to be so, and ends; leftover processes fail it.
#
# Environment: SLUICE_BUILD, SLUICE_SOURCE (set by meson).

: "${SLUICE_BUILD:?the build folder}" "${SLUICE_SOURCE:?the source folder}"
cd "$SLUICE_SOURCE" || exit 1
. tools/system.sh
guest_kernel="kernel=\"$SLUICE_BUILD/tools/sluice-guest\""
said=0

# scenario_requires COMMAND...: without them the test is skipped.
scenario_requires() {
	local command
	for command in "$@"; do
		command -v "$command" >/dev/null || skip "$command is not installed"
	done
}

skip() {
	echo "skipped: $*"
	exit 77
}

holds() {
	said=$((said + 1))
	echo "ok: $*"
}

fail() {
	local log
	echo "FAILED: $*" >&2
	for log in "$system_dir"/log/*.log "$system_run_dir"/log/*.log; do
		[ -s "$log" ] || continue
		echo "---- ${log##*/}" >&2
		tail -n 15 "$log" >&2
	done
	exit 1
}

scenario_finish() {
	local status=$?
	trap '' INT TERM
	if ! system_end; then
		echo "FAILED: something was left behind" >&2
		[ $status -eq 0 ] && status=1
	fi
	[ $status -ne 0 ] || [ $said -gt 0 ] || {
		echo "FAILED: the test said nothing" >&2
		status=1
	}
	exit $status
}

# scenario_begin PROGRAM...: a private system with these daemons.
scenario_begin() {
	local program
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	scenario_requires xenstore-read xenstore-ls
	trap scenario_finish EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	system_begin || exit 1
	for program in "$@"; do
		[ -x "$SLUICE_BUILD/tools/$program" ] || skip "$program is not built here"
		system_start "$program" || fail "$program did not start"
	done
}

# refuses WORDS COMMAND...: the command fails, within 30 s, with exactly one sentence, and WORDS are in it.
refuses() {
	local words=$1 status=0 lines said_to=$system_dir/refused.$BASHPID
	shift
	timeout 30 "$@" >"$said_to.out" 2>"$said_to" </dev/null || status=$?
	[ $status -ne 0 ] || fail "'$*' should fail, about: $words"
	[ $status -ne 124 ] || fail "'$*' hangs"
	[ $status -lt 128 ] || fail "'$*' died of a signal ($status)"
	lines=$(grep -c . "$said_to")
	[ "$lines" -eq 1 ] || fail "'$*' should say one sentence, not $lines: $(cat "$said_to")"
	grep -qF -- "$words" "$said_to" || fail "'$*' should speak of '$words', not: $(cat "$said_to")"
	holds "refused: $(cat "$said_to")"
}

# The program itself: a function cannot be run by timeout.
cli=("$SLUICE_BUILD/tools/sluice")
in_system() { "${cli[@]}" --run-dir "$system_run_dir" "$@"; }

refuses_create() {
	local words=$1
	shift
	refuses "$words" "${cli[@]}" --run-dir "$system_run_dir" create -q "$@"
}

# No domain but Domain-0, no device nodes at either end.
nothing_left_of_domains() {
	local listed nodes
	listed=$(sluice list | tail -n +3)
	[ -z "$listed" ] || return 1
	nodes=$(xenstore-ls -f /local/domain 2>/dev/null | grep -v '^/local/domain/0\b' | grep -v '^/local/domain = ')
	[ -z "$nodes" ] || return 1
	nodes=$(xenstore-ls -f /local/domain/0/backend 2>/dev/null | grep -E '^/local/domain/0/backend/v(if|bd)/[0-9]+(/| =)')
	[ -z "$nodes" ] || return 1
	nodes=$(xenstore-ls -f /vm 2>/dev/null | grep -E '^/vm/[0-9a-f-]{36}')
	[ -z "$nodes" ]
}

expect_nothing_left() {
	system_until 10 nothing_left_of_domains || {
		sluice list >&2
		xenstore-ls -f >&2
		fail "domains or nodes were left behind $*"
	}
	holds "no domain and no node is left $*"
}

guest_log() { echo "$system_run_dir/log/guest-$1.log"; }
is_connected() { system_connected "$@"; }
is_gone() { ! sluice domid "$1" >/dev/null 2>&1; }

# The guest's process: the child of sluiced that belongs to the domain. $1: sluiced's id; all of its descendants.
guest_pids() { system_descendants "$1"; }

# ---- guests that are a TAP of their own network namespace (sluice-guest tap): guest gN has the addresses 10.9.0.N and fd09::N -----------

# run_iperf OUT ARGUMENT...: in guest 1. A server that ends one test resets whoever has come for the next already: then again.
run_iperf() {
	local out=$1 try
	shift
	for try in 1 2 3; do
		in_ns 1 iperf3 "$@" >"$out" 2>"$out.err" && return
		cat "$out.err" >>"$out"
		grep -q 'control message' "$out" || return 1
		sleep 0.5
	done
	return 1
}

tap_pid=()
# create_tap N: the domain, of g<N>.cfg, with one vif.
create_tap() {
	printf 'name="g%s"\nkernel=""\nmemory=32\nvif=["mac=00:16:3e:00:00:0%s"]\n' "$1" "$1" >"$system_dir/g$1.cfg"
	sluice create -q "$system_dir/g$1.cfg" || fail "guest $1"
}
# start_tap N OPTION...: returns when it is connected. Its log, with its figures, is log/tap<N>.log.
start_tap() {
	local n=$1
	shift
	create_tap "$n"
	"$SLUICE_BUILD/tools/sluice-guest" --attach "g$n" --run-dir "$system_run_dir" tap 0 --address "10.9.0.$n/24" --address "fd09::$n/64" "$@" \
		>"$system_dir/log/tap$n.log" 2>&1 &
	tap_pid[n]=$!
	system_until 20 grep -q '^ready' "$system_dir/log/tap$n.log" || fail "tap $n is ready"
}
end_tap() {
	sluice shutdown "g$1" >/dev/null || fail "shutdown of guest $1"
	wait "${tap_pid[$1]}" || fail "tap $1 ends well"
	system_until 10 is_gone "g$1" || fail "guest $1 is gone"
}
in_ns() { nsenter --net="/proc/${tap_pid[$1]}/ns/net" "${@:2}"; }
# tap_figure N NAME: of the figures that a guest says at its end.
tap_figure() { awk -v name="$2" '$1 == name { print $2 }' "$system_dir/log/tap$1.log"; }

# ---- captures and mirrors in the background

# begins NAME ARGUMENT...: a capture or a mirror in the background; it looks on when this returns.
declare -A capture_job
begins() {
	local name=$1
	shift
	"${cli[@]}" --run-dir "$system_run_dir" "$@" </dev/null 2>"$system_dir/$name.said" &
	capture_job[$name]=$!
}
looks_on() {
	[ "$(grep -cE ": a (capture|mirror) begins" "$system_dir/log/sluice-netback.log")" -ge "$1" ]
}
# ends NAME WORDS: it ends when asked, well, and says WORDS.
ends() {
	kill -INT "${capture_job[$1]}"
	wait "${capture_job[$1]}" || fail "$1 ends well: $(cat "$system_dir/$1.said")"
	grep -qF -- "$2" "$system_dir/$1.said" || fail "$1 should say '$2', not: $(cat "$system_dir/$1.said")"
	holds "$1: $(cat "$system_dir/$1.said")"
}
counted() { tcpdump -nr "$@" 2>/dev/null | wc -l; }
