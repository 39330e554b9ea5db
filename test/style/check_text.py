"""test/style/check_text.py ROOT - what every source file keeps to, line by line."""
import os
import re
import sys

import tree

MAX_LINES = 800
MAX_FUNCTION = 60  # lines; nine in ten stay far below 45. Tests, whose tables are long: 100
MAX_COLUMNS = 140  # 120 is the aim
ATOMICS = 'rings/atomics.h'
LIBRARIES = ('rings', 'grant', 'hv', 'netback', 'blkback', 'frontends')
OPEN_MARKS = re.compile(r'\b(TO' + r'DO|FIX' + r'ME|XX' + r'X|HA' + r'CK)\b')  # spelled so that this file passes
OUTSIDE_PATHS = re.compile(r'/wo' + r'rk/|\.\./sha' + r'red')
TEXT_ENDS = ('.c', '.h', '.py', '.sh', '.md', '.build', '.cfg')


def line_faults(path, line):
    folder = path.split('/')[0]
    if OPEN_MARKS.search(line):
        yield 'an open end: finish it, or make it an issue'
    if OUTSIDE_PATHS.search(line):
        yield 'names a path outside of the project'
    if line != line.rstrip():
        yield 'blanks at the end'
    if not path.endswith(('.c', '.h')):
        return
    if len(line.expandtabs(8)) > MAX_COLUMNS:
        yield f'wider than {MAX_COLUMNS} columns'
    if path != ATOMICS and re.search(r'__ATOMIC_|\b__atomic_|\b__sync_|stdatomic\.h|\batomic_thread_fence', line):
        yield f'spells a memory order; only {ATOMICS} does'
    if folder in tree.FLOORS and path != ATOMICS and re.search(r'(?<!__asm__ )\bvolatile\b(?! sig_atomic_t)', line):
        yield f'volatile; shared memory is read through {ATOMICS}'
    if folder in LIBRARIES and path != 'hv/log.c':
        if re.search(r'(?<![\w>.])(printf|puts|perror|exit|abort)\(|fprintf\(stderr', re.sub(r'/\*.*|^\s*\*.*', '', line)):
            yield 'a library neither prints nor exits'


def head_fault(path, text):
    """The file's first comment names it."""
    if path.split('/')[0] not in tree.FLOORS:
        return None
    if text[0] != '/*' or not text[1].startswith(f' * {path} - '):
        return f'{path}:1: the head does not begin with "{path} - "'
    return None


def long_functions(path, text):
    most = MAX_FUNCTION if path.split('/')[0] in tree.FLOORS else 100
    start = None
    for nr, line in enumerate(text, 1):
        if line == '{':
            start = nr
        elif line == '}' and start:
            if nr - start - 1 > most:
                yield f'{path}:{start}: a function of {nr - start - 1} lines; {most} is the most'
            start = None


def faults_of(root, path):
    text = tree.lines(root, path)
    if path.endswith(('.c', '.h')):
        yield from long_functions(path, text)
        fault = head_fault(path, text)
        if fault:
            yield fault
        if len(text) - 1 > MAX_LINES:
            yield f'{path}: {len(text) - 1} lines; {MAX_LINES} is the most'
    for nr, line in enumerate(text, 1):
        for fault in line_faults(path, line):
            yield f'{path}:{nr}: {fault}'


def main():
    root = sys.argv[1]
    paths = tree.files(root, tree.FOLDERS + ['docs', 'examples'], TEXT_ENDS)
    paths += [n for n in sorted(os.listdir(root)) if n.endswith(TEXT_ENDS) or n == 'dev']
    tree.end([f for p in paths for f in faults_of(root, p)], 'files', len(paths))


main()
