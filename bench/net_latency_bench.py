#!/usr/bin/env python3
"""
bench/net_latency_bench.py - what one packet waits, and what processor time packets and their absence cost.

     net_latency_bench [--seconds N] [--rounds N] [--only NAME]

     net.rtt_polling_us          guest, back end, a port that gives back what it gets (net_ring), back end, guest; both ends poll
     net.rtt_event_us            guest, back end, another guest, back end, guest; all with their defaults: they look for a while, then sleep
     net.rtt_sleeping_us         the same, but all sleep at once, so that each packet wakes each of them
     net.two_wakes_us            what two wakes cost by themselves, by an eventfd from a processor to the other and back
     net.idle_cpu_percent        of one processor: sluiced, sluice-netback and two connected guests, doing nothing
     net.cpu_percent.{1k,10k,100k,full}    of one processor: sluice-netback while a guest sends 64-byte packets at that rate to net_null
     net.guest_cpu_percent.{...}           the guest that sends
     net.cpu_full_kpps           what full was

Medians of round trips. The back end runs on the first processor; the guest on the second when there is only one.
"""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from net_lab import MACS, main, report

RATES = {'1k': 1000, '10k': 10000, '100k': 100000, 'full': 0}
PINGS = 20000


def begin(lab, *netback):
    """sluiced, and a bridge on the first processor."""
    sluiced = lab.start('sluiced')
    return sluiced, lab.start('sluice-netback', '--lcore', str(lab.cpus[0]), *netback)


def median_ping(lab, target, *options, **more):
    guest = lab.guest(lab.domain('ping'), 'net-ping', '0', str(PINGS), target, *options, **more)
    guest.wait(60)
    return guest.figure('net_ping_p50')


def polling_round_trip(lab):
    # The frame is addressed to its sender: the hub's other port brings it back.
    begin(lab, '--ageing', '0', '--busy-poll', '1000', '--port', 'net_ring0')
    return median_ping(lab, MACS[0], cpu=1)


def between_guests(lab, *options):
    begin(lab, *options)
    lab.guest(lab.domain('echo'), 'net-echo', '0', '120', *options, ready='ready')
    return median_ping(lab, MACS[0], *options)


def sleeping_round_trip(lab):
    return between_guests(lab, '--busy-poll', '0')


def idle(lab, seconds):
    daemons = list(begin(lab))
    daemons += [lab.guest(lab.domain(f'bench{n}'), 'idle', '0') for n in (0, 1)]
    time.sleep(1)
    before = sum(d.cpu_seconds() for d in daemons)
    time.sleep(seconds)
    return (sum(d.cpu_seconds() for d in daemons) - before) / seconds * 100


def at_rate(lab, rate, seconds):
    """Percent of the back end, percent of the guest, packets a second."""
    netback = begin(lab, '--ageing', '0', '--port', 'net_null0')[1]
    guest = lab.guest(lab.domain('bench'), 'net-send', '0', '64', str(int(seconds) + 2), MACS[1], *(['--rate', str(rate)] if rate else []),
                      ready='ready', cpu=1)
    time.sleep(0.5)
    before = netback.cpu_seconds(), guest.cpu_seconds()
    time.sleep(seconds)
    after = netback.cpu_seconds(), guest.cpu_seconds()
    guest.wait(60)
    return (after[0] - before[0]) / seconds * 100, (after[1] - before[1]) / seconds * 100, guest.figure('net_sent_rate')


def measure(lab, args):
    for name, sample in (('net.rtt_polling_us', polling_round_trip), ('net.rtt_event_us', between_guests),
                         ('net.rtt_sleeping_us', sleeping_round_trip)):
        if args.only in name:
            report(name, 'us', [r['sluice'] for r in lab.rounds(args.rounds, {'sluice': lambda sample=sample: sample(lab)})])
    if args.only in 'net.two_wakes_us':
        report('net.two_wakes_us', 'us', [lab.line_ns('wakes') / 1000 for _ in range(args.rounds)])
    if args.only in 'net.idle_cpu_percent':
        report('net.idle_cpu_percent', 'percent', [r['sluice'] for r in lab.rounds(args.rounds, {'sluice': lambda: idle(lab, args.seconds)})])
    for name, rate in RATES.items():
        if args.only not in f'net.cpu_percent.{name}':
            continue
        rounds = [r['sluice'] for r in lab.rounds(args.rounds, {'sluice': lambda rate=rate: at_rate(lab, rate, args.seconds)})]
        report(f'net.cpu_percent.{name}', 'percent', [r[0] for r in rounds])
        report(f'net.guest_cpu_percent.{name}', 'percent', [r[1] for r in rounds])
        if not rate:
            report('net.cpu_full_kpps', 'kpps', [r[2] / 1000 for r in rounds])


if __name__ == '__main__':
    sys.exit(main(measure, argparse.ArgumentParser(description='round trips, and processor time at rest and at rates')))
