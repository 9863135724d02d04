"""Attention within windows, and `rearrange`: shapes, counts, open sizes, receptive fields, and texts in quotes."""

from __future__ import annotations

import pytest

from archc import load, loads
from archc.compiler.analysis.derive import derive
from archc.compiler.analysis.notation import notation
from archc.compiler.analysis.receptive import receptive_fields
from archc.compiler.driver import check_text, expanded_text
from archc.compiler.graph import ArchGraph
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.rearranging import read
from archc.dsl.diagnostics import Fault
from archc.dsl.formatter import format_text
from archc.dsl.rendering import render_all
from archc.dsl.source import Source
from archc.tests.support import ROOT

# ---- windows


def test_counts_of_a_window() -> None:
    graph = loads("input 96x56x56\na: window_attention(3)").graph
    assert graph["a"].operator.weights(graph["a"].call) == {
        "qkv.weight": (288, 96), "qkv.bias": (288,), "proj.weight": (96, 96), "proj.bias": (96,), "relative_position_bias_table": (169, 3)
    }  # fmt: skip
    assert graph["a"].operator.buffers(graph["a"].call) == {"relative_position_index": (49**2,)}
    net = loads("input 96x56x56\nwindow_attention(3)")
    assert net.macs == 56 * 56 * (4 * 96 * 96 + 2 * 49 * 96)
    assert loads("input 96x50x50\nwindow_attention(3, pad=yes)").macs == net.macs
    assert net.params == 4 * 96 * 96 + 4 * 96 + 169 * 3


def test_windows_of_one_and_three_sizes() -> None:
    assert loads("input 8x21\na: window_attention(2)").graph["a"].shape == (8, 21)
    graph = loads("input 96x8x56x56\na: window_attention(3, window=8x7x7, shift=[0, 3, 3])").graph
    assert graph["a"].operator.weights(graph["a"].call)["relative_position_bias_table"] == (15 * 13 * 13, 3)


def test_legal_sizes_of_windows() -> None:
    report = check_text("input 3xHxW\nconv4-8/4\nwindow_attention(2, window=7x5)\n")
    assert report.ok, render_all(report.diagnostics)
    assert report.legal[0].admits(28) and report.legal[0].admits(31) and not report.legal[0].admits(32)
    assert report.legal[1].admits(20) and not report.legal[1].admits(28)
    assert check_text("input 8xHxW\nwindow_attention(2, pad=yes)\n").legal[0].admits(1)


def test_a_window_is_seen_and_a_grid_sees_all() -> None:
    fields = receptive_fields(
        loads("input 8x28x28\na: window_attention(2)\nb: window_attention(2, shift=3)\nc: window_attention(2, grid=yes)").graph
    )
    assert [axis.size for axis in fields["a"].axes] == [7, 7]
    assert [axis.size for axis in fields["b"].axes] == [14, 14]
    assert fields["c"].whole
    assert receptive_fields(loads("input 8x7x7\na: window_attention(2, shift=3)").graph)["a"].whole


def test_a_derivation_counts_windows() -> None:
    graph = loads("input 8x26x28\na: window_attention(2, pad=yes)").graph
    lines = dict(derive(graph, "a"))["output"]
    assert lines[2:] == ["height: 26, padded to 28, is 4 windows of 7", "width: 28 is 4 windows of 7"]


@pytest.mark.parametrize("name", ["swin_t", "swin_v2_b", "maxvit_t"])
def test_networks_claim_what_they_are(name: str) -> None:
    net = load(ROOT / f"archs/{name}.arch")
    assert all(claim.held for claim in net.claims) and len(net.claims) == 4


def test_a_swin_transformer_takes_multiples_of_32() -> None:
    legal = check_text((ROOT / "archs/std/swin.arch").read_text().replace("input 3x{size}x{size}", "input 3xHxW")).legal
    assert legal[0].admits(64) and legal[0].admits(224) and not legal[0].admits(240)


# ---- rearrange


