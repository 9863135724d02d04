"""Sizes that a file of archc leaves open: it is read twice, at different sizes, and what both readings agree in holds for all.

Options that differ are no numbers, and the file is refused until its sizes are given. The shapes of the outputs, as formulas, must be
those that the file states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from archc.compiler.frontends.flat import CannotRead, FlatNetwork
from archc.compiler.frontends.onnx.model import Network
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.record import Call
from archc.compiler.shapes.dim import Dim, Shape, evaluate, unknown
from archc.dsl.diagnostics import Fault

TRIED = (256, 64, 16)  # sizes that a network may accept, and by whose quarters they grow
Read = Callable[[Sequence[Sequence[int]]], FlatNetwork]


def open_names(net: Network) -> list[str]:
    """Return the names of the open sizes of inputs; nothing where one has no name."""
    sizes = [size for stated in net.inputs.values() for size in stated[1:]]
    names = list(dict.fromkeys(size for size in sizes if isinstance(size, str)))
    return names if all(name.isidentifier() for name in names) else []


def opened(net: Network, names: Sequence[str], read: Read) -> FlatNetwork:
    """Return a network whose sizes are open. Raises CannotRead where it cannot be read at any sizes, or depends on them."""
    for base in TRIED:
        tried = [{name: base + base // 4 * (place + len(names) * turn) for place, name in enumerate(names)} for turn in range(2)]
        try:
            one, two = (read([[sizes.get(size, size) for size in stated[1:]] for stated in net.inputs.values()]) for sizes in tried)  # type: ignore[arg-type]
        except CannotRead as refusal:
            reason = refusal
            continue
        graph = _opened(net, one.graph, two.graph, tried)
        return replace(one, graph=graph, sizes=tried[0])
    raise CannotRead(f"its sizes are open, give them with --input; at {', '.join(map(str, tried[0].values()))}: {reason}")


def _opened(net: Network, one: ArchGraph, two: ArchGraph, tried: Sequence[dict[str, int]]) -> ArchGraph:
    refusal = CannotRead("what it computes depends on its sizes, which are open: give them with --input")
    if [(each.name, each.op, each.attrs, each.key) for each in one] != [(each.name, each.op, each.attrs, each.key) for each in two]:
        raise refusal
    graph = ArchGraph(one.name, one.title)
    stated = iter(net.inputs.values())
    for node in one:
        names = list(one.operands(node.name))
        if names != list(two.operands(node.name)):
            raise refusal
        shape = _formulas(next(stated)) if node.is_input else _shape(node, [graph[name].shape for name in names])
        for other, sizes in zip((one, two), tried, strict=True):
            if tuple(evaluate(size, sizes) for size in shape) != tuple(other[node.name].shape):
                raise refusal
        graph.add(replace(node, shape=shape, operands=()), names)
    graph.outputs.update(one.outputs)
    for value in net.model.graph.output:
        made = graph[graph.outputs[value.name].node].shape
        known = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in value.type.tensor_type.shape.dim][1:]
        if [str(size) for size in made] != [str(size) for size in known]:
            raise refusal
    return graph


def _formulas(stated: Sequence[int | str]) -> Shape:
    sizes: list[Dim] = [size if isinstance(size, int) else unknown(size) for size in stated[1:]]
    return tuple(sizes)


def _shape(node: Node, operands: Sequence[Shape]) -> Shape:
    try:
        return node.operator.shape(Call(node.op, node.attrs, tuple(operands)))
    except Fault as fault:
        raise CannotRead(f"`{node.op}` does not accept open sizes: {fault.diagnostic.message}; give them with --input") from None
