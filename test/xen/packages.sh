# test/xen/packages.sh - Debian's Xen and kernel, downloaded and unpacked beside the host, never installed on it. Sourced by run.sh.
#
#   packages_prepare CACHE    afterwards CACHE/root holds the unpacked packages, CACHE/root.id names exactly what is in it
#
# Owns     CACHE/debs (archives, each checked against the archive index), CACHE/root, CACHE/root.id, CACHE/root.list.
#          Everything is made under another name and renamed when whole, so that an interruption leaves the old state or the new.
# Fails    non-zero, with one sentence in $packages_why.

packages_why=''

# What Domain-0 needs that the host does not have installed; the libraries come along so that tools and libraries are of one version.
packages_wanted=(
	xen-hypervisor-4.17-amd64 xen-utils-4.17 xen-utils-common xenstore-utils
	libxencall1 libxenevtchn1 libxenforeignmemory1 libxengnttab1 libxenmisc4.17 libxenstore4 libxentoollog1 libxentoolcore1
	libxendevicemodel1 libxenhypfs1 busybox-static
)

# Of a kernel, only what an image may ask for: 70 of 400 MB.
packages_kernel_parts=(
	'./boot/vmlinuz-*' './lib/modules/*/modules.*' './lib/modules/*/kernel/arch/x86/crypto/*' './lib/modules/*/kernel/crypto/*'
	'./lib/modules/*/kernel/drivers/block/*' './lib/modules/*/kernel/drivers/net/xen*' './lib/modules/*/kernel/drivers/net/tun.ko'
	'./lib/modules/*/kernel/drivers/xen/*' './lib/modules/*/kernel/fs/*' './lib/modules/*/kernel/lib/*' './lib/modules/*/kernel/net/*'
)

# packages_index: one line for each archive that is wanted: URL, file name, size, SHA256:sum. From apt's lists, without the network.
packages_index() {
	local kernel
	kernel=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image-/ {print $2; exit}')
	[ -n "$kernel" ] || return 1
	apt-get download --print-uris "${packages_wanted[@]}" "$kernel" 2>/dev/null | tr -d "'"
}

# packages_fetch CACHE INDEX: downloads what is missing or damaged in CACHE/debs, removes what is no longer wanted.
packages_fetch() {
	local debs=$1/debs url name size sum incoming file missing=()
	mkdir -p "$debs"
	while read -r url name size sum; do
		[ "$(sha256sum "$debs/$name" 2>/dev/null | cut -d' ' -f1)" = "${sum#SHA256:}" ] || missing+=("${name%%_*}")
	done <<<"$2"
	if [ ${#missing[@]} -gt 0 ]; then
		incoming=$(mktemp -d "$1/incoming.XXXXXX") || return 1
		if ! (cd "$incoming" && apt-get download -q "${missing[@]}") </dev/null >"$1/download.log" 2>&1; then
			packages_why="${#missing[@]} Debian packages (${missing[0]}, ...) cannot be downloaded:"
			packages_why+=" check the network and /etc/apt/sources.list"
			rm -rf "$incoming"
			return 1
		fi
		mv "$incoming"/*.deb "$debs"/ && rmdir "$incoming" || return 1
	fi
	for file in "$debs"/*.deb; do
		grep -qF " ${file##*/} " <<<"$2" || rm -f "$file"
	done
}

# What lies in an unpacked tree: names and sizes.
packages_list() {
	(cd "$1" && find . -type f -printf '%s %p\n' -o -type l -printf '%l %p\n' | sort)
}

packages_unpack() {
	local cache=$1 id=$2 new deb
	new=$(mktemp -d "$cache/root.new.XXXXXX") || return 1
	for deb in "$cache"/debs/*.deb; do
		case ${deb##*/} in
		linux-image-*) dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$new" --wildcards "${packages_kernel_parts[@]}" ;;
		*) dpkg-deb -x "$deb" "$new" ;;
		esac || {
			packages_why="$deb cannot be unpacked: is the disk full?"
			rm -rf "$new"
			return 1
		}
	done
	depmod -b "$new" "$(basename "$new"/lib/modules/*)" || return 1
	rm -rf "$cache/root" "$cache/root.id"
	mv "$new" "$cache/root" && packages_list "$cache/root" >"$cache/root.list" && echo "$id" >"$cache/root.id"
}

packages_prepare() {
	local cache=$1 index id
	mkdir -p "$cache" || return 1
	rm -rf "$cache"/incoming.* "$cache"/root.new.* # of a run that was interrupted
	index=$(packages_index)
	if [ -z "$index" ] && [ "$(id -u)" -eq 0 ]; then
		apt-get update </dev/null >"$cache/update.log" 2>&1
		index=$(packages_index)
	fi
	# Without apt's lists the cache serves as it is.
	if [ -n "$index" ]; then
		id=$(cut -d' ' -f2,4 <<<"$index" | sort | sha256sum | cut -d' ' -f1)
	else
		id=$(cat "$cache/root.id" 2>/dev/null)
		packages_why="apt knows no package xen-hypervisor-4.17-amd64: run apt-get update, or check /etc/apt/sources.list"
		[ -n "$id" ] || return 1
	fi
	if [ "$(cat "$cache/root.id" 2>/dev/null)" = "$id" ] && packages_list "$cache/root" 2>/dev/null | cmp -s - "$cache/root.list"; then
		return 0
	fi
	[ -n "$index" ] || return 1
	packages_fetch "$cache" "$index" && packages_unpack "$cache" "$id"
}
