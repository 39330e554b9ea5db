# test/xen/images.sh - what the rig boots, made of the unpacked packages and of this build's programs. Sourced by run.sh.
#
#   images_prepare CACHE BUILD   afterwards CACHE/images holds: xen (an ELF that QEMU's multiboot takes), vmlinux (Domain-0's and
#                                the guests' kernel), domain0.cpio
#
# domain0.cpio is two archives in a row, which the kernel unpacks one over the other: base.cpio (Xen's tools, busybox, modules, a
# kernel for guests), kept until the packages change, and a small one with our programs, the guests' image and the cases.
#
# Owns     CACHE/images, CACHE/stage.*.
# Fails    non-zero, with one sentence in $images_why.

images_why=''
images_source=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")

# Programs of the host that Domain-0 runs, with their libraries; busybox's own of the same name give way to them.
images_domain0_tools=(bash ip bridge tcpdump flock stat logger readlink cmp e2fsck timeout setpriv unshare losetup ethtool)
images_guest_tools=(mke2fs e2fsck blkdiscard ethtool)
images_domain0_modules=(xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs xen-blkback xen-netback bridge loop brd tun af_packet)
images_guest_modules=(xen-netfront xen-blkfront xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs crc32c_generic ext4 af_packet tun)
images_xen_tools=(xl xenstored xen-init-dom0 xenconsoled xenconsole libxl-save-helper lsevtchn xenstore-control)
# DPDK's drivers that sluice-netback needs here: mempools, virtual devices, the TAP port.
images_dpdk_drivers=(bus_vdev mempool_ring net_tap net_af_packet net_null net_ring)

# images_skeleton DIR ROOT: folders and busybox.
images_skeleton() {
	local applet
	mkdir -p "$1"/{bin,sbin,proc,sys,dev,run,tmp,etc,var/lib,var/log,usr/bin,usr/sbin,lib/modules,lib64,root,mnt,lib/x86_64-linux-gnu}
	cp "$2/bin/busybox" "$1/bin/busybox" || return 1
	while read -r applet; do
		[ -e "$1/bin/$applet" ] || ln -s busybox "$1/bin/$applet"
	done < <("$2/bin/busybox" --list)
	printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$1/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
}

# images_add_tools DIR NAME...: the host's programs.
images_add_tools() {
	local dir=$1 name
	shift
	for name in "$@"; do
		rm -f "$dir/bin/$name"
		cp -L "$(command -v "$name")" "$dir/bin/$name" || return 1
	done
}

# images_add_modules DIR ROOT NAME...: kernel modules and what they need, for modprobe.
images_add_modules() {
	local dir=$1 root=$2 version file to
	shift 2
	version=$(basename "$root"/lib/modules/*)
	while read -r file; do
		to=$dir/lib/modules/$version/${file#"$root/lib/modules/$version/"}
		mkdir -p "${to%/*}" && cp "$file" "$to" || return 1
	done < <(for name in "$@"; do
		modprobe -d "$root" -S "$version" --show-depends "$name" 2>/dev/null
	done | awk '$1 == "insmod" && !seen[$2]++ {print $2}')
	cp "$root/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$dir/lib/modules/$version/" 2>/dev/null
	depmod -b "$dir" "$version"
}

# images_add_libraries DIR ROOT: all that the programs in DIR are linked with; the unpacked packages' before the host's. What DIR
# has is left.
images_add_libraries() {
	local dir=$1 root=$2 where=x86_64-linux-gnu library
	find "$dir" -type f \( -perm -1 -o -name '*.so*' \) ! -name '*.ko' ! -name busybox -print0 |
		LD_LIBRARY_PATH=$root/usr/lib/$where:$root/usr/lib/xen-4.17/lib/$where xargs -0 -n1 ldd 2>/dev/null |
		awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
		while read -r library; do
			[ -e "$dir/lib/$where/${library##*/}" ] || cp -L "$library" "$dir/lib/$where/" || return 1
		done
	cp -L /lib/x86_64-linux-gnu/libgcc_s.so.1 "$dir/lib/$where/" # pthread_cancel loads it, unlinked
	cp -L /lib64/ld-linux-x86-64.so.2 "$dir/lib64/"
}

images_archive() {
	(cd "$1" && find . -print0 | cpio --null -o -H newc --quiet --owner +0:+0) >"$2.new" && mv "$2.new" "$2"
}