@pytest.mark.parametrize(
    ("shape", "item", "expected"),
    [
        ("96x56x56", 'rearrange("c (h i) (w j) -> (j i c) h w", i=2, j=2)', (384, 28, 28)),
        ("96x56x56", 'rearrange("c h w -> (h w) c")', (3136, 96)),
        ("96x56x56", 'rearrange("c h w -> c (h w)")', (96, 3136)),
        ("96x196", 'rearrange("c (h w) -> c h w", h=14)', (96, 14, 14)),
        ("96x196", 'rearrange("c (h w) -> c h w", w=14)', (96, 14, 14)),
        ("96", 'rearrange("(g c) -> c g", g=3)', (32, 3)),
        ("96x1x1", 'rearrange("c 1 1 -> c")', (96,)),
        ("96x1x1", 'rearrange("c h w -> (c h w)", h=1)', (96,)),
        ("96x7", 'rearrange("c w -> c () 1 w")', (96, 1, 1, 7)),
        ("2x3x4x5", 'rearrange("c d h w -> (d c) (w h)")', (6, 20)),
        ("2x3x4x5", 'rearrange("c ... -> (...) c")', (60, 2)),
        ("2x3x4x5", 'rearrange("... w -> w ...")', (5, 2, 3, 4)),
        ("12x3", 'rearrange("(g c) ... -> (c g) ...", g=4)', (12, 3)),
        ("12", 'rearrange("(g c) ... -> c (g ...)", g=4)', (3, 4)),
        ("7", 'rearrange("c ... -> c (...)")', (7, 1)),
    ],
)  # fmt: skip
def test_shapes_of_patterns(shape: str, item: str, expected: tuple[int, ...]) -> None:
    graph = loads(f"input {shape}\na: {item}").graph
    assert graph["a"].shape == expected
    assert dict(derive(graph, "a"))["output"][1:]
    again = loads(f"input {shape}\na: {notation(graph['a'])}").graph
    assert again["a"].attrs == graph["a"].attrs
    assert ArchGraph.from_json(graph.to_json()).same_as(graph)


def test_open_sizes_are_solved() -> None:
    report = check_text('input 3xHxW\nrearrange("c (h i) (w j) -> (j i c) h w", i=4, j=6)\n')
    assert [str(dim) for dim in report.graph["rearrange1"].shape] == ["72", "H//4", "W//6"]
    assert [str(legal) for legal in report.legal] == ["H >= 4 and H a multiple of 4", "W >= 6 and W a multiple of 6"]
    report = check_text('input 3xHxW\nrearrange("c h w -> c (h w)")\n')
    assert str(report.graph["rearrange1"].shape[1]) == "H*W" and report.ok


def test_blocks_of_positions_are_seen() -> None:
    text = 'input 8x16x16\na: rearrange("c (h i) (w j) -> (c i j) h w", i=4, j=2)\nb: rearrange("(c i j) h w -> c (h i) (w j)", i=4, j=2)\n'
    fields = receptive_fields(loads(text + 'c: rearrange("c h w -> c w h")').graph)
    assert [axis.size for axis in fields["a"].axes] == [axis.size for axis in fields["b"].axes] == [4, 2]
    assert fields["c"].whole


@pytest.mark.parametrize(
    "text",
    [
        *("c h w", "c -> w", "c c -> c", "(c -> c", "c) -> c", "((c) w) -> c w", "c ... -> c", "c … -> … c", "c 2 -> (c 2)", "c w -> c"),
        *("c -> c w", "c -> c -> c", "c-d -> c-d", "place -> place", "-> c", "é -> é", "c * -> * c"),
        *(
            "c (...) -> c ...",
            "c (d ...) -> c d ...",
            "... c ... -> ... c",
            "b ... -> b (...)",
            "c h w ... -> w h c ...",
            "c ...0 -> c ...0",
        ),
    ],
)
def test_patterns_that_cannot_be_read(text: str) -> None:
    with pytest.raises(Fault) as caught:
        read(text, 2)
    assert caught.value.diagnostic.code == "E0320"


# ---- texts


def test_a_text_is_an_argument_and_goes_through_a_block() -> None:
    text = 'input 96x56x56\nblock f(p, n) { rearrange(p, i=n) }\nf("c (h i) w -> (c i) h w", 4) => 384x14x56\n'
    report = check_text(text)
    assert report.ok, render_all(report.diagnostics)
    again = check_text(expanded_text(report))
    assert again.graph.same_as(report.graph)
    assert format_text(Source("a", text), OPERATORS) == text


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ('conv3-8("same")', "E0401"), ('upsample(scale=2, size=none, "bilinear")', "E0401"), ('dropout("0.5")', "E0401"),
        ('relu("x")', "E0208"), ("rearrange(3)", "E0401"), ("rearrange(relu)", "E0401"), ('conv3-8(pad="same")', "E0101"),
        ('{ let a = "x"; relu }', "E0101"), ('lrn(5, "a")', "E0401"), ('pad(h="1")', "E0101"), ('relu("x', "E0102"),
        ('rearrange("c h w -> c w h", sizes=2)', "E0401"), ('rearrange("c h w -> c w h", h="2")', "E0101"),
        ('rearrange("c h w -> c w h", 2)', "E0401"), ('rearrange("c h w -> c w h", h=yes)', "E0401"),
        ('rearrange("c h w -> c w h", h=3, h=3)', "E0209"), ('concat("c")<. | .>', "E0401"),
    ],
)  # fmt: skip
def test_a_text_where_something_else_is_wanted(item: str, code: str) -> None:
    report = check_text(f"input 4x3x3\n{item}\n")
    assert report.diagnostics and report.diagnostics[0].code == code, render_all(report.diagnostics)


def test_the_numbers_of_a_pattern_have_no_default() -> None:
    report = check_text('input 4x4x4\ndefault rearrange(i=2)\nrearrange("c (h i) w -> (c i) h w")\n')
    assert not report.ok
