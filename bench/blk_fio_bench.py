#!/usr/bin/env python3
"""
bench/blk_fio_bench.py - fio on a file, and fio through a vbd on the same file, by turns in one run.

     blk_fio_bench [--seconds N] [--rounds N] [--quick] [--dir FOLDER]

The same job for both. Raw fio uses io_uring with registered file and buffers, or the engine that a row of the table names. Through
the path: fio's engine (libsluice-fio.so), blkfront, ring and sluice-blkback.

     tmpfs   fio on one processor, the back end on another, and fio never sleeps: the path itself
     disk    O_DIRECT; both on one processor, as raw fio is, and both sleep. A virtual disk is served by the host's processors, from
             which a spinning one may take time (seen: raw fio's random writes fall from 41,000 to 13,000 a second while another
             processor runs an empty loop); and a wake on the same processor costs a tenth of one across

     blk.{tmpfs,disk}.{randread,randwrite}.4k.qd64.iops    through the path
     blk.{tmpfs,disk}.{randread,randwrite}.4k.qd64.ratio   over raw
     blk.null.fio_ratio                                    engine null over fio's own null engine
     blk.qd1.polling_added_us                              a 4 KiB read of tmpfs, more than the fastest raw one (pread or io_uring)
     blk.qd1.event_added_us                                the same with both ends as they are by default: they look, then sleep
     blk.qd1.sleeping_added_us                             the same with both ends asleep each time
     blk.qd1.two_wakes_us                                  of which so much are two wakes by an eventfd, from a processor to another

Then, unless --quick, everything that changes the picture: depths, sizes, jobs (each has a queue), engines, persistent grants, no
lists of segments, a ring of one page. Each is a figure too, and a row of the table at the end: medians of IOPS, GB/s, latency, and processor
time of both ends together.

A sample counts when a cache line cost the same, to a fifth, before and after it and its partner (bench/pingpong.h says why).
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
TOOLS = os.path.join(HERE, '..', 'tools')
ENGINE = os.path.realpath(os.path.join(TOOLS, 'libsluice-fio.so'))
TOLERANCE = 1.2
ATTEMPTS = 2  # for each sample that counts
TMPFS_MIB, DISK_MIB = 256, 512
GUEST_CPU, BACK_CPU = 0, 1
NEVER_SLEEP, SLEEP_AT_ONCE = '--sluice_poll=1', '--sluice_busy_poll_us=0'


class Failed(Exception):
    """A sentence for the person who runs this."""


def run(args, **more):
    done = subprocess.run(args, capture_output=True, text=True, **more)
    if done.returncode:
        raise Failed(f"{os.path.basename(args[0])} failed: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def line_ns(*what):
    return float(run([os.path.join(HERE, 'pingpong'), *what]))


def median(values):
    return sorted(values)[len(values) // 2]


def report(name, unit, values):
    for suffix, value in (('', median(values)), ('.min', min(values)), ('.max', max(values))):
        print(f'{name}{suffix} {value:.4g} {unit}', flush=True)


class System:
    """A private sluiced and a sluice-blkback, in a run directory of its own."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='sluice-bench-')
        self.daemons = []
        self.config = os.path.join(self.dir, 'bench.cfg')
        with open(self.config, 'w', encoding='utf-8') as f:
            f.write('name = "bench"\nkernel = ""\nmemory = 96\n')
        self.cpus = sorted(os.sched_getaffinity(0))

    def start(self, name, *options, cpu=None):
        read_end, write_end = os.pipe()
        os.set_inheritable(write_end, True)
        pin = ['taskset', '-c', str(self.cpus[cpu])] if cpu is not None else []
        with open(os.path.join(self.dir, name + '.log'), 'a', encoding='utf-8') as log:
            self.daemons.append(subprocess.Popen(
                pin + [os.path.join(TOOLS, name), '--run-dir', self.dir, '--ready-fd', str(write_end), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False))
        os.close(write_end)
        with os.fdopen(read_end) as f:
            if not f.readline():
                raise Failed(f'{name} did not start (is it built in {TOOLS}?)')

    def stop_last(self):
        daemon = self.daemons.pop()
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(20)

    def end(self):
        while self.daemons:
            self.stop_last()
        shutil.rmtree(self.dir, ignore_errors=True)

    def sluice(self, *args):
        return run([os.path.join(TOOLS, 'sluice'), '--run-dir', self.dir, *args])

    def back_seconds(self):
        with open(f'/proc/{self.daemons[-1].pid}/stat', encoding='utf-8') as f:
            fields = f.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def fio(self, target, job, options, cpu=GUEST_CPU, vcpus=1):
        """One run of fio in a fresh domain with that disk."""
        self.sluice('create', '-q', self.config, f'vcpus={vcpus}', f"disk=['format=raw,vdev=xvda,access=rw,direct-io-safe,target={target}']")
        before = self.back_seconds()
        result = fio(job + [f'--ioengine=external:{ENGINE}', '--filename=xvda', '--sluice_attach=bench',
                            f'--sluice_run_dir={self.dir}', *options], cpu=self.cpus[cpu] if vcpus == 1 else None)
        result['cpu_us'] += (self.back_seconds() - before) * 1e6 / max(result['ops'], 1)
        for _ in range(400):
            if 'bench' not in self.sluice('list'):
                return result
            time.sleep(0.01)
        raise Failed('the domain of a fio run does not end')


def fio(args, cpu=None):
    pin = ['taskset', '-c', str(cpu)] if cpu is not None else []
    text = run(pin + ['fio', '--output-format=json', '--name=bench', '--thread=1', '--group_reporting=1', *args], timeout=300)
    job = json.loads(text[text.index('{'):])['jobs'][0]
    if job['error']:
        raise Failed(f"fio's job ended with error {job['error']}")
    side = max((job['read'], job['write']), key=lambda s: s['total_ios'])
    ops = side['total_ios']
    seconds = side['runtime'] / 1000
    return {
        'ops': ops,
        'iops': side['iops'],
        'gbps': side['bw_bytes'] / 1e9,
        'mean_us': side['lat_ns']['mean'] / 1000,
        'p': {p: side['clat_ns'].get('percentile', {}).get(f'{p:.6f}', 0) / 1000 for p in (50.0, 99.0, 99.9)},
        'cpu_us': (job['usr_cpu'] + job['sys_cpu']) / 100 * seconds * 1e6 / max(ops, 1),
    }


class Place:
    """A file, and who runs where to use it."""

    def __init__(self, name, path, direct, cpu, options=()):
        self.name, self.path, self.direct, self.cpu, self.options = name, path, direct, cpu, options


class Bench:
    def __init__(self, args, system):
        self.args = args
        self.system = system
        self.rows = []

    def job(self, rw='randread', bs='4k', depth=64, jobs=1, seconds=None):
        batch = min(depth, 16)
        return [f'--rw={rw}', f'--bs={bs}', f'--iodepth={depth}', f'--numjobs={jobs}', '--norandommap=1', '--randrepeat=0',
                f'--runtime={int((seconds or self.args.seconds) * 1000)}ms', '--time_based=1', f'--iodepth_batch_submit={batch}',
                '--iodepth_batch_complete_min=1', f'--iodepth_batch_complete_max={batch}']

    @staticmethod
    def raw(place, job, engine='io_uring', *options):
        extra = ['--registerfiles=1', '--fixedbufs=1'] if engine == 'io_uring' else []
        where = [f'--filename={place.path}', f'--direct={place.direct}'] if engine != 'nbd' else []
        return fio(job + [f'--ioengine={engine}', *where, *extra, *options])

    def ours(self, place, job, *options, jobs=1):
        return self.system.fio(place.path, job, [*place.options, *options], place.cpu, jobs if jobs == 1 else jobs + 1)

    def pairs(self, raw, ours, attempts=ATTEMPTS):
        """Samples of both, taken by turns, in like conditions: [(raw, ours)]."""
        good = []
        for left in range(self.args.rounds * attempts, 0, -1):
            lines = [line_ns()]
            pair = (raw(), ours())
            lines.append(line_ns())
            # When hardly any attempt was quiet, the last ones count as they are.
            if max(lines) < min(lines) * TOLERANCE or left <= self.args.rounds - len(good):
                good.append(pair)
            if len(good) == self.args.rounds:
                break
        return good

    def compare(self, name, pairs):
        """A figure, and a row of the table for each side."""
        report(f'blk.peer.raw.{name}.iops', '1/s', [r['iops'] for r, _ in pairs])
        report(f'blk.{name}.iops', '1/s', [o['iops'] for _, o in pairs])
        report(f'blk.{name}.ratio', 'ratio', [o['iops'] / r['iops'] for r, o in pairs])
        for who, side in (('raw', 0), ('ours', 1)):
            row = {key: median([pair[side][key] for pair in pairs]) for key in ('iops', 'gbps', 'cpu_us')}
            row['p'] = {p: median([pair[side]['p'][p] for pair in pairs]) for p in (50.0, 99.0, 99.9)}
            self.rows.append((name if who == 'raw' else '', who, row, median([o['iops'] / r['iops'] for r, o in pairs])))

    def against_raw(self, place):
        for rw in ('randread', 'randwrite'):
            job = self.job(rw)
            self.compare(f'{place.name}.{rw}.4k.qd64', self.pairs(lambda: self.raw(place, job), lambda: self.ours(place, job)))

    def one_at_a_time(self, place, name, *options):
        job = self.job(depth=1)

        def fastest():
            return min((self.raw(place, job, e) for e in ('io_uring', 'psync')), key=lambda r: r['mean_us'])

        pairs = self.pairs(fastest, lambda: self.system.fio(place.path, job, options))
        report(name, 'us', [o['mean_us'] - r['mean_us'] for r, o in pairs])

    def case(self, place, rw, bs='4k', depth=64, jobs=1, label='', options=(), engine='io_uring', raw_options=()):
        """One of the many: shorter samples, each counts."""
        job = self.job(rw, bs, depth, jobs, self.args.seconds / 2)
        name = '.'.join(filter(None, (place.name, rw, bs, f'qd{depth}', f'x{jobs}' if jobs > 1 else '', label)))
        self.compare(name, self.pairs(lambda: self.raw(place, job, engine, *raw_options),
                                      lambda: self.ours(place, job, *options, jobs=jobs), attempts=1))

    def cases(self, place):
        for rw in ('randread', 'randwrite'):
            for depth in (1, 32):
                self.case(place, rw, depth=depth)
        for rw in ('read', 'write'):
            self.case(place, rw, depth=32)  # adjacent requests
            self.case(place, rw, '128k', 16)
        for jobs in (2, 3, 4):
            self.case(place, 'randread', jobs=jobs)

    def options(self, place):
        for label, option, rw, bs, depth in (('persistent', '--sluice_persistent=1', 'randread', '4k', 64),
                                             ('persistent', '--sluice_persistent=1', 'randwrite', '4k', 64),
                                             ('persistent', '--sluice_persistent=1', 'read', '128k', 16),
                                             ('direct', '--sluice_segments=11', 'read', '128k', 16),
                                             ('onepage', '--sluice_ring_order=0', 'randread', '4k', 64)):
            self.case(place, rw, bs, depth, label=label, options=[option])

    def engines(self, tmpfs, disk):
        """Each engine on what it is for, and the engine of fio's that does the same."""
        for engine, place, raw_engine in (('libaio', disk, 'libaio'), ('sync', tmpfs, 'psync'), ('memory', tmpfs, 'mmap')):
            self.system.stop_last()
            self.system.start('sluice-blkback', '--engine', engine, cpu=BACK_CPU)
            served = Place(f'engine_{engine}', place.path, place.direct, place.cpu, place.options)
            for rw in ('randread', 'randwrite'):
                self.case(served, rw, engine=raw_engine)

    def nbd(self):
        """A server that keeps the data in memory, and both sides its clients."""
        socket = os.path.join(self.system.dir, 'nbd')
        server = subprocess.Popen(['nbdkit', '--foreground', '--unix', socket, 'memory', f'{TMPFS_MIB}M'], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        try:
            while not os.path.exists(socket):
                if server.poll() is not None:
                    raise Failed('nbdkit did not start')
                time.sleep(0.01)
            place = Place('engine_nbd', f'nbd:unix:{socket}', 0, BACK_CPU)
            for rw in ('randread', 'randwrite'):
                self.case(place, rw, engine='nbd', raw_options=[f'--uri=nbd+unix:///?socket={socket}', f'--size={TMPFS_MIB}m'])
        finally:
            server.terminate()
            server.wait(20)

    def print_table(self):
        print()
        print(f"{'':36} {'':4} {'IOPS':>9} {'GB/s':>7} {'p50 us':>8} {'p99 us':>8} {'p99.9 us':>8} {'cpu us/op':>9} {'ratio':>6}")
        for name, who, r, ratio in self.rows:
            print(f"{name:36} {who:4} {r['iops']:9.0f} {r['gbps']:7.3f} {r['p'][50.0]:8.1f} {r['p'][99.0]:8.1f} {r['p'][99.9]:8.1f}"
                  f" {r['cpu_us']:9.2f}" + (f' {ratio:6.3f}' if who == 'ours' else ''), flush=True)


def make_file(path, mib):
    """Every block written: a hole is read faster than data."""
    piece = os.urandom(1 << 20)
    with open(path, 'wb') as f:
        for _ in range(mib):
            f.write(piece)
        f.flush()
        os.fsync(f.fileno())


def memory_folder():
    """A tmpfs to put a file into."""
    if shutil.disk_usage('/dev/shm').free < (TMPFS_MIB + 64) << 20:
        raise Failed(f'/dev/shm has no room for {TMPFS_MIB} MiB')
    return tempfile.mkdtemp(prefix='sluice-bench-', dir='/dev/shm')


def measure(args, folders):
    folders.append(memory_folder())
    tmpfs = Place('tmpfs', os.path.join(folders[-1], 'image'), 0, GUEST_CPU, [NEVER_SLEEP])
    folders.append(tempfile.mkdtemp(prefix='sluice-bench-', dir=args.dir))
    disk = Place('disk', os.path.join(folders[-1], 'image'), 1, BACK_CPU)
    make_file(tmpfs.path, TMPFS_MIB)
    make_file(disk.path, DISK_MIB)
    system = System()
    bench = Bench(args, system)
    try:
        system.start('sluiced')
        system.start('sluice-blkback', cpu=BACK_CPU)
        for place in (tmpfs, disk):
            bench.against_raw(place)
            if not args.quick:
                bench.cases(place)
        bench.one_at_a_time(tmpfs, 'blk.qd1.event_added_us')
        if not args.quick:
            bench.options(tmpfs)
            bench.nbd()
            bench.engines(tmpfs, disk)
        system.stop_last()
        for name, busy, option in (('polling', '1000', NEVER_SLEEP), ('sleeping', '0', SLEEP_AT_ONCE)):
            system.start('sluice-blkback', '--busy-poll', busy, cpu=BACK_CPU)
            bench.one_at_a_time(tmpfs, f'blk.qd1.{name}_added_us', option)
            system.stop_last()
        report('blk.qd1.two_wakes_us', 'us', [line_ns('wakes') / 1000 for _ in range(args.rounds)])
        system.start('sluice-blkback', '--engine', 'null', cpu=BACK_CPU)
        job = bench.job()
        pairs = bench.pairs(lambda: fio(job + ['--ioengine=null', f'--size={TMPFS_MIB}m']), lambda: bench.ours(tmpfs, job))
        report('blk.null.fio_ratio', 'ratio', [o['iops'] / r['iops'] for r, o in pairs])
        bench.compare('engine_null.randread.4k.qd64', pairs)
    finally:
        system.end()
    bench.print_table()


def main():
    parser = argparse.ArgumentParser(description='fio on a file, and fio through a vbd on the same file, by turns')
    parser.add_argument('--seconds', type=float, default=0.8, help='of a sample')
    parser.add_argument('--rounds', type=int, default=3, help='samples of each figure')
    parser.add_argument('--quick', action='store_true', help='only the figures that have a target')
    parser.add_argument('--dir', default='/var/tmp', help='where the file on a disk goes')
    args = parser.parse_args()
    folders = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if len(os.sched_getaffinity(0)) < 2:
            raise Failed('needs two processors; this process may use one')
        if not shutil.which('fio'):
            raise Failed('fio is not installed: ./dev deps')
        if not os.path.exists(ENGINE):
            raise Failed(f'there is no {ENGINE}: ./dev deps gets the source of fio that it is built against, then build again')
        measure(args, folders)
    except Failed as e:
        print(f'blk_fio_bench: {e}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


sys.exit(main())
