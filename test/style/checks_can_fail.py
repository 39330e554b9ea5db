"""
test/style/checks_can_fail.py - every check finds the fault it is for.

Each case is a small tree with one fault; the check must exit with 1 and name it. The same tree without the fault passes.
"""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def source(path, body, head=None):
    return {path: f'/*\n * {head or path} - does a thing.\n */\n{body}\n'}


GOOD = {**source('rings/a.h', '#include <stdint.h>\n'), **source('hv/b.h', '#include "rings/a.h"\n'),
        **source('netback/c.h', '#include "hv/b.h"\n'), **source('blkback/d.h', '')}

CASES = [
    ('includes', source('rings/x.h', '#include "hv/b.h"'), 'goes up from floor 0 to floor 2'),
    ('includes', source('hv/x.c', '#include "netback/c.h"'), 'goes up from floor 2 to floor 3'),
    ('includes', source('blkback/x.c', '#include "netback/c.h"'), 'never include each other'),
    ('includes', source('hv/x.c', '#include "b.h"'), 'no path from the root'),
    ('includes', source('hv/x.c', '#include "hv/none.h"'), 'does not exist'),
    ('includes', source('hv/x.c', '#include <rte_mbuf.h>'), 'belongs to'),
    ('includes', source('grant/x.c', '#include <sys/mman.h>'), 'libc and Xen'),
    ('headers', source('hv/x.h', 'extern uint32_t needs_stdint;'), 'hv/x.h: not alone'),
    ('headers', source('hv/x.h', 'struct not_guarded { int x; };'), 'hv/x.h: not alone'),
    ('text', source('hv/x.c', '/* TO' + 'DO */'), 'an open end'),
    ('text', source('hv/x.c', 'int x; '), 'blanks at the end'),
    ('text', source('hv/x.c', '/* ' + 'x' * 150 + ' */'), 'wider than'),
    ('text', source('hv/x.c', 'int x;\n' * 900), '800 is the most'),
    ('text', source('hv/x.c', 'void f(void)\n{\n' + '\tg();\n' * 70 + '}'), 'a function of 70 lines'),
    ('text', source('hv/x.c', '__ATOMIC' + '_RELAXED'), 'spells a memory order'),
    ('text', source('hv/x.c', 'vola' + 'tile int x;'), 'shared memory is read through'),
    ('text', source('hv/x.c', '\tprintf("x");'), 'neither prints nor exits'),
    ('text', source('hv/x.c', '', head='hv/y.c'), 'the head does not begin'),
]


def write(root, files):
    for path, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        with open(os.path.join(root, path), 'w', encoding='utf-8') as f:
            f.write(text)


def check(name, *args):
    done = subprocess.run([sys.executable, '-B', os.path.join(HERE, f'check_{name}.py'), *args], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def try_tree(name, extra, expected):
    with tempfile.TemporaryDirectory() as root:
        # Guards, so that the tree itself is good: #pragma once keeps it short.
        write(root, {p: t + ('#pragma once\n' if p.endswith('.h') else '') for p, t in GOOD.items()})
        write(root, extra)
        status, output = check(name, root)
    if expected is None:
        return None if status == 0 else f'{name}: a good tree fails:\n{output}'
    return None if status == 1 and expected in output else f'{name}: does not say "{expected}":\n{output}'


def try_hot():
    """A hot library that allocates."""
    with tempfile.TemporaryDirectory() as root:
        write(root, {'hv/x.c': '#include <stdlib.h>\nvoid *f(void);\nvoid *f(void) { return malloc(3); }\n'})
        subprocess.run(['gcc', '-c', 'hv/x.c', '-o', 'x.o'], cwd=root, check=True)
        subprocess.run(['ar', 'rc', 'libx_hot.a', 'x.o'], cwd=root, check=True)
        status, output = check('hot', root, root)
    return None if status == 1 and 'x_hot: asks for malloc' in output else f'hot: does not find malloc:\n{output}'


def main():
    faults = [try_tree(name, {}, None) for name in ('includes', 'headers', 'text')]
    faults += [try_tree(*case) for case in CASES] + [try_hot()]
    faults = [f for f in faults if f]
    print('\n'.join(faults + [f'{len(CASES) + 4} cases, {len(faults)} wrong']))
    sys.exit(1 if faults else 0)


main()
