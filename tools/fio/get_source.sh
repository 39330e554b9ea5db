#!/bin/bash
# tools/fio/get_source.sh FOLDER - the configured source of the installed fio, for its engine. Debian's source package, through an
# apt configuration of its own: nothing under /etc or /var is changed.
#
# Fails    one sentence on standard error, exit 1, no folder.
set -u
folder=${1:?a folder}

fail() {
	echo "no fio engine: $*" >&2
	exit 1
}

version=$(dpkg-query -W -f '${Version}' fio 2>/dev/null) && [ -n "$version" ] || fail "the package fio is not installed"
[ -f "$folder/config-host.h" ] && [ "$(cat "$folder/debian-version" 2>/dev/null)" = "$version" ] && exit 0
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f $keyring ] || fail "the package debian-archive-keyring is not installed"

work=$(mktemp -d) || fail "no room in ${TMPDIR:-/tmp}"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/source"
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
echo "deb-src [signed-by=$keyring] http://deb.debian.org/debian $release main" >"$work/sources.list"
private_apt=(apt-get -q -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$work/lists"
	-o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
{
	cd "$work/source" && "${private_apt[@]}" update && "${private_apt[@]}" source --download-only "fio=$version" &&
		tar --strip-components=1 -xf fio_*.orig.tar.?z && ./configure
} >"$work/log" 2>&1 </dev/null || fail "Debian's source package of fio $version cannot be had: $(tail -n 1 "$work/log")"
cd "$OLDPWD" || exit 1
rm -f "$work/source"/fio_*.{dsc,asc,tar.*} && echo "$version" >"$work/source/debian-version"
rm -rf "$folder" && mv "$work/source" "$folder" || fail "$folder cannot be written"
