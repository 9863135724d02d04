"""Networks of loops that hand on lists of tensors, against timm, torchvision and a plain module: HRNet, detectors, WaveNet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archc import Network, load
from archc.tests.support import ROOT
from archc.tests.support.pytorch import stirred, timm_model, torchvision_models
from archc.tests.support.wavenet import WaveNet

Run = Callable[[Any, Tensor], list[Tensor]]


def plain(model: Any, x: Tensor) -> list[Tensor]:
    return [model(x)]


def levels(model: Any, x: Tensor) -> list[Tensor]:
    """Every level's classes, then every level's boxes, before torchvision flattens them."""
    maps = list(model.backbone(x).values())
    heads = model.head.classification_head, model.head.regression_head
    if hasattr(heads[0], "module_list"):  # of SSD, which has convolutions of its own for every level
        return [part(at) for head in heads for part, at in zip(head.module_list, maps, strict=True)]
    last = heads[0].cls_logits, heads[1].bbox_reg
    return [end(head.conv(at)) for head, end in zip(heads, last, strict=True) for at in maps]


def retinanet() -> nn.Module:
    model: nn.Module = torchvision_models().detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None)
    return model


def ssdlite() -> nn.Module:
    model: nn.Module = torchvision_models().detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    return model


CASES: dict[str, tuple[Callable[[], nn.Module], Run, str]] = {
    "hrnet_w18": (lambda: timm_model("hrnet_w18"), plain, "3x32x32"),
    "retinanet_resnet50_fpn": (retinanet, levels, "3x40x75"),
    "ssdlite320_mobilenet_v3_large": (ssdlite, levels, "3x320x320"),
    "wavenet": (WaveNet, plain, "256x60"),
}


def ours(name: str, size: str = "") -> Network:
    return load(ROOT / f"archs/{name}.arch", inputs=size or None)


def results(result: Any) -> list[Tensor]:
    """The outputs: one, or those of each level, classes first."""
    if isinstance(result, Tensor):
        return [result]
    return [result[name] for name in sorted(result, key=lambda name: (name.startswith("bbox"), name))]


@pytest.mark.parametrize("name", CASES)
def test_keys_and_shapes_are_theirs(name: str) -> None:
    build = CASES[name][0]
    with torch.device("meta"):
        expected = {key: tensor.shape for key, tensor in build().state_dict().items()}
        found = {key: tensor.shape for key, tensor in ours(name).lower().state_dict().items()}
    assert found == expected


@pytest.mark.parametrize("name", [name if name == "wavenet" else pytest.param(name, marks=pytest.mark.slow) for name in CASES])
def test_outputs_and_a_step_of_training_are_bit_equal(name: str) -> None:
    build, run, size = CASES[name]
    peer, net = build(), ours(name, size)
    for parameter in peer.parameters():
        parameter.requires_grad_(True)
    module = net.lower()
    module.load_state_dict(stirred(peer), strict=True)
    x = torch.randn(2, *(int(side) for side in size.split("x")))
    with torch.no_grad():
        got, expected = results(module.eval()(x)), run(peer.eval(), x)
        assert len(got) == len(expected) and all(map(torch.equal, got, expected))
    losses = [sum(out.square().mean() for out in outs) for outs in (results(module.train()(x)), run(peer.train(), x))]
    for loss in losses:
        loss.backward()  # type: ignore[union-attr]
    gradients = dict(module.named_parameters())
    for key, parameter in peer.named_parameters():
        assert torch.allclose(gradients[key].grad, parameter.grad, rtol=1e-4, atol=1e-6), key  # type: ignore[arg-type]
    for key, tensor in peer.state_dict().items():
        assert torch.equal(module.state_dict()[key], tensor), key


def test_wavenet_sees_the_past_only() -> None:
    module = ours("wavenet", "256x40").lower().eval()
    x = torch.randn(1, 256, 40)
    later = x.clone()
    later[:, :, 20:] += 1
    with torch.no_grad():
        before, after = module(x), module(later)
    assert torch.equal(before[:, :, :20], after[:, :, :20]) and not torch.equal(before[:, :, 20], after[:, :, 20])
