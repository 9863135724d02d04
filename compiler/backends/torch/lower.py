"""Build a torch.fx GraphModule from a lowered program: scopes become modules, and the `state_dict` keys are the labels of the file."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from operator import getitem

import torch
from torch import fx, nn

from archc.compiler.backends.torch.arch_module import ArchModule
from archc.compiler.backends.torch.blocks import Block, Chain, Graphs, NumberedBlock, NumberedScope, is_chain
from archc.compiler.backends.torch.blocks import Scope as LooseScope
from archc.compiler.backends.torch.nodes import Modules, below, fx_name, fx_node, fx_output, modules_of, register
from archc.compiler.collection import without_collection
from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import input_shapes, lowered_modes
from archc.compiler.lowering.program import LoweredProgram, Scope, Step


@without_collection()
def lower(graph: ArchGraph, level: int = 0) -> ArchModule:
    """Lower a network to a module in training mode, on the default device of torch, initialized as the file states.

    The module takes a tensor `(N, *shape)` per input, and returns a tensor, or a dict of tensors by name where there are several outputs.
    `level` is 0, as written, or 1, with exact rewrites and activations in place; `optimize` has further levels. Under
    `with torch.device("meta")` nothing is allocated; otherwise weights are drawn from torch's default random number generator. Raises
    ArchError where a size is open and an operator needs a number, and ValueError for another level.
    """
    training, inference = lowered_modes(graph, level)
    graphs = fx_graphs(training)
    return _assembled(graph, training, graphs, graphs if inference.body is training.body else fx_graphs(inference))


def _assembled(
    graph: ArchGraph, program: LoweredProgram, training: Mapping[str, fx.Graph], inference: Mapping[str, fx.Graph]
) -> ArchModule:
    """Build a module for each part and each scope of a program under its key, inner ones first."""
    scopes = {scope.key: scope for scope in reversed(list(program.body.scopes()))}  # for a shared block, its first call
    built = modules_of(program)
    for key in sorted(filter(None, program.members), key=lambda key: key.count("."), reverse=True):
        members = {name: built[inner] for name, inner in program.members[key].items()}
        if key in program.loose:
            built[key] = _loose(key, program.loose[key], members)
        else:
            built[key] = _block(scopes[key], (inference.get(key, training[key]), training[key]), members)
    members = {name: built[inner] for name, inner in program.members[""].items()}
    return ArchModule(_class_name(program.name), (inference[""], training[""]), members, graph, program.level)


def _loose(key: str, reason: str, members: Modules) -> nn.Module:
    scope = NumberedScope(key, reason) if _in_order(members) else LooseScope(key, reason)
    for name, member in members.items():
        register(scope, name, member)
    return scope


def _block(scope: Scope, graphs: Graphs, members: Modules) -> nn.Module:
    block: Block | Chain
    if _in_order(members) and all(is_chain(graph, len(members)) for graph in graphs):
        block = Chain(OrderedDict(members))
        block.meta["arch"] = {node.target: node.meta["arch"] for node in graphs[1].nodes if "arch" in node.meta}
    else:
        kind = NumberedBlock if members and all(name.isdigit() for name in members) else Block
        block = kind(scope.block or kind.__name__, graphs, members)
    block.meta["scope"] = scope.path
    return block


def _in_order(members: Modules) -> bool:
    """Return whether there are members and their names are 0, 1, 2, ... in order."""
    return bool(members) and list(members) == [str(number) for number in range(len(members))]


def fx_graphs(program: LoweredProgram) -> dict[str, fx.Graph]:
    """Return the graphs of the program and of each scope in it, by key; the key of the program is ""."""
    graphs: dict[str, fx.Graph] = {}
    _build(program, program.body, graphs)
    return graphs


def _build(program: LoweredProgram, within: Scope, graphs: dict[str, fx.Graph]) -> None:
    result = graphs[within.key] = fx.Graph()
    values: dict[str, fx.Node] = {}
    for number, name in enumerate(within.takes, 1):
        values[name] = result.placeholder("x" if len(within.takes) == 1 else f"x{number}")
    for item in within.body:
        if isinstance(item, Step):
            values[item.name] = fx_node(result, item, values, within)
            continue
        if item.key not in graphs:
            _build(program, item, graphs)
        values.update(_call(result, item, values, within))
    if within is program.body:
        fx_output(result, {name: values[step] for name, step in program.outputs.items()})
    else:
        left = [values[name] for name in within.returns]
        result.output(left[0] if len(left) == 1 else tuple(left))


def _call(result: fx.Graph, scope: Scope, values: Mapping[str, fx.Node], within: Scope) -> dict[str, fx.Node]:
    """Append a call of the module of a scope, and return the values that leave it, by the names of their steps."""
    arguments = tuple(values[name] for name in scope.takes)
    call = result.create_node("call_module", below(within.key, scope.key), arguments, name=fx_name(below(within.path, scope.path)))
    call.meta["scope"] = scope.path
    if len(scope.returns) == 1:
        return {scope.returns[0]: call}
    names = [fx_name(below(within.path, name)) for name in scope.returns]
    return {
        name: result.create_node("call_function", getitem, (call, number), name=short)
        for number, (name, short) in enumerate(zip(scope.returns, names, strict=True))
    }


def _class_name(name: str) -> str:
    return "".join(char if char.isalnum() or char == "_" else "_" for char in name) or "Network"


def random_inputs(
    graph: ArchGraph, batch: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> list[torch.Tensor]:
    """Return a random tensor `(batch, *shape)` per input, drawn on the CPU so that its values do not depend on the device.

    Values are standard normal, in the given dtype; an input of whole numbers gets those that its tables have. Raises ArchError where a
    size is open.
    """
    tensors = []
    for node, shape in zip(graph.inputs, input_shapes(graph), strict=True):
        count = graph.whole_numbers(node.name)
        if count is not None:
            tensors.append(torch.randint(count, (batch, *shape)).to(device=device))
        else:
            tensors.append(torch.randn(batch, *shape).to(device=device, dtype=dtype))
    return tensors
