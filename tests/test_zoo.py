"""torchvision's classifiers: the same keys, counts and initial shapes; the same outputs, bit for bit, and the same training.

A dozen are run here; `make zoo` (`ARCHC_ZOO=1`) runs all that fit the machine.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compiler import Network, load
from tests.support import ROOT, ZOO, torchvision_models

FILE = {"alexnet": "alexnet_torchvision", "googlenet": "googlenet_torchvision"}  # the bare names are the papers' networks
DOZEN = (
    "densenet121", "efficientnet_b0", "efficientnet_v2_s", "convnext_tiny", "inception_v3", "mnasnet0_5", "mobilenet_v3_small",
    "regnet_x_400mf", "regnet_y_400mf", "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_1",
)  # fmt: skip
LARGE = 350_000_000  # parameters; a network of more is compared by keys, shapes and counts alone
RUN = [name for name in ZOO if int(ZOO[name]["params"]) < LARGE] if os.environ.get("ARCHC_ZOO") else DOZEN


def ours(name: str) -> Network:
    return load(ROOT / f"archs/{FILE.get(name, name)}.arch")


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


def stirred(model: nn.Module) -> dict[str, Tensor]:
    """Weights that are not those of the start, which hide differences: biases of 0, scales of 1, layer scales of 1e-6."""
    torch.manual_seed(1)
    state = model.state_dict()
    for key, tensor in state.items():
        if key.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point() and tensor.dim() == 1:
            tensor.add_(torch.randn_like(tensor) * 0.1)
        elif key.endswith("layer_scale"):
            tensor.uniform_(0.1, 0.5)
    return state


def values(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    return [value for value in (result.values() if isinstance(result, dict) else result) if isinstance(value, Tensor)]


@pytest.mark.parametrize("name", RUN)
def test_outputs_are_bit_equal(name: str) -> None:
    net, peer = ours(name), theirs(name).eval()
    if hasattr(peer, "transform_input"):
        peer.transform_input = False  # type: ignore[assignment]
    module = net.lower().eval()
    module.load_state_dict(stirred(peer), strict=True)
    x = torch.randn(1 if int(net.macs) > 5e9 else 2, *(int(dim) for dim in net.graph.inputs[0].shape))
    with torch.no_grad():
        assert torch.equal(module(x), peer(x))


@pytest.mark.parametrize("name", DOZEN)
def test_a_step_of_training_is_the_same(name: str) -> None:
    """Dropout, stochastic depth and batch norm's momentum and epsilon are torchvision's: at one seed, outputs and running
    statistics of a training pass are equal."""
    net, peer = ours(name), theirs(name).train()
    if hasattr(peer, "transform_input"):
        peer.transform_input = False  # type: ignore[assignment]
    module = net.lower(training=True)
    module.load_state_dict(peer.state_dict(), strict=True)
    x = torch.randn(2, *(int(dim) for dim in net.graph.inputs[0].shape))
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


@pytest.mark.parametrize("name", ["fcn_resnet50", "deeplabv3_resnet50"])
def test_segmentation_is_bit_equal(name: str) -> None:
    """Holes in the kernels, a pyramid of them, and bilinear upsampling; torchvision's without its auxiliary classifier."""
    peer = getattr(torchvision_models().segmentation, name)(weights=None, weights_backbone=None).eval()
    module = ours(name).lower().eval()
    module.load_state_dict(stirred(peer), strict=True)
    x = torch.randn(1, 3, 520, 520)
    with torch.no_grad():
        assert torch.equal(module(x), peer(x)["out"])
