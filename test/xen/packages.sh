# test/xen/packages.sh - which of Debian's packages the rig takes its Xen and its kernel from. Sourced by run.sh.
#
#   packages_prepare CACHE xen_packages    as ../lib/packages.sh says

. "$(dirname "${BASH_SOURCE[0]}")/../lib/packages.sh"

# What Domain-0 needs that the host does not have installed; the libraries come along so that tools and libraries are of one version.
xen_packages() {
	local kernel
	kernel=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image-/ {print $2; exit}')
	[ -n "$kernel" ] || return 1
	echo xen-hypervisor-4.17-amd64 xen-utils-4.17 xen-utils-common xenstore-utils \
		libxencall1 libxenevtchn1 libxenforeignmemory1 libxengnttab1 libxenmisc4.17 libxenstore4 libxentoollog1 libxentoolcore1 \
		libxendevicemodel1 libxenhypfs1 busybox-static "$kernel"
}

# Of a kernel, only what an image may ask for: 70 of 400 MB.
packages_kernel_parts=(
	'./boot/vmlinuz-*' './lib/modules/*/modules.*' './lib/modules/*/kernel/arch/x86/crypto/*' './lib/modules/*/kernel/crypto/*'
	'./lib/modules/*/kernel/drivers/block/*' './lib/modules/*/kernel/drivers/net/xen*' './lib/modules/*/kernel/drivers/net/tun.ko'
	'./lib/modules/*/kernel/drivers/xen/*' './lib/modules/*/kernel/fs/*' './lib/modules/*/kernel/lib/*' './lib/modules/*/kernel/net/*'
)

packages_unpack_one() {
	case ${1##*/} in
	linux-image-*) dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --wildcards "${packages_kernel_parts[@]}" ;;
	*) dpkg-deb -x "$1" "$2" ;;
	esac
}

packages_complete() { depmod -b "$1" "$(basename "$1"/lib/modules/*)"; }
