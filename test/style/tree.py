"""test/style/tree.py - what the checks share: the source files of a tree, and how a check ends."""
import os
import sys

# dpdk is a landing: it knows hv, which does not know it.
FLOORS = {'rings': 0, 'grant': 1, 'hv': 2, 'dpdk': 2.5, 'netback': 3, 'blkback': 3, 'frontends': 3, 'tools': 4}
FOLDERS = list(FLOORS) + ['bench', 'test']


def files(root, folders=FOLDERS, ends=('.c', '.h')):
    """Paths from root, sorted."""
    found = []
    for folder in folders:
        for where, _, names in os.walk(os.path.join(root, folder)):
            found += [os.path.relpath(os.path.join(where, n), root) for n in names if n.endswith(tuple(ends))]
    return sorted(found)


def lines(root, path):
    with open(os.path.join(root, path), encoding='utf-8') as f:
        return f.read().split('\n')


def end(faults, what, nr):
    """Prints the faults, one a line; the exit status."""
    for fault in faults:
        print(fault)
    print(f'{len(faults)} faults in {nr} {what}')
    sys.exit(1 if faults or not nr else 0)
