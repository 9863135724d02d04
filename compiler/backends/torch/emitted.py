"""Run the source that was written of a network, and compare it with the network."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.graph import ArchGraph

BATCH = 2  # samples, of which batch norms can learn in any case
MOST = 2 * 1024**3  # bytes of weights up to which the source is also run; above, its keys and shapes are compared


def network_of(text: str) -> type[nn.Module]:
    """Execute source and return its network: the last class that it defines."""
    module = ModuleType("archc_emitted")
    sys.modules[module.__name__] = module  # where dataclasses look for the names of their file
    try:
        exec(compile(text, f"<{module.__name__}>", "exec"), vars(module))
    finally:
        del sys.modules[module.__name__]
    classes = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]
    found: type[nn.Module] = classes[-1]
    return found


def difference(text: str, graph: ArchGraph, arguments: Mapping[str, Any] | None = None, most: int = MOST) -> str:
    """Return how the network that some source defines differs from a graph; "" where it does not.

    Compared are the keys and shapes of the state_dict, in order; then, in evaluation and, from the same seed, in training, the outputs for
    random inputs, bit by bit, on the CPU in float32. Of a network with open sizes, or with more than `most` bytes of weights, only the keys
    and shapes are compared. `arguments` are those that the network of the source is made with.
    """
    kind = partial(network_of(text), **(arguments or {}))
    with torch.device("meta"):
        module = lower(graph)
        ours, theirs = _keys(module), _keys(kind())
    if ours != theirs:
        pair = next((pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]), (len(ours), len(theirs)))
        return f"its state_dict has {pair[1]} where the network has {pair[0]}"
    if graph.unknowns or sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values()) > most:
        return ""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(0)
        module, written = lower(graph), kind()
        written.load_state_dict(module.state_dict())
        inputs = random_inputs(graph, BATCH)
        for training in (False, True):
            outputs = []
            for each in (module, written):
                each.train(training)
                torch.manual_seed(0)
                with torch.no_grad():
                    outputs.append(_named(each(*inputs)))
            if why := _unequal(*outputs):
                return f"in {'training' if training else 'evaluation'}, {why}"
    return ""


def _keys(module: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    return [(key, tuple(tensor.shape)) for key, tensor in module.state_dict().items()]


def _named(outputs: Any) -> Mapping[str, Tensor]:
    return outputs if isinstance(outputs, dict) else {"": outputs}


def _unequal(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> str:
    if list(ours) != list(theirs):
        return f"its outputs are {', '.join(theirs)}, and those of the network {', '.join(ours)}"
    for name, tensor in ours.items():
        other = theirs[name]
        if tensor.shape != other.shape or not torch.equal(tensor.nan_to_num(), other.nan_to_num()):
            return f"its output {name} has other values" if name else "its output has other values"
    return ""
