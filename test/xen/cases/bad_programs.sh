# Back ends that cannot do their work say why in one sentence, and end.
# boot: bad
# limit: 240
backends sluice

# refused WORDS COMMAND...: fails within 20 s with one sentence about WORDS.
refused() {
	local words=$1 status lines
	shift
	timeout 20 "$@" >"$RIG_KEEP/refused" 2>&1 </dev/null
	status=$?
	lines=$(grep -c . "$RIG_KEEP/refused")
	[ $status -ne 0 ] && [ $status -lt 124 ] || fail "'$*' ended with $status: $(cat "$RIG_KEEP/refused")"
	[ "$lines" -eq 1 ] || fail "'$*' should say one sentence, not $lines: $(cat "$RIG_KEEP/refused")"
	grep -q "$words" "$RIG_KEEP/refused" || fail "'$*' should speak of '$words', not: $(cat "$RIG_KEEP/refused")"
	holds "refused: $(cat "$RIG_KEEP/refused")"
}

for program in sluice-blkback sluice-netback; do
	refused '/dev/xen' setpriv --reuid 65534 --clear-groups $program --hv xen
	# Without its device nodes the kernel is no Domain-0's; the shell in between has a /dev of its own.
	refused '/dev/xen' unshare -m sh -c "mount -t tmpfs none /dev/xen && exec $program --hv xen"
	# The socket is refused, and the kernel's way to the store with it.
	refused 'store' unshare -m sh -c "mount -t tmpfs none /run/xenstored && mount --bind /dev/null /dev/xen/xenbus && exec $program --hv xen"
done
