# test/xen/domain0/lib/guests.sh - guests of Domain-0, made with xl. A guest that a case leaves running serves the next case that wants the
# same; that saves the six seconds of its start.
#
# Owns     $RIG_KEEP/guest.NAME (what it was made of), /images/*.

guest_memory=160

# image NAME MIB: a disk image of random bytes; prints its path.
image() {
	mkdir -p /images
	[ -e "/images/$1" ] || dd if=/dev/urandom of="/images/$1" bs=1M count="$2" 2>/dev/null
	echo "/images/$1"
}

# disk_of VDEV IMAGE [ro]: xl's words for a disk of the back ends that are up.
disk_of() {
	local device
	if [ "$(cat "$RIG_KEEP/backends")" = linux ]; then
		device=$(losetup -f)
		losetup "$device" "$2"
		echo "phy:$device,$1,${3:-rw}"
	else
		echo "vdev=$1,access=${3:-rw},script=/bin/true,target=$2"
	fi
}

# vif_of NUMBER: xl's words for a vif of the back ends that are up; the guest's address is 10.9.0.NUMBER.
vif_of() {
	local script=''
	[ "$(cat "$RIG_KEEP/backends")" = linux ] || script=,script=/bin/true
	printf 'bridge=xenbr0,mac=00:16:3e:00:00:%02x%s' "$1" "$script"
}

guest_domid() { xl domid "$1" 2>/dev/null; }
guest_runs() { xl domid "$1" >/dev/null 2>&1; }
guest_log() { echo "/var/log/xen/console/guest-$1.log"; }

# guest NAME pv|pvh VCPUS NUMBER VIFS DISKS [MODULES]: it runs afterwards and answers. VIFS, DISKS: xl's words, separated by blanks.
# NUMBER: of its address. Of a PVH guest's vcpus init starts all but the first; a PV kernel would forget those that do not start with it.
guest() {
	local name=$1 type=$2 vcpus=$3 number=$4 vifs=$5 disks=$6 modules=${7:-}
	local made="$*" words="console=hvc0 quiet panic=1 sluice.address=${number:+10.9.0.$number}"
	[ -z "$modules" ] || words+=" sluice.modules=$modules"
	[ "$type" != pvh ] || words+=" maxcpus=1"
	if [ "$(cat "$RIG_KEEP/guest.$name" 2>/dev/null)" = "$made" ] && guest_runs "$name" && ask "$name" 10 true; then
		return
	fi
	guest_destroy "$name"
	quoted() { [ -z "$1" ] || printf '"%s",' $1; }
	cat >"$RIG_KEEP/$name.cfg" <<-CFG
		name = "$name"
		type = "$type"
		kernel = "/rig/vmlinux"
		ramdisk = "/rig/guest.cpio"
		extra = "$words"
		memory = $guest_memory
		vcpus = $vcpus
		vif = [$(quoted "$vifs")]
		disk = [$(quoted "$disks")]
		tsc_mode = "native"
		on_poweroff = "destroy"
		on_crash = "destroy"
		on_reboot = "restart"
	CFG
	rm -f "$(guest_log "$name")"
	xl create -q "$RIG_KEEP/$name.cfg" || fail "xl cannot create $name"
	echo "$made" >"$RIG_KEEP/guest.$name"
	ask "$name" 120 true || fail "$name does not answer ($?)"
}

# ask NAME SECONDS COMMAND: runs it in the guest, prints what it prints, returns its status (124: too late, 125: no such guest).
ask() {
	xen-agent ask "$(guest_domid "$1" || echo 65535)" "$2" "$3"
}

# in_guest NAME COMMAND: prints what it prints; a command that fails fails the case. Not for use in $( ), where only the
# subshell would end.
in_guest() {
	local status
	ask "$1" "${guest_seconds:-60}" "$2"
	status=$?
	[ $status -eq 0 ] || fail "in $1: '$2' ended with $status"
}

guest_destroy() {
	rm -f "$RIG_KEEP/guest.$1"
	guest_runs "$1" && xl destroy "$1"
	return 0
}

guests_down() {
	local name
	for name in $(xl list | awk 'NR > 1 && $1 != "Domain-0" {print $1}'); do
		guest_destroy "$name"
	done
	losetup -a | cut -d: -f1 | xargs -r -n1 losetup -d
}

# device_states GUEST vbd|vif NUMBER: of the back and the front end, as "4 4".
device_states() {
	local id
	id=$(guest_domid "$1")
	echo "$(xenstore-read "/local/domain/0/backend/$2/$id/$3/state" 2>/dev/null) $(xenstore-read "/local/domain/$id/device/$2/$3/state" 2>/dev/null)"
}
device_connected() { [ "$(device_states "$@")" = "4 4" ]; }
back_path() { echo "/local/domain/0/backend/$2/$(guest_domid "$1")/$3"; }

# In the cases: a guest with a disk of ours, xvda from a.img, and a vif of ours.
usual_guest() {
	case $1 in
	pv1) guest pv1 pv 1 2 "$(vif_of 2)" "$(disk_of xvda "$(image a.img 8)")" ;;
	pvh2) guest pvh2 pvh 2 3 "$(vif_of 3)" "$(disk_of xvda "$(image b.img 8)")" ;;
	esac
}

# ---- what is left of a guest ------------------------------------------------------------------------------------------

nothing_left_of() {
	! xl list | awk -v id="$1" '$2 == id {found = 1} END {exit !found}' &&
		! xenstore-ls -f /local/domain 2>/dev/null | grep -qE "^/local/domain/$1[/ ]|^/local/domain/0/backend/[a-z0-9]+/$1[/ ]" &&
		! lsevtchn 0 | grep -qE "Remote Domain $1\b"
}

# expect_nothing_left DOMID WORDS: its memory is given back (no page of it is mapped anywhere), its nodes and ports are gone.
expect_nothing_left() {
	if ! until_true 20 nothing_left_of "$1"; then
		xl list
		xenstore-ls -f /local/domain | grep -E "^/local/domain/$1[/ ]|/backend/[a-z0-9]+/$1[/ ]"
		lsevtchn 0
		fail "something of domain $1 is left in Domain-0 $2"
	fi
	holds "no page, no port and no node of domain $1 is left $2"
}
