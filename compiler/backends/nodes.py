"""Operators as modules and as nodes of torch.fx; and a whole network as one graph over a tree of modules."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

import torch
from torch import fx, nn

from archc.compiler.analysis.regions import Region
from archc.compiler.backends.initialise import initialise
from archc.compiler.graph import INPUT, ArchGraph, Node
from archc.compiler.ops.record import Function, Lowering, Module, Operand, Operands, Parameter
from archc.compiler.shapes.dim import Formula
from archc.dsl.diagnostics import Fault
from archc.dsl.errors import ArchError
from archc.dsl.vocabulary import files

Made = TypeVar("Made", bound=fx.GraphModule)
Parts = dict[str, nn.Module | nn.Parameter]  # by key; a parameter where the key is that of a tensor
WHOLE = Region("", "")


# ---- modules


def modules_of(graph: ArchGraph, overwriting: Collection[str] = ()) -> Parts:
    """A module for every key whose operator lowers to one; shared parts have one key. Some may overwrite their input."""
    modules: Parts = {}
    for node in graph:
        if node.op == INPUT or node.key in modules:
            continue
        lowering = _lowering(graph, node)
        if isinstance(lowering, Module):
            kwargs = {**lowering.kwargs, "inplace": True} if node.key in overwriting else lowering.kwargs
            modules[node.key] = module = resolve(lowering.target)(**kwargs)
            initialise(module, node.attrs)
        elif isinstance(lowering, Parameter):
            modules[node.key] = nn.Parameter(torch.full(lowering.shape, lowering.start))
    return modules


def _lowering(graph: ArchGraph, node: Node) -> Lowering:
    try:
        lowering = node.operator.lower(graph.call(node.name))
    except Fault as fault:
        raise ArchError([fault.diagnostic.at(node.span)]) from None
    given = lowering.kwargs.values() if isinstance(lowering, Module) else [lowering.shape] if isinstance(lowering, Parameter) else []
    if any(_is_open(value) for value in given):
        problem = f"{node.name} cannot be lowered while its sizes are open"
        raise ArchError([files.cannot_lower(problem, "give the sizes with `--input`").at(node.span)])
    return lowering


def _is_open(value: Any) -> bool:
    return isinstance(value, Formula) or (isinstance(value, tuple) and any(_is_open(item) for item in value))


@cache
def resolve(path: str) -> Callable[..., Any]:
    """What a dotted path of a lowering names."""
    module, _, name = path.rpartition(".")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def tree_of(modules: Mapping[str, nn.Module | nn.Parameter]) -> nn.Module:
    """The modules under their keys. A branch whose members are numbered 0, 1, 2, ... can be indexed."""
    members: dict[str, dict[str, str]] = {"": {}}  # branch -> name -> path of the member
    for key in modules:
        path = ""
        for part in key.split("."):
            inner = f"{path}.{part}" if path else part
            members.setdefault(path, {})[part] = inner
            path = inner
    built: dict[str, nn.Module | nn.Parameter] = dict(modules)
    for path in sorted(members, key=lambda branch: branch.count(".") + bool(branch), reverse=True):
        names = members[path]
        numbered = path and list(names) == [str(i) for i in range(len(names))]
        branch: nn.Module = nn.ModuleList() if numbered else nn.Module()
        for name, inner in names.items():
            member = built[inner]
            if isinstance(member, nn.Parameter):
                branch.register_parameter(name, member)
            else:
                branch.add_module(name, member)
        built[path] = branch
    whole = built[""]
    assert isinstance(whole, nn.Module)
    return whole


def with_branches(module: Made, tree: nn.Module) -> Made:
    """GraphModule makes plain modules of the branches of its tree; this puts back ours, which can be indexed."""
    for child, branch in tree.named_children():
        setattr(module, child, branch)
    return module


# ---- the graph


def fx_graph(graph: ArchGraph, modules: Mapping[str, nn.Module | nn.Parameter]) -> fx.Graph:
    """The whole network as one graph, over modules under their keys."""
    result = fx.Graph()
    made: dict[str, fx.Node] = {}
    for node in graph:
        made[node.name] = fx_node(result, graph, node, modules, made, WHOLE)
    fx_output(result, {name: made[output.node] for name, output in graph.outputs.items()})
    return result


def fx_output(result: fx.Graph, outputs: Mapping[str, fx.Node]) -> None:
    """End the graph of a network: a tensor where there is one output, else a dict of them."""
    result.output(next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs))


def fx_node(
    result: fx.Graph,
    graph: ArchGraph,
    node: Node,
    modules: Mapping[str, nn.Module | nn.Parameter],
    values: Mapping[str, fx.Node],
    within: Region,
) -> fx.Node:
    """A node of a network as one of fx, in the graph of the scope `within`, from the values of its operands."""
    operands = [values[operand] for operand in graph.operands(node.name)]
    name, key = fx_name(below(within.path, node.name)), below(within.key, node.key)
    if node.op == INPUT:
        made = result.placeholder(node.name)
    elif isinstance(modules.get(node.key), nn.Parameter):
        own = result.create_node("get_attr", key)
        target = resolve(_lowering(graph, node).target)
        made = result.create_node("call_function", target, (*operands, own), name=name)
    elif node.key in modules:
        made = result.create_node("call_module", key, tuple(operands), name=name)
    else:
        lowering = _lowering(graph, node)
        assert isinstance(lowering, Function)
        made = _call_function(result, lowering, operands, name)
    made.meta.update(node_meta(node))
    return made


def below(path: str, name: str) -> str:
    """A name as it is within a scope."""
    return name[len(path) + 1 :] if path else name


def fx_name(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _call_function(graph: fx.Graph, call: Function, operands: list[fx.Node], name: str) -> fx.Node:
    """One call; calls that stand in its arguments come first, and leave its name to it."""

    def argument(value: Any) -> Any:
        if isinstance(value, Operand):
            return operands[value.index]
        if isinstance(value, Operands):
            return operands
        return _call_function(graph, value, operands, f"{name}_part") if isinstance(value, Function) else value

    args = tuple(argument(value) for value in call.args)
    return graph.create_node("call_function", resolve(call.target), args, dict(call.kwargs), name=name)


def node_meta(node: Node) -> dict[str, Any]:
    """Where a node comes from: for programs under `arch`, for torch's own messages as a stack trace."""
    span = node.span
    text = " ".join(span.text.split())
    frames = [frame.text for frame in node.frame.chain()] if node.frame else []
    line = span.line
    return {
        "arch": {"name": node.name, "op": node.op, "file": span.source.label, "line": line, "text": text, "provenance": frames},
        "stack_trace": f'  File "{span.source.label}", line {line}, in {node.name}\n    {text}',
    }
