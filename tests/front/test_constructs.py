"""Conditional values, lists, branches of a list, state of loops, computed names: what they mean, and that they print as they are."""

from __future__ import annotations

import pytest

from archc import load, loads
from archc.compiler.driver import check_text
from archc.compiler.graph import ArchGraph
from archc.dsl.errors import ArchError
from archc.dsl.formatter import format_text
from archc.dsl.parser import parse
from archc.dsl.printer import print_file
from archc.dsl.source import Source
from archc.dsl.trees import same
from archc.tests.support import ROOT

HEAD = "input 3x32x32\ndefault conv(pad=same, act=relu)\n"


def names(text: str) -> list[str]:
    return [node.name for node in loads(HEAD + text).graph]


def shapes(text: str) -> dict[str, str]:
    return {node.name: "x".join(map(str, node.shape)) for node in loads(HEAD + text).graph}


def errors(text: str) -> list[str]:
    return [found.code for found in check_text(HEAD + text).diagnostics]


def graph(text: str) -> ArchGraph:
    return loads(HEAD + text).graph


# ---- conditional values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2 if 1 == 1 else 1", 2),
        ("2 if no else 4 if no else 6", 6),
        ("(2 if no else 4) if yes else 6", 4),
        ("1 + (1 if yes else 2)*3", 4),
        ("8 if not no and 1 < 2 else 1//0", 8),
        ("1//0 if no else 8", 8),
        ("sum([i if i > 1 else 0 for i in range(4)])", 5),
        ("[2*w for w in [1, 4]][1]", 8),
        ("sum([sum([i*j for j in range(3)]) for i in range(3)])", 9),
        ("len([a for (a, (b, c)) in [[1, [2, 3]]]])", 1),
    ],
)
def test_values(value: str, expected: int) -> None:
    assert shapes(f"let n = {value}\nx: conv1-{{n}}\n")["x"] == f"{expected}x32x32"


def test_a_word_is_chosen_too() -> None:
    text = "for i in range(2) { c{i}: conv3-8(act=none if i == 0 else relu, pad=same if i == 0 else 0) }"
    assert names(text) == ["input", "c0", "c1", "relu1"]
    assert names("default conv(act=relu if 1 == 2 else none)\nconv1-2") == ["input", "conv1"]
    assert names("block b(f=relu if no else tanh) { f }\nb") == ["input", "b1.tanh1"]


def test_a_list_without_names_around_it() -> None:
    """The names of a list in brackets end with it, and hide others in it."""
    assert shapes("let i = 5\nlet s = [i for i in range(3)]\nx: conv1-{i + s[2]}")["x"] == "7x32x32"
    assert errors("let s = [k for k in range(3)]\nconv1-{k}") == ["E0204"]


# ---- branches of a list


def test_branches_of_a_list() -> None:
    text = "concat<for i in range(3) | conv3-8(dilation=2**i)>"
    assert graph(text).same_as(graph("concat<conv3-8(dilation=1) | conv3-8(dilation=2) | conv3-8(dilation=4)>"))
    mixed = "concat<. | for d in [1, 2] | conv3-8(dilation=d); conv1-2 | adaptive_avgpool1; upsample32>"
    written = "concat<. | conv3-8(dilation=1); conv1-2 | conv3-8(dilation=2); conv1-2 | adaptive_avgpool1; upsample32>"
    assert graph(mixed).same_as(graph(written))
    assert graph("residual<for i in range(1) | conv3-3>").same_as(graph("residual<conv3-3>"))
    assert names("join: concat<\n  for k in [1, 3]\n  | b{k}: conv{k}-8(act=none)\n>") == ["input", "b1", "b3", "join"]


@pytest.mark.parametrize("text", ["add<for i in [] | relu>", "add<for i in [1] | relu>", "concat<for i in [] | relu>"])
def test_too_few_branches(text: str) -> None:
    assert errors(text) == ["E0310"]


# ---- tensors in lists, references with numbers


