#!/usr/bin/env python3
"""
bench/net_rate_bench.py - packets a second between a guest and a host, and between two guests: ours and its peers by turns, in stock testpmd.

     net_rate_bench [--seconds N] [--rounds N] [--only NAME]

     net.{g2b,b2g,loop}.{64,1518}.mpps     received, one processor at each end; g2b: guest to back end, loop: both forward
     net.{g2b,b2g,loop}.{64,1518}.ratio    over the best peer of the same round
     net.vif2vif.{64,1518}.ratio           two guests, both ways, through sluice-netback, over two vhost-user ports in testpmd

Peers: vhost-user with a split and with a packed ring (virtio-user at the other end), memif. Ours: net_netback and net_netfront; at 1518
bytes with zero-copy=yes, which trusts the back end with the rx pages (the peers' guests trust it with all of their memory). What a peer
reached is printed too, as net.peer.*.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from net_lab import MACS, Crashed, Failed, Testpmd, drivers, main, report, say, vhost

HOST_MODE = {'g2b': 'rxonly', 'b2g': 'txonly', 'loop': 'io'}
GUEST_MODE = {'g2b': 'txonly', 'b2g': 'rxonly', 'loop': 'io'}
SIZES = (64, 1518)
OUR_DESCRIPTORS = 256  # a ring of one page
ZERO_COPY_ABOVE = 512  # what is shorter net_netfront copies all the same


def memif(lab, n=0):
    common = f'id=0,bsize=2048,rsize=10,socket={lab.dir}/memif{n},socket-abstract=no'
    return f'net_memif{n},role=server,{common}', f'net_memif{n},role=client,{common}'


PEERS = {
    'vhost': (vhost, 'shared'),
    'vhost_packed': (lambda lab: vhost(lab, packed=True), 'shared'),
    'memif': (memif, 'own'),
}


def transfer(host, guest, direction, seconds):
    """Both ends exist; starts them so that nothing is sent before the other end looks, and measures."""
    host.wait_link()
    guest.wait_link()
    if direction == 'b2g':
        guest.do('start')
        host.do('start')
        return guest.received(seconds)
    host.do('start')
    guest.do('start tx_first 8' if direction == 'loop' else 'start')
    return host.received(seconds)


def app(mode, size):
    return [f'--forward-mode={mode}', f'--txpkts={size}']


def peer_sample(lab, kind, direction, size, seconds):
    devices, memory = PEERS[kind]
    host_dev, guest_dev = devices(lab)
    host = Testpmd(lab, 'host', lab.cpus[0], memory, [host_dev], app(HOST_MODE[direction], size))
    guest = Testpmd(lab, 'guest', lab.cpus[1], memory, [guest_dev], app(GUEST_MODE[direction], size))
    return transfer(host, guest, direction, seconds)


def our_end(lab, name, cpu, vdevs, words):
    """A testpmd with our drivers."""
    return Testpmd(lab, name, lab.cpus[cpu], 'own', vdevs, words, OUR_DESCRIPTORS, lab.plugin())


def netfront(lab, name, size, n=0):
    return f'net_netfront{n},attach={name},vif=0,run_dir={lab.dir}' + (',zero-copy=yes' if size > ZERO_COPY_ABOVE else '')


def our_sample(lab, direction, size, seconds):
    lab.start('sluiced')
    # The back end first: a domain is not made before its vif is served.
    host = our_end(lab, 'host', 0, [f'net_netback0,guest=bench,vif=0,run_dir={lab.dir}'], app(HOST_MODE[direction], size))
    guest = our_end(lab, 'guest', 1, [netfront(lab, lab.domain('bench'), size)], app(GUEST_MODE[direction], size))
    return transfer(host, guest, direction, seconds)


def crosswise(size):
    """One process is both guests: each answers the other's packets, addresses swapped. As many are under way as no ring overflows with."""
    return app('macswap', size) + ['--port-topology=loop'] + [f'--eth-peer={n},{MACS[1 - n]}' for n in (0, 1)]


def both_ways(guest, seconds):
    guest.wait_link(2)
    guest.do('start tx_first 4')
    return guest.received(seconds)


def peer_vif2vif(lab, size, seconds):
    pairs = [vhost(lab, n) for n in (0, 1)]
    host = Testpmd(lab, 'host', lab.cpus[0], 'shared', [p[0] for p in pairs], app('io', size))
    guest = Testpmd(lab, 'guest', lab.cpus[1], 'shared', [p[1] for p in pairs], crosswise(size))
    host.wait_link(2)
    host.do('start')
    return both_ways(guest, seconds)


def our_vif2vif(lab, size, seconds):
    lab.start('sluiced')
    lab.start('sluice-netback', '--lcore', str(lab.cpus[0]), '--busy-poll', '1000')
    vdevs = [netfront(lab, lab.domain(f'bench{n}'), size, n) for n in (0, 1)]
    return both_ways(our_end(lab, 'guest', 1, vdevs, crosswise(size)), seconds)


def measure_pair(lab, args, direction, size, is_ours_there):
    name = f'net.{direction}.{size}'
    samples = {'sluice': lambda: our_sample(lab, direction, size, args.seconds)} if is_ours_there else {}
    for kind in PEERS:
        samples[kind] = lambda kind=kind: peer_sample(lab, kind, direction, size, args.seconds)
    rounds = lab.rounds(args.rounds, samples)
    for kind in PEERS:
        report(f'net.peer.{kind}.{direction}.{size}.mpps', 'Mpps', [r[kind] / 1e6 for r in rounds])
    if is_ours_there:
        report(f'{name}.mpps', 'Mpps', [r['sluice'] / 1e6 for r in rounds])
        report(f'{name}.ratio', 'ratio', [r['sluice'] / max(r[k] for k in PEERS) for r in rounds])


def measure_vif2vif(lab, args, size, is_ours_there):
    samples = {'vhost': lambda: peer_vif2vif(lab, size, args.seconds)}
    if is_ours_there:
        samples['sluice'] = lambda: our_vif2vif(lab, size, args.seconds)
    rounds = lab.rounds(args.rounds, samples)
    report(f'net.peer.vhost.vif2vif.{size}.mpps', 'Mpps', [r['vhost'] / 1e6 for r in rounds])
    if is_ours_there:
        report(f'net.vif2vif.{size}.mpps', 'Mpps', [r['sluice'] / 1e6 for r in rounds])
        report(f'net.vif2vif.{size}.ratio', 'ratio', [r['sluice'] / r['vhost'] for r in rounds])


def guarded(measure, *args):
    """One figure's failure is not the others'. 1 or 0."""
    try:
        measure(*args)
        return 0
    except (Failed, Crashed) as e:
        say(e)
        return 1


def measure_all(lab, args):
    ours = drivers()
    if len(ours) < 2:
        say(f'this build has no librte_net_sluice.so with net_netfront and net_netback (it has: {" ".join(ours) or "none"}): '
            'peers only, where it takes both')
    status = 0
    for size in SIZES:
        for direction in HOST_MODE:
            if args.only in f'net.{direction}.{size}':
                status |= guarded(measure_pair, lab, args, direction, size, len(ours) == 2)
        if args.only in f'net.vif2vif.{size}':
            status |= guarded(measure_vif2vif, lab, args, size, 'net_netfront' in ours)
    return status


if __name__ == '__main__':
    sys.exit(main(measure_all, argparse.ArgumentParser(description='packets a second, ours and peers by turns')))
