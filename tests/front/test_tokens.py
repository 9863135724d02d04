"""Tokens and attention: shapes, counts, open sizes, and how they are written, told and drawn."""

from __future__ import annotations

from itertools import product

import pytest

from archc import load, loads
from archc.compiler.analysis.derive import derive
from archc.compiler.analysis.printing import listing
from archc.compiler.analysis.receptive import network_field
from archc.compiler.analysis.summary import Counts
from archc.compiler.draw.fold import Folding, scene
from archc.compiler.driver import check_text, expanded_text
from archc.compiler.graph import ArchGraph
from archc.compiler.ops import OPERATORS
from archc.dsl.rendering import render_all
from archc.tests.support import ROOT


def graph_of(text: str) -> ArchGraph:
    report = check_text(text)
    assert report.ok, render_all(report.diagnostics)
    return report.graph


@pytest.mark.parametrize(("channels", "sizes"), [*product((1, 6), ((5,), (4, 6), (2, 3, 4)))])
def test_a_row_and_a_map_are_inverse(channels: int, sizes: tuple[int, ...]) -> None:
    shape = "x".join(map(str, (channels, *sizes)))
    if len(sizes) == 1:
        assert "`map` before it" in check_text(f"input {shape}\ntokens").diagnostics[0].help
        return
    graph = graph_of(f"input {shape}\ntokens\nmap({'x'.join(map(str, sizes))})\n")
    assert graph["tokens1"].shape == (channels, len(list(product(*map(range, sizes)))))
    assert graph["map1"].shape == (channels, *sizes)


def test_one_number_is_a_square() -> None:
    assert graph_of("input 8x16\nmap(4)")["map1"].shape == (8, 4, 4)
    assert graph_of("input 8x16\nmap([2, 8])")["map1"].shape == (8, 2, 8)
    for wrong in ("map(4x4x1x1)", "map(0)", "map"):
        assert not check_text(f"input 8x16\n{wrong}").ok


@pytest.mark.parametrize(("at", "sound"), [(0, True), (196, True), (-1, True), (-197, True), (197, False), (-198, False)])
def test_a_position_exists(at: int, sound: bool) -> None:
    assert check_text(f"input 8x197\ntoken({at})").ok is sound


@pytest.mark.parametrize(
    ("text", "shape", "stored"),
    [
        ("768x196\nlearned", (768, 196), (1, 196, 768)),
        ("768x196\nlearned(1)", (768, 1), (1, 1, 768)),
        ("768x196\nlearned(batch=no)", (768, 196), (196, 768)),
        ("768x196\nlearned(channels=3)", (3, 196), (1, 196, 3)),
        ("8x4x6\nlearned", (8, 4, 6), (1, 8, 4, 6)),
        ("8x4x6\nlearned(1x6, channels=1)", (1, 1, 6), (1, 1, 1, 6)),
        ("8x4x6\nlearned([5], channels=2)", (2, 5), (1, 5, 2)),
        ("8x20\nlearned(4x6, channels=2)", (2, 4, 6), (1, 2, 4, 6)),
        ("8\nlearned([3])", (8, 3), (1, 3, 8)),
        ("8\nlearned", (8,), (1, 8)),
        ("8\nlearned(batch=no)", (8,), (8,)),
    ],
)
def test_a_learned_tensor_is_as_large_as_what_comes_in(text: str, shape: tuple[int, ...], stored: tuple[int, ...]) -> None:
    (node,) = (node for node in graph_of(f"input {text}\n") if node.op == "learned")
    assert node.shape == shape
    assert node.operator.weights(node.call) == {"": stored}


def test_a_flat_tensor_has_no_size_to_state() -> None:
    assert [d.code for d in check_text("input 8\nlearned(3)").diagnostics] == ["E0401"]


@pytest.mark.parametrize(("bias", "sound"), [("4x9x9", True), ("1x9x9", True), ("2x9x9", False), ("4x9x8", False), ("4x81", False)])
def test_a_bias_has_heads_queries_and_keys(bias: str, sound: bool) -> None:
    for branches in (". | @bias", "channel_fc-8 | channel_fc-8 | . | @bias"):
        report = check_text(f"input bias: {bias}\ninput 24x9\nattention(4)<{branches}>")
        assert [d.code for d in report.diagnostics] == ([] if sound else ["E0317"])


def test_a_learned_tensor_depends_on_no_input() -> None:
    graph = graph_of("input 8x20\nconv3-8(pad=1)\nconcat(axis=w)<token: learned(1) | .>\nadd<. | positions: learned>\nconv3-4")
    fields = Counts(graph).fields
    assert fields["token"].axes[0].spans == (None,) and fields["token"].axes[0].size == 0
    assert fields["add1"].axes[0].size == 3
    assert fields["concat1"].axes[0].at(0) is None  # the token
    assert fields["conv2"].axes[0].size == 5
    for text in ("conv3-8; learned(4x6)", "adaptive_avgpool1; flatten; learned", "tokens; learned", "learned([3])"):
        graph = graph_of(f"input 8x9x9\n{text}")
        (node,) = (node for node in graph if node.op == "learned")
        field = Counts(graph).fields[node.name]
        assert all(axis.spans == (None,) and not axis.whole for axis in field.axes), text


def test_attention_sees_everything() -> None:
    graph = graph_of("input 3x32x32\nconv4-12/4; tokens; multihead_attention(2)\nmap(8); conv3-4")
    fields = Counts(graph).fields
    assert not fields["conv1"].whole and fields["multihead_attention1"].whole and fields["conv2"].whole
    assert network_field(graph, fields).whole


# ---- attention


