"""The lowered networks against independent code with the same weights: torchvision, and plain modules for those it lacks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archc import Network, load
from archc.tests.support import NETWORKS, ROOT
from archc.tests.support.oracles import ORACLES, LeNet5, TwoStreams, UNet
from archc.tests.support.pytorch import torchvision_models

# Our file -> torchvision's function.
TORCHVISION = {
    "alexnet_torchvision": "alexnet",
    "googlenet_torchvision": "googlenet",
    **{name: name for name in ("vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn")},
    **{name: name for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2")},
}
ALONE = {"lenet5", "unet"}  # each has a test of its own
# In test_arithmetic_networks.py, and in test_several_scales.py.
ELSEWHERE = {
    *("cbam_resnet50", "dcgan_discriminator", "dcgan_generator", "eca_resnet50", "pointnet", "vae_mnist"),
    *("hrnet_w18", "retinanet_resnet50_fpn", "ssdlite320_mobilenet_v3_large", "wavenet"),
}


def test_every_network_has_an_independent_twin() -> None:
    assert {path.stem for path in NETWORKS} == set(TORCHVISION) | set(ORACLES) | ALONE | ELSEWHERE


def network(name: str, **overrides: str) -> Network:
    return load(ROOT / f"archs/{name}.arch", **overrides)


def filled(net: Network, state: dict[str, Tensor]) -> nn.Module:
    """Our module with exactly these tensors, copied."""
    with torch.device("meta"):
        ours = net.lower()
    ours.load_state_dict({key: tensor.clone() for key, tensor in state.items()}, strict=True, assign=True)
    for parameter in ours.parameters():
        parameter.requires_grad_(True)
    return ours


def by_order(net: Network, theirs: nn.Module) -> nn.Module:
    """Our module with the tensors of the other, in the order of both."""
    with torch.device("meta"):
        keys = net.lower().state_dict()
    return filled(net, dict(zip(keys, theirs.state_dict().values(), strict=True)))


def assert_bit_equal(ours: nn.Module, theirs: nn.Module, x: Tensor, rename: dict[str, str] | None = None) -> None:
    """The same numbers in evaluation, and with the same seed in training; running statistics too."""

    def same(a: Any, b: Any) -> bool:
        if isinstance(a, dict):
            named = b if isinstance(b, dict) else {(rename or {}).get(k, k): v for k, v in b._asdict().items()}
            return set(a) == set(named) and all(same(a[key], named[key]) for key in a)
        return torch.equal(a, b)

    with torch.no_grad():
        assert same(ours.eval()(x), theirs.eval()(x))
        torch.manual_seed(1)
        expected = theirs.train()(x)
        torch.manual_seed(1)
        assert same(ours.train()(x), expected)
    mine, other = ours.state_dict(), theirs.state_dict()
    for key, tensor in zip(mine, mine if set(mine) == set(other) else other, strict=True):
        assert torch.equal(mine[key], other[tensor]), key


def assert_nothing_vanished(module: nn.Module, x: Tensor) -> None:
    """Two inputs give two outputs: the comparison has something to compare."""
    with torch.no_grad():
        module.eval()
        assert not torch.equal(module(x), module(x.flip(-1)))


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name: str) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"init_weights": False} if name.startswith(("vgg", "googlenet")) else {}
    theirs = getattr(torchvision_models(), TORCHVISION[name])(**options)
    ours = filled(network(name), theirs.state_dict())
    # Fully-connected layers hold AlexNet and VGG to 224x224.
    size, batch = (96, 2) if name.startswith(("resnet", "mobilenet")) else (224, 1 if name.startswith("vgg") else 2)
    x = torch.randn(batch, 3, size, size)
    assert_bit_equal(ours, theirs, x, {"logits": "output", "aux_logits1": "aux1", "aux_logits2": "aux2"})
    assert_nothing_vanished(ours, x)


def test_gradients_are_torchvisions() -> None:
    torch.manual_seed(0)
    theirs = torchvision_models().resnet18()
    ours = filled(network("resnet18"), theirs.state_dict())
    x, target = torch.randn(4, 3, 64, 64), torch.tensor([1, 10, 100, 999])
    for module in (ours, theirs):
        module.train()
        nn.functional.cross_entropy(module(x), target).backward()
    assert [key for key, _ in ours.named_parameters()] == [key for key, _ in theirs.named_parameters()]
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert a.grad is not None and a.grad.abs().max() > 0
        assert torch.equal(a.grad, b.grad)


@pytest.mark.parametrize("name", ORACLES)
def test_the_layer_table(name: str) -> None:
    torch.manual_seed(0)
    theirs = ORACLES[name]()
    net = network(name, inputs="3x256x224") if name == "vgg16_fcn" else network(name)
    ours = by_order(net, theirs)
    shape = net.graph.inputs[0].shape
    if name.startswith(("resnet", "plain")):
        shape = (3, 96, 96)
    x = torch.randn(1 if name.startswith("vgg") else 2, *shape)
    assert_bit_equal(ours, theirs, x)
    assert_nothing_vanished(ours, x)


def test_lenet5() -> None:
    torch.manual_seed(0)
    theirs = LeNet5()
    ours = network("lenet5").lower().eval()
    state = ours.state_dict()
    for (key, mine), tensor in zip(state.items(), theirs.weights(), strict=True):
        assert mine.shape == tensor.shape, key
        mine.copy_(tensor.detach())
    x = torch.randn(4, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-4)  # the order of additions differs


def test_alexnet_is_two_streams() -> None:
    torch.manual_seed(0)
    theirs = TwoStreams()
    ours = by_order(network("alexnet"), theirs).eval()
    x = torch.randn(2, 3, 227, 227)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs.eval()(x), rtol=1e-5, atol=1e-6)


def test_vgg_as_convolutions_has_the_weights_of_vgg() -> None:
    torch.manual_seed(0)
    dense = network("vgg16").lower().eval()
    state = dense.state_dict()
    net = network("vgg16_fcn", inputs="3x224x224")
    with torch.device("meta"):
        shapes = {key: tensor.shape for key, tensor in net.lower().state_dict().items()}
    assert list(shapes) == list(state)
    ours = filled(net, {key: state[key].reshape(shape) for key, shape in shapes.items()}).eval()
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(x).flatten(1), dense.eval()(x), rtol=1e-4, atol=1e-6)


def test_unet_is_its_figure() -> None:
    torch.manual_seed(0)
    theirs = UNet()
    assert sum(isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)) for m in theirs.modules()) == 23  # "23 convolutional layers"
    assert sum(p.numel() for p in theirs.parameters()) == 31_030_658
    net = network("unet", inputs="1x188x188")
    ours = net.lower().eval()
    ordered = [*theirs.down.parameters()]
    for up, join in zip(theirs.up, theirs.join, strict=True):
        ordered += [*up.parameters(), *join.parameters()]
    ordered += [*theirs.head.parameters()]
    ours.load_state_dict(dict(zip((name for name, _ in ours.named_parameters()), ordered, strict=True)))
    x = torch.randn(1, 1, 188, 188)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))
