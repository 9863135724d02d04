"""Hold a network that was read against its source: keys, and results of one batch with weights that hide nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from archc.compiler.backends.torch.lower import lower
from archc.compiler.frontends.flat import CannotRead, FlatNetwork
from archc.compiler.frontends.item import CannotCompare
from archc.compiler.graph import ArchGraph
from archc.compiler.shapes.dim import evaluate, product


@dataclass(frozen=True)
class Proof:
    """What a comparison has found: operators, trained values, keys, and the largest difference of a result over its largest value."""

    nodes: int
    parameters: int
    keys: int
    difference: float
    by: str = "torch"


FEW = 8  # values of an output, of which two different ones may be all
MOST_VALUES = 2**29  # of one tensor, with which a source is run
MOST_MACS = 10**13
Renamed = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def proved(flat: FlatNetwork, graph: ArchGraph, batch: int = 2, renamed: Renamed = lambda weights: weights) -> Proof:
    """Load the weights of the source into a graph, strictly by key, and compare what both compute of random inputs.

    `renamed` returns weights of the source under the keys of the graph. Raises CannotRead where keys, shapes or outputs differ, and
    CannotCompare where the source cannot be run here.
    """
    if flat.oracle is None:
        return _sampled(flat, graph, renamed)
    source: nn.Module = flat.oracle()
    state = stirred(source)
    if flat.change is not None:
        state = {key: torch.as_tensor(value) for key, value in flat.change({key: value.numpy() for key, value in state.items()}).items()}
    network = _loaded(graph, state)
    inputs = [torch.randn(batch, *(int(size) for size in node.shape)) for node in graph.inputs]  # type: ignore[arg-type]
    with torch.no_grad():
        theirs, ours = leaves(source(*inputs)), leaves(network(*inputs))
    trained = sum(tensor.numel() for tensor in source.parameters())
    return Proof(len(graph), trained, len(state), _gap(theirs, ours))


def _sampled(flat: FlatNetwork, graph: ArchGraph, renamed: Renamed) -> Proof:
    """Compare a graph with what a source of another kind computes."""
    if flat.sample is None:
        raise CannotCompare("nothing here runs such a source")
    shapes = [(flat.batch, *(evaluate(size, flat.sizes) for size in node.shape)) for node in graph.inputs]
    largest = max(flat.batch * evaluate(product(node.shape), flat.sizes) for node in graph)
    macs = flat.batch * sum(evaluate(node.operator.macs(node.call, node.shape), flat.sizes) for node in graph if not node.is_input)
    if largest > MOST_VALUES or macs > MOST_MACS:
        raise CannotCompare(f"it takes {macs:,} products, and tensors of {largest:,} values")
    draw = np.random.default_rng(0)
    counts = [graph.whole_numbers(node.name) for node in graph.inputs]
    inputs = [
        draw.normal(0, 1, shape).astype(np.float32) if count is None else draw.integers(0, count, shape)
        for shape, count in zip(shapes, counts, strict=True)
    ]
    sample = flat.sample(inputs)
    weights = sample.weights if flat.change is None else flat.change(sample.weights)
    held = {key: torch.tensor(_plain(array)) for key, array in renamed(weights).items()}
    network = _loaded(graph, held)
    with torch.no_grad():
        ours = leaves(network(*map(torch.tensor, inputs)))
    theirs = [torch.tensor(_plain(array)) for array in sample.outputs]
    if all(output.numel() > FEW and len(torch.unique(output)) <= 2 for output in theirs):
        raise CannotCompare("with stirred weights the source computes at most two different values, which hide differences")
    trained = sum(tensor.numel() for tensor in network.parameters())
    return Proof(len(graph), trained, len(held), _gap(theirs, ours), sample.by)


def _plain(array: Any) -> Any:
    """Return an array of a type that torch takes."""
    array = np.asarray(array)
    return array if array.dtype.kind in "iub" else array.astype(np.float32)


def _loaded(graph: ArchGraph, state: Mapping[str, Tensor]) -> nn.Module:
    network = lower(graph).eval()
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise CannotRead(f"the weights of the source do not fit: {str(error).splitlines()[-1].strip()}") from None
    return network


def _gap(theirs: Sequence[Tensor], ours: Sequence[Tensor]) -> float:
    """Return the largest difference of a result over its largest value. Raises CannotRead where there are others, or no finite ones."""
    if len(theirs) != len(ours):
        raise CannotRead(f"the source returns {len(theirs)} tensors, and what was read {len(ours)}")
    for a, b in zip(theirs, ours, strict=True):
        if a.numel() != b.numel():
            raise CannotRead(f"the source returns {tuple(a.shape)}, and what was read {tuple(b.shape)}")
        if not bool(torch.isfinite(a).all()):
            raise CannotCompare("with stirred weights the source computes values that are not finite")
    return max(float((a - b.reshape(a.shape)).abs().max() / a.abs().max().clamp_min(1e-30)) for a, b in zip(theirs, ours, strict=True))


def stirred(module: nn.Module) -> dict[str, Tensor]:
    """Return the weights of a module after a small random change in place: those of the start hide differences, as biases of 0 do."""
    torch.manual_seed(0)
    with suppress(NotImplementedError):  # an exported program is in evaluation, and cannot be asked to
        module.eval()
    state: dict[str, Tensor] = module.state_dict()
    with torch.no_grad():
        for key, tensor in state.items():
            if key.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point():
                tensor.add_(torch.randn_like(tensor) * (0.1 if tensor.dim() < 2 or tensor.abs().max() < 1e-3 else 0.01))
    return state


def leaves(result: Any) -> list[Tensor]:
    """Return the tensors of a result in order."""
    if isinstance(result, Tensor):
        return [result]
    parts = result.values() if isinstance(result, Mapping) else result
    return [tensor for part in parts for tensor in leaves(part)]
