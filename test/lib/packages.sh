# test/lib/packages.sh - Debian packages, downloaded and unpacked beside the host, never installed on it: for tests against programs that
# would start daemons, or change the host's own, were they installed.
#
#   packages_prepare CACHE LIST    LIST is a command that says the packages' names; afterwards CACHE/root holds what they contain, and
#                                  CACHE/root.id names exactly what is in it
#
# Who sources this may put functions of its own in place of packages_unpack_one and packages_complete.
#
# Owns     CACHE/debs (archives, each checked against the archive index), CACHE/root, CACHE/root.id, CACHE/root.list.
#          Everything is made under another name and renamed when whole, so that an interruption leaves the old state or the new.
# Fails    non-zero, with one sentence in $packages_why.

packages_why=''

# packages_unpack_one ARCHIVE FOLDER
packages_unpack_one() { dpkg-deb -x "$1" "$2"; }
# packages_complete FOLDER: all are unpacked there.
packages_complete() { :; }

# packages_index LIST: one line for each archive that is wanted: URL, file name, size, SHA256:sum. From apt's lists, without the network.
packages_index() {
	local names
	names=$($1) && [ -n "$names" ] || return 1
	# shellcheck disable=SC2086
	apt-get download --print-uris $names 2>/dev/null | tr -d "'"
}

# packages_update CACHE: apt's lists anew, which only root may; Debian keeps no archive that a newer one has replaced.
packages_update() {
	[ "$(id -u)" -eq 0 ] && apt-get update </dev/null >"$1/update.log" 2>&1
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
			packages_why="Debian's package ${missing[0]}$([ ${#missing[@]} -gt 1 ] && echo " and $((${#missing[@]} - 1)) more")"
			packages_why+=" cannot be downloaded: check the network and /etc/apt/sources.list"
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
		packages_unpack_one "$deb" "$new" || {
			packages_why="$deb cannot be unpacked: is the disk full?"
			rm -rf "$new"
			return 1
		}
	done
	packages_complete "$new" || return 1
	rm -rf "$cache/root" "$cache/root.id"
	mv "$new" "$cache/root" && packages_list "$cache/root" >"$cache/root.list" && echo "$id" >"$cache/root.id"
}

# What root.id says of an index.
packages_id() { cut -d' ' -f2,4 <<<"$1" | sort | sha256sum | cut -d' ' -f1; }

# packages_current CACHE ID: the tree is that one, and whole.
packages_current() {
	[ "$(cat "$1/root.id" 2>/dev/null)" = "$2" ] && packages_list "$1/root" 2>/dev/null | cmp -s - "$1/root.list"
}

packages_prepare() {
	local cache=$1 index
	mkdir -p "$cache" || return 1
	rm -rf "$cache"/incoming.* "$cache"/root.new.* # of a run that was interrupted
	index=$(packages_index "$2")
	if [ -z "$index" ] && packages_update "$cache"; then
		index=$(packages_index "$2")
	fi
	if [ -z "$index" ]; then # without apt's lists the cache serves as it is
		packages_why="apt does not know the packages that are needed: run apt-get update, or check /etc/apt/sources.list"
		[ -s "$cache/root.id" ] && packages_current "$cache" "$(cat "$cache/root.id")"
		return
	fi
	packages_current "$cache" "$(packages_id "$index")" && return
	if ! packages_fetch "$cache" "$index"; then
		packages_update "$cache" || return 1
		index=$(packages_index "$2")
		packages_fetch "$cache" "$index" || return 1
	fi
	packages_unpack "$cache" "$(packages_id "$index")"
}
