# What a request and a packet cost Domain-0: hypercalls, copies, maps, notifications; by Linux's back ends and by
# ours, of one guest under one load.
# boot: counts
# limit: 600
# only by name
. lib/counts.sh
disk_requests() { ask pv1 10 'awk "{print \$1 + \$5}" /sys/block/xvda/stat'; }
packets() { ask pv1 10 'cd /sys/class/net/eth0/statistics; echo $(($(cat rx_packets) + $(cat tx_packets)))'; }
pull() { nc 10.9.0.2 5003 </dev/null >/dev/null; }
push() { nc 10.9.0.2 5004 <"$RIG_KEEP/stream" >/dev/null; }
dd if=/dev/zero of="$RIG_KEEP/stream" bs=1M count=4 2>/dev/null
for kind in linux sluice; do
	# shellcheck disable=SC2046
	backends $kind $([ $kind = linux ] || echo large)
	counts_setup # only now: a probe needs the module that it looks into
	usual_guest pv1
	counts_of read_4k $kind disk_requests in_guest pv1 'dd if=/dev/xvda of=/dev/null bs=4k count=500 iflag=direct 2>/dev/null'
	counts_of write_4k $kind disk_requests in_guest pv1 'dd if=/dev/zero of=/dev/xvda bs=4k count=500 oflag=direct 2>/dev/null'
	counts_of read_64k $kind disk_requests in_guest pv1 'dd if=/dev/xvda of=/dev/null bs=64k count=100 iflag=direct 2>/dev/null'
	counts_of write_64k $kind disk_requests in_guest pv1 'dd if=/dev/zero of=/dev/xvda bs=64k count=100 oflag=direct 2>/dev/null'
	counts_of write_cached $kind disk_requests in_guest pv1 'dd if=/dev/zero of=/dev/xvda bs=64k count=100 conv=fsync 2>/dev/null'
	counts_of ping $kind packets in_guest pv1 "ping -q -c 100 -i 0.02 $bridge_address >/dev/null"
	in_guest pv1 'dd if=/dev/zero of=/tmp/stream bs=1M count=4 2>/dev/null; nc -l -p 5003 -e cat /tmp/stream >/dev/null 2>&1 </dev/null &'
	counts_of tcp_from_guest $kind packets pull
	in_guest pv1 'nc -l -p 5004 -e sh -c "head -c 4194304 >/dev/null" >/dev/null 2>&1 </dev/null &'
	counts_of tcp_to_guest $kind packets push
	holds "counted: $kind"
done
