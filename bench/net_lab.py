"""
bench/net_lab.py - what the network benches share: a private Sluice system, testpmd on a leash, namespaces, hugepages, samples in turn.

A sample counts when a cache line's round trip between the two processors stayed the same, to a fifth, from before the first sample of
its round until after the last (bench/pingpong.h says why). A peer's or our own crash is a failed sample: said, and the round is taken again.

Owns     processes, namespaces, a mount of hugepages and the folder, from the beginning of a `with Lab()` to its end.
Fails    Failed: a sentence for the person who runs this.
"""
import glob
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
BUILD = os.path.dirname(HERE)
TOOLS = os.path.join(BUILD, 'tools')
PLUGIN = os.path.join(TOOLS, 'librte_net_sluice.so')
TOLERANCE = 1.2
ATTEMPTS = 2  # for each round that counts
HUGE_MIB = 1024
HUGE_NR = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages'
HUGE_FREE = '/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages'
MACS = ('02:16:3e:00:00:0a', '02:16:3e:00:00:0b')


class Failed(Exception):
    """A sentence for the person who runs this."""


class Crashed(Exception):
    """A program under measure ended or fell silent: a failed sample."""


def say(text):
    print(f'{os.path.basename(sys.argv[0])}: {text}', file=sys.stderr, flush=True)


def run(args, **more):
    done = subprocess.run(args, capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)
    if done.returncode:
        raise Failed(f'{os.path.basename(args[0])} failed: {(done.stderr or done.stdout).strip()[-400:]}')
    return done.stdout


