# xenstored is replaced by another while it runs (xenstore-control live-update): both back ends go on, and see what comes after.
# boot: bad
# limit: 240
backends sluice
usual_guest pv1
image c.img 4 >/dev/null
store=$(cat /run/xenstored.pid)
cp -L "/proc/$store/exe" /tmp/xenstored-next
echo "it answers: $(xenstore-control live-update /tmp/xenstored-next 2>&1)"
expect "another program is xenstored" until_true 20 eval "[ \$(readlink /proc/$store/exe) = /tmp/xenstored-next ]"
expect "it answers" until_true 20 xenstore-exists /local/domain/0
for program in sluice-blkback sluice-netback; do
	program_runs $program || fail "$program has ended: $(tail -n 3 "$RIG_KEEP/$program.log")"
done
holds "both back ends go on"
id=$(guest_domid pv1)
xl block-attach pv1 "$(disk_of xvdb /images/c.img)" || fail "xl block-attach fails"
in_guest pv1 'n=0; while [ ! -b /dev/xvdb ] && [ $n -lt 100 ]; do usleep 50000; n=$((n + 1)); done'
same "a disk attached after it is read" "$(md5_of /images/c.img)" "$(ask pv1 30 'md5sum </dev/xvdb | cut -d" " -f1')"
xl block-detach pv1 xvdb || fail "xl block-detach fails"
expect "detached, it leaves no node" until_true 10 eval "! xenstore-exists /local/domain/0/backend/vbd/$id/51728"
check_ping pv1 $bridge_address 56 5
