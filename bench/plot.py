#!/usr/bin/env python3
"""
bench/plot.py - draws what ./dev bench measured: ours beside the peers of the same run, and each figure beside its target.

     plot.py RESULTS.json PICTURE

RESULTS.json: the flat object of name to value that ./dev bench --json writes. PICTURE: its suffix says what it becomes, .svg or .png.
A figure GROUP.REST.UNIT stands beside every GROUP.peer.KIND.REST.UNIT; medians as bars, lowest and highest as whiskers.
"""
import json
import os
import subprocess
import sys

TERMINALS = {'.svg': 'svg noenhanced size {0},{1} dynamic background rgb "white"', '.png': 'pngcairo noenhanced size {0},{1}'}
UNITS = {'mpps': 'million packets/s', 'gbps': 'Gbit/s', 'iops': 'requests/s', 'mops': 'million operations/s'}
COLOURS = ('#1b6ca8', '#c8553d', '#e0a458', '#8d99ae', '#6b705c')
WIDTH = 1000
BARS_HEIGHT, SLANTED_HEIGHT = 330, 90  # of a panel of bars, and more of one whose cases have long names
TARGET_HEIGHT, HEAD_HEIGHT = 26, 90  # of a target, and what stands above and below all of them
ROOM_FOR_NAMES = 90
FAR_APART = 50  # bars of one panel that differ by more stand on a logarithmic scale
REACH = (0.1, 10)  # of the picture of targets: what is further away stands at the edge


class Bad(Exception):
    """The user's mistake, in one sentence."""


def load(path):
    try:
        with open(path, encoding='utf-8') as f:
            figures = json.load(f)
    except (OSError, ValueError) as e:
        raise Bad(f'{path} cannot be read as results: {e}') from e
    if not isinstance(figures, dict) or not all(isinstance(v, (int, float)) for v in figures.values()):
        raise Bad(f'{path} holds no results: name it as ./dev bench --json wrote it')
    return figures


def peers(figures):
    """{unit: {case: {who: figure's name}}} of all cases that a peer was measured in."""
    panels = {}
    for name in figures:
        group, _, rest = name.partition('.')
        if not rest.startswith('peer.') or rest.endswith(('.min', '.max')):
            continue
        _, kind, rest = rest.split('.', 2)
        case, _, unit = rest.rpartition('.')
        row = panels.setdefault(unit, {}).setdefault(case, {})
        row[kind] = name
        if f'{group}.{rest}' in figures:
            row['sluice'] = f'{group}.{rest}'
    return panels


def bar(figures, name):
    """Middle, lowest, highest; a case that somebody was not measured in leaves a gap."""
    if name is None:
        return '0 0 0'
    return f"{figures[name]} {figures.get(name + '.min', figures[name])} {figures.get(name + '.max', figures[name])}"


def spread(figures, cases):
    """The smallest and the largest bar."""
    values = [figures[name] for row in cases.values() for name in row.values() if figures[name] > 0]
    return (min(values), max(values)) if values else (1, 1)


def are_slanted(cases):
    """Names that find no room beside each other."""
    return sum(map(len, cases)) > ROOM_FOR_NAMES


def draw_bars(figures, unit, cases, out):
    """One group of bars a case."""
    kinds = ['sluice'] + sorted({who for row in cases.values() for who in row} - {'sluice'})
    low, high = spread(figures, cases)
    out.append('set title "beside the peers of the same run" font ",13"; set lmargin 12; unset logscale')
    out.append(f'set bmargin {9 if are_slanted(cases) else 3}; set format y "{"%.1s%c" if high >= 1e4 else "%g"}"')
    if high > low * FAR_APART:
        out.append(f'set logscale y; set yrange [{low / 3}:*]')
    else:
        out.append('set yrange [0:*]')
    out.append(f'set ylabel "{UNITS.get(unit, unit)}"; set xrange [-0.7:{len(cases) - 0.3}]; set key outside right top')
    out.append('unset xlabel; set grid y; set xtics rotate by %d (%s)' % (
        -30 if are_slanted(cases) else 0, ', '.join(f'"{case}" {i}' for i, case in enumerate(cases))))
    width = 0.8 / len(kinds)
    plots = []
    for k, kind in enumerate(kinds):
        out.append(f'$b{k} << END')
        for i, row in enumerate(cases.values()):
            out.append(f'{i - 0.4 + width * (k + 0.5):.3f} {bar(figures, row.get(kind))}')
        out.append('END')
        plots.append(f'$b{k} using 1:2:3:4:({width * 0.92:.3f}) with boxerrorbars fill solid lc rgb "{COLOURS[k % len(COLOURS)]}" title "{kind}"')
    out.append('plot ' + ', '.join(plots))


