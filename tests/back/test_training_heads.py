"""Heads that only training has, in networks of torchvision: they are in the text, and compute what the source computes in training."""

from __future__ import annotations

import copy

import pytest
import torch

from archc import loads
from archc.compiler.backends.torch.lower import lower
from archc.compiler.reading import read_text
from archc.tests.support.pytorch import torchvision_models

HEADS = {
    "googlenet": ({"dropout": 0.0, "dropout_aux": 0.0}, 224, ["aux_logits2", "aux_logits1"]),
    "inception_v3": ({"dropout": 0.0}, 299, ["aux_logits"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADS)
def test_heads_of_training_are_read(name: str) -> None:
    options, size, heads = HEADS[name]
    made = read_text(f"torchvision:{name}?" + "&".join(f"{key}={value}" for key, value in options.items()))
    net = loads(made.text)
    assert {key for key, output in net.graph.outputs.items() if output.training_only} == set(heads)
    assert all(f"output {head}(when=training)" in made.text for head in heads)
    torch.manual_seed(0)
    source = torchvision_models().get_model(name, weights=None, init_weights=True, **options)
    ours = lower(net.graph)
    ours.load_state_dict(copy.deepcopy(source.state_dict()), strict=True)
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        theirs, mine = source.train()(x)._asdict(), ours.train()(x)
        for head in heads:
            assert torch.allclose(mine[head], theirs[head], atol=1e-5), head
        assert torch.allclose(mine["output"], theirs["logits"], atol=1e-5)
        assert torch.equal(ours.eval()(x), source.eval()(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fcn_resnet50", "deeplabv3_mobilenet_v3_large"])
def test_auxiliary_heads_of_dense_predictors_are_read(name: str) -> None:
    """Torchvision computes them in evaluation, too."""
    net = loads(read_text(f"torchvision:{name}?aux_loss=True", [(3, 64, 64)]).text)
    assert list(net.graph.outputs) == ["out", "aux"]
    assert {net.graph[output.node].shape for output in net.graph.outputs.values()} == {(21, 64, 64)}
    ours = lower(net.graph)
    source = torchvision_models().get_model(name, weights=None, weights_backbone=None, aux_loss=True)
    ours.load_state_dict(source.state_dict(), strict=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        theirs, mine = source.eval()(x), ours.eval()(x)
    assert all(torch.equal(mine[output], theirs[output]) for output in ("out", "aux"))
