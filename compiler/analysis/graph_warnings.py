"""The rules of warnings that look at the graph: what the operators of a sound network probably do not mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

from archc.compiler.analysis.alignment import Views, misaligned
from archc.compiler.graph import INPUT, ArchGraph, Node
from archc.compiler.ops import LINEAR
from archc.compiler.ops.record import AXES
from archc.compiler.ops.windows import arithmetic
from archc.compiler.shapes.dim import show_shape
from archc.compiler.shapes.window import unseen
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.vocabulary import warnings as says

FoundAt = Iterator[tuple[Node, Diagnostic]]


def bias_before_norm(graph: ArchGraph) -> FoundAt:
    for node in graph:
        if node.op == "bn":
            before = graph[graph.operands(node.name)[0]]
            if before.op in LINEAR and before.attrs["bias"] and len(graph.users(before.name)) == 1:
                yield before, says.bias_before_norm(before.name, before.attrs["out"])


def rows_dropped(graph: ArchGraph) -> FoundAt:
    for node in graph:
        attrs = node.attrs
        if node.op not in ("conv", "maxpool", "avgpool") or attrs.get("ceil") or set(attrs["kernel"]) == {1}:
            continue
        before = graph[graph.operands(node.name)[0]].shape
        dilations = attrs.get("dilation") or (1,) * len(attrs["kernel"])
        lost: list[str] = []
        notes = []
        for axis, name in enumerate(AXES[len(before) - 1]):
            size, kernel, stride, pad = before[axis + 1], attrs["kernel"][axis], attrs["stride"][axis], attrs["pad"][axis]
            if not isinstance(size, int):
                continue
            count = unseen(size, kernel, stride, pad, dilations[axis])
            if count > 0:
                what = {"height": "row", "width": "column"}.get(name, "position")
                lost.append(what if count == 1 else f"{count} {what}s")
                notes.append(arithmetic(name, size, kernel, stride, pad, dilations[axis], False))
        if lost:
            yield node, says.rows_dropped(node.name, node.op != "conv", " and ".join(lost), show_shape(before), notes)


def pixels_skipped(graph: ArchGraph) -> FoundAt:
    for node in graph:
        if node.op == "conv" and set(node.attrs["kernel"]) == {1} and set(node.attrs["stride"]) != {1} and not _is_shortcut(graph, node):
            stride = node.attrs["stride"]
            shown = str(stride[0]) if len(set(stride)) == 1 else "x".join(map(str, stride))
            yield node, says.pixels_skipped(node.name, shown, str(prod(stride)))


def _is_shortcut(graph: ArchGraph, node: Node) -> bool:
    """Is it the projection of a residual, as published: a convolution, perhaps its norm, and the addition?"""
    users = [graph[name] for name in graph.users(node.name)]
    if len(users) == 1 and users[0].op == "bn":
        users = [graph[name] for name in graph.users(users[0].name)]
    return [user.op for user in users] == ["add"]


def leads_nowhere(graph: ArchGraph) -> FoundAt:
    live = graph.ancestors(output.node for output in graph.outputs.values())
    for node in graph:
        if node.name not in live and not graph.users(node.name):
            yield node, says.leads_nowhere(node.name)


def nothing_between(graph: ArchGraph) -> FoundAt:
    for node in graph:
        if node.op not in LINEAR or node.attrs.get("groups", 1) != 1:
            continue
        before = graph[graph.operands(node.name)[0]]
        if before.op == "flatten":
            before = graph[graph.operands(before.name)[0]]
        # A grouped convolution with a dense one behind it is a factored kernel, and meant.
        if before.op in LINEAR and before.attrs.get("groups", 1) == 1 and len(graph.users(before.name)) == 1:
            yield node, says.nothing_between(before.name, node.name)


def softmax_at_the_end(graph: ArchGraph) -> FoundAt:
    for name, output in graph.outputs.items():
        node = graph[output.node]
        if node.op == "softmax":
            yield node, says.softmax_at_the_end(node.name, name)


def branches_misaligned(graph: ArchGraph) -> FoundAt:
    for node, branches in misaligned(graph):
        places = [f"{name}: {_places(views)}" for name, views in branches if any(views)]
        yield node, says.branches_misaligned(node.name, places)


def _places(views: Views) -> str:
    """`around pixels 1/2, 5/2, 9/2, ...`, of every axis or, where they are the same, once."""
    shown = {
        name: f"{axis.start}, {axis.start + axis.step}, {axis.start + 2 * axis.step}"
        for name, axis in zip(AXES[len(views)], views, strict=True)
        if axis is not None
    }
    if len(set(shown.values())) == 1:
        return f"around pixels {next(iter(shown.values()))}, ..."
    return "around pixels " + " and ".join(f"{places}, ... of the {name}" for name, places in shown.items())


def padded_for_nothing(graph: ArchGraph) -> FoundAt:
    for node in graph:
        if node.op in WINDOWS and 1 in node.attrs["kernel"]:
            axes = list(zip(AXES[len(node.shape) - 1], node.attrs["kernel"], node.attrs["pad"], strict=True))
            padded = [(axis, pad) for axis, kernel, pad in axes if kernel == 1 and pad]
            if padded:
                pads = dict.fromkeys(str(pad) for _, pad in padded)
                rest = [0 if kernel == 1 else pad for _, kernel, pad in axes]
                meant = str(rest) if any(rest) else "0"
                yield node, says.padded_for_nothing(node.name, " and ".join(axis for axis, _ in padded), " and ".join(pads), meant)


WINDOWS = ("conv", "maxpool", "avgpool")


def done_twice(graph: ArchGraph) -> FoundAt:
    for node in graph:
        if node.op in RECTIFIERS:
            before = graph[graph.operands(node.name)[0]]
            if before.op == node.op:
                yield node, says.done_twice(node.name, before.name, "changes nothing: what comes in has been rectified")
        elif node.op in NORMS:
            before = _before_activations(graph, node)
            if before.op == node.op:
                yield node, says.done_twice(node.name, before.name, "normalises what has been normalised")


NORMS = ("bn", "group_norm", "layer_norm")
RECTIFIERS = ("relu", "relu6")


def _before_activations(graph: ArchGraph, node: Node) -> Node:
    """What comes before a normalisation, apart from the activation that the item before it has by `act=`."""
    before = graph[graph.operands(node.name)[0]]
    item = before.span
    while before.op != INPUT and before.operator.family == "activation" and before.span == item != node.span:
        earlier = graph[graph.operands(before.name)[0]]
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