def targets(figures):
    """[(name, how many times its target it reached, value, the target's text)] in the order of the file."""
    found = []
    with open(os.path.join(os.path.dirname(os.path.realpath(__file__)), 'targets.txt'), encoding='utf-8') as f:
        for line in f:
            words = line.split()
            if len(words) < 3 or words[0].startswith('#') or words[0] not in figures:
                continue
            value, want = figures[words[0]], float(words[2])
            reached = value / want if words[1] == '>=' else want / max(value, 1e-9)
            found.append((words[0], min(max(reached, REACH[0]), REACH[1]), value, f'{words[1]} {words[2]}'))
    return found


def draw_targets(rows, out):
    """Bars from the line of the target: to the right better, to the left not met."""
    out.append('set title "against the targets: right of the line is better" font ",13"; unset ylabel; unset key; set lmargin 36; set bmargin 3')
    out.append(f'set logscale x; set xrange [{REACH[0]}:{REACH[1]}]; set yrange [{len(rows) - 0.4}:-0.6]; unset grid; set grid x')
    out.append('set xtics norotate ("1/10" 0.1, "1/5" 0.2, "1/2" 0.5, "target" 1, "x 2" 2, "x 5" 5, "x 10" 10)')
    out.append('set ytics (%s)' % ', '.join(f'"{name}" {i}' for i, (name, *_) in enumerate(rows)))
    out.append('$t << END')
    for i, (_, reached, value, text) in enumerate(rows):
        out.append(f'{min(1, reached)} {max(1, reached)} {i} {1 if reached >= 1 else 0} "{value:.4g}, {text}"')
    out.append('END')
    out.append('plot $t using 1:3:1:2:($3-0.32):($3+0.32):($4 > 0 ? 0x1b6ca8 : 0xc8553d) with boxxyerror fill solid noborder lc rgb variable, '
               f'$t using ({REACH[1]}):3:5 with labels left offset 1,0 font ",10" tc rgb "#222222"')


def script(figures, picture):
    suffix = os.path.splitext(picture)[1]
    if suffix not in TERMINALS:
        raise Bad(f'{picture}: the picture becomes {" or ".join(TERMINALS)}, by its suffix')
    panels, rows = peers(figures), targets(figures)
    heights = [BARS_HEIGHT + SLANTED_HEIGHT * are_slanted(cases) for cases in panels.values()] + ([HEAD_HEIGHT + TARGET_HEIGHT * len(rows)] if rows else [])
    if not heights:
        raise Bad('the results hold no figure that has a peer or a target: there is nothing to draw')
    out = [f'set terminal {TERMINALS[suffix].format(WIDTH, sum(heights))} font "sans,11"', f'set output "{picture}"',
           'set multiplot; set errorbars lc rgb "#333333"; set border 3; set tics nomirror; set rmargin 18']
    above = sum(heights)
    panes = [lambda u=u: draw_bars(figures, u, panels[u], out) for u in panels] + [lambda: draw_targets(rows, out)]
    for height, draw in zip(heights, panes):
        above -= height
        out.append(f'set origin 0,{above / sum(heights):.4f}; set size 1,{height / sum(heights):.4f}')
        draw()
        out.append('set ytics auto')
    return '\n'.join(out) + '\n'


def main():
    if len(sys.argv) != 3:
        raise Bad('usage: plot.py RESULTS.json PICTURE.svg|PICTURE.png')
    text = script(load(sys.argv[1]), sys.argv[2])
    try:
        done = subprocess.run(['gnuplot', '-'], input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError as e:
        raise Bad('gnuplot is not here: ./dev deps installs it') from e
    if done.returncode:
        raise Bad(f'{sys.argv[2]} cannot be drawn: gnuplot says: {" ".join(done.stderr.split())[-300:]}')


try:
    main()
except Bad as e:
    sys.exit(f'plot: {e}')
