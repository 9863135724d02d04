"""Explain why a network cannot run on tensors of certain shapes: which node rejects them, and which sizes it takes.

Weights stay as they are, unlike with `--input`, which builds the network again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from archc.compiler.graph import INPUT, ArchGraph, Node
from archc.compiler.ops.record import Call
from archc.compiler.shapes.conditions import Condition, Legal, legal_sizes
from archc.compiler.shapes.dim import Shape, show_shape, unknown
from archc.dsl.diagnostics import Diagnostic, Fault
from archc.dsl.vocabulary import files
from archc.dsl.vocabulary import shapes as says

SIZES = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}
BATCH = 1  # axes before the shape of an input

Given = Sequence[tuple[int, ...] | None]  # the shape of each tensor with its batch; None for what is no tensor


def misfit(graph: ArchGraph, given: Given, training: bool = False) -> Diagnostic | None:
    """Return what is wrong with inputs of these shapes in one mode; None where they fit."""
    if not training:
        graph = graph.without({node.name for node in graph if node.training_only})
    inputs = graph.inputs
    takes = ", ".join(f"{node.name}: Nx{show_shape(node.shape)}" for node in inputs)
    if len(given) != len(inputs):
        shown = ", ".join(_shown(shape) for shape in given) or "none"
        return files.wrong_inputs(
            f"{graph.name} takes {_count(len(inputs))}, and {len(given)} {'was' if len(given) == 1 else 'were'} given: {shown}", takes
        ).at(inputs[0].span)
    for node, shape in zip(inputs, given, strict=True):
        if shape is None:
            return files.wrong_inputs(f"{_name(node)} is no tensor", takes).at(node.span)
        if len(shape) != BATCH + len(node.shape):
            help = f"give a tensor of {_count(BATCH + len(node.shape), 'axis', 'axes')}, the batch first"
            if len(shape) == len(node.shape):
                help = "the batch comes first: `x.unsqueeze(0)` makes a batch of one"
            message = f"{_name(node)} has {_count(BATCH + len(node.shape), 'axis', 'axes')}, and {_shown(shape)} was given"
            return files.wrong_inputs(message, takes, help).at(node.span)
    shapes = {node.name: tuple(shape[BATCH:]) for node, shape in zip(inputs, given, strict=True) if shape is not None}
    broken = _walk(graph, shapes)
    if broken is None:
        return None
    node, problem = broken
    notes = [f"{_name(input)} is {show_shape(shapes[input.name])}; in the file it is {show_shape(input.shape)}" for input in inputs]
    if legal := _legal(graph):
        notes.append(f"with its weights it runs at {legal}")
    help = "give it such an input" if legal else "give it inputs as in the file"
    last = [node for node in inputs if _channels_last(shapes[node.name], node.shape)]
    if last:
        axes = ", ".join(map(str, (0, len(last[0].shape), *range(1, len(last[0].shape)))))
        help = f"the channels come first: `x.permute({axes})` of {_name(last[0])}"
    elif problem.code != "E0301" and len(inputs) == 1:
        help += f', or build it again for this one: `load(..., inputs="{show_shape(shapes[inputs[0].name])}")`'
    trail = [f"in {f.text}, line {f.span.line} of {f.span.source.name}" for f in (node.frame.chain() if node.frame else []) if f.scope]
    return replace(problem, notes=(*problem.notes, *notes), help=help).at(node.span, trail[:4])


def _channels_last(shape: Shape, built: Shape) -> bool:
    return len(built) > 1 and shape[0] != built[0] == shape[-1]


def _name(node: Node) -> str:
    return "the input" if node.name == INPUT else f"the input {node.name}"


def _count(number: int, one: str = "input", several: str = "") -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"


def _shown(shape: tuple[int, ...] | None) -> str:
    return "no tensor" if shape is None else "x".join(map(str, shape)) or "a scalar"


def _walk(graph: ArchGraph, shapes: Mapping[str, Shape]) -> tuple[Node, Diagnostic] | None:
    """Return the first node that cannot take its inputs, and why; None where all can."""
    known: dict[str, Shape] = dict(shapes)
    for node in graph:
        if node.is_input:
            continue
        call = Call(node.op, node.attrs, tuple(known[operand.name] for operand in node.operands))
        try:
            known[node.name] = node.operator.shape(call)
            weights, own = _tensors(node, call), _tensors(node, node.call)
        except Fault as fault:
            return node, replace(fault.diagnostic, message=f"at {node.name}, {fault.diagnostic.message}")
        if weights != own:
            built, given = node.call.x, call.x
            shapes_text = [show_shape(built), show_shape(given)]
            if node.operands[0].operator.unrolls:  # the maps, and how many values they are
                (map_,) = node.operands[0].operands
                shapes_text = [f"{show_shape(map_.shape)} = {built[0]}", f"{show_shape(known[map_.name])} = {given[0]}"]
            what = "values" if len(built) == 1 else "channels"
            return node, says.weights_do_not_fit(node.name, what, built[0], given[0], *shapes_text)
    return None


def _tensors(node: Node, call: Call) -> dict[str, tuple[int, ...]]:
    return {**node.operator.weights(call), **node.operator.buffers(call)}


# ---- the sizes that it takes


def _legal(graph: ArchGraph) -> str:
    """Write the sizes at which a network runs with its weights; empty where they are not known."""
    if len(graph.inputs) != 1 or len(graph.inputs[0].shape) not in (2, 3, 4):
        return ""
    (only,) = graph.inputs
    names = SIZES[len(only.shape) - 1]
    try:
        conditions = _conditions(graph, (only.shape[0], *(unknown(name) for name in names)))
    except Fault:
        return ""
    sizes = [legal_sizes(name, conditions) for name in names]
    if any(legal is None or not legal.classes for legal in sizes):
        return ""
    return f"{show_shape((only.shape[0], *map(unknown, names)))}, where " + " and ".join(_words(legal) for legal in sizes if legal)


def _words(legal: Legal) -> str:
    """Write `H >= 63`, or `H is 227 to 258` where the sizes are an unbroken range."""
    sizes: set[int] = set()
    for low, high in legal.classes:
        if high is None:
            return str(legal)
        sizes.update(range(low, high + 1, legal.period))
    least, most = min(sizes), max(sizes)
    if len(sizes) != most - least + 1:
        return str(legal)
    return f"{legal.name} is {least}" if least == most else f"{legal.name} is {least} to {most}"


def _conditions(graph: ArchGraph, shape: Shape) -> list[Condition]:
    """Return the conditions on open sizes. A map that is flattened for weights must have the size that the weights were built for."""
    fixed = _flattened_for_weights(graph)
    known: dict[str, Shape] = {graph.inputs[0].name: shape}
    conditions: list[Condition] = []
    for node in graph:
        if node.is_input:
            continue
        call = Call(node.op, node.attrs, tuple(known[operand.name] for operand in node.operands))
        if node.name in fixed:
            built = node.operands[0].shape
            for size, needed in zip(call.x, built, strict=True):
                if size != needed:
                    conditions.append(Condition(size, "==", needed))
            call = Call(node.op, node.attrs, (built, *call.inputs[1:]))
        known[node.name] = node.operator.shape(call)
        conditions += call.conditions
    return conditions


def _flattened_for_weights(graph: ArchGraph) -> set[str]:
    """Return the nodes that flatten a map into values with a weight each."""
    weighted: set[str] = set()  # flat values that reach such weights
    for node in reversed(list(graph)):
        if not node.is_input and any(user in weighted or _needs_number(graph[user]) for user in graph.users(node.name)):
            weighted |= {node.name} if len(node.shape) == 1 else set()
    return {name for name in weighted if graph[name].operator.unrolls}


def _needs_number(node: Node) -> bool:
    """Return whether a node has weights for every value of a flat input."""
    return len(node.call.x) == 1 and bool(_tensors(node, node.call))
