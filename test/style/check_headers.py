"""test/style/check_headers.py ROOT FLAGS... - every header compiles alone, and twice, under every compiler there is."""
import concurrent.futures
import os
import shutil
import subprocess
import sys

import tree

WARNINGS = ['-std=gnu11', '-Wall', '-Wextra', '-Wno-unused-parameter', '-Werror', '-fno-strict-aliasing', '-fsyntax-only']
# What cannot be without DPDK.
OF_DPDK = ('netback/', 'dpdk/', 'frontends/netfront_pmd')


def library_flags():
    """What the wrappers' headers need of outside libraries. DPDK's own need -march, which pkg-config says."""
    ask = subprocess.run(['pkg-config', '--cflags', 'libdpdk'], capture_output=True, text=True)
    return ask.stdout.split() if ask.returncode == 0 else []


def compile_alone(compiler, root, header, flags):
    source = f'#include "{header}"\n#include "{header}"\n'
    done = subprocess.run([compiler, '-x', 'c', '-', '-I' + root, '-I' + os.path.join(root, 'test/lib')] + WARNINGS + flags,
                          input=source, capture_output=True, text=True)
    if done.returncode:
        return f'{header}: not alone under {compiler}:\n{done.stderr}'
    return None


def main():
    root, flags = sys.argv[1], sys.argv[2:]
    compilers = [c for c in ('gcc', 'clang') if shutil.which(c)]
    headers = tree.files(root, ends=('.h',))
    outside = library_flags()
    faults = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = []
        for header in headers:
            if header.startswith(OF_DPDK) and not outside:
                continue
            extra = outside if header.startswith(OF_DPDK + ('tools/', 'test/', 'bench/')) else []
            jobs += [pool.submit(compile_alone, c, root, header, flags + extra) for c in compilers]
        faults = [j.result() for j in jobs if j.result()]
    tree.end(faults, 'headers under ' + ' and '.join(compilers), len(headers) if compilers else 0)


main()
