"""Regressions of the lowering: programs that PyTorch once saw otherwise than the graph has them."""

from __future__ import annotations

import pytest
import torch

from archc import loads
from archc.compiler.backends.torch.lower import random_inputs
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


@pytest.mark.parametrize(
    "text", ["input 6x6\nchannel_fc-3", "input 4x6\ngru(8)<. | token(0); fc-8>", "input 12x6\nmultihead_attention(2)<. | maxpool>"]
)
def test_level_1_has_the_bits_of_matrices_that_are_not_contiguous(text: str) -> None:
    """Torch multiplies them otherwise where the weights require no gradients."""
    net = loads(text)
    module = net.lower().eval()
    inputs = random_inputs(net.graph, 2)
    with torch.no_grad():
        assert torch.equal(net.optimize(module, batch=2, level=1)(*inputs), module(*inputs))


def test_level_2_of_a_map_that_becomes_a_volume() -> None:
    net = loads('input 4x6x6\nconv1-4; rearrange("(a b) h w -> a b h w", a=2); conv1-3')
    module = net.lower().eval()
    inputs = random_inputs(net.graph, 2)
    with torch.no_grad():
        torch.testing.assert_close(net.optimize(module, batch=2)(*inputs), module(*inputs))
