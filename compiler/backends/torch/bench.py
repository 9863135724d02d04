"""Time the levels of optimization against each other on this machine, for some numbers of samples and of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from archc.compiler.backends.torch.arch_module import ArchModule
from archc.compiler.backends.torch.free_memory import check_memory, memory_errors
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.backends.torch.measure import activations
from archc.compiler.backends.torch.optimize import optimized
from archc.compiler.backends.torch.run import DTYPES, SEED, pick_device
from archc.compiler.backends.torch.timing import device_text, in_turn, on_threads
from archc.compiler.graph import ArchGraph

WARM = 2  # runs of each network that are not counted


@dataclass(frozen=True)
class Measured:
    """The measurements of one level with a number of samples and of threads.

    `seconds` are those of every run. `difference`: the largest difference from level 0, relative to its largest value. `peak`: the peak
    of live activations in bytes, None where it is not known.
    """

    level: int
    batch: int
    threads: int
    seconds: tuple[float, ...]
    difference: float
    peak: int | None


def levels(
    graph: ArchGraph, device: str, dtype: str, batches: Sequence[int], threads: Sequence[int], runs: int, upto: int
) -> tuple[str, list[Measured]]:
    """Return the name of the device, and for each number of threads and of samples a row for each level from 0 to `upto`.

    All have the same weights, and all levels of a batch the same input; they run `runs` times, in an interleaved order. Without numbers of
    threads, it is torch's own. Raises NoDevice and NoMemory.
    """
    where = pick_device(device)
    check_memory(graph, dtype, max(batches), where, copies=upto + 1)
    with memory_errors(graph):
        torch.manual_seed(SEED)
        plain = lower(graph).eval().to(device=where, dtype=DTYPES[dtype])
        exact = lower(graph, level=1).eval().to(device=where, dtype=DTYPES[dtype])
        exact.load_state_dict(plain.state_dict())
        rows: list[Measured] = []
        for count in threads or (torch.get_num_threads(),):
            with on_threads(count):
                for batch in batches:
                    inputs = random_inputs(graph, batch, where, DTYPES[dtype])
                    rows.extend(_timed([plain, exact][: upto + 1], graph, inputs, runs, upto))
    return device_text(where), rows


def _timed(trainable: list[ArchModule], graph: ArchGraph, inputs: list[Tensor], runs: int, upto: int) -> Iterator[Measured]:
    """Yield a row for each level. What depends on inputs and threads is made for these."""
    plain, on_gpu = trainable[0], inputs[0].is_cuda
    networks: list[Callable[..., Any]] = [*trainable, *(optimized(plain, graph, inputs, level) for level in range(2, upto + 1))]
    with torch.no_grad():
        expected = _values(plain(*inputs))
        apart = [float((_values(net(*inputs)) - expected).abs().max() / expected.abs().max().clamp(min=1e-30)) for net in networks]
        times = in_turn([partial(net, *inputs) for net in networks], runs, WARM, on_gpu)
        peaks = [activations(net, tuple(inputs), training=False) if isinstance(net, nn.Module) else None for net in networks]
    for level, (seconds, far, peak) in enumerate(zip(times, apart, peaks, strict=True)):
        yield Measured(level, len(inputs[0]), torch.get_num_threads(), tuple(seconds), far, peak)


def _values(result: Any) -> Tensor:
    tensors = result.values() if isinstance(result, dict) else [result]
    return torch.cat([tensor.double().flatten() for tensor in tensors])
