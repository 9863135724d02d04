"""torchvision's classifiers: the same keys, counts and initial shapes; the same outputs, bit for bit, and the same training.

A dozen are run by `make test`, most of them on small pictures; at their own sizes the others are slow, and `make zoo` runs all 73. The
largest, regnet_y_128gf, needs 8 GB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from archc import Network, load
from archc.tests.support import ROOT, ZOO
from archc.tests.support.pytorch import stirred, timm_model, torchvision_models

FILE = {"alexnet": "alexnet_torchvision", "googlenet": "googlenet_torchvision"}  # the bare names are the papers' networks
DOZEN = (
    "densenet121", "efficientnet_b0", "efficientnet_v2_s", "convnext_tiny", "inception_v3", "mnasnet0_5", "mobilenet_v3_small",
    "regnet_x_400mf", "regnet_y_400mf", "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_1", "vit_b_32",
)  # fmt: skip
WHOLE = ("inception_v3", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1", "vit_b_32")  # run at their own size by day
RUN = [name if name in WHOLE else pytest.param(name, marks=pytest.mark.slow) for name in ZOO]
SMALL = [name for name in DOZEN if name not in ("inception_v3", "vit_b_32")]  # take other sizes, in training too


def ours(name: str, inputs: str | None = None) -> Network:
    return load(ROOT / f"archs/{FILE.get(name, name)}.arch", inputs=inputs)


def filled(net: Network, state: Mapping[str, Tensor]) -> nn.Module:
    """Lower a network and give it copies of these weights, all of them. It draws none of its own, which would take as long."""
    with torch.device("meta"):
        module = net.lower()
    module.load_state_dict({key: tensor.clone() for key, tensor in state.items()}, strict=True, assign=True)
    return module


def theirs(name: str) -> nn.Module:
    extra = {"googlenet": {"init_weights": False, "aux_logits": True}, "inception_v3": {"init_weights": False, "aux_logits": True}}
    model: nn.Module = getattr(torchvision_models(), name)(**extra.get(name, {}))
    return model


@pytest.mark.parametrize("name", ZOO)
def test_counts_are_torchvisions(name: str) -> None:
    net = ours(name)
    assert net.params_training if name in FILE or name == "inception_v3" else net.params == int(ZOO[name]["params"])
    assert f"{int(net.macs) / 1e9:.3f}" == f"{float(ZOO[name]['gmacs']):.3f}"
    assert all(claim.held for claim in net.claims) and net.claims


@pytest.mark.parametrize("name", ZOO)
def test_keys_and_shapes_are_torchvisions(name: str) -> None:
    if name.startswith("regnet"):  # its constructor computes on tensors
        expected = {key: tensor.shape for key, tensor in _built_small(name).items()}
    else:
        with torch.device("meta"):
            expected = {key: tensor.shape for key, tensor in theirs(name).state_dict().items()}
    with torch.device("meta"):
        found = {key: tensor.shape for key, tensor in ours(name).lower().state_dict().items()}
    assert found == expected


def _built_small(name: str) -> dict[str, Tensor]:
    """A state_dict of torchvision's without its memory: parameters are made on the meta device, the rest as it is."""
    register = nn.Module.register_parameter

    def on_meta(self: nn.Module, key: str, parameter: Any) -> None:
        register(self, key, None if parameter is None else nn.Parameter(parameter.to("meta"), parameter.requires_grad))

    nn.Module.register_parameter = on_meta  # type: ignore[method-assign]
    try:
        return theirs(name).state_dict()
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]


