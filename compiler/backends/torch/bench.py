"""Time the levels of optimization against each other on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from archc.compiler.backends.torch.free_memory import check_memory, memory_errors
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.backends.torch.measure import activations
from archc.compiler.backends.torch.optimize import optimized
from archc.compiler.backends.torch.run import DTYPES, SEED, pick_device
from archc.compiler.backends.torch.timing import in_turn
from archc.compiler.graph import ArchGraph


@dataclass
class Timed:
    """The measurements of one level.

    `seconds`: the median time of a forward pass, to four digits. `ratio`: the speed relative to level 0. `difference`: the largest
    difference from level 0, relative to its largest value. `peak`: the peak of live activations in bytes, None where it is not known.
    """

    level: int
    seconds: float
    ratio: float
    difference: float
    peak: int | None


def levels(graph: ArchGraph, device: str, dtype: str, batch: int, runs: int, upto: int) -> tuple[str, list[Timed]]:
    """Return the name of the device, and a row for each level from 0 to `upto`. All levels have the same weights and the same input.

    Each network runs `runs` times, in an interleaved order. Raises NoDevice and NoMemory.
    """
    where = pick_device(device)
    check_memory(graph, dtype, batch, where, copies=upto + 1)
    with memory_errors(graph):
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