def median(values):
    return sorted(values)[len(values) // 2]


def report(name, unit, values):
    for suffix, value in (('', median(values)), ('.min', min(values)), ('.max', max(values))):
        print(f'{name}{suffix} {value:.4g} {unit}', flush=True)


def until(seconds, condition, what):
    """Looks again and again; what: said when the time is up."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise Crashed(what)
        time.sleep(0.05)
    return found


def drivers():
    """Which of our DPDK drivers this build has."""
    try:
        with open(PLUGIN, 'rb') as f:
            text = f.read()
    except OSError:
        return []
    return [name for name in ('net_netfront', 'net_netback') if name.encode() + b'\0' in text]


def vhost(lab, n=0, packed=False):
    """The devices of one vhost-user pair, host and guest."""
    sock = os.path.join(lab.dir, f'vhost{n}')
    extra = ',packed_vq=1' if packed else ''
    return (f'net_vhost{n},iface={sock},queues=1',
            f'net_virtio_user{n},path={sock},queues=1,queue_size=1024,mrg_rxbuf=1,in_order=1,mac={MACS[n]}{extra}')


class Testpmd:
    """One dpdk-testpmd: commands in, words out."""

    def __init__(self, lab, name, cpus, memory, vdevs, app, descriptors=1024, driver=None):
        self.name, self.text, self.lock = name, '', threading.Lock()
        lcores = f'0@({cpus}),1@({cpus})'
        args = ['dpdk-testpmd', '--lcores', lcores, f'--file-prefix={name}{os.getpid()}', '--no-pci', '--no-telemetry', *lab.memory(memory)]
        args += ['-d', driver] if driver else []
        args += [a for v in vdevs for a in ('--vdev', v)]
        args += ['--', '-i', '--total-num-mbufs=32768', '--mbuf-size=2176', '--burst=32', f'--rxd={descriptors}', f'--txd={descriptors}',
                 '--nb-cores=1', '--no-flush-rx', *app]
        self.out, out = pty.openpty()  # to a pipe it would say nothing until its buffer is full
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=out, stderr=out, env=lab.env)
        os.close(out)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        lab.processes.append(self)
        self.wait('testpmd> ', 30)

    def read(self):
        try:
            while data := os.read(self.out, 65536):
                with self.lock:
                    self.text += data.decode(errors='replace')
        except OSError:
            pass  # it has ended

    def wait(self, words, seconds=10, after=0):
        def found():
            with self.lock:
                at = self.text.find(words, after)
            if at < 0 and self.process.poll() is not None:
                raise Crashed(f'{self.name} ended ({self.process.returncode}): ...{self.text.strip()[-300:]}')
            return at + 1
        return until(seconds, found, f'{self.name} does not say "{words}": ...{self.text.strip()[-300:]}') - 1

    def do(self, command):
        """What it answered."""
        with self.lock:
            before = len(self.text)
        try:
            self.process.stdin.write(command.encode() + b'\n')
            self.process.stdin.flush()
        except OSError as e:
            raise Crashed(f'{self.name} takes no commands: ...{self.text.strip()[-300:]}') from e
        self.wait('testpmd> ', 20, after=self.wait('\n', 20, after=before))
        with self.lock:
            return self.text[before:]

    def wait_link(self, nr_ports=1):
        def is_up():
            return all('Link status: up' in self.do(f'show port info {i}') for i in range(nr_ports))
        until(15, is_up, f'{self.name}: the link stays down')

    def received(self, seconds):
        """Packets a second, of all its ports."""
        time.sleep(0.5)
        self.do('show port stats all')
        time.sleep(seconds)
        return sum(int(n) for n in re.findall(r'Rx-pps: +(\d+)', self.do('show port stats all')))

    def end(self):
        if self.process.poll() is None:
            try:
                self.process.stdin.write(b'stop\nquit\n')
                self.process.stdin.flush()
                self.process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.reader.join(5)
        os.close(self.out)


class Daemon:
    """Any other process, with a log."""

    def __init__(self, lab, name, args, ready=None, pass_fds=(), seconds=15):
        self.name, self.path = name, os.path.join(lab.dir, f'{name}.log')
        with open(self.path, 'w', encoding='utf-8') as log:
            self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=lab.env, pass_fds=pass_fds)
        lab.processes.append(self)
        if ready:
            until(seconds, lambda: self.says(ready), f'{name} is not ready: {self.words()[-300:]}')

    def words(self):
        with open(self.path, encoding='utf-8', errors='replace') as f:
            return f.read()

    def says(self, words):
        if words in self.words():
            return True
        if self.process.poll() is not None:
            raise Crashed(f'{self.name} ended: {self.words().strip()[-300:]}')
        return False

    def cpu_seconds(self):
        """Of all its threads, to the nanosecond: what sleeps between two ticks of the clock counts too."""
        total = 0
        for path in glob.glob(f'/proc/{self.process.pid}/task/*/schedstat'):
            with open(path, encoding='utf-8') as f:
                total += int(f.read().split()[0])
        return total / 1e9

    def wait(self, seconds):
        """It ends by itself, well."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired as e:
            raise Crashed(f'{self.name} does not end: {self.words().strip()[-300:]}') from e
        if status:
            raise Crashed(f'{self.name} ended ({status}): {self.words().strip()[-300:]}')

    def figure(self, name):
        found = re.search(rf'^{name} ([-0-9.e+]+)', self.words(), re.M)
        if not found:
            raise Crashed(f'{self.name} gives no {name}: {self.words().strip()[-300:]}')
        return float(found[1])

    def end(self, signo=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signo)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


class Lab:
    """The folder, the processes, the hugepages of one bench."""

    def __init__(self):
        if os.geteuid():
            raise Failed('needs root: devices, namespaces and hugepages')
        self.cpus = sorted(os.sched_getaffinity(0))
        if len(self.cpus) < 2:
            raise Failed('needs two processors; this process may use one')
        self.dir = tempfile.mkdtemp(prefix='sluice-bench-')
        self.env = dict(os.environ, SLUICE_RUN_DIR=self.dir)
        self.processes, self.domains = [], []
        self.plugin_dir = None
        self.huge_dir, self.has_huge = os.path.join(self.dir, 'huge'), False

    def __enter__(self):
        try:
            self.reserve()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.clear()
        if self.has_huge:
            subprocess.run(['umount', self.huge_dir], check=False)
            self.add_huge(-HUGE_MIB // 2)
        shutil.rmtree(self.dir, ignore_errors=True)
        if self.plugin_dir:
            shutil.rmtree(self.plugin_dir, ignore_errors=True)

    @staticmethod
    def add_huge(nr):
        with open(HUGE_NR, 'r+', encoding='utf-8') as f:
            before = int(f.read())
            f.seek(0)
            f.write(f'{max(before + nr, 0)}\n')

    def reserve(self):
        """1 GiB of 2 MiB pages; where there are none, everybody does without."""
        try:
            self.add_huge(HUGE_MIB // 2)
            with open(HUGE_FREE, encoding='utf-8') as f:
                free = int(f.read())
            if free < HUGE_MIB // 2:
                self.add_huge(-HUGE_MIB // 2)
                raise OSError(f'{free} of {HUGE_MIB // 2} pages')
            os.mkdir(self.huge_dir)
            run(['mount', '-t', 'hugetlbfs', '-o', 'pagesize=2M', 'none', self.huge_dir])
            self.has_huge = True
        except (OSError, Failed) as e:
            say(f'no {HUGE_MIB} MiB of hugepages ({e}): all sides run without')

    def memory(self, kind):
        """EAL's words for a program's memory. kind: 'shared' (with its peer, file by file) or 'own'."""
        if not self.has_huge:
            return ['--no-huge', '-m', '320']
        return ['-m', '320', *(['--single-file-segments', f'--huge-dir={self.huge_dir}'] if kind == 'shared' else ['--in-memory'])]

    def clear(self):
        """Ends all that was started, last first."""
        while self.processes:
            self.processes.pop().end()
        self.domains = []

    def plugin(self):
        """Our drivers, where DPDK takes plugins from: not from below a folder that everybody may write to, as /tmp."""
        if not self.plugin_dir:
            self.plugin_dir = tempfile.mkdtemp(prefix='sluice-bench-', dir='/run')
            shutil.copy(PLUGIN, self.plugin_dir)
        return os.path.join(self.plugin_dir, os.path.basename(PLUGIN))

    # ---- a Sluice system

    def start(self, name, *options):
        """A daemon of ours, serving."""
        read_end, write_end = os.pipe()
        args = [os.path.join(TOOLS, name), '--run-dir', self.dir, '--ready-fd', str(write_end), *options]
        daemon = Daemon(self, name, args, pass_fds=(write_end,))
        os.close(write_end)
        with os.fdopen(read_end) as f:
            if not f.readline():
                raise Failed(f'{name} did not start: {daemon.words().strip()[-300:] or f"is it built in {TOOLS}?"}')
        return daemon

    def sluice(self, *args):
        return run([os.path.join(TOOLS, 'sluice'), '--run-dir', self.dir, *args])

    def domain(self, name):
        """A domain with one vif that a process can become."""
        config = os.path.join(self.dir, name + '.cfg')
        with open(config, 'w', encoding='utf-8') as f:
            f.write(f'name = "{name}"\nkernel = ""\nmemory = 64\nvif = ["mac={MACS[len(self.domains) % 2]}"]\n')
        self.sluice('create', '-q', config)
        self.domains.append(name)
        return name

    def guest(self, domain, *command, ready=None, cpu=None):
        """sluice-guest as that domain."""
        pin = ['taskset', '-c', str(self.cpus[cpu])] if cpu is not None else []
        return Daemon(self, f'guest-{domain}', pin + [os.path.join(TOOLS, 'sluice-guest'), '--attach', domain, '--run-dir', self.dir, *command],
                      ready=ready)

    # ---- samples

    def line_ns(self, *what):
        return float(run([os.path.join(HERE, 'pingpong'), *what]))

    def rounds(self, wanted, samples):
        """samples: name -> function that gives a figure. Taken by turns; a list of rounds, name -> figure."""
        good, noisy = [], []
        for _ in range(wanted * ATTEMPTS):
            lines, values = [self.line_ns()], {}
            try:
                for name, sample in samples.items():
                    try:
                        values[name] = sample()
                    except Crashed as e:
                        raise Crashed(f'{name}: {e}') from e
                    finally:
                        self.clear()
                    lines.append(self.line_ns())
            except Crashed as e:
                say(f'a failed sample: {e}')
                continue
            (good if max(lines) < min(lines) * TOLERANCE else noisy).append(values)
            if len(good) == wanted:
                break
        if len(good) < wanted:
            say(f'{len(good)} of {wanted} rounds of {", ".join(samples)} were quiet; {min(len(noisy), wanted - len(good))} others count too')
            good += noisy[-(wanted - len(good)):]
        if not good:
            raise Failed(f'no round of {", ".join(samples)} came to its end')
        return good


def main(measure, parser):
    """Runs measure(lab, args); the exit status."""
    parser.add_argument('--seconds', type=float, default=1.5, help='of a sample')
    parser.add_argument('--rounds', type=int, default=3, help='of each figure')
    parser.add_argument('--only', default='', help='figures whose names contain this')
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Lab() as lab:
            return measure(lab, args) or 0
    except (Failed, Crashed) as e:
        say(e)
        return 1
    except KeyboardInterrupt:
        return 130
