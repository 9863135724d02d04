"""Measure the peak of live activations at inference, batch 32, of every level and of torchvision's eager modules.

Every tensor is tracked: on the meta device, or on the CPU for a level that runs differently there.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from archc import load
from archc.bench.runtime import NETWORKS
from archc.compiler.analysis.memory import usage
from archc.compiler.backends.torch.lower import lower
from archc.compiler.backends.torch.measure import activations
from archc.compiler.backends.torch.optimize import optimized
from archc.compiler.backends.torch.published import torchvision_models

ROOT = Path(__file__).resolve().parents[1]

BATCH = 32


def measure(batch: int = BATCH) -> dict[str, dict[str, int]]:
    """Return the peaks in bytes, by network and level."""
    peaks = {}
    for name, (constructor, kwargs) in NETWORKS.items():
        graph = load(ROOT / f"archs/{name}.arch").graph
        with torch.device("meta"):
            x = (torch.empty(batch, 3, 224, 224),)
            peer = getattr(torchvision_models(), constructor)(**kwargs)
            nets = {"torchvision": peer, "level 0": lower(graph), "level 1": lower(graph, level=1)}
            peaks[name] = {label: activations(net, x, training=False) for label, net in nets.items()}
        x = (torch.randn(batch, 3, 224, 224),)
        packed = optimized(lower(graph).eval(), graph, x, 2)
        assert isinstance(packed, nn.Module)
        peaks[name]["level 2"] = activations(packed, x, training=False)
        peaks[name]["predicted for level 0"] = usage(graph, batch=batch).peak
    return peaks


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
