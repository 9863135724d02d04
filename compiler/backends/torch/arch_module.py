"""A whole network as a module, which reports unsuitable inputs in terms of its `.arch` file."""

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
from archc.compiler.backends.torch.changes import first_change
from archc.compiler.graph import ArchGraph
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.errors import ArchError
from archc.dsl.vocabulary import files


class InputError(ArchError, ValueError):
    """A network was called with tensors that it cannot take. The message names the operator that fails, and the sizes that it takes."""


# The classes that torch raises for tensors that do not fit; subclasses, such as torch.OutOfMemoryError, have other causes.
FAILURES = (RuntimeError, ValueError, TypeError, IndexError, AttributeError)
OURS = tuple(f"{Path(str(path)).parent}{sep}" for path in (torch.__file__, Path(__file__).parent))


def _is_torchs(error: Exception) -> bool:
    """Return whether torch raised an error while it ran code of archc, as opposed to a hook or a module of the user."""
    frames = [frame.f_code.co_filename for frame, _ in walk_tb(error.__traceback__)]
    return type(error) in (*FAILURES, NotImplementedError) and all(name.startswith((*OURS, "<eval_with_key>")) for name in frames)


class Origin:
    """The graph that a module was lowered from; copies of the module share it, and it is pickled as plain data."""

    def __init__(self, graph: ArchGraph) -> None:
        self.graph = graph

    def __deepcopy__(self, memo: Any) -> Origin:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _origin, (self.graph.to_json(),)


def _origin(data: dict[str, Any]) -> Origin:
    return Origin(ArchGraph.from_json(data))


class ArchModule(Block):
    """A network. Its graph depends on the mode: training-only outputs are returned in training mode only.

    Takes one tensor `(N, *shape)` per input, in order. Returns a tensor where there is one output, otherwise a dict of tensors by name.
    Raises InputError for tensors that it cannot take.
    """

    def __init__(
        self, name: str, graphs: Graphs, members: Mapping[str, nn.Module | nn.Parameter], graph: ArchGraph, level: int = 0
    ) -> None:
        super().__init__(name, graphs, members)
        self._origin = Origin(graph)
        self._level = level  # of the lowering

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except FAILURES as error:
            if torch.compiler.is_compiling() or not _is_torchs(error) or self._first_change(self.training, hooks=False):
                raise
            if diagnostic := self._misfit(args, kwargs):
                raise InputError([diagnostic]) from error
            for note in self._mixtures(args, kwargs):
                error.add_note(note)
            raise

    def _first_change(self, training: bool = False, hooks: bool = True) -> str:
        """Return the first part of this module that differs from the lowered one, and how; "" if there is none. See `first_change`."""
        from archc.compiler.backends.torch.lower import lower  # which imports this module

        with torch.device("meta"):
            fresh = lower(self._origin.graph, self._level)
        return first_change(fresh, self, self._origin.graph, training, hooks)

    def _mixtures(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[str]:
        """Yield a sentence for each input whose dtype or device is not that of the weights, or that holds no whole numbers and should."""
        weight = next(self.parameters(), None)
        graph = self._origin.graph
        names = [node.name for node in graph.inputs]
        for name, x in {**dict(zip(names, args, strict=False)), **kwargs}.items():
            count = graph.whole_numbers(name) if name in graph else None
            if count is not None and isinstance(x, torch.Tensor):
                if x.dtype not in (torch.int64, torch.int32):
                    yield f"{name} takes whole numbers from 0 to {count - 1}, as torch.int64, and is {x.dtype}"
                elif x.numel() and not 0 <= int(x.min()) <= int(x.max()) < count:
                    yield f"{name} takes whole numbers from 0 to {count - 1}, and holds {int(x.min())} to {int(x.max())}"
            elif weight is not None and isinstance(x, torch.Tensor) and (x.dtype, x.device) != (weight.dtype, weight.device):
                yield f"{name} is {x.dtype} on {x.device}, and the weights are {weight.dtype} on {weight.device}"

    def _misfit(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Diagnostic | None:
        """Return what is wrong with the inputs of a call that failed; None where they are not the cause."""
        graph = self._origin.graph
        names = [node.name for node in graph.inputs][len(args) :]
        if not set(kwargs) <= set(names):
            return None
        if kwargs and (missing := [name for name in names if name not in kwargs]):
            takes = ", ".join(node.name for node in graph.inputs)
            problem = f"{graph.name} was called without its input{'s' * (len(missing) > 1)} {' and '.join(missing)}"
            return files.wrong_inputs(problem, takes)
        tensors = [*args, *(kwargs[name] for name in names if name in kwargs)]
        return misfit(graph, [tuple(x.shape) if isinstance(x, torch.Tensor) else None for x in tensors], self.training)


def source_of(module: ArchModule) -> ArchGraph:
    """Return the graph that a module was lowered from."""
    return module._origin.graph
