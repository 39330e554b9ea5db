#!/bin/bash
# A domain's life by sluice's commands: create, list, pause, unpause, console, shutdown, destroy; what they print is xl's.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_begin sluiced

idle() { sluice create -q examples/idle.cfg "$guest_kernel" "vif=[]" 'extra="idle"' "$@"; }
state_of() { sluice list "$1" | awk 'NR == 2 { print $(NF - 1) }'; }

sluice list | head -n 1 | grep -qP '^Name                                        ID   Mem VCPUs\tState\tTime\(s\)$' || fail "list's heading is not xl's"
sluice list | sed -n 2p | grep -qE '^Domain-0 +0 +[0-9]+ +[0-9]+ +r-----  +[0-9]+\.[0-9]$' || fail "list: $(sluice list)"
holds "sluice list shows Domain-0 in xl's columns"

idle || fail "create"
says_ready() { grep -qs '^ready' "$(guest_log idle)" 2>/dev/null; }
system_until 10 says_ready || fail "the guest's console log says what it says"
domid=$(sluice domid idle)
[ "$(sluice domname "$domid")" = idle ] || fail "domname"
sluice list idle | sed -n 2p | grep -qE '^idle +[0-9]+ +16 +1 +[r-][b-]---- ' || fail "list: $(sluice list)"
[ "$(xenstore-read "/local/domain/$domid/name")" = idle ] || fail "the store has the name"
holds "a created guest is listed, named, numbered and logged"

sluice pause idle && [[ $(state_of idle) == ??p--- ]] || fail "pause: $(state_of idle)"
sluice unpause idle && [[ $(state_of idle) == ??---- ]] || fail "unpause: $(state_of idle)"
holds "pause and unpause show in the state"

sluice create -q -p examples/idle.cfg "$guest_kernel" "vif=[]" 'extra="idle"' 'name="waiting"' || fail "create -p"
[[ $(state_of waiting) == ??p--- ]] || fail "create -p leaves it paused: $(state_of waiting)"
sluice unpause waiting || fail "unpause after create -p"
system_until 10 grep -qs '^ready' "$(guest_log waiting)" || fail "it runs once unpaused"
sluice destroy waiting || fail "destroy"
is_gone waiting || fail "a destroyed domain is gone when destroy returns"
holds "create -p, unpause, destroy"

timeout 20 "${cli[@]}" --run-dir "$system_run_dir" shutdown -w idle >"$system_dir/shutdown" || fail "shutdown -w"
grep -q "^Shutting down domain $domid" "$system_dir/shutdown" || fail "shutdown says: $(cat "$system_dir/shutdown")"
is_gone idle || fail "the domain is gone after shutdown -w"
holds "shutdown -w waits for the end"

sluice create -q -F examples/idle.cfg "$guest_kernel" "vif=[]" 'extra="idle"' 'name="front"' >"$system_dir/front" &
front=$!
system_until 10 grep -qs '^ready' "$(guest_log front)" || fail "create -F starts it"
sluice shutdown front >/dev/null
system_gone $front 10 || fail "create -F ends with the domain"
wait $front || fail "create -F exits 0 after a power-off: $(cat "$system_dir/front")"
grep -q 'poweroff' "$system_dir/front" || fail "create -F says the reason: $(cat "$system_dir/front")"
is_gone front || fail "its domain is gone"
sluice create -q -F examples/idle.cfg "$guest_kernel" "vif=[]" 'extra="idle"' 'name="bad"' 'extra="no-such-command"' >"$system_dir/bad" && fail "create -F exits 0 after a crash"
grep -q 'crash' "$system_dir/bad" || fail "create -F says the reason: $(cat "$system_dir/bad")"
holds "create -F stays, says why the domain ended, and exits 0 for a power-off only"

sluice create -q -c examples/idle.cfg "$guest_kernel" "vif=[]" 'extra="idle"' 'name="talk"' >"$system_dir/talk" </dev/null &
talk=$!
system_until 10 grep -qs '^ready' "$system_dir/talk" || fail "create -c prints the console: $(cat "$system_dir/talk")"
sluice shutdown -w talk >/dev/null
system_gone $talk 10 || fail "the console ends with its domain"
holds "create -c shows the console until the domain ends"

# A domain without a program: a process of the host becomes it, and its end is the domain's.
attach() { "$system_build/tools/sluice-guest" --attach "$1" --run-dir "$system_run_dir" idle >"$system_dir/attached" 2>&1; }
printf 'name="empty"\nmemory=16\nkernel=""\n' >"$system_dir/empty.cfg"
sluice create -q "$system_dir/empty.cfg" || fail "create without a program"
attach nobody && fail "attaching to no domain succeeds"
grep -q "there is no domain 'nobody'" "$system_dir/attached" || fail "attaching to no domain: $(cat "$system_dir/attached")"
attach empty &
attached=$!
system_until 10 grep -qs '^ready' "$(guest_log empty)" || fail "the attached process is the guest: $(cat "$system_dir/attached")"
"$system_build/tools/sluice-guest" --attach empty --run-dir "$system_run_dir" idle 2>"$system_dir/second" && fail "two processes are one domain"
grep -q "runs already" "$system_dir/second" || fail "a second process: $(cat "$system_dir/second")"
timeout 20 "${cli[@]}" --run-dir "$system_run_dir" shutdown -w empty >/dev/null || fail "shutdown of an attached guest"
wait "$attached" || fail "the attached process ends well: $(cat "$system_dir/attached")"
is_gone empty || fail "the domain of an attached process is gone with it"
holds "a process attaches to a domain without a program"

# On a terminal: raw while attached, Ctrl-] leaves, and the terminal is as it was.
if script -qec true /dev/null >/dev/null 2>&1; then
	sluice create -q examples/idle.cfg "$guest_kernel" "vif=[]" 'extra="idle"' 'name="tty"' || fail "a guest for the terminal"
	cat >"$system_dir/tty.sh" <<END
stty -a >"$system_dir/tty.before"
"${cli[0]}" --run-dir "$system_run_dir" console tty
echo \$? >"$system_dir/tty.status"
stty -a >"$system_dir/tty.after"
END
	(
		for i in $(seq 100); do
			sleep .1
			[ -s "$system_dir/tty.status" ] && break
			printf '\035'
		done
	) | timeout 20 script -qec "bash $system_dir/tty.sh" /dev/null >/dev/null 2>&1
	[ "$(cat "$system_dir/tty.status" 2>/dev/null)" = 0 ] || fail "Ctrl-] leaves the console"
	cmp "$system_dir/tty.before" "$system_dir/tty.after" || fail "the terminal is as it was"
	sluice destroy tty
	holds "console: Ctrl-] leaves, and the terminal is as it was"
fi

sluice info | grep -qE '^nr_cpus +: [1-9]' && sluice info | grep -qE '^xen_version +: [0-9]+\.[0-9]+' || fail "info: $(sluice info)"
sluice dmesg >/dev/null || fail "dmesg"
holds "info and dmesg"

expect_nothing_left "after all of this"
