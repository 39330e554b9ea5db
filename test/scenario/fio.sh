#!/bin/bash
# fio through its own engine: every block comes back as it was written, with mixed sizes, trims, flushes, 1 to 4 jobs.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
engine=$SLUICE_BUILD/tools/libsluice-fio.so
scenario_requires fio
[ -f "$engine" ] || skip "the fio engine is not built here: ./dev deps could not get fio's source"
scenario_begin sluiced sluice-blkback

printf '%s\n' 'name = "fio"' 'kernel = ""' >"$system_dir/fio.cfg"
domain_gone() { is_gone fio; }

# job WHAT DISKS FIO-OPTION...: one run of fio in a domain with so many disks, fresh and empty.
job() {
	local what=$1 disks='' i
	for ((i = 0; i < $2; i++)); do
		rm -f "$system_dir/disk$i.img"
		truncate -s 16M "$system_dir/disk$i.img"
		disks+="'format=raw,vdev=xvd$(printf '%b' "\\$(printf %o $((97 + i)))"),access=rw,target=$system_dir/disk$i.img',"
	done
	shift 2
	in_system create -q "$system_dir/fio.cfg" memory=96 "vcpus=${vcpus:-1}" "disk=[${disks%,}]" || fail "$what: a domain to attach to"
	timeout 60 fio --ioengine="external:$engine" --thread=1 --sluice_attach=fio --sluice_run_dir="$system_run_dir" --minimal --verify_state_save=0 \
		--verify_fatal=1 --max_latency=20s "$@" >"$system_dir/fio.out" 2>&1 || fail "$what: $(tail -n 5 "$system_dir/fio.out")"
	holds "$what"
	system_until 10 domain_gone || fail "the domain ends with fio"
}

mixed=(--name=a --filename=xvda --rw=randwrite --bsrange=512-1m --iodepth=16 --io_size=48m --fsync=32)
job "random writes of 512 bytes to 1 MiB with flushes come back, crc32c" 1 "${mixed[@]}" --verify=crc32c
job "the same through persistent grants" 1 "${mixed[@]}" --verify=crc32c --sluice_persistent=1
job "the same without lists of segments, in a ring of one page" 1 "${mixed[@]}" --verify=crc32c --sluice_segments=11 --sluice_ring_order=0
kinds=(md5 sha256 xxhash crc64 pattern)
jobs=()
for i in "${!kinds[@]}"; do
	jobs+=(--name="${kinds[i]}" --filename="xvd$(printf '%b' "\\$(printf %o $((97 + i)))")" --verify="${kinds[i]}")
done
job "4 KiB writes come back: ${kinds[*]}" ${#kinds[@]} --rw=randwrite --bs=4k --iodepth=32 --io_size=4m \
	--verify_pattern=0xdeadface --sluice_poll=1 "${jobs[@]}"
job "trimmed and written blocks do not mix" 1 --name=a --filename=xvda --rw=randtrimwrite --bs=16k --iodepth=8 --io_size=16m
job "verified reads while others write" 1 --name=a --filename=xvda --rw=randrw --bs=4k --iodepth=16 --io_size=8m --verify=crc32c \
	--verify_backlog=64
for jobs in 2 4; do
	vcpus=$((jobs + 1))
	job "$jobs jobs on $jobs queues of one disk, verified" 1 --name=a --filename=xvda --numjobs=$jobs --size=4m --offset_increment=4m \
		--rw=randwrite --bsrange=4k-64k --iodepth=16 --verify=crc32c --fsync=64
done
vcpus=1
job "4 jobs on 4 queues that share one virtual processor, verified" 1 --name=a --filename=xvda --numjobs=4 --size=4m \
	--offset_increment=4m --rw=randwrite --bs=8k --iodepth=8 --verify=crc32c
job "3 jobs, each with a disk of its own, verified" 3 --rw=randwrite --bs=4k --iodepth=16 --io_size=4m --verify=crc32c \
	--name=a --filename=xvda --name=b --filename=xvdb --name=c --filename=xvdc

refuses_job() {
	local words=$1
	shift
	timeout 30 fio --ioengine="external:$engine" --name=a --rw=randread --bs=4k --sluice_run_dir="$system_run_dir" "$@" \
		>"$system_dir/fio.out" 2>&1 && fail "fio $* should fail, about: $words"
	grep -qF -- "$words" "$system_dir/fio.out" || fail "fio $* should speak of '$words', not: $(cat "$system_dir/fio.out")"
	holds "refused: $(grep -F -- "$words" "$system_dir/fio.out" | head -n 1)"
}
refuses_job "add thread=1" --filename=xvda --sluice_attach=fio
refuses_job "no domain is named" --thread=1 --filename=xvda
refuses_job "there is no domain 'none'" --thread=1 --filename=xvda --sluice_attach=none
truncate -s 16M "$system_dir/disk0.img"
in_system create -q "$system_dir/fio.cfg" memory=64 vcpus=1 "disk=['format=raw,vdev=xvda,access=ro,target=$system_dir/disk0.img']" || fail "a domain"
refuses_job "is read-only" --thread=1 --filename=xvda --sluice_attach=fio --rw=randwrite
system_until 10 domain_gone || fail "the domain ends with fio"
expect_nothing_left "after all runs"
