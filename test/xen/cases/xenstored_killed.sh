# xenstored is killed under both back ends: each says so in one sentence, and ends.
# boot: bad
# limit: 120
# The last case of its boot: nothing but a reboot brings a Domain-0's store back.
backends sluice
kill -KILL "$(cat /run/xenstored.pid)"
for program in sluice-blkback sluice-netback; do
	until_true 30 eval "! program_runs $program" || fail "$program goes on without a store: $(tail -n 3 "$RIG_KEEP/$program.log")"
	same "$program says it once" 1 "$(grep -c 'xenstored is gone' "$RIG_KEEP/$program.log")"
	holds "and ends: $(grep 'xenstored is gone' "$RIG_KEEP/$program.log")"
done
rm -f "$RIG_KEEP/backends"
