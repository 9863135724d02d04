"""The history of a shape, for messages: back to the input, and for branches back to their fork."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from archc.compiler.graph import Node
from archc.compiler.ops.faults import OpenCount, Oversized, ShapeFault, Unequal, Unjoinable, Unmatched
from archc.compiler.ops.record import AXES
from archc.compiler.shapes.dim import show_shape, unknowns
from archc.dsl.diagnostics import Diagnostic, Related
from archc.dsl.source import Span

LONGEST = 12  # steps that are shown of a history


def explain(fault: ShapeFault, written: str, operands: Sequence[Node], inputs: Iterable[Node], at: Span) -> Diagnostic:
    """Word the fault of an operator, which the file calls `written`, with the histories of its operands from the inputs."""
    match fault.found:
        case Unequal() | Unjoinable() | Unmatched() as mismatch:
            axes = [axis for axis in range(len(operands[0].shape)) if mismatch.concerns(axis)]
            found = mismatch.worded(written, histories(operands, written)).with_related(*parting(operands, axes, at, written))
            fork, shapes = _fork(operands), tuple(operand.shape for operand in operands)
            names = tuple(operand.name for operand in operands)
            return found.with_facts(shapes=shapes, fork=fork.shape if fork is not None else None, operands=names)
        case Oversized() as oversized:
            (operand,) = operands
            history = _history(operand, None) if operand.operands else ""
            return oversized.worded(history).with_facts(operand=operand.name)
        case OpenCount() as count:
            return count.worded(_origin(operands[0])).with_related(*_open_inputs(inputs))


def _origin(node: Node) -> str:
    """Describe the map whose values a flat tensor holds; "" for a tensor that was not flattened."""
    if not node.operator.unrolls:
        return ""
    (map_,) = node.operands
    return f"all values of {show_shape(map_.shape)}, which {map_.name} produces"


def _open_inputs(inputs: Iterable[Node]) -> Iterator[Related]:
    for node in inputs:
        if names := sorted({name for size in node.shape for name in unknowns(size)}):
            yield Related(node.span, f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} left open here")


def histories(operands: Sequence[Node], written: str = "") -> list[str]:
    """Describe how the shape changes in each branch of a merge, from the fork on."""
    fork = _fork(operands)
    told = [f"{title}: {_history(node, fork)}" for title, node in zip(_titles(operands, written), operands, strict=True)]
    if written == "residual" and fork is not None and operands[1] is fork:
        told[1] = f"shortcut: {show_shape(fork.shape)} (identity)"
    return told


def _titles(operands: Sequence[Node], written: str) -> tuple[str, ...]:
    return ("body", "shortcut") if written == "residual" else tuple(f"branch {i}" for i in range(1, len(operands) + 1))


# ---- where branches part


def parting(operands: Sequence[Node], axes: Sequence[int], at: Span, written: str = "") -> Iterator[Related]:
    """Yield the places, other than the line of the merge, where its branches get the sizes that differ.

    Of three and more branches those count that are unlike most. Where a map is made larger again, a size that could not
    be halved is the reason.
    """
    shapes = [node.shape for node in operands]
    if len({len(shape) for shape in shapes}) > 1:
        return
    parts = [tuple(shape[axis] for axis in axes) for shape in shapes]
    usual, count = Counter(parts).most_common(1)[0]
    differing = [axis for axis in axes if len({shape[axis] for shape in shapes}) > 1]
    seen, fork = {at.line}, _fork(operands)
    if written == "residual" and operands[1] is fork and 0 in differing:  # what is missing is a projection
        return
    titles = [f"the {title}" for title in _titles(operands, written)] if written == "residual" else _titles(operands, written)
    for title, operand, part in zip(titles, operands, parts, strict=True):
        if len(parts) > 2 and count > 1 and part == usual:
            continue
        line = list(itertools.takewhile(lambda node: node is not fork, _line(operand)))
        changes = [(node, axis) for node in line for axis in differing if _differs_before(node, axis)]
        grown = next((i for i, node in enumerate(line) if node.operator.grows), len(line))
        for node in line[grown:]:
            if (text := _rounded(node)) and node.span.line not in seen:
                seen.add(node.span.line)
                yield Related(node.span, text)
                break
        if changes and (changes[0][0].span.line not in seen or changes[0][0].span.source is not at.source):
            node, axis = changes[0]
            seen.add(node.span.line)
            sum_ = _sum(node, axis)
            yield Related(node.span, f"{title} becomes {show_shape(node.shape)} here" + (f": {sum_}" if sum_ else ""))


def _axis_name(rank: int, axis: int) -> str:
    names = ("channels", *AXES.get(rank - 1, ()))
    return names[axis] if axis < len(names) else ""


def _differs_before(node: Node, axis: int) -> bool:
    """Return whether a node changes a size of its input."""
    before = node.operands[0].shape if node.operands else ()
    return len(before) == len(node.shape) and before[axis] != node.shape[axis]


def _sum(node: Node, axis: int) -> str:
    """Return the window formula of one size, `height: (28 + 2*1 - 5)/1 + 1 = 26`; "" where there is none."""
    window = node.window
    if axis == 0 or window is None or "pad" not in node.attrs or node.operator.grows:
        return ""
    return window.arithmetic(axis - 1, _axis_name(len(node.shape), axis), node.operands[0].shape[axis])


def _rounded(node: Node) -> str:
    """Return the window formula of a size that a stride does not divide."""
    window = node.window
    if window is None or node.operator.grows:
        return ""
    for axis, (stride, size) in enumerate(zip(window.stride, node.operands[0].shape[1:], strict=False), start=1):
        if stride > 1 and isinstance(size, int) and size % stride:
            return _sum(node, axis)
    return ""


def _line(node: Node) -> list[Node]:
    """List a node and its predecessors along first operands, back to an input."""
    line = [node]
    while line[-1].operands:
        line.append(line[-1].operands[0])
    return line


def _fork(operands: Sequence[Node]) -> Node | None:
    """Return the last node that lies on the line of every branch; None where there is none."""
    lines = [_line(node) for node in operands]
    shared = set.intersection(*({node.name for node in line} for line in lines))
    return next((node for node in lines[0] if node.name in shared), None)


def _history(node: Node, fork: Node | None) -> str:
    """Write `256x56x56 -conv1-> 128x56x56 -conv3/2-> 128x28x28`, without the steps that change no shape."""
    nodes = []
    for step in _line(node):
        nodes.append(step)
        if step is fork:
            break
    nodes.reverse()
    text = show_shape(nodes[0].shape)
    if len(nodes) == 1:
        return f"{text} ({'the input' if nodes[0].is_input else nodes[0].name}, as it is)"
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
