"""Build modules from parts, nodes of torch.fx from steps, and one graph over a tree of modules from a whole program."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import fx, nn

from archc.compiler.backends.torch.initialize import initialize
from archc.compiler.backends.torch.modules.computed import Spectral
from archc.compiler.backends.torch.targets import resolve
from archc.compiler.graph import Node
from archc.compiler.lowering.program import FunctionCall, LoweredProgram, Part, Scope, Step, Trained, Value

GraphModuleT = TypeVar("GraphModuleT", bound=fx.GraphModule)
Modules = dict[str, nn.Module | nn.Parameter]  # by key


# ---- modules


def modules_of(program: LoweredProgram) -> Modules:
    """Build each part of a program on the default device and in the default dtype of torch, initialized as the file states."""
    return {key: _module(part) for key, part in program.parts.items()}


def _module(part: Part) -> nn.Module | nn.Parameter:
    if part.kind == "tensor":
        tensor = nn.Parameter(torch.empty(part.weights[""]))
        initialize({"": tensor}, part.initial)
        return tensor
    settings = {**part.settings, "inplace": True} if part.overwrites else part.settings
    module: nn.Module = resolve(part.target)(**settings)
    initialize(dict(module.named_parameters()), part.initial)
    if part.initial and isinstance(module, Spectral):
        module.settle()
    return module


def register(module: nn.Module, name: str, member: nn.Module | nn.Parameter) -> None:
    """Add a module or a trained tensor to a module as a member."""
    if isinstance(member, nn.Parameter):
        module.register_parameter(name, member)
    else:
        module.add_module(name, member)


def tree_of(modules: Mapping[str, nn.Module | nn.Parameter]) -> nn.Module:
    """Return a module that holds the given ones under their keys. A branch with members 0, 1, 2, ... is a ModuleList."""
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
            register(branch, name, built[inner])
        built[path] = branch
    whole = built[""]
    assert isinstance(whole, nn.Module)
    return whole


def with_branches(module: GraphModuleT, tree: nn.Module) -> GraphModuleT:
    """Restore the branches of `tree` in `module`, in place, and return it: GraphModule replaces them by plain modules."""
    for child, branch in tree.named_children():
        setattr(module, child, branch)
    return module


# ---- graphs


def fx_graph(program: LoweredProgram) -> fx.Graph:
    """Return the whole program as one graph, whose calls refer to modules by their keys."""
    result = fx.Graph()
    values: dict[str, fx.Node] = {}
    for step in program.steps:
        values[step.name] = fx_node(result, step, values, program.body)
    fx_output(result, {name: values[step] for name, step in program.outputs.items()})
    return result


def fx_output(result: fx.Graph, outputs: Mapping[str, fx.Node]) -> None:
    """Append the output of a network: a tensor where there is one output, otherwise a dict of tensors by name."""
    result.output(next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs))


def fx_node(result: fx.Graph, step: Step, values: Mapping[str, fx.Node], within: Scope) -> fx.Node:
    """Append a step to the graph of the scope `within`, and return its node; `values` are the nodes of earlier steps, by name."""
    name, key = fx_name(below(within.path, step.name)), below(within.key, step.key)
    if step.kind == "input":
        node = result.placeholder(step.name)
    elif step.kind == "module":
        node = result.create_node("call_module", key, tuple(values[operand] for operand in step.operands), name=name)
    else:
        own = result.create_node("get_attr", key) if step.kind == "tensor" else None
        node = _call(result, step.target, step.args, step.kwargs, values, own, name)
    node.meta.update(node_meta(step))
    return node


def _call(
    result: fx.Graph,
    target: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    values: Mapping[str, fx.Node],
    own: fx.Node | None,
    name: str,
) -> fx.Node:
    """Append a function call and return its node. Nested calls are appended before it, under names derived from `name`."""

    def argument(value: Any) -> Any:
        match value:
            case Value(step):
                return values[step]
            case Trained():
                return own
            case FunctionCall(inner, inner_args, inner_kwargs):
                return _call(result, inner, inner_args, inner_kwargs, values, own, f"{name}_part")
            case list():
                return [argument(item) for item in value]
        return value

    return result.create_node("call_function", resolve(target), tuple(map(argument, args)), dict(kwargs), name=name)


def below(path: str, name: str) -> str:
    """Return a dotted name relative to a scope."""
    return name[len(path) + 1 :] if path else name


def fx_name(name: str) -> str:
    """Return a name that is valid for a node of fx."""
    return re.sub(r"\W", "_", name)


def node_meta(step: Step) -> dict[str, Any]:
    """Return the metadata of a node: its origin, as data under `arch`, and as a stack trace for torch's own messages."""
    span = step.span
    text = " ".join(span.text.split())
    place = {"file": span.source.label, "line": span.line, "text": text, "provenance": list(step.provenance)}
    return {"arch": {"name": step.name, "op": step.op, **place}, "stack_trace": stack_trace(step)}


def stack_trace(step: Step | Node) -> str:
    """Return the position of a step in its file, formatted like a frame of a Python traceback."""
    span = step.span
    return f'  File "{span.source.label}", line {span.line}, in {step.name}\n    {" ".join(span.text.split())}'
