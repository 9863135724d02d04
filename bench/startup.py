"""Time lowering ResNet-152 on the meta device against torchvision's constructor with fx tracing. Imports are not counted."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import fx

from archc import load
from archc.compiler.backends.torch.lower import lower
from archc.compiler.backends.torch.published import torchvision_models
from archc.compiler.driver import check
from archc.compiler.graph import ArchGraph

ROOT = Path(__file__).resolve().parents[1]

FILE = ROOT / "archs/resnet152.arch"
PAIRS = 9


def ours(graph: ArchGraph) -> Any:
    """Lower a graph on the meta device."""
    with torch.device("meta"):
        return lower(graph)


def peer() -> Any:
    """Build torchvision's ResNet-152 on the meta device and trace it."""
    with torch.device("meta"):
        return fx.symbolic_trace(torchvision_models().resnet152())


def measure() -> dict[str, float]:
    """Return the medians of interleaved pairs after a warm-up, and the time to read and check the file, in seconds."""
    graph = load(FILE).graph
    assert set(ours(graph).state_dict()) == set(peer().state_dict())
    times: list[tuple[float, float]] = []
    reading = []
    for _ in range(PAIRS):
        begin = perf_counter()
        check(FILE)
        reading.append(perf_counter() - begin)
        begin = perf_counter()
        ours(graph)
        middle = perf_counter()
        peer()
        times.append((middle - begin, perf_counter() - middle))
    return {
        "reading": median(reading),
        "ours": median(mine for mine, _ in times),
        "peer": median(theirs for _, theirs in times),
        "ratio": median(theirs / mine for mine, theirs in times),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
