"""Time taken by several ways of doing the same, in turn, so that a change of the machine's speed meets them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import torch


def in_turn(runs: Sequence[Callable[[], Any]], count: int, warm: int, cuda: bool) -> list[list[float]]:
    """Seconds of every run, `count` of each, after some of each that are not counted."""
    times: list[list[float]] = [[] for _ in runs]
    for turn in range(warm + count):
        for number, run in enumerate(runs):
            wait(cuda)
            begin = perf_counter()
            run()
            wait(cuda)
            if turn >= warm:
                times[number].append(perf_counter() - begin)
    return times


def wait(cuda: bool) -> None:
    """Until a GPU has done what it was given."""
    if cuda:
        torch.cuda.synchronize()
