"""Attention that pools: shapes, counts, open sizes, derivations."""

from __future__ import annotations

import pytest

from archc import load, loads
from archc.compiler.analysis.derive import derive
from archc.compiler.analysis.receptive import receptive_fields
from archc.compiler.driver import check_text
from archc.dsl.rendering import render_all
from archc.tests.support import ROOT

POOLED = "input 96x1569\na: pooled_attention(2, sizes=8x14x14, out=192, stride_q=1x2x2, stride_kv=1x4x4)"


def test_weights_of_a_pooling() -> None:
    node = loads(POOLED).graph["a"]
    weights = dict(node.operator.weights(node.call))
    assert node.shape == (192, 1 + 8 * 7 * 7)
    for name in "qkv":
        assert weights.pop(f"pool_{name}.pool.weight") == (96, 1, 3, 3, 3)
        assert weights.pop(f"pool_{name}.norm_act.0.weight") == weights.pop(f"pool_{name}.norm_act.0.bias") == (96,)
    assert weights == {
        "qkv.weight": (576, 96), "qkv.bias": (576,), "project.0.weight": (192, 192), "project.0.bias": (192,),
        "rel_pos_t": (15, 96), "rel_pos_h": (13, 96), "rel_pos_w": (13, 96),
    }  # fmt: skip


def test_macs_of_a_pooling() -> None:
    queries, keys = 8 * 7 * 7, 8 * 4 * 4
    projections = 1569 * 96 * 3 * 192 + (1 + queries) * 192 * 192
    kernels = (queries + 2 * keys) * 27 * 192
    products = 2 * (1 + queries) * (1 + keys) * 192 + queries * (8 + 4 + 4) * 192
    assert loads(POOLED).macs == projections + kernels + products


@pytest.mark.parametrize("options", ["kernel_q=1", "kernel_kv=1", "kernel_q=1, kernel_kv=1"])
def test_a_window_of_one_position_does_not_pool(options: str) -> None:
    node = loads(f"input 8x65\na: pooled_attention(2, sizes=1x8x8, {options})").graph["a"]
    pooled = {name.split(".")[0][-1] for name in node.operator.weights(node.call) if name.startswith("pool")}
    assert pooled == {"q", "k", "v"} - ({"q"} if "kernel_q" in options else set()) - ({"k", "v"} if "kernel_kv" in options else set())
    assert node.shape == (8, 65)


def test_tables_are_as_large_as_the_larger_of_queries_and_keys() -> None:
    node = loads("input 8x129\na: pooled_attention(2, sizes=2x8x8, stride_q=1x2x4, stride_kv=1x8x1)").graph["a"]
    weights = node.operator.weights(node.call)
    assert [weights[f"rel_pos_{name}"] for name in "thw"] == [(3, 4), (7, 4), (15, 4)]


def test_sizes_that_are_open() -> None:
    head = "input 8x4xHxW\ntokens\nconcat(axis=w)<learned(1) | .>\na: pooled_attention(2, sizes=[4, H, W], stride_q=1x2x2, relative=no)\n"
    report = check_text(head)
    assert report.ok, render_all(report.diagnostics)
    fixed = check_text(head.replace("xHxW", "x8x6").replace("H, W", "8, 6"))
    assert fixed.graph["a"].shape == (8, 1 + 4 * 4 * 3)


def test_all_is_seen_and_derived() -> None:
    graph = loads(POOLED).graph
    assert receptive_fields(graph)["a"].whole
    lines = dict(derive(graph, "a"))["output"]
    assert lines[1:] == [
        "channels: 192, as `out` says; 2 heads of 192//2 = 96",
        "depth of queries: (8 + 2*1 - 3)/1 + 1 = 8",
        "height of queries: (14 + 2*1 - 3)/2 + 1 = 7.5, rounded down to 7",
        "width of queries: (14 + 2*1 - 3)/2 + 1 = 7.5, rounded down to 7",
        "depth of keys: (8 + 2*1 - 3)/1 + 1 = 8",
        "height of keys: (14 + 2*1 - 3)/4 + 1 = 4.25, rounded down to 4",
        "width of keys: (14 + 2*1 - 3)/4 + 1 = 4.25, rounded down to 4",
        "length: 1 + 8*7*7 = 393, the class token and the queries",
    ]


def test_another_video() -> None:
    net = load(ROOT / "archs/mvit_v2_s.arch", inputs="3x8x64x96")
    assert net.graph["blocks.15.attn"].shape == (768, 1 + 4 * 2 * 3)
