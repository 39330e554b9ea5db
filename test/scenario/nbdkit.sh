#!/bin/bash
# An NBD client uses a vbd through the nbdkit plugin: an image copied there and back is the same; a user's mistakes are told.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
plugin=$SLUICE_BUILD/tools/nbdkit-sluice-plugin.so
scenario_requires nbdkit nbdcopy
[ -f "$plugin" ] || skip "the nbdkit plugin is not built here: nbdkit-plugin-dev was not installed"
scenario_begin sluiced sluice-blkback

truncate -s 24M "$system_dir/disk.img"
printf '%s\n' 'memory = 64' 'vcpus = 1' 'kernel = ""' >"$system_dir/nbd.cfg"
create() {
	in_system create -q "$system_dir/nbd.cfg" 'name="nbd"' \
		"disk=['format=raw,vdev=xvda,access=$1,target=$system_dir/disk.img']" || fail "a domain to attach to"
}
# nbdkit removes its socket and ends with the command that it runs.
serve() { timeout 60 nbdkit --exit-with-parent -f -U - "$plugin" domain=nbd disk=xvda run_dir="$system_run_dir" --run "$1" >"$system_dir/nbdkit.out" 2>&1; }
domain_gone() { is_gone nbd; }

head -c 16000000 /dev/urandom >"$system_dir/from.img"
truncate -s 24M "$system_dir/from.img"
create rw
serve "nbdcopy '$system_dir/from.img' \"\$uri\" && nbdcopy \"\$uri\" '$system_dir/to.img'" || fail "nbdcopy there and back: $(tail -n 5 "$system_dir/nbdkit.out")"
cmp "$system_dir/from.img" "$system_dir/to.img" || fail "what came back is not what went there"
cmp "$system_dir/from.img" "$system_dir/disk.img" || fail "the image is not what was copied"
holds "an image copied through the plugin and back is the same, and so is the back end's file"
system_until 10 domain_gone || fail "the domain ends with nbdkit"
holds "the domain ends with nbdkit"

create ro
before=$(sha256sum <"$system_dir/disk.img")
serve "nbdcopy '$system_dir/from.img' \"\$uri\"" && fail "a read-only disk was written to"
[ "$before" = "$(sha256sum <"$system_dir/disk.img")" ] || fail "a read-only disk has changed"
holds "a read-only disk is refused to a client that writes"
system_until 10 domain_gone || fail "the domain ends with nbdkit"

says() {
	rm -f "$system_dir/nbd.sock"
	local words=$1 status=0
	shift
	timeout 30 nbdkit -f -U "$system_dir/nbd.sock" "$plugin" "$@" >"$system_dir/nbdkit.out" 2>&1 || status=$?
	[ $status -ne 0 ] && [ $status -ne 124 ] || fail "nbdkit $* should fail, about: $words (status $status)"
	grep -qF -- "$words" "$system_dir/nbdkit.out" || fail "nbdkit $* should speak of '$words', not: $(cat "$system_dir/nbdkit.out")"
	holds "refused: $(tail -n 1 "$system_dir/nbdkit.out")"
}
says "there is no domain 'none'" domain=none run_dir="$system_run_dir"
says "no domain is named" disk=xvda
says "'speed' is not a parameter" domain=x speed=9
create rw
says "disk xvdc does not exist" domain=nbd disk=xvdc run_dir="$system_run_dir"
system_until 10 domain_gone || fail "the domain ends with nbdkit"
expect_nothing_left "after nbdkit has ended"
