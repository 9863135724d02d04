"""The levels of optimization side by side, on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.backends.torch.measure import activations
from archc.compiler.backends.torch.optimize import optimized
from archc.compiler.backends.torch.room import check_room, told
from archc.compiler.backends.torch.run import DTYPES, SEED, pick_device
from archc.compiler.backends.torch.timing import in_turn
from archc.compiler.graph import ArchGraph


@dataclass
class Timed:
    """One level: the median time of a forward pass in seconds, to four digits; how many times as fast as level 0 that is; the largest
    difference from level 0 in parts of its largest value, and the peak of live activations in bytes."""

    level: int
    seconds: float
    ratio: float
    difference: float
    peak: int | None


def levels(graph: ArchGraph, device: str, dtype: str, batch: int, runs: int, upto: int) -> tuple[str, list[Timed]]:
    """The device, and a row for each level up to one. All levels have the same weights and the same input. Raises NoDevice, NoMemory."""
    where = pick_device(device)
    check_room(graph, dtype, batch, where, copies=upto + 1)
    with told(graph):
        return _levels(graph, where, dtype, batch, runs, upto)


def _levels(graph: ArchGraph, where: torch.device, dtype: str, batch: int, runs: int, upto: int) -> tuple[str, list[Timed]]:
    torch.manual_seed(SEED)
    plain = lower(graph).eval()
    inputs = random_inputs(graph, batch, where, DTYPES[dtype])
    plain.to(device=where, dtype=DTYPES[dtype])
    exact = lower(graph, level=1).eval().to(device=where, dtype=DTYPES[dtype])
    exact.load_state_dict(plain.state_dict())
    networks: list[Callable[..., Any]] = [plain, exact, *(optimized(plain, graph, inputs, level) for level in range(2, upto + 1))]
    networks = networks[: upto + 1]
    with torch.no_grad():
        expected = _values(plain(*inputs))
        apart = [float((_values(net(*inputs)) - expected).abs().max() / expected.abs().max().clamp(min=1e-30)) for net in networks]
        times = in_turn([partial(net, *inputs) for net in networks], runs, 0, where.type == "cuda")
        peaks = [activations(net, tuple(inputs), training=False) if isinstance(net, nn.Module) else None for net in networks]
    seconds = [float(f"{median(taken):.4g}") for taken in times]
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    rows = zip(seconds, apart, peaks, strict=True)
    return name, [Timed(level, taken, seconds[0] / taken, far, peak) for level, (taken, far, peak) in enumerate(rows)]


def _values(result: Any) -> Tensor:
    tensors = result.values() if isinstance(result, dict) else [result]
    return torch.cat([tensor.double().flatten() for tensor in tensors])