def test_tensors_of_lists() -> None:
    text = "a: conv1-4(act=none)\nb: conv1-5(act=none)\nlet ys = [@a, [@b, @input]]\n"
    assert shapes(text + "@ys[0]; x: conv1-2(act=none)")["x"] == "2x32x32"
    assert loads(HEAD + text + "@ys[1][0]; x: relu").graph.operands("x") == ["b"]
    assert shapes(text + "@a; x: conv1-{ys[1][0].c + @ys[0].c}")["x"] == "9x32x32"
    assert loads(HEAD + text + "z: @ys[1][1]\n@b; x: add<@z | @ys[1][1]>").graph.operands("x") == ["input", "input"]


def test_references_with_numbers() -> None:
    text = "for i in range(3) { b{i}: { c{i + 1}: conv1-{i + 4}(act=none) } }\ns: [ conv1-2(act=none); conv1-6(act=none) ]\n"
    assert loads(HEAD + text + "for i in [1] { @b{i}.c{i + 1}; x: relu }").graph.operands("x") == ["b1.c2"]
    assert loads(HEAD + text + "@s.{0}; x: relu").graph.operands("x") == ["s.0"]
    assert loads(HEAD + text + "@.s.{2 - 1}; x: relu").graph.operands("x") == ["s.1"]
    assert shapes(text + "x: conv1-{sum([@b{i}.c for i in range(3)])}")["x"] == "15x32x32"
    assert shapes(text + "if @b{1}.c == @b1.c{ x: conv1-9 }")["x"] == "9x32x32"  # a body, as it has always been
    assert errors(text + "@b{3}; relu") == ["E0203"] and errors(text + "@b{1/2}; relu") == ["E0401"]


def test_references_with_two_numbers() -> None:
    text = "for i in range(2) { for j in range(2) { b{i}-{j}: conv1-{i + 2*j + 1}(act=none) } }\n"
    assert loads(HEAD + text + "@b{0}-{1}; x: relu").graph.operands("x") == ["b0-1"]
    assert shapes(text + "x: conv1-{@b{1}-{1}.c - 1}")["x"] == "3x32x32"


def test_labels_that_are_numbers() -> None:
    assert names("x: { for i in [3, 1] { {i}: conv1-2(act=none) } }\n{2 + 2}: relu") == ["input", "x.3", "x.1", "4"]
    assert names("{ relu }; { x: relu }") == ["input", "relu1", "x"]  # groups


# ---- state of loops


def test_a_state_is_that_of_the_turn_before() -> None:
    text = "for i in range(3) with w = 4, ws = [] { c{i}: conv1-{w}(act=none); next w = 2*w; next ws = ws + [w] }\nx: conv1-{w + ws[2]}"
    found = shapes(text)
    assert [found[name] for name in ("c0", "c1", "c2", "x")] == ["4x32x32", "8x32x32", "16x32x32", "48x32x32"]


def test_within_a_turn_a_state_keeps_its_value() -> None:
    assert shapes("for i in range(1) with w = 4 { next w = 8; x: conv1-{w} }")["x"] == "4x32x32"
    assert shapes("for i in range(2) with w = 4 { if i == 0 { next w = 8 } }\nx: conv1-{w}")["x"] == "8x32x32"
    assert shapes("for i in [] with w = 4 { next w = 8 }\nx: conv1-{w}")["x"] == "4x32x32"


def test_blocks_of_a_body_see_the_state_of_their_turn() -> None:
    text = "for i in range(2) with w = 4 { block u() { conv1-{w}(act=none) }\nnext w = 8; c{i}: u }"
    assert [shape for name, shape in shapes(text).items() if name != "input"] == ["4x32x32", "8x32x32"]


def test_tensors_are_handed_on() -> None:
    text = "for i in range(3) with before = in { y{i}: conv1-3(act=none); add{i}: add<. | @before>; next before = @y{i} }"
    assert [graph(text).operands(f"add{i}") for i in range(3)] == [["y0", "input"], ["y1", "y0"], ["y2", "y1"]]


