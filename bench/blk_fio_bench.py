#!/usr/bin/env python3
"""
bench/blk_fio_bench.py - fio on a file, and fio through a vbd on the same file, by turns in one run.

     blk_fio_bench [--seconds N] [--rounds N] [--all] [--dir FOLDER]

Raw fio uses io_uring with registered file and buffers. Through the path: fio's engine (libsluice-fio.so), blkfront, ring and
sluice-blkback with its io_uring engine; fio on the first processor, the back end on the second. The same job for both. On tmpfs
fio never sleeps; on the disk it does: in a virtual machine a processor that spins can take from the host's what the disk
itself needs (seen: raw fio's random writes fall from 41,000 to 13,000 a second while another processor runs an empty loop).

     blk.{tmpfs,disk}.{randread,randwrite}.4k.qd64.iops    through the path
     blk.{tmpfs,disk}.{randread,randwrite}.4k.qd64.ratio   over raw
     blk.null.fio_ratio                                    engine null over fio's own null engine
     blk.qd1.{polling,event}_added_us                      a 4 KiB read of tmpfs, more than the fastest raw one (pread or io_uring)

--all adds a table for people, on standard error: depth, size, jobs, engines, persistent grants, lists of segments, each with
IOPS, GB/s, latency, processor time and the ratio.

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
ATTEMPTS = 4  # for each sample that counts
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


def line_ns():
    return float(run([os.path.join(HERE, 'pingpong')]))


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

    def fio(self, target, job, options, vcpus):
        """One run of fio in a fresh domain with that disk."""
        self.sluice('create', '-q', self.config, f'vcpus={vcpus}', f"disk=['format=raw,vdev=xvda,access=rw,direct-io-safe,target={target}']")
        before = self.back_seconds()
        result = fio(job + [f'--ioengine=external:{ENGINE}', '--filename=xvda', '--sluice_attach=bench',
                            f'--sluice_run_dir={self.dir}', *options], cpu=self.cpus[GUEST_CPU] if vcpus == 1 else None)
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


class Bench:
    def __init__(self, args, system):
        self.args = args
        self.system = system

    def job(self, rw='randread', bs='4k', depth=64, jobs=1):
        batch = min(depth, 16)
        return [f'--rw={rw}', f'--bs={bs}', f'--iodepth={depth}', f'--numjobs={jobs}', '--norandommap=1', '--randrepeat=0',
                f'--runtime={int(self.args.seconds * 1000)}ms', '--time_based=1', f'--iodepth_batch_submit={batch}',
                '--iodepth_batch_complete_min=1', f'--iodepth_batch_complete_max={batch}']

    def raw(self, path, job, direct, engine='io_uring'):
        extra = ['--registerfiles=1', '--fixedbufs=1'] if engine == 'io_uring' else []
        return fio(job + [f'--ioengine={engine}', f'--filename={path}', f'--direct={direct}', *extra])

    def ours(self, path, job, *options, vcpus=1):
        return self.system.fio(path, job, list(options), vcpus)

    def pairs(self, raw, ours):
        """Samples of both, taken by turns, in like conditions: [(raw, ours)]."""
        good, last = [], []
        for left in range(self.args.rounds * ATTEMPTS, 0, -1):
            lines = [line_ns()]
            pair = (raw(), ours())
            lines.append(line_ns())
            last.append(pair)
            # When hardly any attempt was quiet, the last ones count as they are.
            if max(lines) < min(lines) * TOLERANCE or left <= self.args.rounds - len(good):
                good.append(pair)
            if len(good) == self.args.rounds:
                break
        return good

    def against_raw(self, where, path, direct, *options):
        for rw in ('randread', 'randwrite'):
            job = self.job(rw)
            pairs = self.pairs(lambda: self.raw(path, job, direct), lambda: self.ours(path, job, *options))
            report(f'blk.{where}.{rw}.4k.qd64.iops', '1/s', [o['iops'] for _, o in pairs])
            report(f'blk.{where}.{rw}.4k.qd64.ratio', 'ratio', [o['iops'] / r['iops'] for r, o in pairs])

    def one_at_a_time(self, path, name, *options):
        job = self.job(depth=1)

        def fastest():
            return min((self.raw(path, job, 0, e) for e in ('io_uring', 'psync')), key=lambda r: r['mean_us'])

        pairs = self.pairs(fastest, lambda: self.system.fio(path, job, list(options), 1))
        report(name, 'us', [o['mean_us'] - r['mean_us'] for r, o in pairs])

    def table(self, where, path, direct, *common):
        """For people: everything that changes the picture, one line each."""
        cases = [(rw, '4k', depth, 1, ()) for rw in ('randread', 'randwrite') for depth in (1, 32, 64)]
        cases += [(rw, '128k', 16, 1, ()) for rw in ('read', 'write')]
        cases += [('randread', '4k', 64, jobs, ()) for jobs in (2, 4)]
        cases += [('randread', '4k', 64, 1, ('--sluice_persistent=1',)), ('read', '128k', 16, 1, ('--sluice_persistent=1',)),
                  ('read', '128k', 16, 1, ('--sluice_segments=11',)), ('randread', '4k', 64, 1, ('--sluice_ring_order=0',))]
        for rw, bs, depth, jobs, options in cases:
            job = self.job(rw, bs, depth, jobs)
            raw = self.raw(path, job, direct)
            ours = self.ours(path, job, *common, *options, vcpus=jobs if jobs == 1 else jobs + 1)
            self.say(f"{where} {rw} {bs} qd{depth} x{jobs} {' '.join(o[9:] for o in options)}", raw, ours)

    @staticmethod
    def say(title, raw, ours):
        for who, r in (('raw', raw), ('ours', ours)):
            print(f"{title if who == 'raw' else '':48} {who:4} {r['iops']:10.0f} IOPS {r['gbps']:7.3f} GB/s  p50 {r['p'][50.0]:7.1f}"
                  f" p99 {r['p'][99.0]:7.1f} p99.9 {r['p'][99.9]:7.1f} us  cpu {r['cpu_us']:6.2f} us/op"
                  + (f"  ratio {ours['iops'] / raw['iops']:.3f}" if who == 'ours' else ''), file=sys.stderr, flush=True)


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
    tmpfs = os.path.join(folders[-1], 'image')
    folders.append(tempfile.mkdtemp(prefix='sluice-bench-', dir=args.dir))
    disk = os.path.join(folders[-1], 'image')
    make_file(tmpfs, TMPFS_MIB)
    make_file(disk, DISK_MIB)
    system = System()
    bench = Bench(args, system)
    try:
        system.start('sluiced')
        system.start('sluice-blkback', cpu=BACK_CPU)
        bench.against_raw('tmpfs', tmpfs, 0, NEVER_SLEEP)
        bench.against_raw('disk', disk, 1, SLEEP_AT_ONCE)
        if args.all:
            bench.table('tmpfs', tmpfs, 0, NEVER_SLEEP)
            bench.table('disk', disk, 1, SLEEP_AT_ONCE)
        system.stop_last()
        for name, busy, *options in (('polling', '1000', NEVER_SLEEP), ('event', '0', SLEEP_AT_ONCE)):
            system.start('sluice-blkback', '--busy-poll', busy, cpu=BACK_CPU)
            bench.one_at_a_time(tmpfs, f'blk.qd1.{name}_added_us', *options)
            system.stop_last()
        system.start('sluice-blkback', '--engine', 'null', cpu=BACK_CPU)
        job = bench.job()
        pairs = bench.pairs(lambda: fio(job + ['--ioengine=null', f'--size={TMPFS_MIB}m']), lambda: bench.ours(tmpfs, job, NEVER_SLEEP))
        report('blk.null.fio_ratio', 'ratio', [o['iops'] / r['iops'] for r, o in pairs])
        if args.all:
            for engine in ('libaio', 'sync', 'memory'):
                system.stop_last()
                system.start('sluice-blkback', '--engine', engine, cpu=BACK_CPU)
                for rw in ('randread', 'randwrite'):
                    job = bench.job(rw)
                    raw_engine = {'libaio': 'libaio', 'sync': 'psync', 'memory': 'mmap'}[engine]
                    bench.say(f'disk, engine {engine}, {rw} 4k qd64', bench.raw(disk, job, int(engine != 'memory'), raw_engine),
                              bench.ours(disk, job))
    finally:
        system.end()


def main():
    parser = argparse.ArgumentParser(description='fio on a file, and fio through a vbd on the same file, by turns')
    parser.add_argument('--seconds', type=float, default=2, help='of a sample')
    parser.add_argument('--rounds', type=int, default=3, help='samples of each figure')
    parser.add_argument('--all', action='store_true', help='a table of everything, on standard error')
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
