"""Derive a node in words and arithmetic: its shape, parameters, MACs, memory, receptive field, and the origin of its options."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from archc.compiler.analysis.cost import node_macs, node_params, weights
from archc.compiler.analysis.notation import notation
from archc.compiler.analysis.receptive import Field, receptive_fields
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.kinds import show
from archc.compiler.ops.record import AXES, Like, Required
from archc.compiler.shapes.dim import Shape, show_shape, show_sizes

Topic = tuple[str, list[str]]  # what is derived, and its lines


def derive(graph: ArchGraph, name: str, fields: dict[str, Field] | None = None) -> list[Topic]:
    """Return everything about one node, topic by topic."""
    node = graph[name]
    field = (fields or receptive_fields(graph))[name]
    topics: list[Topic] = [("written", [f"{notation(node)}, on line {node.span.line} of {node.span.source.label}: {_source(node)}"])]
    if node.operands:
        topics.append(("input", [f"{show_shape(operand.shape)} from {operand.name}" for operand in node.operands]))
    topics.append(("output", [show_shape(node.shape), *size_lines(graph, node)]))
    topics.append(("parameters", [_parameters(graph, node)]))
    topics.append(("MACs", [_macs(graph, node)]))
    topics.append(("memory", [_memory(node.shape)]))
    topics.append(
        ("field", [*_field(field), *(["mean and variance, over all positions, are not counted"] if node.operator.surveys else [])])
    )
    if options := list(_options(node)):
        topics.append(("options", options))
    if node.frame is not None:
        lines = [f"{f.text}, on line {f.span.line} of {f.span.source.label}" for f in node.frame.chain() if f.text != "{ ... }"]
        topics.append(("called by", lines))
    return topics


def _source(node: Node) -> str:
    text = " ".join(node.span.text.split())
    return f"`{text}`" if len(text) <= 60 else f"`{text[:57]}...`"


def size_lines(graph: ArchGraph, node: Node) -> list[str]:
    """Return how the output shape is computed, with the numbers."""
    return node.operator.derive(node.call, node.shape)


def _parameters(graph: ArchGraph, node: Node) -> str:
    tensors = weights(graph, node)
    if not tensors:
        return "none"
    text = " + ".join("*".join(map(str, reversed(shape))) for shape in tensors.values())
    total = f"{node_params(graph, node):,}"
    shared = f", shared: the weights are those of {node.key}" if node.key != node.name else ""
    named = f" ({', '.join(tensors)})" if any(tensors) else ""  # a tensor of its own has the key of the node
    return (text if text == total else f"{text} = {total}") + named + shared


def _macs(graph: ArchGraph, node: Node) -> str:
    total = node_macs(graph, node)
    if total == 0:
        return "none"
    if not isinstance(total, int):
        return str(total)
    weight = weights(graph, node).get("weight")
    text = ""
    if weight is not None:
        text = "*".join(map(str, reversed(weight)))
        positions = node.shape[1:] if node.window is None else node.window.positions(node.call.x, node.shape)
        if total != prod(weight):
            text += f" weights * {'*'.join(map(str, positions))} positions"
        text += " = "
    return f"{text}{total:,}, or {2 * total:,} FLOPs"


def _memory(shape: Shape) -> str:
    values = prod(dim for dim in shape if isinstance(dim, int))
    if not all(isinstance(dim, int) for dim in shape):
        return f"{' * '.join(map(str, shape))} values"
    text = f"{'*'.join(map(str, shape))} = {values:,} values" if len(shape) > 1 else f"{values:,} values"
    return f"{text}, {4 * values:,} bytes in float32"


def _field(field: Field) -> Iterator[str]:
    if field.whole:
        yield "the whole input"
        return
    if field.axes and all(span is None for axis in field.axes for span in axis.spans):
        yield "none: it depends on no input"
        return
    for name, axis in zip(AXES.get(len(field.axes), ()), field.axes, strict=True):
        if axis.whole:
            yield f"{name}: the whole input"
            continue
        step = "1 pixel" if axis.jump == 1 else f"{axis.jump} pixels"
        yield f"{name}: {axis.size} pixels of the input, {step} from one output to the next, the first around pixel {axis.start}"
    if field.misaligned:
        yield "the branches that meet here look at different places of the input"


def _options(node: Node) -> Iterator[str]:
    """Yield every option with its value and the origin of the value."""
    for attr in node.operator.attrs:
        shown = f"{attr.name}={option_text(node.attrs.get(attr.name))}"
        if attr.name in node.origins:
            span = node.origins[attr.name]
            inside = span.source is node.span.source and node.span.start <= span.start <= node.span.end
            yield f"{shown}, given here" if inside else f"{shown}, from line {span.line} of {span.source.label}"
        elif isinstance(attr.default, Like):
            yield f"{shown}, as its {attr.default.option}"
        elif not isinstance(attr.default, Required):
            yield f"{shown}, the operator's own default"


def option_text(value: object) -> str:
    """Write the value of an option: `yes`, `none`, `3x3`, `0.9`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        if value and isinstance(value[0], tuple):
            return f"a table of {len(value)} rows"
        return show_sizes(value)
    return show(value).removesuffix(".0") if isinstance(value, float) else str(value)


def back(graph: ArchGraph, name: str) -> list[tuple[Node, list[str]]]:
    """Return the nodes that change the shape, from this one back to an input along first operands, each with its derivation."""
    changing = []
    node = graph[name]
    while node.operands:
        if node.operands[0].shape != node.shape:
            changing.append((node, size_lines(graph, node)))
        node = node.operands[0]
    return [*changing, (node, [])]
