"""How a shape came about, for messages: its history back to the input, and those of branches back to their fork."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from compiler.expand.scopes import Tensor
from compiler.graph import INPUT, ArchGraph, Node
from compiler.shapes.dim import show_shape
from dsl.diagnostics import Diagnostic
from dsl.vocabulary import shapes as says

LONGEST = 12  # steps that are shown of a history


def with_histories(found: Diagnostic, written: str, graph: ArchGraph, operands: Sequence[Tensor]) -> Diagnostic:
    """The diagnostic of branches that do not fit, worded anew with each branch's history."""
    names = [operand.name for operand in operands]
    told, fork = histories(graph, names, written), _fork(graph, names)
    facts = dict(found.facts)
    if found.code == "E0302":
        worded = says.sides_differ(written, told, facts["differs"], facts["ranks"], facts["channels"])
    else:
        worded = says.concat_differs(told, facts["differs"], facts["axis"])
    shapes = tuple(operand.shape for operand in operands)
    return replace(worded, facts={**facts, "shapes": shapes, "fork": graph[fork].shape if fork else None, "operands": tuple(names)})


def histories(graph: ArchGraph, names: Sequence[str], written: str = "") -> list[str]:
    """What becomes of the shape in each branch of a merge, from the fork on."""
    fork = _fork(graph, names)
    titles = ("body", "shortcut") if written == "residual" else tuple(f"branch {i}" for i in range(1, len(names) + 1))
    told = [f"{title}: {_history(graph, name, fork)}" for title, name in zip(titles, names, strict=True)]
    if written == "residual" and names[1] == fork:
        told[1] = f"shortcut: {show_shape(graph[fork].shape)} (identity)"
    return told


def with_way(found: Diagnostic, graph: ArchGraph, operand: Tensor) -> Diagnostic:
    """The diagnostic of a window that is larger than its input, with how that has become so small."""
    found = replace(found, facts={**found.facts, "operand": operand.name})
    if len(_line(graph, operand.name)) < 2:
        return found
    return replace(found, notes=(*found.notes, f"before it: {_history(graph, operand.name, '')}"))


def _line(graph: ArchGraph, name: str) -> list[str]:
    """A node and what leads to it along first operands, back to an input."""
    line = [name]
    while operands := graph.operands(line[-1]):
        line.append(operands[0])
    return line


def _fork(graph: ArchGraph, names: Sequence[str]) -> str:
    """The last node that lies on the line of every branch; "" where there is none."""
    lines = [_line(graph, name) for name in names]
    shared = set(lines[0]).intersection(*lines[1:])
    return next((name for name in lines[0] if name in shared), "")


def _history(graph: ArchGraph, name: str, fork: str) -> str:
    """`256x56x56 -conv1-> 128x56x56 -conv3/2-> 128x28x28`, without the steps that change no shape."""
    nodes = []
    for step in _line(graph, name):
        nodes.append(graph[step])
        if step == fork:
            break
    nodes.reverse()
    text = show_shape(nodes[0].shape)
    if len(nodes) == 1:
        return f"{text} ({'the input' if nodes[0].op == INPUT else nodes[0].name}, as it is)"
    steps = [
        f" -{_short(after)}-> {show_shape(after.shape)}"
        for before, after in itertools.pairwise(nodes)
        if before.shape != after.shape or after.op.startswith("conv")
    ]
    if len(steps) > LONGEST:
        steps = [*steps[:4], " ...", *steps[-6:]]
    return text + "".join(steps)


def _short(node: Node) -> str:
    """An operator as a history shows it: `conv3/2`."""
    text = node.op
    for mark, option in (("", "kernel"), ("/", "stride")):
        sizes = node.attrs.get(option)
        if isinstance(sizes, tuple) and (option != "stride" or set(sizes) != {1}):
            text += mark + (str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes)))
    return text
