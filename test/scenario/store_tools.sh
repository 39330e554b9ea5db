#!/bin/bash
# The stock store programs of Debian's xenstore-utils work against sluiced.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_requires xenstore-write xenstore-rm xenstore-list xenstore-exists xenstore-watch xenstore-chmod
scenario_begin sluiced

xenstore-write /tool/test/a 1 /tool/test/b "two words" || fail "xenstore-write"
[ "$(xenstore-read /tool/test/a)" = 1 ] && [ "$(xenstore-read /tool/test/b)" = "two words" ] || fail "xenstore-read gives what was written"
holds "xenstore-read gives what xenstore-write wrote"

[ "$(xenstore-list /tool/test | sort | tr '\n' ' ')" = "a b " ] || fail "xenstore-list"
xenstore-ls -f /tool/test | grep -q '^/tool/test/b = "two words"$' || fail "xenstore-ls"
holds "xenstore-list and xenstore-ls show the tree"

xenstore-chmod /tool/test/a r0 || fail "xenstore-chmod"
xenstore-ls -p /tool/test | grep -q 'a = "1".*(r0)' || fail "permissions: $(xenstore-ls -p /tool/test)"
holds "xenstore-chmod sets permissions that xenstore-ls -p shows"

xenstore-watch -n 2 /tool/watched >"$system_dir/watched" 2>&1 &
watcher=$!
saw_first() { [ -s "$system_dir/watched" ]; }
system_until 10 saw_first || fail "a new watch fires once"
xenstore-write /tool/watched/x 1
system_gone $watcher 10 || { kill $watcher; fail "a watch fires for a child: $(cat "$system_dir/watched")"; }
[ "$(tr '\n' ' ' <"$system_dir/watched")" = "/tool/watched /tool/watched/x " ] || fail "watch events: $(cat "$system_dir/watched")"
holds "xenstore-watch sees its first event and the change"

xenstore-exists /tool/test/a || fail "xenstore-exists"
xenstore-rm /tool/test || fail "xenstore-rm"
xenstore-exists /tool/test/a && fail "a removed node exists"
xenstore-read /tool/test/a 2>/dev/null && fail "a removed node can be read"
holds "xenstore-rm removes a folder"

big=$(head -c 4096 /dev/zero | tr '\0' x)
xenstore-write /tool/big "$big" 2>/dev/null && fail "a value beyond the wire's limit is taken"
[ "$(xenstore-read /tool/test2 2>&1 | grep -c .)" = 1 ] || fail "an error is reported"
xenstore-write /tool/test2 ok && [ "$(xenstore-read /tool/test2)" = ok ] || fail "the store goes on after a refused write"
holds "a value beyond the limit is refused and the store goes on"

for i in $(seq 20); do
	xenstore-write "/tool/many/$i" "$i" &
done
wait %% 2>/dev/null
system_until 10 eval '[ "$(xenstore-list /tool/many 2>/dev/null | wc -l)" = 20 ]' || fail "twenty writers at once"
holds "twenty clients at once"
