"""How a shape came about, for messages: its history back to the input, and those of branches back to their fork."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from archc.compiler.graph import INPUT, ArchGraph, Node
from archc.compiler.ops.faults import OpenCount, Oversized, ShapeFault, Unequal, Unjoinable
from archc.compiler.ops.record import AXES
from archc.compiler.ops.windows import arithmetic
from archc.compiler.shapes.dim import show_shape, unknowns
from archc.dsl.diagnostics import Diagnostic, Related
from archc.dsl.source import Span

GROWING = ("convt", "upsample")
LONGEST = 12  # steps that are shown of a history


def explain(fault: ShapeFault, written: str, graph: ArchGraph, operands: Sequence[str], at: Span) -> Diagnostic:
    """Word the fault of an operator, which the file calls `written`, with how its operands came about."""
    match fault.found:
        case Unequal() | Unjoinable() as mismatch:
            told, fork = histories(graph, operands, written), _fork(graph, operands)
            axes = [axis for axis in range(len(graph[operands[0]].shape)) if mismatch.concerns(axis)]
            shapes = tuple(graph[operand].shape for operand in operands)
            found = mismatch.worded(written, told).with_related(*parting(graph, operands, axes, at, written))
            return found.with_facts(shapes=shapes, fork=graph[fork].shape if fork else None, operands=tuple(operands))
        case Oversized() as oversized:
            (operand,) = operands
            history = _history(graph, operand, "") if len(_line(graph, operand)) > 1 else ""
            return oversized.worded(history).with_facts(operand=operand)
        case OpenCount() as count:
            return count.worded(_origin(graph, operands[0])).with_related(*_open_inputs(graph))


def _origin(graph: ArchGraph, name: str) -> str:
    """Describe the map whose values a flat tensor holds; "" for a tensor that was not flattened."""
    if graph[name].op != "flatten":
        return ""
    map_ = graph[graph.operands(name)[0]]
    return f"all values of {show_shape(map_.shape)}, which {map_.name} produces"


def _open_inputs(graph: ArchGraph) -> Iterator[Related]:
    for node in graph.inputs:
        if names := sorted({name for size in node.shape for name in unknowns(size)}):
            yield Related(node.span, f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} left open here")


def histories(graph: ArchGraph, names: Sequence[str], written: str = "") -> list[str]:
    """Describe how the shape changes in each branch of a merge, from the fork on."""
    fork = _fork(graph, names)
    told = [f"{title}: {_history(graph, name, fork)}" for title, name in zip(_titles(names, written), names, strict=True)]
    if written == "residual" and names[1] == fork:
        told[1] = f"shortcut: {show_shape(graph[fork].shape)} (identity)"
    return told


def _titles(names: Sequence[str], written: str) -> tuple[str, ...]:
    return ("body", "shortcut") if written == "residual" else tuple(f"branch {i}" for i in range(1, len(names) + 1))


# ---- where branches part


def parting(graph: ArchGraph, names: Sequence[str], axes: Sequence[int], at: Span, written: str = "") -> Iterator[Related]:
    """Yield the places, other than the line of the merge, where its branches get the sizes that differ.

    Of three and more branches those count that are unlike most. Where a map is made larger again, a size that could not
    be halved is the reason.
    """
    shapes = [graph[name].shape for name in names]
    if len({len(shape) for shape in shapes}) > 1:
        return
    parts = [tuple(shape[axis] for axis in axes) for shape in shapes]
    usual, count = Counter(parts).most_common(1)[0]
    differing = [axis for axis in axes if len({shape[axis] for shape in shapes}) > 1]
    seen, fork = {at.line}, _fork(graph, names)
    if written == "residual" and names[1] == fork and 0 in differing:  # what is missing is a projection
        return
    titles = [f"the {title}" for title in _titles(names, written)] if written == "residual" else _titles(names, written)
    for title, name, part in zip(titles, names, parts, strict=True):
        if len(parts) > 2 and count > 1 and part == usual:
            continue
        line = [graph[step] for step in itertools.takewhile(lambda step: step != fork, _line(graph, name))]
        changes = [(node, axis) for node in line for axis in differing if _differs_before(graph, node, axis)]
        grown = next((i for i, node in enumerate(line) if node.op in GROWING), len(line))
        for node in line[grown:]:
            if (text := _rounded(graph, node)) and node.span.line not in seen:
                seen.add(node.span.line)
                yield Related(node.span, text)
                break
        if changes and (changes[0][0].span.line not in seen or changes[0][0].span.source is not at.source):
            node, axis = changes[0]
            seen.add(node.span.line)
            sum_ = _sum(graph, node, axis)
            yield Related(node.span, f"{title} becomes {show_shape(node.shape)} here" + (f": {sum_}" if sum_ else ""))


def _axis_name(rank: int, axis: int) -> str:
    names = ("channels", *AXES.get(rank - 1, ()))
    return names[axis] if axis < len(names) else ""


def _differs_before(graph: ArchGraph, node: Node, axis: int) -> bool:
    """Return whether a node changes a size of its input."""
    operands = graph.operands(node.name)
    before = graph[operands[0]].shape if operands else ()
    return len(before) == len(node.shape) and before[axis] != node.shape[axis]


def _sum(graph: ArchGraph, node: Node, axis: int) -> str:
    """Return the window formula of one size, `height: (28 + 2*1 - 5)/1 + 1 = 26`; "" where there is none."""
    if axis == 0 or "kernel" not in node.attrs or "pad" not in node.attrs or node.op in GROWING:
        return ""
    attrs, size = node.attrs, graph[graph.operands(node.name)[0]].shape[axis]
    at = axis - 1
    dilation = (attrs.get("dilation") or (1,) * axis)[at]
    label = _axis_name(len(node.shape), axis)
    return arithmetic(label, size, attrs["kernel"][at], attrs["stride"][at], attrs["pad"][at], dilation, attrs.get("ceil", False))


def _rounded(graph: ArchGraph, node: Node) -> str:
    """Return the window formula of a size that a stride does not divide."""
    if "stride" not in node.attrs or node.op in GROWING:
        return ""
    before = graph[graph.operands(node.name)[0]].shape
    for axis, stride in enumerate(node.attrs["stride"], start=1):
        size = before[axis] if axis < len(before) else 0
        if stride > 1 and isinstance(size, int) and size % stride:
            return _sum(graph, node, axis)
    return ""


def _line(graph: ArchGraph, name: str) -> list[str]:
    """List a node and its predecessors along first operands, back to an input."""
    line = [name]
    while operands := graph.operands(line[-1]):
        line.append(operands[0])
    return line


def _fork(graph: ArchGraph, names: Sequence[str]) -> str:
    """Return the last node that lies on the line of every branch; "" where there is none."""
    lines = [_line(graph, name) for name in names]
    shared = set(lines[0]).intersection(*lines[1:])
    return next((name for name in lines[0] if name in shared), "")


def _history(graph: ArchGraph, name: str, fork: str) -> str:
    """Write `256x56x56 -conv1-> 128x56x56 -conv3/2-> 128x28x28`, without the steps that change no shape."""
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
    """Write an operator as a history shows it: `conv3/2`."""
    text = node.op
    for mark, option in (("", "kernel"), ("/", "stride")):
        sizes = node.attrs.get(option)
        if isinstance(sizes, tuple) and (option != "stride" or set(sizes) != {1}):
            text += mark + (str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes)))
    return text
