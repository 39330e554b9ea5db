# Xen lets Domain-0 map 256 pages in all: a disk that would keep more mapped copies instead, says so once, and no request fails.
# boot: quota
# xen: gnttab_max_maptrack_frames=1
# limit: 240
# full
backends sluice
image quota.img 8 >/dev/null
guest quota pv 1 "" "" "$(disk_of xvda /images/quota.img)" xen-blkfront
id=$(guest_domid quota)
in_guest quota 'dd if=/dev/urandom of=/tmp/w bs=1M count=4 2>/dev/null
for n in 0 1 2 3; do dd if=/tmp/w of=/dev/xvda bs=1M seek=$n skip=$n count=1 oflag=direct 2>/dev/null & done; wait
dmesg | grep -iE "i/o error|xvda.*error" && exit 1; true'
same "1 MiB requests, four at a time, are in the image" "$(ask quota 20 'md5sum </tmp/w | cut -d" " -f1')" \
	"$(dd if=/images/quota.img bs=1M count=4 2>/dev/null | md5sum | cut -d' ' -f1)"
in_guest quota 'echo 3 >/proc/sys/vm/drop_caches
for n in 0 1 2 3; do dd if=/dev/xvda of=/tmp/r$n bs=1M skip=$n count=1 iflag=direct 2>/dev/null & done; wait
cat /tmp/r0 /tmp/r1 /tmp/r2 /tmp/r3 | cmp - /tmp/w'
holds "and come back"
grep "vbd $id/51712: connected" "$RIG_KEEP/sluice-blkback.log" | tail -n 1
same "sluice-blkback says once what is short" 1 "$(grep -c 'gnttab_max_maptrack_frames' "$RIG_KEEP/sluice-blkback.log")"
echo "$(program_counter sluice-blkback hv.copy_segments) pieces were copied, $(program_counter sluice-blkback hv.map_refs) pages mapped"
[ "$(program_counter sluice-blkback hv.copy_segments)" -gt 256 ] || fail "nothing was copied"
holds "what has no room is copied"
guest_destroy quota
expect_nothing_left "$id" "when it is destroyed"
