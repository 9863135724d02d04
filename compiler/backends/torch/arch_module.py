"""A whole network as a module: errors of its inputs are told in the words of its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os import sep
from pathlib import Path
from traceback import walk_tb
from typing import Any

import torch
from torch import nn

from archc.compiler.analysis.misfit import misfit
from archc.compiler.backends.torch.blocks import Block, Graphs
from archc.compiler.backends.torch.changes import change
from archc.compiler.graph import ArchGraph
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
        from archc.compiler.backends.torch.lower import lower  # which makes these modules

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
