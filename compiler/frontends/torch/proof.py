"""Hold a network that was read against its source: keys, and results of one batch with weights that hide nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archc.compiler.backends.torch.lower import lower
from archc.compiler.frontends.flat import CannotRead, FlatNetwork
from archc.compiler.graph import ArchGraph


@dataclass(frozen=True)
class Proof:
    """What a comparison has found: operators, trained values, keys, and the largest difference of a result over its largest value."""

    nodes: int
    parameters: int
    keys: int
    difference: float


def proved(flat: FlatNetwork, graph: ArchGraph, batch: int = 2) -> Proof:
    """Load the weights of the source into a graph, strictly by key, and compare what both compute of random inputs.

    Raises CannotRead where keys or shapes differ.
    """
    if flat.oracle is None:
        raise CannotRead("there is nothing to compare it with")
    source: nn.Module = flat.oracle()
    state = stirred(source)
    if flat.change is not None:
        state = {key: torch.as_tensor(value) for key, value in flat.change({key: value.numpy() for key, value in state.items()}).items()}
    network = lower(graph).eval()
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise CannotRead(f"the weights of the source do not fit: {str(error).splitlines()[-1].strip()}") from None
    inputs = [torch.randn(batch, *(int(size) for size in node.shape)) for node in graph.inputs]  # type: ignore[arg-type]
    with torch.no_grad():
        theirs, ours = leaves(source(*inputs)), leaves(network(*inputs))
    if len(theirs) != len(ours):
        raise CannotRead(f"the source returns {len(theirs)} tensors, and what was read {len(ours)}")
    gaps = [float((a - b.reshape(a.shape)).abs().max() / a.abs().max().clamp_min(1e-30)) for a, b in zip(theirs, ours, strict=True)]
    trained = sum(tensor.numel() for tensor in source.parameters())
    return Proof(len(graph), trained, len(state), max(gaps))


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
