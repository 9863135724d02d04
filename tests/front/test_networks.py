"""The networks of `archs/`: claims, published counts, PyTorch's shapes and FLOPs, legal sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from archc import load
from archc.compiler.analysis.nesting import Program
from archc.compiler.driver import check, check_text, expanded_text
from archc.compiler.graph import ArchGraph
from archc.dsl.rendering import render_all
from archc.tests.support import ARCHS, FILES, NETWORKS, PUBLISHED, ROOT, ZOO

SEGMENTATION = {"fcn_resnet50", "deeplabv3_resnet50", "lraspp_mobilenet_v3_large"}  # see test_zoo.py
FURTHER = {"r3d_18", "mc3_18", "r2plus1d_18", "resnetv2_50x1_bit", "seq2seq_attention"}  # as well
VIDEO = {"swin3d_t", "swin3d_s", "swin3d_b", "mvit_v1_b", "mvit_v2_s"}  # see test_windows.py and test_pooled.py
TOKENS = {"gpt2", "bert_base", "mlp_mixer_b_16", "convmixer_768_32"}  # see test_tokens.py


def test_every_network_has_published_figures_with_a_source() -> None:
    assert {path.stem for path in FILES} == set(PUBLISHED) | set(ZOO) - {"googlenet"} | SEGMENTATION | FURTHER | VIDEO | TOKENS
    assert all(figures["source"] for figures in PUBLISHED.values())


@pytest.mark.parametrize("path", ARCHS, ids=lambda path: path.stem)
def test_claims_hold(path: Path) -> None:
    report = check(path)
    assert report.ok, render_all(report.diagnostics)
    if report.has_network:
        assert report.claims or path.parent.name == "std"  # of a family each network has its own
        assert all(claim.held for claim in report.claims)


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_a_network_claims_its_source_parameters_macs_and_stages(path: Path) -> None:
    report = check(path)
    assert report.graph.title
    claimed = {claim.text.split()[1] if claim.text.startswith("expect") else "shape" for claim in report.claims}
    kinds = {name.partition("(")[0] for name in claimed}
    assert {"params", "shape"} <= kinds
    assert "macs" in kinds or report.graph.unknowns


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_counts_are_the_published_ones(path: Path) -> None:
    published = PUBLISHED[path.stem]
    net = load(path, inputs=published.get("input"))
    assert (net.params, net.macs) == (published["params"], published["macs"])
    counts = check(path).cost()
    assert counts.params_training == published.get("params_training", published["params"])
    if "macs_training" in published:
        assert counts.macs_training == published["macs_training"]


def test_lenet5_has_the_connections_of_its_paper() -> None:
    # LeCun et al. 1998, section II.B, layer by layer.
    layers = {"c1": 122_304, "s2": 5_880, "c3": 151_600, "s4": 2_000, "c5": 48_120, "f6": 10_164, "rbf": 840}
    text = (ROOT / "archs/lenet5.arch").read_text(encoding="utf-8")
    report = check_text(text + "".join(f"expect connections({layer}) == {count}\n" for layer, count in layers.items()))
    assert report.ok, render_all(report.diagnostics)
    assert sum(layers.values()) == 340_908


@pytest.mark.parametrize("path", ARCHS, ids=lambda path: path.stem)
def test_expand_and_json_give_the_same_graph(path: Path) -> None:
    report = check(path)
    if not report.has_network:
        return
    text = expanded_text(report)
    again = check_text(text)
    assert again.ok, render_all(again.diagnostics)
    assert again.graph.same_as(report.graph)
    assert len(again.claims) >= len(report.claims)
    loaded = ArchGraph.from_json(report.graph.to_json())
    assert loaded.same_as(report.graph)
    assert list(Program(loaded, report.stated).statements()) == list(Program(report.graph, report.stated).statements())


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
    from archc.compiler.driver import parse_overrides

    return parse_overrides({}, {"": size})


def test_formulas_are_simplified() -> None:
    from archc.compiler.shapes.dim import show_shape

    graph = check(ROOT / "archs/resnet50.arch", _open("3xHxW")).graph
    assert show_shape(graph["layer3.5.relu3"].shape) == "1024 x (H-1)//16+1 x (W-1)//16+1"