def test_loops_within_loops() -> None:
    text = "for i in range(2) with n = 1 { for j in range(3) with m = n { next m = m + 1 }\nnext n = 2*m }\nx: conv1-{n}"
    assert shapes(text)["x"] == "22x32x32"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("let w = 1\nfor i in range(2) with w = 2 { conv1-{w} }", "E0217"),
        ("for w in range(2) with w = 2 { conv1-{w} }", "E0217"),
        ("for i in range(2) with w = 2, w = 3 { conv1-{w} }", "E0214"),
        ("for i in range(2) with in = 2 { relu }", "E0206"),
        ("for i in range(2) with w = 2 { let w = 3\nconv1-{w} }", "E0217"),
        ("for i in range(2) with w = 2 { next w = 3; next w = 4; relu }", "E0219"),
        ("for i in range(2) { next w = 3; relu }", "E0218"),
        ("next w = 3", "E0218"),
        ("for i in range(2) with w = 2 { let v = 2\nif yes { let w = 4\nnext w = w + v } }", "E0218"),
        ("for i in range(2) with w = nothing { conv1-{w} }\nconv1-{w}", "E0204"),
        ("for (a, b) in [1] with w = 2 { relu }\nconv1-{w}", "E0406"),
        ("for i in 3 with w = 2 { relu }\nconv1-{w}", "E0401"),
    ],
)
def test_wrong_states(text: str, code: str) -> None:
    assert errors(text) == [code]


def test_next_is_still_a_name() -> None:
    assert names("block next(n=1) { relu }\nnext; next(2)\nnext: relu\nlet with = 2\nconv1-{with}(act=none)")[-2:] == ["next", "conv1"]


def test_lists_that_grow_are_bounded() -> None:
    assert errors("for i in range(40) with ys = [1] { next ys = ys + ys }") == ["E0613"]
    assert errors("let xs = [[0 for i in range(10000)] for j in range(10000)]") == ["E0613"]
    assert errors(f"let xs = [{'+'.join('1' * 5000)} for i in range(5000)]") == ["E0613"]


# ---- outputs, shared parts, operators as values


def test_outputs_of_loops_and_blocks() -> None:
    net = loads(HEAD + "block head(i) { output p{i}: conv1-{i}(act=none) }\nfor i in [2, 3] { head(i) }\noutput last{2*2}")
    assert {name: out.node for name, out in net.graph.outputs.items()} == {"p2": "head1.p2", "p3": "head2.p3", "last4": "input"}
    assert errors("for i in range(2) { output p: relu }") == ["E0214"]


def test_shared_parts_with_parameters() -> None:
    text = "share f(h, n=4) { conv3-{n}; concat<. | @h> }\na: conv1-3(act=none)\nb: f(@input); @input; c: f(@a); add<@b | @c>\n"
    net = loads(HEAD + text)
    assert net.params == 12 + 112 and loads(net.expand()).graph.same_as(net.graph)
    assert errors("share f(n) { conv3-{n} }\nf(4); @input; f(5)") == ["E0309"]
    assert errors("share f(n, n) { conv3-{n} }\nf(4)") == ["E0214"]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("maxpool(3, stride=1, pad=1)", "maxpool3/1(pad=1)"),
        ("conv(3, 8, groups=1, act=leaky_relu(0.2), norm=bn(eps=0.01))", "conv3-8(act=leaky_relu(0.2), norm=bn(eps=0.01))"),
        ("conv(1, 4, init=normal(0.5), act=none)", "conv1-4(act=none, init=normal(0.5))"),
        ("relu", "relu"),
    ],
)
def test_operators_with_options_are_values(value: str, written: str) -> None:
    called = graph(f"block u(body) {{ body }}\nu({value})")
    assert [(node.op, node.attrs) for node in called] == [(node.op, node.attrs) for node in graph(written)]


def test_merges_are_values() -> None:
    called = graph("block u(join) { join<. | conv1-3(act=none)> }\nu(concat(axis=h))")
    assert [(node.op, node.shape) for node in called][-1] == ("concat", (3, 64, 32))
    assert errors("block u(join) { join<. | relu> }\nu(relu)") == ["E0314"]


# ---- printing


