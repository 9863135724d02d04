"""Regressions of the lowering: programs that PyTorch once saw otherwise than the graph has them."""

from __future__ import annotations

import pytest
import torch

from archc import loads
from archc.tests.support.pytorch import assert_agrees_with_torch
from archc.tests.support.regressions import SOUND


def test_training_only_outputs_are_gone_in_evaluation() -> None:
    module = loads(SOUND["a training-only output in the middle"]).lower().eval()
    x = torch.randn(1, 3, 8)
    assert isinstance(module(x), torch.Tensor)
    assert set(module.train()(x)) == {"output", "o"}


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND.keys())
def test_sound(text: str) -> None:
    assert_agrees_with_torch(loads(text).graph)
