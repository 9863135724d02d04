"""The warnings about the graph: operators of a valid network that are probably not intended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

from archc.compiler.analysis.alignment import Views, misaligned
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.call import AXES
from archc.compiler.shapes.dim import show_shape, show_sizes
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.vocabulary import graph_warnings as says

FoundAt = Iterator[tuple[Node, Diagnostic]]


def bias_before_norm(graph: ArchGraph) -> FoundAt:
    """Warn of a bias that the normalization after it removes."""
    for node in graph:
        if node.operator.removes_bias:
            (before,) = node.operands
            if before.operator.linear and before.attrs["bias"] and len(graph.users(before.name)) == 1:
                yield before, says.bias_before_norm(before.name, before.attrs["out"])


def rows_dropped(graph: ArchGraph) -> FoundAt:
    """Warn of windows that leave out the last rows or columns of their input."""
    for node in graph:
        window = node.window
        may_round_up, may_be_padded = (node.operator.option(name) is not None for name in ("ceil", "pad"))
        if window is None or set(window.kernel) == {1} or not (may_round_up or may_be_padded):
            continue
        before = node.operands[0].shape
        lost: list[str] = []
        notes = []
        for axis, name in enumerate(AXES[len(before) - 1]):
            if count := window.unseen(axis, before[axis + 1]):
                what = {"height": "row", "width": "column"}.get(name, "position")
                lost.append(what if count == 1 else f"{count} {what}s")
                notes.append(window.arithmetic(axis, name, before[axis + 1]))
        if lost:
            yield node, says.rows_dropped(node.name, may_round_up, " and ".join(lost), show_shape(before), notes)


def pixels_skipped(graph: ArchGraph) -> FoundAt:
    """Warn of 1x1 convolutions with a stride, which read one position of several, except on shortcuts."""
    for node in graph:
        window = node.window
        if window is None or window.transposed or not node.operator.linear:
            continue
        if set(window.kernel) == {1} and set(window.stride) != {1} and not _is_shortcut(graph, node):
            yield node, says.pixels_skipped(node.name, show_sizes(window.stride), str(prod(window.stride)))


def _is_shortcut(graph: ArchGraph, node: Node) -> bool:
    """Return whether it is the projection of a residual: a convolution, perhaps its norm, and the addition."""
    users = [graph[name] for name in graph.users(node.name)]
    if len(users) == 1 and users[0].operator.normalizes:
        users = [graph[name] for name in graph.users(users[0].name)]
    return [user.op for user in users] == ["add"]


def leads_nowhere(graph: ArchGraph) -> FoundAt:
    """Warn of nodes whose value no output depends on."""
    live = graph.ancestors(output.node for output in graph.outputs.values())
    for node in graph:
        if node.name not in live and not graph.users(node.name):
            yield node, says.leads_nowhere(node.name)


def nothing_between(graph: ArchGraph) -> FoundAt:
    """Warn of two linear layers without an activation between them."""
    for node in graph:
        if not node.operator.linear or node.attrs.get("groups", 1) != 1:
            continue
        (before,) = node.operands
        if before.operator.unrolls:
            (before,) = before.operands
        # A grouped convolution followed by a dense one is a factored kernel, which is intended.
        if before.operator.linear and before.attrs.get("groups", 1) == 1 and len(graph.users(before.name)) == 1:
            yield node, says.nothing_between(before.name, node.name)


def softmax_at_the_end(graph: ArchGraph) -> FoundAt:
    """Warn of outputs that are a softmax, which losses compute themselves."""
    for name, output in graph.outputs.items():
        node = graph[output.node]
        if node.op == "softmax" and node.attrs["axis"] == "c":
            yield node, says.softmax_at_the_end(node.name, name)


def branches_misaligned(graph: ArchGraph) -> FoundAt:
    """Warn of merges whose branches look at different places of the input."""
    for node, branches in misaligned(graph):
        places = [f"{name}: {_places(views)}" for name, views in branches if any(views)]
        yield node, says.branches_misaligned(node.name, places)


def _places(views: Views) -> str:
    """Write `around pixels 1/2, 5/2, 9/2, ...`, for every axis or, where they are the same, once."""
    shown = {
        name: f"{axis.start}, {axis.start + axis.step}, {axis.start + 2 * axis.step}"
        for name, axis in zip(AXES[len(views)], views, strict=True)
        if axis is not None
    }
    if len(set(shown.values())) == 1:
        return f"around pixels {next(iter(shown.values()))}, ..."
    return "around pixels " + " and ".join(f"{places}, ... of the {name}" for name, places in shown.items())


def padded_for_nothing(graph: ArchGraph) -> FoundAt:
    """Warn of padding along an axis with a kernel of 1."""
    for node in graph:
        window = node.window
        if window is not None and not window.transposed and 1 in window.kernel:
            axes = list(zip(AXES[len(node.shape) - 1], window.kernel, window.pad, strict=True))
            padded = [(axis, pad) for axis, kernel, pad in axes if kernel == 1 and pad]
            if padded:
                pads = dict.fromkeys(str(pad) for _, pad in padded)
                rest = [0 if kernel == 1 else pad for _, kernel, pad in axes]
                meant = str(rest) if any(rest) else "0"
                yield node, says.padded_for_nothing(node.name, " and ".join(axis for axis, _ in padded), " and ".join(pads), meant)


def done_twice(graph: ArchGraph) -> FoundAt:
    """Warn of an activation or a normalization that is applied twice in a row."""
    for node in graph:
        if node.operator.rectifies:
            (before,) = node.operands
            if before.op == node.op:
                yield node, says.done_twice(node.name, before.name, "changes nothing: its input has been rectified")
        elif node.operator.normalizes:
            before = _before_activations(node)
            if before.op == node.op:
                yield node, says.done_twice(node.name, before.name, "normalizes what has been normalized")


def _before_activations(node: Node) -> Node:
    """Return the node before a normalization, without the activation that the item before it adds by `act=`."""
    (before,) = node.operands
    item = before.span
    while before.operator.family == "activation" and before.span == item != node.span:
        (earlier,) = before.operands
        if earlier.span != item:
            break
        before = earlier
    return before


GRAPH_RULES: tuple[Callable[[ArchGraph], FoundAt], ...] = (
    bias_before_norm,
    rows_dropped,
    pixels_skipped,
    leads_nowhere,
    nothing_between,
    softmax_at_the_end,
    padded_for_nothing,
    done_twice,
    branches_misaligned,
)
