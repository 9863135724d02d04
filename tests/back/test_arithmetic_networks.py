"""Networks with arithmetic between tensors against plain modules with the same weights: evaluation, and a step of training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archc import Network, load, loads
from archc.tests.support import ROOT
from archc.tests.support.oracles_arithmetic import VAE, CBAMResNet, Discriminator, Generator, PointNet
from archc.tests.support.pytorch import stirred, torchvision_models


def values(result: Any) -> list[Tensor]:
    return list(result.values()) if isinstance(result, dict) else [result]


def assert_the_same(net: Network, theirs: nn.Module, *shape: int) -> None:
    """Outputs in evaluation; outputs, gradients and running statistics of a step of training at one seed."""
    torch.manual_seed(0)
    state = stirred(theirs)
    ours = net.lower()
    ours.load_state_dict(state, strict=True)
    x = torch.randn(*shape)
    with torch.no_grad():
        for a, b in zip(values(ours.eval()(x)), values(theirs.eval()(x)), strict=True):
            assert torch.equal(a, b) and not torch.equal(a[0], a[1])
    passes = []
    for module in (ours, theirs):
        torch.manual_seed(1)
        results = values(module.train()(x))
        sum(result.square().mean() for result in results).backward()
        passes.append(results)
    assert all(torch.equal(a, b) for a, b in zip(*passes, strict=True))
    gradients = {key: parameter.grad for key, parameter in theirs.named_parameters()}
    for key, parameter in ours.named_parameters():
        assert torch.equal(parameter.grad, gradients[key]), key
        assert parameter.grad.any(), key
    statistics = theirs.state_dict()
    assert all(torch.equal(tensor, statistics[key]) for key, tensor in ours.state_dict().items())


SHALLOW = 'use "std/resnet.arch"\nuse "std/cbam.arch"\narch shallow = resnet(unit=bottleneck_cbam, depths=[1, 1, 1, 1])\n'


@pytest.mark.parametrize("depths", [(1, 1, 1, 1), pytest.param((3, 4, 6, 3), marks=pytest.mark.slow)])
def test_resnet_with_cbam(depths: tuple[int, ...]) -> None:
    net = loads(SHALLOW) if depths == (1, 1, 1, 1) else load(ROOT / "archs/cbam_resnet50.arch")
    assert_the_same(net, CBAMResNet(depths), 2, 3, 64, 64)


@pytest.mark.parametrize("depths", [(1, 1, 1, 1), pytest.param((3, 4, 6, 3), marks=pytest.mark.slow)])
def test_resnet_with_channel_attention_is_timms(depths: tuple[int, ...]) -> None:
    torchvision_models()  # which timm imports
    import timm

    theirs = timm.create_model("resnet50", block_args={"attn_layer": "eca"}, layers=list(depths))
    net = loads(SHALLOW.replace("cbam", "eca")) if depths == (1, 1, 1, 1) else load(ROOT / "archs/eca_resnet50.arch")
    assert_the_same(net, theirs, 2, 3, 64, 64)


def test_the_parameters_of_cbam_are_the_papers() -> None:
    net = load(ROOT / "archs/cbam_resnet50.arch")
    with torch.device("meta"):
        theirs = CBAMResNet()
        assert {key: tensor.shape for key, tensor in net.lower().state_dict().items()} == {
            key: tensor.shape for key, tensor in theirs.state_dict().items()
        }
    assert f"{net.params / 1e6:.2f}" == "28.09"  # table 4


def test_variational_autoencoder() -> None:
    assert_the_same(load(ROOT / "archs/vae_mnist.arch"), VAE(), 3, 1, 28, 28)


def test_samples_of_the_autoencoder_differ_in_training_only() -> None:
    module, x = load(ROOT / "archs/vae_mnist.arch").lower(), torch.rand(2, 1, 28, 28)
    assert not torch.equal(module(x)["image"], module(x)["image"])
    assert torch.equal(module.eval()(x)["image"], module(x)["image"])


def test_dcgan() -> None:
    assert_the_same(load(ROOT / "archs/dcgan_generator.arch"), Generator(), 2, 100, 1, 1)
    assert_the_same(load(ROOT / "archs/dcgan_discriminator.arch"), Discriminator(), 2, 3, 64, 64)


def test_pointnet() -> None:
    assert_the_same(load(ROOT / "archs/pointnet.arch", settings={"points": 64}), PointNet(), 4, 3, 64)


def test_a_shortcut_is_the_identity_that_pointnet_adds() -> None:
    ours, theirs = load(ROOT / "archs/pointnet.arch").lower().eval(), PointNet(plain=True).eval()
    ours.load_state_dict(stirred(theirs))
    x = torch.randn(2, 3, 1024)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)
