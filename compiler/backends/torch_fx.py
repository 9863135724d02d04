"""The graph as a torch.fx GraphModule: its scopes are modules, too, and its `state_dict` keys are the labels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from operator import getitem
from os import sep
from pathlib import Path
from traceback import walk_tb
from typing import Any

import torch
from torch import fx, nn

from archc.compiler.analysis.aliasing import in_place
from archc.compiler.analysis.misfit import misfit
from archc.compiler.analysis.regions import Region, Regions, entering, leaving, regions, scopes_of
from archc.compiler.backends.blocks import Block, Chain, Graphs, NumberedBlock, NumberedScope, Scope, is_chain
from archc.compiler.backends.changes import change
from archc.compiler.backends.nodes import WHOLE, Parts, below, fx_name, fx_node, fx_output, modules_of
from archc.compiler.collection import without_collection
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.passes import INFERENCE, TRAINING, run
from archc.compiler.shapes.dim import Formula
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.errors import ArchError
from archc.dsl.vocabulary import files


class InputError(ArchError, ValueError):
    """A network was called with tensors that it cannot take. Its text names the operator that fails, and the sizes that it takes."""


# What torch raises for tensors that do not fit; subclasses, as torch.OutOfMemoryError, are other troubles.
FAILURES = (RuntimeError, ValueError, TypeError, IndexError, AttributeError)
OURS = tuple(f"{Path(str(path)).parent}{sep}" for path in (torch.__file__, Path(__file__).parent))


def _is_torchs(error: Exception) -> bool:
    """Was an error raised by torch while it ran our code, and not by a hook or a module of the user?"""
    frames = [frame.f_code.co_filename for frame, _ in walk_tb(error.__traceback__)]
    return type(error) in (*FAILURES, NotImplementedError) and all(name.startswith((*OURS, "<eval_with_key>")) for name in frames)


class Origin:
    """The network that a module was lowered from; shared by copies of the module, and pickled as plain data."""

    def __init__(self, graph: ArchGraph) -> None:
        self.graph = graph

    def __deepcopy__(self, memo: Any) -> Origin:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _origin, (self.graph.to_json(),)


def _origin(data: dict[str, Any]) -> Origin:
    return Origin(ArchGraph.from_json(data))


class ArchModule(Block):
    """A network. Its graph follows the mode: training-only outputs are there in training mode only.

    Takes one tensor `(N, *shape)` for each input, in order. Returns a tensor where there is one output, else a dict of them by name.
    Raises InputError for tensors that it cannot take.
    """

    def __init__(
        self, name: str, graphs: Graphs, members: Mapping[str, nn.Module | nn.Parameter], graph: ArchGraph, level: int = 0
    ) -> None:
        super().__init__(name, graphs, members)
        self._origin = Origin(graph)
        self._level = level  # at which it was lowered

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except FAILURES as error:
            if torch.compiler.is_compiling() or not _is_torchs(error) or self._change(self.training, hooks=False):
                raise
            if found := self._misfit(args, kwargs):
                raise InputError([found]) from error
            for note in self._mixtures(args, kwargs):
                error.add_note(note)
            raise

    def _change(self, training: bool = False, hooks: bool = True) -> str:
        """The first part of this module that is no longer as it was lowered, and how; nothing if there is none. See `changes`."""
        with torch.device("meta"):
            made = lower(self._origin.graph, self._level)
        return change(made, self, self._origin.graph, training, hooks)

    def _mixtures(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[str]:
        """Inputs whose dtype or device is not that of the weights."""
        weight = next(self.parameters(), None)
        names = [node.name for node in self._origin.graph.inputs]
        for name, x in {**dict(zip(names, args, strict=False)), **kwargs}.items():
            if weight is not None and isinstance(x, torch.Tensor) and (x.dtype, x.device) != (weight.dtype, weight.device):
                yield f"{name} is {x.dtype} on {x.device}, and the weights are {weight.dtype} on {weight.device}"

    def _misfit(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Diagnostic | None:
        """What was wrong with the inputs of a call that failed; None where that was not its reason."""
        graph = self._origin.graph
        names = [node.name for node in graph.inputs][len(args) :]
        if not set(kwargs) <= set(names):
            return None
        if kwargs and (missing := [name for name in names if name not in kwargs]):
            takes = ", ".join(node.name for node in graph.inputs)
            problem = f"{graph.name} was called without its input{'s' * (len(missing) > 1)} {' and '.join(missing)}"
            return files.wrong_inputs(problem, takes)
        given = [*args, *(kwargs[name] for name in names if name in kwargs)]
        return misfit(graph, [tuple(x.shape) if isinstance(x, torch.Tensor) else None for x in given], self.training)


def source_of(module: ArchModule) -> ArchGraph:
    """The network that a module was lowered from."""
    return module._origin.graph


@without_collection()
def lower(graph: ArchGraph, level: int = 0) -> ArchModule:
    """Lower a network: modules with the initialisation that the file states, on the default device of torch, in training mode.

    Under `with torch.device("meta")` nothing is allocated. `level` is 0, as written, or 1, with exact rewrites and activations in
    place; `backends.optimise` goes further. Raises ArchError when sizes are open where torch needs numbers.
    """
    trained, inference = run(graph, TRAINING[level]).graph, run(graph, INFERENCE[level]).graph
    modules = modules_of(graph, in_place(trained) & in_place(inference) if level else set())
    return _Assembly(graph, inference, trained, modules, level).module()


class _Assembly:
    """Puts a network together: a graph for every scope that can be a module, and the modules under their keys."""

    def __init__(self, graph: ArchGraph, inference: ArchGraph, trained: ArchGraph, modules: Parts, level: int) -> None:
        self.graph, self.modules, self.level = graph, modules, level
        self.scopes: Regions = regions(graph)
        self.by_key = {region.key: region for region in self.scopes.found.values()}
        self.training = self._graphs(trained)
        self.evaluation = self.training if inference is trained else self._graphs(inference)

    def module(self) -> ArchModule:
        members = self._members()
        built: dict[str, nn.Module | nn.Parameter] = dict(self.modules)
        for key in sorted(members, key=lambda key: key.count(".") + bool(key), reverse=True):
            built[key] = self._module(key, {name: built[inner] for name, inner in members[key].items()})
        whole = built[""]
        assert isinstance(whole, ArchModule)
        return whole

    def _members(self) -> dict[str, dict[str, str]]:
        """What each scope holds: name -> key, in the order of the network."""
        members: dict[str, dict[str, str]] = {"": {}, **{key: {} for key in self.by_key}}
        for node in self.graph:
            keys = [*scopes_of(node.key), node.key]
            while keys and keys[-1] not in self.modules and keys[-1] not in self.by_key:
                keys.pop()
            for key in keys:
                around, _, name = key.rpartition(".")
                members.setdefault(around, {})[name] = key
        return members

    def _module(self, key: str, members: Mapping[str, nn.Module | nn.Parameter]) -> nn.Module:
        numbered = bool(members) and all(name.isdigit() for name in members)
        unbroken = list(members) == [str(number) for number in range(len(members))]
        if key and key not in self.by_key:
            reason = self.scopes.reasons.get(key, "its operators are parts of other scopes")
            scope = NumberedScope(key, reason) if numbered and unbroken else Scope(key, reason)
            for name, member in members.items():
                if isinstance(member, nn.Parameter):
                    scope.register_parameter(name, member)
                else:
                    scope.add_module(name, member)
            return scope
        training = self.training[key]
        graphs: Graphs = (self.evaluation.get(key, training), training)
        if not key:
            return ArchModule(_class_name(self.graph.name), graphs, members, self.graph, self.level)
        region = self.by_key[key]
        block: Block | Chain
        if numbered and unbroken and all(is_chain(graph, len(members)) for graph in graphs):
            block = Chain(OrderedDict(members))
            block.meta["arch"] = {node.target: node.meta["arch"] for node in training.nodes if "arch" in node.meta}
        else:
            kind = NumberedBlock if numbered else Block
            block = kind(region.call or kind.__name__, graphs, members)
        block.meta["scope"] = region.path
        return block

    # ---- graphs

    def _graphs(self, graph: ArchGraph) -> dict[str, fx.Graph]:
        """The graphs of one mode, by key."""
        found: dict[str, fx.Graph] = {}
        self._build(graph, WHOLE, list(graph), found)
        return found

    def _build(self, graph: ArchGraph, within: Region, nodes: Sequence[Node], found: dict[str, fx.Graph]) -> None:
        result = found[within.key] = fx.Graph()
        values: dict[str, fx.Node] = {}
        if within is not WHOLE:
            entered = entering(graph, nodes)
            for number, name in enumerate(entered, 1):
                values[name] = result.placeholder("x" if len(entered) == 1 else f"x{number}")
        for region, inside in self._parts(within, nodes):
            if region is None:
                values[inside[0].name] = fx_node(result, graph, inside[0], self.modules, values, within)
                continue
            if region.key not in found:
                self._build(graph, region, inside, found)
            values.update(_call(result, graph, region, inside, values, within))
        if within is WHOLE:
            fx_output(result, {name: values[output.node] for name, output in graph.outputs.items()})
        else:
            left = [values[name] for name in leaving(graph, nodes)]
            result.output(left[0] if len(left) == 1 else tuple(left))

    def _parts(self, within: Region, nodes: Sequence[Node]) -> Iterator[tuple[Region | None, Sequence[Node]]]:
        """The parts of a scope in order: the largest regions in it, and the nodes that are in none."""
        start = 0
        while start < len(nodes):
            paths = (path for path in self.scopes.around(nodes[start].name) if len(path) > len(within.path))
            region = next((self.scopes.found[path] for path in paths if path in self.scopes.found), None)
            end = start + 1
            while region is not None and end < len(nodes) and region.path in self.scopes.around(nodes[end].name):
                end += 1
            yield region, nodes[start:end]
            start = end


def _call(
    result: fx.Graph, graph: ArchGraph, region: Region, inside: Sequence[Node], values: Mapping[str, fx.Node], within: Region
) -> dict[str, fx.Node]:
    """A region as one call of its module; the values that leave it, by the names of their nodes."""
    arguments = tuple(values[name] for name in entering(graph, inside))
    call = result.create_node("call_module", below(within.key, region.key), arguments, name=fx_name(below(within.path, region.path)))
    call.meta["scope"] = region.path
    left = leaving(graph, inside)
    if len(left) == 1:
        return {left[0]: call}
    names = [fx_name(below(within.path, name)) for name in left]
    return {
        name: result.create_node("call_function", getitem, (call, number), name=short)
        for number, (name, short) in enumerate(zip(left, names, strict=True))
    }


def _class_name(name: str) -> str:
    return "".join(char if char.isalnum() or char == "_" else "_" for char in name) or "Network"


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
