"""Time how a graph is read back as a text: ResNet-50, a network of NASNet's size and kind, and flat graphs of growing size.

    python bench/reading.py

Seconds are those of the process, which other processes do not change much; without the elaboration of the network itself.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

from archc.compiler.driver import check, check_text
from archc.compiler.graph import ArchGraph
from archc.compiler.read import read_graph

ARCHS = Path(__file__).resolve().parents[1] / "archs"
FLAT = (1250, 2500, 5000)

CELLS = """input 3x331x331
default conv(pad=same, bias=no)
block sep(k, w, s) {
  relu; d1: conv{k}-{in.c}/{s}(groups=in.c); p1: conv1-{in.c}; bn
  relu; d2: conv{k}-{in.c}(groups=in.c); p2: conv1-{w}; bn
}
block fit(w, s) { relu; conv1-{w}/{s}; bn }
block cell(before, w, s, sb) {
  h: fit(w, 1)
  p: { @before; fit(w, sb) }
  c0: add<@h; l0: sep(5, w, s) | @p; r0: sep(3, w, s)>
  c1: add<@p; l1: sep(5, w, s) | @p; r1: sep(3, w, s)>
  c2: add<@h; avgpool3/{s}(pad=1) | @p; q: fit(w, s)>
  c3: add<@p; avgpool3/{s}(pad=1) | @p; maxpool3/{s}(pad=1)>
  c4: add<@h; l4: sep(3, w, s) | @c0; r4: fit(w, 1)>
  concat<@c0 | @c1 | @c2 | @c3 | @c4>
}
stem: conv3-96/2
x0: cell(@stem, 42, 2, 1)
x1: cell(@x0, 84, 2, 1)
"""


def cells() -> ArchGraph:
    """Return a network with the cells, references and size of NASNet-A-Large: 20 cells of five sums."""
    lines, last, before = CELLS, "x1", "x0"
    at = 2
    for width, count in ((168, 6), (336, 6), (672, 6)):
        for number in range(count):
            stride = 2 if number == 0 and width > 168 else 1
            # A cell before which the size was halved takes its other input with a stride.
            behind = 2 if number == 1 and width > 168 else 2 if at == 2 else 1
            lines += f"@{last}; x{at}: cell(@{before}, {width}, {stride}, {behind})\n"
            before, last, at = last, f"x{at}", at + 1
    report = check_text(lines + "relu; adaptive_avgpool1; fc-1000\n", mend=False)
    assert report.ok, report
    return report.graph


def flat(nodes: int) -> ArchGraph:
    """Return a graph without scopes: chains of five operators around a sum, their widths drawn from a seed."""
    draw = random.Random(1)
    lines = ["input 8x16x16"]
    for at in range(nodes // 5):
        skip = "input" if at == 0 else f"e{at - 1}"
        lines.append(f"a{at}: conv3-{draw.choice([8, 16, 24])}(pad=1); b{at}: bn; c{at}: relu; d{at}: conv1-8; e{at}: add<. | @{skip}>")
    report = check_text("\n".join(lines), mend=False)
    assert report.ok, report
    return report.graph


def measure(graph: ArchGraph) -> dict[str, Any]:
    """Return how long a graph takes to read, and what came of it."""
    begin = time.process_time()
    reading = read_graph(graph)
    seconds = time.process_time() - begin
    return {"nodes": reading.nodes, "lines": reading.lines, "blocks": reading.blocks, "form": reading.form, "seconds": round(seconds, 2)}


def main() -> None:
    """Print one row for each network."""
    rows = {"resnet50": check(ARCHS / "resnet50.arch", mend=False).graph, "cells": cells(), **{f"flat {n}": flat(n) for n in FLAT}}
    print(json.dumps({name: measure(graph) for name, graph in rows.items()}, indent=1))


if __name__ == "__main__":
    main()
