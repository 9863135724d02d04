"""Networks of timm, read: a sample that is drawn with a seed, over all families, computes what its sources compute."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archc.bench.timm_models import READ, Row, load, sampled
from archc.compiler.frontends import read
from archc.tests.support.pytorch import timm_model
from archc.tests.support.torch_reading import compared

COUNT, SEED = 60, 1
MOST, SIDE = 15_000_000, 256  # parameters, and positions along an axis, of a network that is light enough to be run here
CLOSE = 2e-6  # of the largest value: attention in one operator, pools in place of means, and their sums in another order
EXACT = 1e-11  # of the largest value, in double precision


def light(row: Row) -> bool:
    return row.status == READ and row.parameters <= MOST and max(map(int, row.size.split("x")[1:])) <= SIDE


SAMPLE = sampled(filter(light, load().values()), COUNT, SEED)


def test_the_sample_is_over_families() -> None:
    assert len({row.family for row in SAMPLE}) >= min(len(SAMPLE) // 2, 30)


@pytest.mark.slow
@pytest.mark.parametrize("name", [row.name for row in SAMPLE])
def test_a_network_of_timm(name: str) -> None:
    flat = read(f"timm:{name}")
    source: nn.Module = timm_model(name)
    if compared(flat, source, batch=1).difference > CLOSE:  # values of which the source itself rounds as much away
        assert compared(flat, timm_model(name), 1, torch.float64).difference <= EXACT
