"""The graph as a torch.fx GraphModule with a real tree of modules, whose `state_dict` keys are the labels."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

import torch
from torch import fx, nn

from compiler.backends.initialise import initialise
from compiler.collection import without_collection
from compiler.graph import INPUT, ArchGraph, Node
from compiler.ops.record import Function, Lowering, Module, Operand, Operands, Parameter
from compiler.passes import INFERENCE, TRAINING, run
from compiler.passes.in_place import in_place
from compiler.shapes.dim import Formula
from dsl.diagnostics import ArchError, Fault
from dsl.vocabulary import files

Made = TypeVar("Made", bound=fx.GraphModule)
Parts = dict[str, nn.Module | nn.Parameter]  # by key; a parameter where the key is that of a tensor


class ArchModule(fx.GraphModule):
    """A GraphModule whose graph follows the mode: training-only outputs are there in training mode only.

    Takes one tensor `(N, *shape)` for each input, in order. Gives a tensor where there is one output, else a
    dict of them by name. The modules are those of both modes.
    """

    _modes: tuple[fx.Graph, fx.Graph] | None = None  # for evaluation and for training

    def train(self, mode: bool = True) -> ArchModule:
        super().train(mode)
        if self._modes is not None and self.graph is not self._modes[mode]:
            # GraphModule takes a copy of a graph that has another owner; these are ours.
            self.graph = self._modes[mode]
            self._modes = (self.graph, self._modes[1]) if not mode else (self._modes[0], self.graph)
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> ArchModule:
        tree = nn.Module()
        for name, module in self.named_children():
            tree.add_module(name, copy.deepcopy(module, memo))
        modes = copy.deepcopy(self._modes or (self.graph, self.graph), memo)
        return _assemble(tree, modes[1], modes[0], type(self).__name__, self.training)


@without_collection()
def lower(graph: ArchGraph, training: bool = False, level: int = 0) -> ArchModule:
    """Lower a network: modules with the initialisation that the file states, on the default device of torch.

    Under `with torch.device("meta")` nothing is allocated. `training` is the mode it comes in. `level` is 0, as written, or
    1, with exact rewrites and activations in place; `backends.optimise` goes further. Raises ArchError when sizes are open
    where torch needs numbers.
    """
    trained, inference = run(graph, TRAINING[level]).graph, run(graph, INFERENCE[level]).graph
    modules = modules_of(graph, in_place(trained) & in_place(inference) if level else set())
    tree = tree_of(modules)
    with_training = fx_graph(trained, modules)
    for_inference = fx_graph(inference, modules) if inference is not trained else with_training
    return _assemble(tree, with_training, for_inference, _class_name(graph.name), training)


def _assemble(tree: nn.Module, training: fx.Graph, inference: fx.Graph, name: str, mode: bool) -> ArchModule:
    module = with_branches(ArchModule(tree, training, name), tree)
    if inference is not training:
        module._modes = (inference, module.graph)
    module.train(mode)
    return module


def with_branches(module: Made, tree: nn.Module) -> Made:
    """GraphModule makes plain modules of the branches of its tree; this puts back ours, which can be indexed."""
    for child, branch in tree.named_children():
        setattr(module, child, branch)
    return module


def _class_name(name: str) -> str:
    return "".join(char if char.isalnum() or char == "_" else "_" for char in name) or "Network"


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


# ---- the graph


def fx_graph(graph: ArchGraph, modules: Mapping[str, nn.Module | nn.Parameter]) -> fx.Graph:
    result = fx.Graph()
    made: dict[str, fx.Node] = {}
    for node in graph:
        operands = [made[operand] for operand in graph.operands(node.name)]
        if node.op == INPUT:
            made[node.name] = result.placeholder(node.name)
        elif isinstance(modules.get(node.key), nn.Parameter):
            own = result.create_node("get_attr", node.key)
            target = resolve(_lowering(graph, node).target)
            made[node.name] = result.create_node("call_function", target, (*operands, own), name=_fx_name(node))
        elif node.key in modules:
            made[node.name] = result.create_node("call_module", node.key, tuple(operands), name=_fx_name(node))
        else:
            lowering = _lowering(graph, node)
            assert isinstance(lowering, Function)
            made[node.name] = _call_function(result, lowering, operands, _fx_name(node))
        made[node.name].meta.update(_meta(node))
    outputs = {name: made[output.node] for name, output in graph.outputs.items()}
    result.output(next(iter(outputs.values())) if len(outputs) == 1 else outputs)
    return result


def _fx_name(node: Node) -> str:
    return re.sub(r"\W", "_", node.name)


def _call_function(graph: fx.Graph, call: Function, operands: list[fx.Node], name: str) -> fx.Node:
    """One call; calls that stand in its arguments come first."""

    def argument(value: Any) -> Any:
        if isinstance(value, Operand):
            return operands[value.index]
        if isinstance(value, Operands):
            return operands
        return _call_function(graph, value, operands, name) if isinstance(value, Function) else value

    args = tuple(argument(value) for value in call.args)
    return graph.create_node("call_function", resolve(call.target), args, dict(call.kwargs), name=name)


def _meta(node: Node) -> dict[str, Any]:
    """Where a node comes from: for programs under `arch`, for torch's own messages as a stack trace."""
    span = node.span
    text = " ".join(span.text.split())
    frames = [frame.text for frame in node.frame.chain()] if node.frame else []
    line = span.line
    return {
        "arch": {"name": node.name, "op": node.op, "file": span.source.label, "line": line, "text": text, "provenance": frames},
        "stack_trace": f'  File "{span.source.label}", line {line}, in {node.name}\n    {text}',
    }


def parameter_count(module: nn.Module) -> int:
    """Trainable scalars, each once."""
    return sum(parameter.numel() for parameter in module.parameters())


def random_inputs(
    graph: ArchGraph, batch: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> list[torch.Tensor]:
    """A standard normal tensor `(batch, *shape)` for each input, drawn on the CPU so that every device gets the same."""
    inputs = []
    for node in graph.inputs:
        if any(isinstance(dim, Formula) for dim in node.shape):
            problem = f"the input {node.name} has open sizes"
            raise ArchError([files.cannot_lower(problem, "give the sizes with `--input`").at(node.span)])
        sizes = [dim for dim in node.shape if isinstance(dim, int)]
        inputs.append(torch.randn(batch, *sizes).to(device=device, dtype=dtype))
    return inputs