# images_base ROOT STAGE OUT
images_base() {
	local root=$1 dir=$2/base out=$3 version tool
	version=$(basename "$root"/lib/modules/*)
	zcat "$root"/boot/xen-4.17-amd64.gz >"$out/xen" || return 1
	python3 "$images_source/unpack_kernel.py" "$root/boot/vmlinuz-$version" "$2/vmlinux" || return 1
	strip --strip-all -o "$out/vmlinux" "$2/vmlinux" && rm "$2/vmlinux" || return 1

	images_skeleton "$dir" "$root" || return 1
	mkdir -p "$dir"/usr/lib/xen-4.17/bin "$dir"/etc/xen "$dir"/var/lib/{xen,xenstored} "$dir"/var/log/xen/console "$dir"/rig
	for tool in "${images_xen_tools[@]}"; do
		cp "$root/usr/lib/xen-4.17/bin/$tool" "$dir/usr/lib/xen-4.17/bin/" || return 1
		ln -s "/usr/lib/xen-4.17/bin/$tool" "$dir/usr/sbin/$tool"
	done
	cp -a "$root"/usr/bin/xenstore* "$dir/usr/bin/" && cp -r "$root/etc/xen/scripts" "$root/etc/xen/xl.conf" "$dir/etc/xen/" || return 1
	images_add_tools "$dir" "${images_domain0_tools[@]}" || return 1
	images_add_modules "$dir" "$root" "${images_domain0_modules[@]}" || return 1
	images_add_libraries "$dir" "$root" || return 1
	cp "$out/vmlinux" "$dir/rig/vmlinux"
	images_archive "$dir" "$out/base.cpio"
}

# images_guest ROOT STAGE BUILD OUT: the guests' image; sluice-guest is in it for the cases in which our front ends run there.
images_guest() {
	local dir=$2/guest
	images_skeleton "$dir" "$1" || return 1
	images_add_tools "$dir" "${images_guest_tools[@]}" || return 1
	images_add_modules "$dir" "$1" "${images_guest_modules[@]}" || return 1
	cp "$3"/test/xen/{xen-agent,xdp-look} "$dir/bin/" && strip -o "$dir/bin/sluice-guest" "$3/tools/sluice-guest-xen" || return 1
	images_add_libraries "$dir" "$1" || return 1
	install -m 755 "$images_source/guest/init" "$dir/init" || return 1
	images_archive "$dir" "$4"
}

# images_top ROOT STAGE BUILD OUT: this build's programs and the cases.
images_top() {
	local dir=$2/top program driver pmds
	mkdir -p "$dir"/{bin,rig,lib64,lib/x86_64-linux-gnu,etc}
	for program in sluice-blkback sluice-netback sluice; do
		strip -o "$dir/bin/$program" "$3/tools/$program" || return 1
	done
	cp "$3/test/xen/xen-agent" "$dir/bin/" || return 1
	pmds=$(echo /usr/lib/x86_64-linux-gnu/dpdk/pmds-*)
	mkdir -p "$dir$pmds"
	for driver in "${images_dpdk_drivers[@]}"; do
		cp -a "$pmds/librte_$driver".so.* "$dir$pmds/" || return 1
		# By name, too, as Debian's packages have them.
		cp -a "${pmds%/dpdk/*}/librte_$driver".so.[0-9]* "$dir${pmds%/dpdk/*}/" || return 1
	done
	images_add_libraries "$dir" "$1" || return 1
	cp -r "$images_source"/domain0/. "$images_source/cases" "$dir/rig/" && mv "$dir/rig/init" "$dir/init" || return 1
	chmod 755 "$dir/init"
	images_guest "$1" "$2" "$3" "$dir/rig/guest.cpio" || return 1
	images_archive "$dir" "$4"
}

images_prepare() {
	local cache=$1 build=$2 root=$1/root out=$1/images stage id program
	mkdir -p "$out"
	for program in tools/sluice-blkback tools/sluice-netback tools/sluice tools/sluice-guest-xen test/xen/{xen-agent,xdp-look}; do
		images_why="$build/$program is not built: run ./dev build"
		[ -x "$build/$program" ] || return 1
	done
	rm -rf "$cache"/stage.*
	stage=$(mktemp -d "$cache/stage.XXXXXX") || return 1
	images_why="the images cannot be made in $cache: is the disk full?"
	id=$(cat "$cache/root.id" "$images_source/images.sh" "$images_source/unpack_kernel.py" | sha256sum)
	if [ "$(cat "$out/base.id" 2>/dev/null)" != "$id" ] || ! sha256sum --status -c "$out/base.sums" 2>/dev/null; then
		rm -f "$out/base.id"
		images_base "$root" "$stage" "$out" && sha256sum "$out"/{xen,vmlinux,base.cpio} >"$out/base.sums" || return 1
		echo "$id" >"$out/base.id"
	fi
	images_top "$root" "$stage" "$build" "$out/top.cpio" || return 1
	cat "$out/base.cpio" "$out/top.cpio" >"$out/domain0.cpio.new" && mv "$out/domain0.cpio.new" "$out/domain0.cpio" || return 1
	rm -rf "$stage"
}
