"""Time taken by several ways of doing the same, in turn, so that a change of the machine's speed meets them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from statistics import median
from time import perf_counter
from typing import Any, TypeVar

import torch
from torch import Tensor

Run = TypeVar("Run", bound=Callable[..., Any])


def in_turn(runs: Sequence[Callable[[], Any]], count: int, warm: int, cuda: bool) -> list[list[float]]:
    """Seconds of every run, `count` of each, after some of each that are not counted. The order within a turn changes, the same way
    every time: what ran before leaves its mark on caches and allocators."""
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
    """The one that takes the least time here, in the median of some runs in turn; the first, unless another is faster by a margin."""
    with torch.no_grad():
        times = in_turn([partial(candidate, *inputs) for candidate in candidates], runs, 2, inputs[0].is_cuda)
    medians = [median(found) * (margin if number else 1.0) for number, found in enumerate(times)]
    return candidates[medians.index(min(medians))]


def wait(cuda: bool) -> None:
    """Until a GPU has done what it was given."""
    if cuda:
        torch.cuda.synchronize()
