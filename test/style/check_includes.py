"""test/style/check_includes.py ROOT - a file includes only its own floor and lower ones, by paths from the root."""
import os
import re
import sys

import tree

# Outside headers that belong to one folder: the wrapper of that library.
OUTSIDE = {
    r'rte_.*': {'dpdk', 'netback', 'frontends', 'tools', 'bench', 'test'},
    r'liburing\.h|libaio\.h|libnbd\.h': {'blkback', 'bench', 'test'},
    r'ext2fs/.*|et/com_err\.h': {'frontends', 'tools', 'test'},
    r'xenstore\.h|seccomp\.h': {'hv', 'bench', 'test'},
    r'libxl.*': {'tools', 'test'},
    r'pcap.*': {'netback', 'tools', 'bench', 'test'},
}


def fault_of_own(path, name):
    folder, target = path.split('/')[0], name.split('/')[0]
    if folder not in tree.FLOORS:
        return None
    if target not in tree.FLOORS:
        return 'is no path from the root into a floor'
    mine, other = tree.FLOORS[folder], tree.FLOORS[target]
    if other > mine:
        return f'goes up from floor {mine} to floor {other}'
    if other == mine and target != folder:
        return f'{folder} and {target} never include each other'
    return None


def faults_of(root, path):
    folder = path.split('/')[0]
    for nr, line in enumerate(tree.lines(root, path), 1):
        own = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        outside = re.match(r'\s*#\s*include\s+<([^>]+)>', line)
        if own:
            fault = fault_of_own(path, own.group(1))
            if not fault and folder in tree.FLOORS and not os.path.exists(os.path.join(root, own.group(1))):
                fault = 'does not exist'
            if fault:
                yield f'{path}:{nr}: "{own.group(1)}": {fault}'
        if outside:
            for pattern, folders in OUTSIDE.items():
                if re.fullmatch(pattern, outside.group(1)) and folder not in folders:
                    yield f'{path}:{nr}: <{outside.group(1)}> belongs to {", ".join(sorted(folders))}'
            if folder in ('rings', 'grant') and '/' in outside.group(1) and not outside.group(1).startswith('xen/'):
                yield f'{path}:{nr}: <{outside.group(1)}>: floors 0 and 1 know libc and Xen\'s headers only'


def main():
    root = sys.argv[1]
    paths = tree.files(root)
    tree.end([f for p in paths for f in faults_of(root, p)], 'files', len(paths))


main()