TEXTS = [
    "let a = (1 if yes else 2) + (3 if (no if yes else no) else 4 if no else -5)\n",
    "let b = [x if x > 1 else -x for (x, (y, z)) in (a if yes else [])]\n",
    "let d = (1 if yes else 2)**2 + [[1]][0][0 if yes else 1] + [i for i in range(3)][1]\n",
    "add<for b in c | @b{i}.cc{j + 1}.d; @b{i + 1}[0] | . | for (i, j) in d | x{i}: .>\n",
    "for (i, x) in enumerate(b) with h = @input, k = [1] { next k = k + [i]; next; output q{i + 1}(when=training): relu }\n",
    "share f(x, s=2) { {s}: conv3-8(stride=s); @x[0][1] x2 => {1 if a else 2}xH }\n",
    "input x: 3x32x32(mean=[0.5, 0.5, 0.5], labels=a if yes else b)\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_printed_and_laid_out_reads_back(text: str) -> None:
    tree = parse(Source("text", text)).file
    assert tree is not None
    printed = print_file(tree)
    again = parse(Source("printed", printed))
    assert not again.diagnostics and same(tree, again.file)
    laid_out = format_text(Source("text", text))
    assert format_text(Source("laid out", laid_out)) == laid_out


def test_fmt_sets_them_as_people_do() -> None:
    text = "for (i,x)in enumerate(xs)with h=in,k=[ ]{next k=k+[-1 if i==0 else -2]}\n@xs [0] ; relu\n{ i } : @a{ i }.b{j}-{ k }.c\n"
    laid_out = format_text(Source("text", text))
    assert laid_out == (
        "for (i, x) in enumerate(xs) with h = in, k = [] { next k = k + [-1 if i == 0 else -2] }\n@xs[0]; relu\n{i}: @a{i}.b{j}-{k}.c\n"
    )


@pytest.mark.parametrize("name", ["hrnet_w18", "retinanet_resnet50_fpn", "ssdlite320_mobilenet_v3_large", "wavenet"])
def test_networks_of_loops_expand_to_themselves(name: str) -> None:
    net = load(ROOT / f"archs/{name}.arch")
    assert loads(net.expand()).graph.same_as(net.graph)


# ---- how samples are prepared


def test_preparation_is_kept() -> None:
    text = "input 3x32x32(crop=32, resize=[40, 36], mean=[0.5, 0.5, 0.5], std=[1, 2, 3], interpolation=bicubic, labels=cifar10)\nrelu\n"
    net = loads(text)
    facts = {"resize": [40, 36], "interpolation": "bicubic", "crop": 32, "mean": [0.5] * 3, "std": [1.0, 2.0, 3.0], "labels": "cifar10"}
    assert net.preprocess == {"input": facts} == net.facts()["preprocess"] == loads(net.expand()).preprocess
    assert ArchGraph.from_json(net.graph.to_json()).preprocess == net.preprocess
    assert loads(text, inputs="3x64x64").preprocess == {"input": facts | {"resize": [80, 72], "crop": 64}}
    assert loads("input 3x32x32\nrelu").preprocess == {}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ("mean=[1, 2]", "E0401"),
        ("std=[1, 0, 1]", "E0401"),
        ("mean=3", "E0401"),
        ("crop=31", "E0401"),
        ("resize=31, crop=32", "E0401"),
        ("resize=0", "E0401"),
        ("interpolation=cubic", "E0403"),
        ("labels=3", "E0401"),
        ("size=32", "E0202"),
        ("32", "E0215"),
        ("crop=32, crop=32", "E0209"),
        ("mean=nothing", "E0204"),
    ],
)
def test_wrong_preparation(options: str, code: str) -> None:
    with pytest.raises(ArchError) as caught:
        loads(f"input 3x32x32({options})\nrelu\n")
    assert [found.code for found in caught.value.diagnostics] == [code]


@pytest.mark.parametrize(
    ("stated", "inputs", "facts"),
    [
        ("resize=40, crop=32", "3x64x64", {"resize": 80, "crop": 64}),
        ("resize=[40, 36], crop=32", "3x16x8", {"resize": [20, 9], "crop": [16, 8]}),
        ("resize=40, crop=none", "3x64x64", {"resize": 40}),
        ("resize=40, crop=32", "3x32x32", {"resize": 40, "crop": 32}),
    ],
)
def test_preparation_follows_another_size(stated: str, inputs: str, facts: dict[str, object]) -> None:
    """The same part of an image is seen; and what is expanded can be read."""
    net = loads(f"input 3x32x32({stated})\nconv3-4\n", inputs=inputs)
    assert net.graph.preprocess["input"] == facts
    assert loads(net.expand()).graph.preprocess["input"] == facts