@pytest.mark.parametrize(("heads", "width", "length"), [*product((1, 2, 4), (4, 8, 12), (1, 7))])
def test_self_attention_keeps_its_shape_and_counts_projections_and_products(heads: int, width: int, length: int) -> None:
    net = loads(f"input {width}x{length}\nmultihead_attention({heads})")
    assert net.params == 4 * width * width + 4 * width
    assert net.macs == 4 * width * width * length + 2 * length * length * width
    bare = loads(f"input {3 * width}x{length}\nattention({heads})")
    assert bare.graph["attention1"].shape == (width, length)
    assert (bare.params, bare.macs) == (0, 2 * length * length * width)


def test_cross_attention() -> None:
    text = "input text: 24x77\ninput image: 48x8x8\n"
    graph = graph_of(f"{text}multihead_attention(4)<. | @text>\nattention(4)<. | @text; channel_fc-48 | @text; channel_fc-96>")
    mixed, bare = graph["multihead_attention1"], graph["attention1"]
    assert mixed.shape == (48, 8, 8)
    assert list(mixed.operator.weights(mixed.call)) == [
        *("q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
    ]
    assert mixed.operator.macs(mixed.call, mixed.shape) == 64 * 2 * 48 * 48 + 77 * 48 * (24 + 24) + 2 * 64 * 77 * 48
    assert bare.shape == (96, 8, 8)
    assert bare.operator.macs(bare.call, bare.shape) == 64 * 77 * (48 + 96)
    assert [*mixed.call.inputs] == [(48, 8, 8), (24, 77)]


def test_open_sizes_become_conditions() -> None:
    report = check_text("input 3xHxW\nconv16-48/16; tokens; multihead_attention(4)\ntoken(3)")
    assert report.ok
    assert "(H//16)*(W//16) >= 4" in [str(condition) for _, condition in report.graph.conditions] or len(report.graph.conditions) == 3
    assert [str(legal) for legal in check_text("input 48xL\nmap(14)").legal] == ["L in {196}"]
    assert check_text("input 48xL\nattention(4)<. | . | conv3-48(pad=1)>").ok
    assert [d.code for d in check_text("input 48xL\nattention(4)<. | . | conv3-48>").diagnostics] == ["E0317"]
    assert str(graph_of("input L\nembedding(10, 8)")["embedding1"].shape[1]) == "L"
    assert [str(dim) for dim in graph_of("input CxL\ntranspose")["transpose1"].shape] == ["L", "C"]


def test_plain_operators_are_those_that_say_so() -> None:
    assert {name for name, operator in OPERATORS.items() if operator.plain} >= {"attention", "multihead_attention"}
    for name, operator in OPERATORS.items():
        if operator.is_merge and not operator.plain:
            assert "E0310" in [found.code for found in check_text(f"input 8x4x4\n{name}").diagnostics], name


def test_attention_is_written_as_it_was() -> None:
    text = "input 24x9\nmultihead_attention(3)\nmultihead_attention(3)<. | conv1-24>\nchannel_fc-72\nattention(4)\n"
    report = check_text(text)
    assert check_text(expanded_text(report)).graph.same_as(report.graph)
    listed = listing(report.graph)
    assert "multihead_attention1: multihead_attention(heads=3) => 24x9\n" in listed
    assert "multihead_attention(heads=3)<@" in listed and "attention1: attention(heads=4) => 24x9" in listed


def test_what_is_told_of_attention() -> None:
    topics = dict(derive(graph_of("input 24x9\nmultihead_attention(3)"), "multihead_attention1"))
    assert topics["output"][1:] == ["the shape of its input; 3 heads of 24//3 = 8"]
    assert topics["field"] == ["the whole input"]


# ---- whole numbers


def test_an_input_that_a_table_reads_holds_whole_numbers() -> None:
    graph = graph_of("input a: 7\ninput b: 7\n@a; embedding(100, 8)\nadd<. | @b; embedding(2, 8) | @a; embedding(50, 8)>")
    assert (graph.whole_numbers("a"), graph.whole_numbers("b"), graph.whole_numbers("add1")) == (50, 2, None)
    assert graph_of("input 7\nrelu").whole_numbers("input") is None
    assert ArchGraph.from_json(graph.to_json()).whole_numbers("a") == 50


@pytest.mark.parametrize("text", ["relu", "fc-3", "concat<. | .>", "learned", "residual<relu>"])
def test_nothing_else_is_computed_from_whole_numbers(text: str) -> None:
    assert [d.code for d in check_text(f"input ids: 7\nembedding(9, 4)\n@ids\n{text}").diagnostics][:1] == ["E0318"]
    assert [d.code for d in check_text(f"input ids: 7\n{text}\n@ids\nembedding(9, 4)").diagnostics][:1] == ["E0318"]


def test_weights_are_tied_by_a_share() -> None:
    net = loads("share words { table: embedding(100, 8) }\ninput 7\nwords => 8x7\nlayer_norm\nwords => 100x7")
    assert net.params == 800 + 16 and net.macs == 800 * 7
    assert not check_text("input 9x7\nembedding(100, 8)").ok


# ---- networks

TOKENS = {"gpt2": 124_439_808, "bert_base": 109_482_240, "mlp_mixer_b_16": 59_880_472, "convmixer_768_32": 21_110_248}


@pytest.mark.parametrize("name", TOKENS)
def test_counts_are_the_published_ones(name: str) -> None:
    net = load(ROOT / f"archs/{name}.arch")
    assert net.params == TOKENS[name]
    assert all(claim.held for claim in net.claims)


def test_a_block_of_a_transformer_reads_as_one() -> None:
    graph = load(ROOT / "archs/vit_b_16.arch").graph
    drawn = list(scene(graph).every())
    assert [box.copies for box in drawn if box.title == "layer(heads=12)"] == [12]
    flat = scene(graph, Folding(flat=True))
    assert sum(box.family == "attention" for box in flat.shown()) == 12
