#!/bin/bash
# A person's mistakes: one clear sentence each, a non-zero exit, nothing left behind.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_begin sluiced

truncate -s 1M "$system_dir/disk.img"
cfg=$system_dir/good.cfg
cat >"$cfg" <<END
name = "good"
memory = 16
$guest_kernel
extra = "idle"
END
disk() { echo "disk=['format=$1,vdev=xvda,access=rw,target=$2']"; }

refuses_create "zzz" "$cfg" "$(disk zzz "$system_dir/disk.img")"
refuses_create "qcow2" "$cfg" "$(disk qcow2 "$system_dir/disk.img")"
refuses_create "$system_dir/missing.img" "$cfg" "$(disk raw "$system_dir/missing.img")"
refuses_create "mac=" "$cfg" "vif=['mac=00:16:3e:zz:00:00']"
refuses_create "rate=" "$cfg" "vif=['rate=fast']"
refuses_create "at least 4 MiB" "$cfg" "memory=3"
refuses_create "name" "$cfg" 'name=""'
refuses_create "missing.cfg" "$system_dir/missing.cfg"
refuses_create "syntax error" "$cfg" "vif=["
refuses_create "not executable" "$cfg" 'kernel="/etc/passwd"'
printf '#!/bin/sh\n' >"$system_dir/script" && chmod +x "$system_dir/script"
refuses_create "ELF" "$cfg" "kernel=\"$system_dir/script\""
refuses_create "No such file" "$cfg" 'kernel="/nonexistent"'
: >"$system_dir/empty.img"
refuses_create "is empty" "$cfg" "$(disk raw "$system_dir/empty.img")"
truncate -s 1000 "$system_dir/odd.img"
refuses_create "512" "$cfg" "$(disk raw "$system_dir/odd.img")"
head -c 100 /dev/urandom >"$system_dir/noise.cfg"
"${cli[@]}" --run-dir "$system_run_dir" create -q "$system_dir/noise.cfg" >/dev/null 2>&1 && fail "noise is taken for a config"
# More memory than the host has: sluiced says no, or the domain is made of pages that nobody has touched; both leave nothing here.
refuses_create "memory=" "$cfg" "memory=99999999"
expect_nothing_left "of refused configs"

# Each waits for ten seconds; both do at once.
refuses_create "is sluice-blkback running?" "$cfg" 'name="waits"' "$(disk raw "$system_dir/disk.img")" &
waits=$!
refuses_create "is sluice-netback running?" "$cfg" "vif=['']"
wait "$waits" || fail "a disk without sluice-blkback"
expect_nothing_left "of domains that no back end answered"

sluice create -q "$cfg" || fail "the good config"
refuses_create "in use" "$cfg"
sluice destroy good
expect_nothing_left "after the good one was destroyed"

refuses "no domain 'nobody'" "${cli[@]}" --run-dir "$system_run_dir" destroy nobody
refuses "no domain '77'" "${cli[@]}" --run-dir "$system_run_dir" shutdown 77
refuses "privileged domain 0" "${cli[@]}" --run-dir "$system_run_dir" destroy 0
refuses "no domain 'x'" "${cli[@]}" --run-dir "$system_run_dir" console x
refuses "no sluiced" "${cli[@]}" --run-dir "$system_dir/elsewhere" list
refuses "$system_dir/elsewhere" "$SLUICE_BUILD/tools/sluice-blkback" --run-dir "$system_dir/elsewhere"
[ -x "$SLUICE_BUILD/tools/sluice-netback" ] && refuses "$system_dir/elsewhere" "$SLUICE_BUILD/tools/sluice-netback" --run-dir "$system_dir/elsewhere"
refuses "no hypervisor vax" "$SLUICE_BUILD/tools/sluice-blkback" --hv vax
refuses "under Xen use xl" "${cli[@]}" --hv xen list
refuses "sluice-guest-xen" "$SLUICE_BUILD/tools/sluice-guest" --hv xen idle
if [ ! -e /dev/xen ] && [ -x "$SLUICE_BUILD/tools/sluice-guest-xen" ]; then
	refuses "does not run under Xen" "$SLUICE_BUILD/tools/sluice-blkback" --hv xen
	refuses "does not run under Xen" "$SLUICE_BUILD/tools/sluice-guest-xen" --hv xen idle
fi
refuses "$system_run_dir" "$SLUICE_BUILD/tools/sluiced" --run-dir "$system_run_dir"
sluice list >/dev/null || fail "the first sluiced goes on after the second was refused"
holds "the first sluiced goes on"

# What a back end refuses comes back as its own sentence.
if [ -x "$SLUICE_BUILD/tools/sluice-netback" ]; then
	system_start sluice-netback || fail "sluice-netback"
	refuses_create "bridge nosuch does not exist" "$cfg" "vif=['bridge=nosuch']"
	expect_nothing_left "of a guest on a bridge that is not there"
	refuses "no_such_driver0" "$SLUICE_BUILD/tools/sluice-netback" --run-dir "$system_run_dir" --port "no_such_driver0"
	refuses "no packet thread runs on processor 1" "$SLUICE_BUILD/tools/sluice-netback" --run-dir "$system_run_dir" --lcores 0 --pin vif1.0=1
	refuses "is not a name and processors" "$SLUICE_BUILD/tools/sluice-netback" --run-dir "$system_run_dir" --pin vif1.0
	refuses "another process serves the vif devices of the sluiced in $system_run_dir" "$SLUICE_BUILD/tools/sluice-netback" --run-dir "$system_run_dir"
fi

# Two writers on one image.
system_start sluice-blkback || fail "sluice-blkback"
sluice create -q "$cfg" "$(disk raw "$system_dir/disk.img")" || fail "a disk"
refuses "another process serves the vbd devices of the sluiced in $system_run_dir" "$SLUICE_BUILD/tools/sluice-blkback" --run-dir "$system_run_dir"
[ "$(grep -c 'vbd [0-9]*/51712: image' "$system_dir/log/sluice-blkback.log")" -eq 1 ] || fail "the disk is the first one's"
refuses_create "in use by domain" "$cfg" 'name="second"' "$(disk raw "$system_dir/disk.img")"
sluice destroy good
expect_nothing_left "of the two"
