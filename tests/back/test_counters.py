"""Counts of MACs as other counters have them: PyTorch's, torchinfo's, fvcore's, and torchvision's published ones."""

from __future__ import annotations

import logging

import pytest
import torch
import torchinfo
from fvcore.nn import FlopCountAnalysis
from torch.utils.flop_counter import FlopCounterMode

from archc import Network, load, loads
from archc.compiler.analysis.summary import Counts
from archc.compiler.backends.torch.lower import random_inputs
from archc.tests.support import ROOT
from archc.tests.support.pytorch import torchvision_models


def summary(name: str, **options: str) -> Counts:
    return Counts(load(ROOT / f"archs/{name}.arch", **options).graph)


PEERS = ["lenet5", "lenet5_modern", "alexnet", "vgg11_bn", "googlenet_torchvision", "resnet18", "resnet50", "mobilenet_v2", "unet"]


HARD = {
    "transposed": "input 8x9x9\nconvt3-4/2(pad=1, out_pad=1); relu; convt2-6/3(groups=2)",
    "grouped, depthwise and dilated": "input 8x16x16\nconv3-16(groups=4); conv3-16(groups=16, dilation=2); conv1-8(bias=no); group_norm(4)",
    "one and three dimensions": "input 4x40\nconv5-8/2; bn; conv3-6",
    "three dimensions": "input 2x6x8x8\nconv3-4; bn(affine=no); maxpool2; FC-3",
    "shared": "share step { conv3-8(pad=1); bn }\ninput 8x12x12\nstep; relu; step",
    "upsampled": "input 4x8x8\nupsample2; conv3-4; upsample(scale=2, mode=bilinear); adaptive_avgpool2",
}


def programs_to_count() -> list[object]:
    small = {"unet": "1x188x188"}
    named = [pytest.param(load(ROOT / f"archs/{name}.arch", inputs=small.get(name)), id=name) for name in PEERS]
    return named + [pytest.param(loads(text), id=name) for name, text in HARD.items()]


@pytest.mark.parametrize("text", HARD.values(), ids=HARD.keys())
def test_macs_are_half_of_pytorchs_flops(text: str) -> None:
    net = loads(text)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        net.lower().eval()(*random_inputs(net.graph, 1, "meta"))
    assert Counts(net.graph).macs * 2 == counter.get_total_flops()


@pytest.mark.parametrize("net", programs_to_count())
def test_torchinfos_number(net: Network) -> None:
    with torch.device("meta"):
        module = net.lower().eval()
        inputs = random_inputs(net.graph, 1, "meta")
    stats = torchinfo.summary(module, input_data=inputs, verbose=0, device="meta")
    assert Counts(net.graph, "torchinfo").macs == stats.total_mult_adds


@pytest.mark.parametrize("net", programs_to_count())
def test_fvcores_number(net: Network) -> None:
    module = net.lower().eval()
    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    counter = FlopCountAnalysis(module, tuple(random_inputs(net.graph, 1)))
    assert Counts(net.graph, "fvcore").macs == counter.total()


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "mobilenet_v2",
        "googlenet_torchvision",
        "vgg11",
        "vgg13",
        "vgg16",
        "vgg19",
        "vgg11_bn",
        "vgg13_bn",
        "vgg16_bn",
        "vgg19_bn",
        "alexnet_torchvision",
    ],
)
def test_torchvisions_published_numbers(name: str) -> None:
    """Its weights' metadata: `num_params`, and `_ops` in 10^9 with three digits."""
    models = torchvision_models()
    table = summary(name)
    meta = models.get_model_weights(name.removesuffix("_torchvision")).IMAGENET1K_V1.meta
    published = meta["num_params"]
    assert table.params == published
    assert isinstance(table.macs, int)
    assert f"{table.macs / 1e9:.3f}" == f"{meta['_ops']:.3f}"
