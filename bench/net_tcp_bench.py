#!/usr/bin/env python3
"""
bench/net_tcp_bench.py - TCP between two network namespaces (iperf3, one stream): ours, DPDK's own way, and the kernel's, by turns.

     net_tcp_bench [--seconds N] [--rounds N] [--only NAME]

     net.tcp.gbps     sluice-guest tap, sluice-netback, sluice-guest tap
     net.tcp.ratio    over net_tap and virtio-user in one testpmd, vhost-user and net_tap in another

What these reached is printed too: net.peer.net_tap.tcp.gbps, and the kernel's own veth pairs on a bridge, net.peer.veth.tcp.gbps.
Nobody is pinned: the programs of one namespace, the data path and those of the other share two processors as they like.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from net_lab import Crashed, Daemon, Failed, Testpmd, main, report, run, until, vhost

SERVER, CLIENT = '10.9.0.2', '10.9.0.1'


def inside(pid, *command):
    return ['nsenter', f'--net=/proc/{pid}/ns/net', *command]


def namespace(lab, name):
    """An empty network namespace, which lives as long as its one process: its id."""
    return Daemon(lab, name, ['unshare', '-n', 'sh', '-c', 'echo ready; exec sleep 1000'], ready='ready').process.pid


def plug(pid, device, address):
    """Moves a device into the namespace and brings it up there."""
    run(['ip', 'link', 'set', device, 'netns', str(pid)])
    run(inside(pid, 'ip', 'address', 'add', f'{address}/24', 'dev', device))
    run(inside(pid, 'ip', 'link', 'set', device, 'up'))


def gbps(lab, server, client, seconds):
    """One TCP stream from the client's namespace to the server's."""
    until(10, lambda: subprocess.run(inside(client, 'ping', '-c', '1', '-W', '1', SERVER), capture_output=True, check=False).returncode == 0,
          'no ping passes')
    Daemon(lab, 'iperf3', inside(server, 'iperf3', '-s', '-1', '--forceflush'), ready='listening')
    try:
        text = run(inside(client, 'iperf3', '-J', '-c', SERVER, '-t', str(seconds), '-O', '0.5'), timeout=seconds + 30)
    except (Failed, subprocess.TimeoutExpired) as e:
        raise Crashed(f'iperf3: {e}') from e
    return json.loads(text)['end']['sum_received']['bits_per_second'] / 1e9


def ours(lab, seconds):
    lab.start('sluiced')
    lab.start('sluice-netback')
    pids = [lab.guest(lab.domain(name), 'tap', '0', '--address', f'{address}/24', ready='ready').process.pid
            for name, address in (('server', SERVER), ('client', CLIENT))]
    return gbps(lab, *pids, seconds)


def net_tap(lab, seconds):
    both = f'{lab.cpus[0]},{lab.cpus[1]}'
    host_dev, guest_dev = vhost(lab)
    server, client = namespace(lab, 'server'), namespace(lab, 'client')
    host = Testpmd(lab, 'host', both, 'shared', [host_dev, 'net_tap1,iface=sbtap1'], ['--forward-mode=io'])
    guest = Testpmd(lab, 'guest', both, 'shared', [guest_dev, 'net_tap0,iface=sbtap0'], ['--forward-mode=io'])
    guest.wait_link()
    plug(server, 'sbtap1', SERVER)
    plug(client, 'sbtap0', CLIENT)
    host.do('start')
    guest.do('start')
    return gbps(lab, server, client, seconds)


def veth(lab, seconds):
    bridge, server, client = (namespace(lab, name) for name in ('bridge', 'server', 'client'))
    run(inside(bridge, 'ip', 'link', 'add', 'br0', 'type', 'bridge'))
    run(inside(bridge, 'ip', 'link', 'set', 'br0', 'up'))
    for pid, address, n in ((server, SERVER, 2), (client, CLIENT, 1)):
        run(inside(bridge, 'ip', 'link', 'add', f'port{n}', 'type', 'veth', 'peer', 'name', 'sb0', 'netns', str(pid)))
        run(inside(bridge, 'ip', 'link', 'set', f'port{n}', 'master', 'br0', 'up'))
        run(inside(pid, 'ip', 'address', 'add', f'{address}/24', 'dev', 'sb0'))
        run(inside(pid, 'ip', 'link', 'set', 'sb0', 'up'))
    return gbps(lab, server, client, seconds)


def measure(lab, args):
    for program in ('iperf3', 'nsenter', 'ip', 'ping'):
        if not shutil.which(program):
            raise Failed(f'{program} is not installed: ./dev deps')
    if args.only not in 'net.tcp.ratio':
        return
    rounds = lab.rounds(args.rounds, {name: lambda way=way: way(lab, args.seconds)
                                      for name, way in (('sluice', ours), ('net_tap', net_tap), ('veth', veth))})
    report('net.tcp.gbps', 'Gbit/s', [r['sluice'] for r in rounds])
    report('net.tcp.ratio', 'ratio', [r['sluice'] / r['net_tap'] for r in rounds])
    for kind in ('net_tap', 'veth'):
        report(f'net.peer.{kind}.tcp.gbps', 'Gbit/s', [r[kind] for r in rounds])


if __name__ == '__main__':
    sys.exit(main(measure, argparse.ArgumentParser(description='TCP between two namespaces, ours and peers by turns')))