def values(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    return [value for value in (result.values() if isinstance(result, dict) else result) if isinstance(value, Tensor)]


@pytest.mark.parametrize("name", RUN)
def test_outputs_are_bit_equal(name: str) -> None:
    net, peer = ours(name), theirs(name).eval()
    if hasattr(peer, "transform_input"):
        peer.transform_input = False  # type: ignore[assignment]
    module = filled(net, stirred(peer)).eval()
    x = torch.randn(1 if int(net.macs) > 5e9 else 2, *(int(dim) for dim in net.graph.inputs[0].shape))
    with torch.no_grad():
        assert torch.equal(module(x), peer(x))


@pytest.mark.parametrize("name", SMALL)
def test_outputs_and_a_step_of_training_are_bit_equal_on_small_pictures(name: str) -> None:
    net, peer = ours(name, "3x64x64"), theirs(name).eval()
    module = filled(net, stirred(peer)).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(module(x), peer(x))
    assert_a_step_is_the_same(module.train(), peer.train(), x)


@pytest.mark.slow
@pytest.mark.parametrize("name", DOZEN)
def test_a_step_of_training_is_the_same(name: str) -> None:
    net, peer = ours(name), theirs(name).train()
    if hasattr(peer, "transform_input"):
        peer.transform_input = False  # type: ignore[assignment]
    module = net.lower()
    module.load_state_dict(peer.state_dict(), strict=True)
    assert_a_step_is_the_same(module, peer, torch.randn(2, *(int(dim) for dim in net.graph.inputs[0].shape)))


def assert_a_step_is_the_same(module: nn.Module, peer: nn.Module, x: Tensor) -> None:
    """Dropout, stochastic depth and batch norm's momentum and epsilon are torchvision's: at one seed, outputs and running
    statistics of a training pass are equal."""
    with torch.no_grad():
        torch.manual_seed(7)
        got = values(module(x))
        torch.manual_seed(7)
        expected = values(peer(x))
    assert len(got) == len(expected)
    for one, other in zip(sorted(got, key=str), sorted(expected, key=str), strict=True):
        assert torch.equal(one, other)
    for key, tensor in peer.state_dict().items():
        assert torch.equal(module.state_dict()[key], tensor), key


SEGMENTATION = ["fcn_resnet50", "deeplabv3_resnet50"]


def segmentation(name: str) -> nn.Module:
    """torchvision's, with the auxiliary classifier that its public weights have."""
    models = torchvision_models().segmentation
    peer: nn.Module = getattr(models, name)(weights=None, weights_backbone=None, aux_loss=True)
    return peer


@pytest.mark.parametrize("name", SEGMENTATION)
def test_segmentation_is_bit_equal(name: str) -> None:
    """Holes in the kernels, a pyramid of them, and bilinear upsampling."""
    peer, net = segmentation(name).eval(), ours(name)
    module = net.lower().eval()
    module.load_state_dict(stirred(peer), strict=True)
    published = getattr(torchvision_models().segmentation, {"f": "FCN", "d": "DeepLabV3"}[name[0]] + "_ResNet50_Weights").DEFAULT.meta
    assert net.params_training == published["num_params"]
    assert f"{int(net.macs_training) / 1e9:.3f}" == f"{published['_ops']:.3f}"
    x = torch.randn(1, 3, 520, 520)
    with torch.no_grad():
        assert torch.equal(module(x), peer(x)["out"])


@pytest.mark.parametrize("name", SEGMENTATION)
def test_segmentation_at_a_size_of_its_own_and_in_training(name: str) -> None:
    net = load(ROOT / f"archs/{name}.arch", inputs="3x75x98")
    peer, module = segmentation(name).train(), net.lower()
    module.load_state_dict(peer.state_dict(), strict=True)
    x = torch.randn(2, 3, 75, 98)
    with torch.no_grad():
        torch.manual_seed(7)
        got = module(x)
        torch.manual_seed(7)
        expected = peer(x)
    assert torch.equal(got["output"], expected["out"]) and torch.equal(got["aux"], expected["aux"])
    assert got["output"].shape[2:] == x.shape[2:]


SMALLER = {
    "r3d_18": "3x8x32x32",
    "mc3_18": "3x4x32x32",
    "r2plus1d_18": "3x8x32x32",
    "lraspp_mobilenet_v3_large": "3x75x98",
    "resnetv2_50x1_bit": "3x64x64",
}


def further(name: str) -> nn.Module:
    """A network of torchvision.models.video or torchvision.models.segmentation, or of timm."""
    models = torchvision_models()
    if name.startswith("resnetv2"):
        return cast(nn.Module, timm_model(name))
    room, extra = (models.video, {}) if name in models.video.__dict__ else (models.segmentation, {"weights_backbone": None})
    peer: nn.Module = getattr(room, name)(weights=None, **extra)
    return peer


def result_of(peer: nn.Module, x: Tensor) -> Tensor:
    result = peer(x)
    return result["out"] if isinstance(result, dict) else result


@pytest.mark.parametrize("name", SMALLER)
def test_further_networks_have_the_published_keys_and_counts(name: str) -> None:
    with torch.device("meta"):
        expected = {key: tensor.shape for key, tensor in further(name).state_dict().items()}
        found = {key: tensor.shape for key, tensor in ours(name).lower().state_dict().items()}
    assert found == expected
    if name not in torchvision_models().list_models():
        return
    net, published = ours(name), torchvision_models().get_model_weights(name).DEFAULT.meta
    assert (net.params, f"{int(net.macs) / 1e9:.3f}") == (published["num_params"], f"{published['_ops']:.3f}")


@pytest.mark.parametrize("name", SMALLER)
def test_further_networks_are_bit_equal(name: str) -> None:
    """In evaluation, and in a step of training: outputs, gradients and statistics."""
    peer, net = further(name).eval(), load(ROOT / f"archs/{name}.arch", inputs=SMALLER[name])
    module = net.lower().eval()
    module.load_state_dict(stirred(peer), strict=True)
    x = torch.randn(2, *(int(dim) for dim in net.graph.inputs[0].shape))
    with torch.no_grad():
        assert torch.equal(module(x), result_of(peer, x))
    results = []
    for each in (module.train(), peer.train()):
        torch.manual_seed(7)
        result = result_of(each, x)
        result.square().mean().backward()
        results.append(result)
    assert torch.equal(*results)
    gradients = dict(module.named_parameters())
    assert all(torch.equal(gradients[key].grad, parameter.grad) for key, parameter in peer.named_parameters())  # type: ignore[arg-type]
    assert all(torch.equal(module.state_dict()[key], tensor) for key, tensor in peer.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLER)
def test_further_networks_are_bit_equal_at_full_size(name: str) -> None:
    peer, net = further(name).eval(), ours(name)
    module = net.lower().eval()
    module.load_state_dict(stirred(peer), strict=True)
    x = torch.randn(1, *(int(dim) for dim in net.graph.inputs[0].shape))
    with torch.no_grad():
        assert torch.equal(module(x), result_of(peer, x))
