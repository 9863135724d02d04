"""The networks of `archs/`: published counts, PyTorch's shapes and FLOPs, torchvision's own modules with the same weights."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compiler import load
from compiler.backends.torch_fx import lower
from compiler.driver import check, check_text, expanded_text
from compiler.graph import ArchGraph
from dsl.diagnostics import render_all
from tests.support import ARCHS, NETWORKS, ROOT, assert_agrees_with_torch, torchvision_models

# Parameters and MACs by arithmetic from the layer tables of the papers; with training-only parts in the second pair.
PUBLISHED = {
    "lenet5": (60_000, 326_520),
    "alexnet": (60_965_224, 724_406_816),
    "zfnet": (62_357_608, 1_168_032_896),
    "vgg16": (138_357_544, 15_470_264_320),
    "googlenet": (6_998_552, 1_582_671_872),
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet34": (21_797_672, 3_663_761_408),
    "resnet50": (25_557_032, 4_089_184_256),
    "resnet101": (44_549_160, 7_801_405_440),
    "resnet152": (60_192_808, 11_513_626_624),
    "mobilenet_v2": (3_504_872, 300_774_272),  # torchvision prints 0.301 G
    "unet": (31_030_658, 150_428_424_448),  # see test_unet_is_its_figure
}


def test_every_network_has_published_figures() -> None:
    assert {path.stem for path in NETWORKS} == set(PUBLISHED)


@pytest.mark.parametrize("path", ARCHS, ids=lambda path: path.stem)
def test_claims_hold(path: Path) -> None:
    report = check(path)
    assert report.ok, render_all(report.diagnostics)
    if report.has_network:
        assert report.claims
        assert all(claim.held for claim in report.claims)


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_counts_are_the_published_ones(path: Path) -> None:
    net = load(path)
    assert (net.params, net.macs) == PUBLISHED[net.name]


def test_googlenet_with_its_classifiers() -> None:
    counts = check(ROOT / "archs/googlenet.arch").cost()
    assert (counts.params_training, counts.macs_training) == (13_378_280, 1_591_044_096)


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_shapes_and_weights_are_pytorchs(path: Path) -> None:
    assert_agrees_with_torch(check(path).graph)


@pytest.mark.parametrize("path", [p for p in NETWORKS if p.stem != "lenet5"], ids=lambda path: path.stem)
def test_macs_are_half_of_pytorchs_flops(path: Path) -> None:
    # LeNet-5 is left out: PyTorch counts its C3 as a dense convolution, and its RBF units not at all.
    graph = check(path).graph
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        lower(graph)(*(torch.empty(1, *node.shape) for node in graph.inputs))
    assert counter.get_total_flops() == 2 * PUBLISHED[path.stem][1]


@pytest.mark.parametrize("path", ARCHS, ids=lambda path: path.stem)
def test_expand_and_json_give_the_same_graph(path: Path) -> None:
    report = check(path, record=True)
    if not report.has_network:
        return
    again = check_text(expanded_text(report))
    assert again.ok, render_all(again.diagnostics)
    assert again.graph.same_as(report.graph)
    assert len(again.claims) >= len(report.claims)
    assert ArchGraph.from_json(report.graph.to_json()).same_as(report.graph)


# ---- torchvision, the same weights

PEERS = ["vgg16", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2"]


@pytest.mark.parametrize("name", PEERS)
def test_keys_and_shapes_are_torchvisions(name: str) -> None:
    with torch.device("meta"):
        theirs = getattr(torchvision_models(), name)().state_dict()
        ours = load(ROOT / f"archs/{name}.arch").lower().state_dict()
    assert {key: tensor.shape for key, tensor in ours.items()} == {key: tensor.shape for key, tensor in theirs.items()}


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2"])
def test_outputs_are_bit_equal_to_torchvisions(name: str) -> None:
    torch.manual_seed(0)
    theirs = getattr(torchvision_models(), name)()
    ours = load(ROOT / f"archs/{name}.arch").lower()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        assert torch.equal(ours.eval()(x), theirs.eval()(x))
        torch.manual_seed(1)
        expected = theirs.train()(x)
        torch.manual_seed(1)
        assert torch.equal(ours.train()(x), expected)


# ---- U-Net, which torchvision does not have, written from the figure of its paper


class UNet(nn.Module):
    """Ronneberger, Fischer & Brox 2015, figure 1."""

    def __init__(self) -> None:
        super().__init__()
        widths = [1, 64, 128, 256, 512, 1024]
        self.down = nn.ModuleList(self.double(a, b) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in (512, 256, 128, 64))
        self.join = nn.ModuleList(self.double(2 * w, w) for w in (512, 256, 128, 64))
        self.head = nn.Conv2d(64, 2, 1)

    def double(self, a: int, b: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(a, b, 3), nn.ReLU(), nn.Conv2d(b, b, 3), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for level, down in enumerate(self.down):
            x = down(x if level == 0 else torch.max_pool2d(x, 2))
            skips.append(x)
        for up, join, skip in zip(self.up, self.join, reversed(skips[:-1]), strict=True):
            x = up(x)
            cut = (skip.shape[-1] - x.shape[-1]) // 2
            x = join(torch.cat([skip[..., cut : cut + x.shape[-2], cut : cut + x.shape[-1]], x], dim=1))
        return self.head(x)


def test_unet_is_its_figure() -> None:
    torch.manual_seed(0)
    theirs = UNet()
    assert sum(isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)) for m in theirs.modules()) == 23  # "23 convolutional layers"
    assert sum(p.numel() for p in theirs.parameters()) == PUBLISHED["unet"][0]
    net = load(ROOT / "archs/unet.arch", inputs="1x188x188")
    ours = net.lower()
    ordered = [*theirs.down.parameters()]
    for up, join in zip(theirs.up, theirs.join, strict=True):
        ordered += [*up.parameters(), *join.parameters()]
    ordered += [*theirs.head.parameters()]
    ours.load_state_dict(dict(zip((name for name, _ in ours.named_parameters()), ordered, strict=True)))
    x = torch.randn(1, 1, 188, 188)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))


def test_legal_sizes() -> None:
    # torchvision gives 63 as the smallest input of its AlexNet.
    alexnet = (
        "input 3xHxW\nconv11-64/4(pad=2); maxpool3/2; conv5-192(pad=2); maxpool3/2; conv3-384(pad=1); conv3-256(pad=1)\n"
        "conv3-256(pad=1); maxpool3/2; adaptive_avgpool6; FC-1000"
    )
    report = check_text(alexnet)
    assert [str(legal) for legal in report.legal] == ["H >= 63", "W >= 63"]
    skip = "input 3xHxW\nconv3-8(pad=1)\nconcat<. | maxpool; maxpool; upsample4>"
    assert [str(legal) for legal in check_text(skip).legal] == ["H >= 4 and H a multiple of 4", "W >= 4 and W a multiple of 4"]
    assert [str(legal) for legal in check(ROOT / "archs/unet.arch", _open("1xHxW")).legal] == ["H >= 188", "W >= 188"]


def _open(size: str) -> object:
    from compiler.driver import parse_overrides

    return parse_overrides({}, {"": size})


def test_formulas_are_simplified() -> None:
    from compiler.shapes.dim import show_shape

    graph = check(ROOT / "archs/resnet50.arch", _open("3xHxW")).graph
    assert show_shape(graph["layer3.5.relu3"].shape) == "1024 x (H-1)//16+1 x (W-1)//16+1"
