"""
test/style/check_hot.py ROOT BUILD - hot libraries ask for nothing that allocates, locks, prints or blocks.

A hot library is a static library whose name ends in _hot. Its undefined symbols must be another hot library's, or on the
list below.
"""
import glob
import os
import re
import subprocess
import sys

import tree

ALLOWED = [
    r'mem(cpy|set|move|cmp)', r'__(memcpy|memset|memmove)_chk',
    r'__assert_fail', r'__stack_chk_fail', r'__errno_location', r'_GLOBAL_OFFSET_TABLE_', r'__tls_get_addr',
    r'writev?', r'readv?', r'preadv(64)?v2', r'eventfd_(write|read)',  # an eventfd's wake and its clearing
    r'xenevtchn_(notify|pending|unmask)', r'xengnttab_grant_copy',  # the same under Xen, and a batch of copies
    r'rte_.*', r'per_lcore_.*', r'__rte_.*', r'io_uring_.*', r'__io_uring_.*', r'io_(submit|getevents)',
]
# DPDK has all of these under names of its own.
FORBIDDEN = [r'rte_(malloc|zmalloc|calloc|realloc|free)(_.*)?', r'rte_v?log', r'rte_exit', r'rte_delay_.*', r'rte_mempool_create.*',
             r'rte_pktmbuf_pool_create.*']


def symbols(library, undefined):
    out = subprocess.run(['nm', '-u' if undefined else '--defined-only', library], capture_output=True, text=True, check=True)
    return {line.split()[-1] for line in out.stdout.split('\n') if len(line.split()) >= 2}


def declared(root):
    """The hot libraries that the map knows."""
    names = set()
    for folder in tree.FLOORS:
        path = os.path.join(root, folder, 'meson.build')
        if os.path.exists(path):
            with open(path, encoding='utf-8') as f:
                names |= set(re.findall(r"static_library\('(\w+_hot)'", f.read()))
    return names


def is_allowed(symbol):
    if any(re.fullmatch(p, symbol) for p in FORBIDDEN):
        return False
    return any(re.fullmatch(p, symbol) for p in ALLOWED)


def main():
    root, build = sys.argv[1:3]
    libraries = {os.path.basename(p)[3:-2]: p for p in glob.glob(os.path.join(build, '**', 'lib*_hot.a'), recursive=True)}
    faults = [f'{name}: is not built' for name in sorted(declared(root) - set(libraries))]
    defined = set().union(*(symbols(p, False) for p in libraries.values())) if libraries else set()
    for name, path in sorted(libraries.items()):
        for symbol in sorted(symbols(path, True) - defined):
            if not is_allowed(symbol):
                faults.append(f'{name}: asks for {symbol}')
    tree.end(faults, 'hot libraries', len(libraries))


main()
