#!/bin/bash
# Open vSwitch with DPDK, its own database and daemon in folders of this test, forwards between two guests: each port is a vif that our
# plugin's net_netback serves.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
. "$SLUICE_SOURCE/test/lib/packages.sh"
scenario_requires ping nsenter unshare apt-get dpkg-deb

# Installed, its packages would start a switch of the host's own. DPDK itself is the host's: our plugin is built with it.
ovs_packages() { echo openvswitch-switch-dpdk openvswitch-switch openvswitch-common libunbound8 libevent-2.1-7; }
cache=$(readlink -f "$SLUICE_BUILD")/openvswitch
packages_prepare "$cache" ovs_packages || skip "${packages_why:-Open vSwitch cannot be unpacked in $cache}"
ovs_libraries=("$cache"/root/usr/lib/*-linux-gnu)
# in_ovs COMMAND...: with the unpacked programs and their libraries.
in_ovs() { PATH=$cache/root/usr/bin:$cache/root/usr/sbin:$cache/root/usr/lib/openvswitch-switch-dpdk:$PATH LD_LIBRARY_PATH=${ovs_libraries[0]} "$@"; }

scenario_begin sluiced
[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
[ -e "$SLUICE_BUILD/tools/librte_net_sluice.so" ] || skip "librte_net_sluice.so is not built here"
# DPDK refuses plugins below a folder that everybody may write to, as /tmp.
plugin=$(mktemp -d /run/sluice-plugin.XXXXXX)/librte_net_sluice.so
trap 'status=$?; rm -rf "${plugin%/*}"; (exit $status); scenario_finish' EXIT
cp "$SLUICE_BUILD/tools/librte_net_sluice.so" "$plugin" || fail "a copy of the plugin"

ovs=$system_dir/ovs
mkdir "$ovs"
export OVS_RUNDIR=$ovs OVS_DBDIR=$ovs OVS_LOGDIR=$ovs OVS_SYSCONFDIR=$ovs OVS_PKGDATADIR=$cache/root/usr/share/openvswitch
vsctl() { in_ovs timeout 30 ovs-vsctl --db="unix:$ovs/db.sock" "$@"; }
in_ovs ovsdb-tool create "$ovs/conf.db" "$OVS_PKGDATADIR"/vswitch.ovsschema || fail "ovsdb-tool"
in_ovs exec ovsdb-server "$ovs/conf.db" "--remote=punix:$ovs/db.sock" --log-file="$ovs/db.log" -vconsole:off &
system_pids+=($!)
system_names+=(ovsdb-server)
system_until 10 test -S "$ovs/db.sock" || fail "ovsdb-server"
vsctl --no-wait init || fail "ovs-vsctl"
# Without hugepages DPDK takes its memory in the old way, and has to be told so: the switch would ask for the new one. Buffers for each
# port: for all of them at once it asks for 600 MiB, then half as much, until what it gets depends on how the heap lies.
vsctl --no-wait set Open_vSwitch . other_config:dpdk-init=true other_config:per-port-memory=true other_config:pmd-cpu-mask=0x1 other_config:dpdk-lcore-mask=0x1 \
	"other_config:dpdk-extra=--no-huge --legacy-mem --no-shconf -m 256 --no-pci --no-telemetry -d $plugin" || fail "ovs-vsctl"
# The switch's own interfaces stay in a namespace of its own.
in_ovs exec unshare --net ovs-vswitchd-dpdk "unix:$ovs/db.sock" --pidfile="$ovs/vswitchd.pid" --unixctl="$ovs/vswitchd.ctl" --log-file="$system_dir/log/vswitchd.log" -vconsole:off &
system_pids+=($!)
system_names+=(vswitchd)
vswitchd_pid=$!
vsctl --timeout=30 add-br br0 -- set bridge br0 datapath_type=netdev || fail "the bridge"

guests=(1 2)
for n in "${guests[@]}"; do
	vsctl --timeout=30 add-port br0 "vif$n" -- set Interface "vif$n" type=dpdk \
		"options:dpdk-devargs=net_netback$n,guest=g$n,run_dir=$system_run_dir" || fail "port $n"
	[ "$(vsctl get Interface "vif$n" error)" = '[]' ] || fail "port $n: $(vsctl get Interface "vif$n" error)"
	start_tap "$n"
done
holds "two vifs are ports of Open vSwitch $(vsctl --version | sed -n '1s/.* //p')"

pings() { in_ns 1 ping -c 1 -W 1 "$1" >/dev/null 2>&1; }
system_until 10 pings 10.9.0.2 || fail "ping through Open vSwitch"
system_until 10 pings fd09::2 || fail "ping through Open vSwitch over IPv6"
in_ns 1 ping -q -A -c 300 -s 1400 10.9.0.2 | grep -q ' 300 received' || fail "300 pings through Open vSwitch"
holds "two guests ping each other through it, 300 times 1400 bytes"
forwarded() { [ "$(vsctl get Interface "$1" statistics:rx_packets)" -ge 300 ]; }
system_until 15 forwarded vif1 || fail "Open vSwitch counts what guest 1 sent"
holds "its counters show them"

for n in "${guests[@]}"; do
	end_tap "$n"
done
vsctl --timeout=30 del-port vif1 || fail "del-port"
holds "a port whose guest is gone can be removed"
in_ovs timeout 20 ovs-appctl --target="$ovs/vswitchd.ctl" exit || fail "ovs-appctl exit"
system_gone "$vswitchd_pid" 20 || fail "Open vSwitch ends"
system_stop vswitchd || fail "Open vSwitch ends well"
system_stop ovsdb-server # by a signal, as it says itself
expect_nothing_left "after both guests ended"
