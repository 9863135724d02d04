"""Time alternatives in an interleaved order, so that a change in the machine's speed affects all of them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any, TypeVar

import torch
from torch import Tensor

Run = TypeVar("Run", bound=Callable[..., Any])


def in_turn(runs: Sequence[Callable[[], Any]], count: int, warm: int, cuda: bool) -> list[list[float]]:
    """Return the seconds of `count` runs of each function, interleaved, after `warm` runs of each that are not counted.

    The order within a turn is shuffled, by a fixed seed, since the previous run affects caches and allocators. `cuda`: wait for the GPU.
    """
    times: list[list[float]] = [[] for _ in runs]
    order, draw = list(enumerate(runs)), Random(0)
    for turn in range(warm + count):
        draw.shuffle(order)
        for number, run in order:
            wait(cuda)
            begin = perf_counter()
            run()
            wait(cuda)
            if turn >= warm:
                times[number].append(perf_counter() - begin)
    return times


def fastest(candidates: Sequence[Run], inputs: Sequence[Tensor], margin: float = 1.0, runs: int = 7) -> Run:
    """Return the candidate with the lowest median time on `inputs`; the first, unless another is faster by a factor of `margin`."""
    with torch.no_grad():
        times = in_turn([partial(candidate, *inputs) for candidate in candidates], runs, 2, inputs[0].is_cuda)
    medians = [median(seconds) * (margin if number else 1.0) for number, seconds in enumerate(times)]
    return candidates[medians.index(min(medians))]


def wait(cuda: bool) -> None:
    """Wait, if `cuda`, until the GPU has finished its work."""
    if cuda:
        torch.cuda.synchronize()


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Let torch compute on a number of threads of the CPU, and afterwards on as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device_text(where: torch.device) -> str:
    """Return what a device is called: the model of a GPU, or of the CPU where the system tells it."""
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"CPU ({' '.join(line.partition(':')[2].split())})"
    return f"CPU ({platform.machine()})" if platform.machine() else "CPU"
