"""The networks of `archs/` against PyTorch: shapes, weights and FLOPs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from archc import load
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.tests.support import NETWORKS, PUBLISHED
from archc.tests.support.pytorch import assert_agrees_with_torch


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_shapes_and_weights_are_pytorchs(path: Path) -> None:
    assert_agrees_with_torch(load(path, inputs=PUBLISHED[path.stem].get("input")).graph)


@pytest.mark.parametrize("path", [p for p in NETWORKS if p.stem != "lenet5"], ids=lambda path: path.stem)
def test_macs_are_half_of_pytorchs_flops(path: Path) -> None:
    # LeNet-5 is left out: PyTorch counts its C3 as a dense convolution, and its RBF units not at all.
    graph = load(path, inputs=PUBLISHED[path.stem].get("input")).graph
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        lower(graph).eval()(*random_inputs(graph, 1, "meta"))
    assert counter.get_total_flops() == 2 * PUBLISHED[path.stem]["macs"]
