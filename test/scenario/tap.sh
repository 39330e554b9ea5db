#!/bin/bash
# Ordinary programs over two netfronts: ping, iperf3, curl in two namespaces; TCP and UDP both ways, IPv6, jumbo frames; checksums
# and large frames in every combination of what the two ends take, verified by the receiving kernel.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_requires ping iperf3 curl nsenter python3 setpriv
scenario_begin sluiced
[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
[ -x "$SLUICE_BUILD/tools/sluice-netback" ] || skip "sluice-netback is not built here"
system_start sluice-netback || fail "sluice-netback"

pings() { in_ns 1 ping -c 1 -W 1 "$@" >/dev/null 2>&1; }

# Segments and datagrams that a namespace's kernel found damaged.
bad_checksums() {
	in_ns "$1" cat /proc/net/snmp /proc/net/snmp6 | awk '
		/^(Tcp|Udp):/ { if ($1 in at) { bad += $at[$1] } else for (i = 2; i <= NF; i++) if ($i == "InCsumErrors") at[$1] = i }
		/^(Udp6|Icmp6)InCsumErrors/ { bad += $2 } END { print bad + 0 }'
}

# serve N: a web server in namespace N, on both families.
serve() {
	nsenter --net="/proc/${tap_pid[$1]}/ns/net" python3 -m http.server 8000 --bind :: --directory "$system_dir/www" >/dev/null 2>&1 &
	system_pids+=($!)
	system_names+=("http$1")
	system_until 10 in_ns "$1" curl -s -o /dev/null --max-time 1 'http://[::1]:8000/' || fail "the web server of guest $1"
}
# fetches FROM NAMESPACE-OF-CLIENT: the file arrives whole over IPv4 and IPv6.
fetches() {
	local url
	for url in "http://10.9.0.$1:8000/file" "http://[fd09::$1]:8000/file"; do
		in_ns "$2" curl -s --max-time 60 -o "$system_dir/got" "$url" || return 1
		cmp -s "$system_dir/got" "$system_dir/www/file" || return 1
	done
}
both_ways() {
	serve 1
	serve 2
	fetches 1 2 || fail "$1: the file from guest 1 arrives whole"
	fetches 2 1 || fail "$1: the file from guest 2 arrives whole"
	system_stop http1
	system_stop http2
	[ "$(bad_checksums 1)$(bad_checksums 2)" = 00 ] || fail "$1: a receiver saw wrong checksums"
	holds "$1: files of $(stat -c %s "$system_dir/www/file") bytes are whole both ways, IPv4 and IPv6; no receiver saw a wrong checksum"
}

mkdir "$system_dir/www"
head -c 6000000 /dev/urandom >"$system_dir/www/file"

start_tap 1
start_tap 2
system_until 10 pings 10.9.0.2 || fail "ping"
system_until 10 pings fd09::2 || fail "ping over IPv6"
in_ns 1 ping -q -A -c 200 -s 1400 10.9.0.2 | grep -q ' 200 received' || fail "200 pings are answered"
in_ns 1 ping -q -A -c 20 -s 40000 fd09::2 | grep -q ' 20 received' || fail "20 large pings, in fragments, are answered"
holds "pings are answered, IPv4 and IPv6, whole and in fragments"
both_ways "offloads at both ends"

# iperf NAME OPTION...: a second of traffic between the guests; the JSON of the client must show bytes received.
iperf() {
	local name=$1 received
	shift
	run_iperf "$system_dir/iperf.json" -J -t 1 "$@" || fail "$name: $(tail -n 3 "$system_dir/iperf.json")"
	received=$(python3 -c 'import json,sys; e = json.load(open(sys.argv[1]))["end"]
print(int((e.get("sum_received") or e["sum"])["bytes"]))' "$system_dir/iperf.json")
	[ "$received" -gt 100000 ] || fail "$name: $received bytes were received"
	holds "iperf3: $name"
}
is_listening() { [ -n "$(in_ns 2 ss -Hltn 'sport = :5201')" ]; }
serve_iperf() {
	nsenter --net="/proc/${tap_pid[2]}/ns/net" iperf3 -s >/dev/null 2>&1 &
	system_pids+=($!)
	system_names+=(iperf3)
	system_until 10 is_listening || fail "iperf3 listens"
}
serve_iperf
iperf "TCP" -c 10.9.0.2
iperf "TCP, the other way" -c 10.9.0.2 -R
iperf "TCP over IPv6" -c fd09::2
iperf "TCP over IPv6, the other way" -c fd09::2 -R
iperf "UDP" -u -b 100M -c 10.9.0.2
iperf "UDP, the other way" -u -b 100M -c 10.9.0.2 -R
iperf "UDP over IPv6, datagrams of 8000 bytes in fragments" -u -b 100M -l 8000 -c fd09::2
system_stop iperf3

# An idle guest sleeps: how often it was woken in two seconds.
wakes() { awk '/^voluntary_ctxt/ { print $2 }' "/proc/${tap_pid[1]}/status"; }
sleep 1
before=$(wakes)
sleep 2
[ $(($(wakes) - before)) -lt 100 ] || fail "the idle guest woke $(($(wakes) - before)) times in 2 s"
holds "an idle guest sleeps"

end_tap 2
[ "$(tap_figure 2 net_dropped)" = 0 ] || fail "guest 2 dropped $(tap_figure 2 net_dropped) frames"
[ "$(tap_figure 2 net_tx_errors)" = 0 ] || fail "the back end refused $(tap_figure 2 net_tx_errors) slots"
[ "$(tap_figure 2 net_notifications)" -lt $(($(tap_figure 2 net_sent_packets) + $(tap_figure 2 net_received_packets))) ] || fail "a wake for each packet"
holds "no frame was refused; wakes: $(tap_figure 2 net_notifications) for $(tap_figure 2 net_sent_packets) sent and $(tap_figure 2 net_received_packets) received"
start_tap 2 --no-offload
system_until 10 pings fd09::2 || fail "ping"
both_ways "offloads at one end only"
end_tap 1
start_tap 1 --no-offload --slots 32
system_until 10 pings fd09::2 || fail "ping"
both_ways "no offloads, few slots"
end_tap 1
end_tap 2

# Two packet threads, each with queues of the same vif: what is for the other's queue is handed over.
lcores=0
[ "$(nproc --all)" -gt 1 ] && lcores=0-1
system_stop sluice-netback || fail "sluice-netback ends well"
system_start sluice-netback --lcores "$lcores" --stats-file "$system_dir/stats" || fail "sluice-netback --lcores $lcores"
netback_pid=${system_pids[-1]}
start_tap 1 --mtu 9000
start_tap 2 --mtu 9000 --queues 2 --hash
system_until 10 pings fd09::2 || fail "ping"
in_ns 1 ping -q -A -c 50 -M "do" -s 8972 10.9.0.2 | grep -q ' 50 received' || fail "jumbo pings are answered"
holds "frames of 9000 bytes cross whole"
both_ways "jumbo frames, two queues at one end"
serve_iperf
iperf "TCP in jumbo frames, four streams" -P 4 -c 10.9.0.2
system_stop iperf3
end_tap 2
[ "$(tap_figure 2 net_staging_pages)" -ge 1024 ] || fail "the back end keeps $(tap_figure 2 net_staging_pages) pages mapped, of two queues"
[ "$(tap_figure 2 net_hash)" = 1 ] || fail "the back end does not hash"
holds "all pages of two queues were staging grants, and frames were spread by their hash"

netback_counter() { awk -v name="$1" '$1 == name { print $2 }' "$system_dir/stats"; }
kill -USR1 "$netback_pid"
system_until 10 test -s "$system_dir/stats" || fail "counters"
is_counted() { [ "$(netback_counter worker.handed_over)" -gt 0 ] 2>/dev/null; }
[ $lcores = 0 ] || system_until 10 is_counted || fail "two packet threads hand nothing over"
[ "$(netback_counter worker.drop_handed_over)" = 0 ] || fail "$(netback_counter worker.drop_handed_over) packets had no room between two threads"
holds "of two packet threads, one handed the other $(netback_counter worker.handed_over) packets and woke it $(netback_counter worker.wakes) times"

# A command of its own, whose end ends the guest.
sluice create -q "$system_dir/g2.cfg" || fail "guest 2"
"$SLUICE_BUILD/tools/sluice-guest" --attach g2 --run-dir "$system_run_dir" tap 0 --address 10.9.0.2/24 -- ping -c 1 -W 5 10.9.0.1 >"$system_dir/log/command.log" ||
	fail "a command in the namespace"
grep -q '1 received' "$system_dir/log/command.log" || fail "the command's ping is answered"
system_until 10 is_gone g2 || fail "guest 2 is gone"
holds "a guest ends with its command"

# Mistakes. The sentence stands on the guest's console.
mistake() {
	local words=$1
	shift
	sluice create -q "$system_dir/g2.cfg" || fail "guest 2"
	"$@" "$SLUICE_BUILD/tools/sluice-guest" --attach g2 --run-dir "$system_run_dir" tap 0 "${bad[@]}" >"$system_dir/mistake" 2>&1 && fail "'${bad[*]}' succeeds"
	[ "$(grep -c '^error' "$system_dir/mistake")" -eq 1 ] || fail "one sentence, not: $(cat "$system_dir/mistake")"
	grep -q "^error.*$words" "$system_dir/mistake" || fail "'$words' is not in: $(cat "$system_dir/mistake")"
	system_until 10 is_gone g2 || fail "guest 2 is gone"
	holds "refused: $(grep '^error' "$system_dir/mistake")"
}
bad=()
mistake "needs root" setpriv --bounding-set=-sys_admin,-net_admin
bad=(--address 10.9.0.300/24)
mistake "is not an address"
bad=(--mtu 70000)
mistake "must be a number"
bad=(--queues)
mistake "no value"
bad=(--colour red)
mistake "not an option"
bad=(-- /no/such/program)
sluice create -q "$system_dir/g2.cfg" || fail "guest 2"
"$SLUICE_BUILD/tools/sluice-guest" --attach g2 --run-dir "$system_run_dir" tap 0 "${bad[@]}" >"$system_dir/mistake" 2>&1 && fail "a program that is not there"
grep -q "cannot be started" "$system_dir/mistake" || fail "a program that is not there: $(cat "$system_dir/mistake")"
system_until 10 is_gone g2 || fail "guest 2 is gone"
holds "refused: $(grep 'cannot be started' "$system_dir/mistake")"

# Without its back end the guest waits for another, and ends when it is told to.
system_stop sluice-netback
end_tap 1
holds "a guest whose back end is gone ends when it is told to"
expect_nothing_left "after all guests ended"
