# A PV and a PVH guest at once, served by one process each for disks and vifs; they reach one another through our bridge.
# boot: pvh
# limit: 240
backends sluice bridged
usual_guest pvh2
usual_guest pv1
check_ping pv1 10.9.0.3 56 20
check_ping pvh2 10.9.0.2 1400 20
in_guest pvh2 "dd if=/dev/urandom of=/tmp/s bs=1M count=2 2>/dev/null; nc -l -p 5002 -e sh -c 'head -c 2097152 | md5sum' >/dev/null 2>&1 </dev/null &"
in_guest pv1 'dd if=/dev/urandom of=/tmp/s bs=1M count=2 2>/dev/null'
same "2 MiB of TCP from guest to guest are whole" "$(ask pv1 20 'md5sum </tmp/s | cut -d" " -f1')" \
	"$(ask pv1 60 'nc 10.9.0.3 5002 </tmp/s | cut -d" " -f1')"
in_guest pv1 'dd if=/dev/urandom of=/tmp/w bs=64k count=32 2>/dev/null; (dd if=/tmp/w of=/dev/xvda bs=64k conv=fsync 2>/dev/null; echo done >/tmp/written) &'
in_guest pvh2 'dd if=/dev/urandom of=/tmp/w bs=64k count=32 2>/dev/null; dd if=/tmp/w of=/dev/xvda bs=64k conv=fsync 2>/dev/null'
in_guest pv1 'while [ ! -e /tmp/written ]; do usleep 50000; done'
for name in pv1:a pvh2:b; do
	same "what ${name%:*} wrote meanwhile is in its image" "$(ask "${name%:*}" 20 'md5sum </tmp/w | cut -d" " -f1')" \
		"$(dd if="/images/${name#*:}.img" bs=64k count=32 2>/dev/null | md5sum | cut -d' ' -f1)"
done
