"""What names mean: blocks, shared parts and parameters see what stands before them, and no name is assigned twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from archc.compiler.driver import check, check_text, expanded_text, parse_overrides
from archc.compiler.ops import OPERATORS
from archc.compiler.report import Report
from archc.dsl.formatter import format_text
from archc.dsl.rendering import render_all
from archc.dsl.source import Source

HEAD = "input 3x8x8\n"


def sound(text: str, **settings: str) -> Report:
    report = check_text(text, overrides=parse_overrides(settings, {}))
    assert report.ok, render_all(report.diagnostics)
    formatted = format_text(Source("t", text), OPERATORS)
    assert format_text(Source("t", formatted), OPERATORS) == formatted
    again = check_text(expanded_text(report))
    assert again.graph.same_as(report.graph), render_all(again.diagnostics)
    return report


def operators(report: Report) -> list[str]:
    return [node.op for node in report.graph if node.op != "input"]


def said(text: str) -> list[str]:
    """The codes, lines and helps of what is wrong."""
    return [f"{d.code} {d.span.line if d.span else 0} {d.help}" for d in check_text(text, mend=False).diagnostics]


def test_a_name_is_not_assigned_twice() -> None:
    text = HEAD + "let w = 4\nblock b() { conv3-{w}(pad=1) }\nlet w = 8\nb()\n"
    (found,) = check_text(text, mend=False).diagnostics
    assert (found.code, found.span and found.span.line, [r.span.line for r in found.related]) == ("E0217", 4, [2])


@pytest.mark.parametrize(
    "text",
    [
        "block b(w) { let w = 3; conv1-{w} }\nb(4)",
        "for w in [3] { let w = 4; conv1-{w} }",
        "for (w, w) in [[3, 4]] { conv1-{w} }",
        "input image: 3xHxW\nlet H = 3\nconv1-{H}",
        "block b() { relu }\nlet b = 3\nb()\nconv1-{b}",
    ],
)
def test_every_kind_of_name_is_taken(text: str) -> None:
    assert [d.code for d in check_text(HEAD.replace("input", "input first:") + text, mend=False).diagnostics] == ["E0217"]


def test_a_body_may_use_a_name_anew() -> None:
    report = sound(
        HEAD + "let w = 4\nfor i in [1] { let w = 5; conv1-{w} }\n{ let w = 6; conv1-{w} }\nblock b(w) { conv1-{w} }\nb(7); conv1-{w}"
    )
    assert [node.shape[0] for node in report.graph if node.op == "conv"] == [5, 6, 7, 4]


def test_a_block_keeps_the_defaults_of_its_definition() -> None:
    text = HEAD + "default conv(act=relu)\nblock b() { conv3-3(pad=1) }\ndefault conv(act=sigmoid)\nb(); conv1-3"
    assert operators(sound(text)) == ["conv", "relu", "conv", "sigmoid"]


def test_a_default_after_a_block_does_not_reach_it() -> None:
    assert operators(sound(HEAD + "block b() { conv3-3 }\ndefault conv(norm=bn)\nb(); conv1-3")) == ["conv", "conv", "bn"]


def test_a_shared_part_is_one_part_whatever_defaults_come_later() -> None:
    text = HEAD + "default conv(act=relu)\nshare s { conv3-3(pad=1) }\ns\ndefault conv(act=none)\ns; conv1-3\n"
    assert operators(sound(text)) == ["conv", "relu", "conv", "relu", "conv"]


def test_a_block_sees_itself() -> None:
    assert len(operators(sound(HEAD + "block down(n) { conv1-{n}; if n > 1 { down(n - 1) } }\ndown(3)"))) == 3


def test_what_is_defined_after_a_block_means_nothing_in_it() -> None:
    before = "put it before the block `b`, which sees only what comes before it"
    assert said(HEAD + "block b() { conv3-{n} }\nrelu\nlet n = 4\nb()\nconv1-{n}") == [f"E0216 2 {before}"]
    assert said(HEAD + "block b() { c() }\nrelu\nblock c() { relu }\nb()") == [f"E0216 2 {before}"]
    assert said(HEAD + "conv1-{n}\nlet n = 4\nconv1-{n}") == ["E0216 2 put it before its first use"]
    nested = HEAD + "block a() {\nblock b() { c() }\nblock c() { relu }\nb()\n}\na()"
    assert said(nested) == ["E0216 3 put it before the block `b`, which sees only what comes before it"]


NET = "arch net(unit=basic, w=4)\ninput 3x8x8\nblock basic(k=1) { conv{k}-{w} }\nblock other(k=3) { conv{k}-{w}; relu }\nunit\n"


def test_a_parameter_of_the_network_names_a_block_further_down() -> None:
    assert sound(NET).graph["basic1.conv1"].attrs["kernel"] == (1, 1)
    assert sound(NET.replace("=basic", "=basic(k=3)")).graph["basic1.conv1"].attrs["kernel"] == (3, 3)
    assert operators(sound(NET, unit="other")) == ["conv", "relu"]
    assert sound(NET, unit="other(k=5)").graph["other1.conv1"].attrs["kernel"] == (5, 5)


def test_a_parameter_is_its_block_only_from_its_definition_on() -> None:
    early = NET.replace("block basic", "unit\nblock basic")
    assert said(early) == ["E0216 3 put it before its first use"]
    inside = NET.replace("block basic", "block stage() { unit }\nblock basic").replace("\nunit\n", "\nstage()\n")
    assert said(inside) == ["E0216 3 put it before the block `stage`, which sees only what comes before it"]
    assert [line[:5] for line in said(NET.replace("=basic", "=basik"))] == ["E0204"]


def test_a_used_network_has_its_own_blocks_under_the_parameters_given(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text(NET, encoding="utf-8")
    mine = tmp_path / "mine.arch"
    for arguments, kernel in (("w=5", 1), ("unit=other, w=5", 3), ("unit=other(k=5), w=5", 5)):
        mine.write_text(f'use "net.arch"\narch mine = net({arguments})\n', encoding="utf-8")
        report = check(mine)
        assert report.ok, render_all(report.diagnostics)
        conv = next(node for node in report.graph if node.op == "conv")
        assert (conv.attrs["kernel"][0], conv.shape[0]) == (kernel, 5)


def test_used_blocks_see_their_own_file_as_it_stood(tmp_path: Path) -> None:
    (tmp_path / "part.arch").write_text("block a() { conv1-3 }\ndefault conv(act=relu)\nblock b() { conv1-3 }\n", encoding="utf-8")
    mine = tmp_path / "mine.arch"
    mine.write_text('use "part.arch"\ninput 3x8x8\ndefault conv(act=tanh)\na(); b(); conv1-3\n', encoding="utf-8")
    assert operators(check(mine)) == ["conv", "conv", "relu", "conv", "tanh"]


@pytest.mark.thorough
def test_many_definitions_stay_cheap() -> None:
    lines = "".join(f"let a{i} = {i}\nblock b{i}() {{ conv1-{{a{i} + 1}} }}\ndefault conv(bias=no)\n" for i in range(3000))
    assert check_text(HEAD + lines + "b7()\n", mend=False).ok


def warned(text: str) -> list[str]:
    report = check_text(text, mend=False)
    assert report.ok, render_all(report.diagnostics)
    return [f"{d.code} {d.span.line if d.span else 0}" for d in report.warnings]


def test_a_default_ends_with_its_body() -> None:
    text = HEAD + "for i in [1] { default conv(act=relu); conv1-3 }\nif 1 < 2 { default conv(act=tanh); conv1-3 }\nconv1-3"
    assert operators(sound(text)) == ["conv", "relu", "conv", "tanh", "conv"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("if 1 < 2 { default conv(pad=1) }\nconv3-3", ["W0111 2"]),
        ("if 1 < 2 { default conv(pad=1); conv3-3 }\nrelu; conv3-3", []),
        ("block b() { conv3-3 }\ndefault conv(pad=1)\nb()", ["W0111 3"]),
        ("default conv(pad=1)\nblock b() { conv3-3 }\nb()", []),
        ("default CONV(pad=1)\n{ residual<Conv3-3> }", []),
        ("default add(place=0)\nresidual<conv1-3>", []),
        ("default conv(norm=bn, bias=no)\ndefault bn(eps=0.01)\nconv3-3", []),  # `bn` is named as a word
        ("block b(unit=leaky_relu) { unit }\ndefault leaky_relu(slope=0.3)\nb()", []),
        ("default conv(pad=1) # allow: W0111\nrelu", []),
    ],
)
def test_a_default_that_rules_nothing(text: str, found: list[str]) -> None:
    assert warned(HEAD + text) == found


def test_allowed_on_a_default_is_allowed_where_it_rules() -> None:
    assert warned(HEAD + "default conv(norm=bn)  # allow: W0101\nconv3-3(act=relu); conv3-3") == []
    assert warned(HEAD + "# this is the paper's, allow: W0101\ndefault conv(norm=bn)\nconv3-3") == []
    assert warned(HEAD + "default conv(norm=bn)  # allow: W0106\nconv3-3") == ["W0101 3"]


@pytest.mark.parametrize(
    "text",
    [
        "let w = 3\nconcat(axis=w)<. | .>",
        "block b(c, h, w) { conv{h}x{w}-{c}; concat(axis=c)<. | .>; concat(axis=h)<. | .>; concat(axis=w)<. | .> }\nb(3, 1, 1)",
        "let relu = 3\nconv3-4(act=relu)",
        "block relu_or(relu=3) { conv1-{relu}(act=relu) }\nrelu_or()",
        "let normal = 3\nlet fan_out = 4\nconv3-4(init=normal(0.1)); relu; conv3-4(init=he_normal(mode=fan_out))",
        "block constant(value) { relu }\nconv3-4(bias_init=constant(0.5))\nconstant(1)",
        "let no = 3\nconv3-4(bias=no)",
        "let none = 3\nconv3-4(act=none)",
        "let training = 3\noutput aux(when=training): conv1-4",
    ],
)
def test_a_word_of_an_option_is_a_word(text: str) -> None:
    assert [code for code in warned(HEAD + text + "\nsigmoid") if not code.startswith("W0105")] == []


def test_in_parentheses_the_variable_is_meant() -> None:
    both = HEAD + "block b(relu=tanh, same=0) { conv1-3(act=relu); conv1-3(act=(relu)); conv3-3(pad=(same)) }\nb()"
    assert warned(both) == ["W0112 2", "W0112 2"]  # at the parameter, and where its name is the word
    report = sound(both)
    assert operators(report) == ["conv", "relu", "conv", "tanh", "conv"]
    assert report.graph["b1.conv3"].attrs["pad"] == (0, 0)


def test_a_line_may_begin_with_its_claim_or_with_else() -> None:
    text = HEAD + "conv3-4  # four\n\n# below\n  => 4x6x6\nlayer: {\n  relu\n}\n=> 4x6x6\n"
    text += "if 1 > 2 { conv3-5 }  # no\n# but\nelse if 2 > 3 { conv3-6 }\n\nelse { residual<conv1-{4}> }\n. => 4x6x6\n"
    report = sound(text)
    assert operators(report) == ["conv", "relu", "conv", "add"]
    assert [claim.held for claim in report.claims] == [True] * 3
    formatted = format_text(Source("t", text), OPERATORS)
    assert "} => 4x6x6\n" in formatted
    assert "  # no\n# but\nelse if 2 > 3 { conv3-6 } else { residual<conv1-{4}> }\n" in formatted


def test_warnings_stand_beside_the_errors_that_they_explain() -> None:
    report = check_text(HEAD + "let n = 4\nif 1 < 2 { let n = 5 }\nconv1-{n} => 5x8x8", mend=False)
    assert [d.code for d in (*report.diagnostics, *report.warnings)] == ["E0501", "W0105"]
    assert report.warnings[0].notes == ("it ends with this body, and the `n` on line 2 stays as it is",)
    report = check_text(HEAD + "if 1 < 2 { let n = 5 }\nif 1 < 2 { let m = 5 }\nconv1-{n}", mend=False)
    assert [f"{d.code} {d.span.line if d.span else 0}" for d in (*report.diagnostics, *report.warnings)] == ["E0204 4", "W0105 2"]
    assert check_text(HEAD + "if 1 < 2 { let n = 5 }\nconv1-{widht}", mend=False).warnings == []


@pytest.mark.parametrize(("size", "told"), [("28x28", True), ("8x8", True), ("7x7", False), ("768x197", False), ("3x28x28", False)])
def test_an_image_without_channels(size: str, told: bool) -> None:
    assert warned(f"input {size}\nrelu") == (["W0113 1"] if told else [])
    assert warned(f"input {size} # allow: W0113\nrelu") == []


def test_a_parameter_that_holds_none_is_an_item_that_does_nothing() -> None:
    block = HEAD + "block b(unit=none) { conv3-8; unit; end: unit; @end; part: [ unit; relu ]; add<unit | .>; unit(3) x2 }\n"
    report = sound(block + "b() => 8x6x6\nb() => 8x4x4")
    assert operators(report) == ["conv", "relu", "add"] * 2
    assert "b1.part.0" in report.graph
    assert operators(sound(HEAD + "block b(unit=none) { conv3-8; unit }\nb(); b(sigmoid)")) == ["conv", "conv", "sigmoid"]


def first_said(text: str) -> str:
    (found,) = check_text(text, mend=False).diagnostics
    return render_all([found])


def test_a_wrong_number_shows_its_arithmetic_and_its_variable() -> None:
    text = first_said(HEAD + "let w = in.c + 64/3\nconv3-{w}")
    assert "must be a whole number, but is 24.3333" in text
    assert "`w` is in.c + 64/3 = 24.3333" in text
    text = first_said(HEAD + "let base = 32\nlet w = base - 16*2\nconv3-{2*w - 4}")
    assert "2*w - 4 = 2*0 - 4 = -4" in text
    assert "`w` is base - 16*2 = 32 - 16*2 = 0" in text
    assert "in.c - 3 = 3 - 3 = 0" in first_said(HEAD + "conv3-{in.c - 3}")
    assert "w//2 - 9 = 8//2 - 9 = -5" in first_said(HEAD + "block b(w) { relu x{w//2 - 9} }\nb(8)")
    assert "c//2 = 8//2 = 4" in first_said(HEAD + "block b(c) { conv1-8(groups=c//2) }\nb(8)")


def test_recursion_names_its_limit_where_it_has_an_end() -> None:
    endless = first_said(HEAD + "block r(n) { relu; r(n - 1) }\nr(3)")
    assert "calls: r(n=3) -> r(n=2) -> r(n=1) -> ..." in endless
    assert "needs an `if`" in endless
    assert "n=-" not in endless
    assert "`--max-nesting 400`" in first_said(HEAD + "block r(n) { relu; if n > 0 { r(n - 1) } }\nr(260)")


def test_a_second_output_is_told_once() -> None:
    (found,) = check_text(HEAD + "output seg: conv1-4\noutput seg: conv1-8", mend=False).diagnostics
    assert (found.code, [related.span.line for related in found.related]) == ("E0214", [2])


def test_a_circle_is_told_once_from_wherever_it_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.arch").write_text('use "b.arch"\nblock a() { relu }\ninput 3x8x8\na()\n', encoding="utf-8")
    (tmp_path / "b.arch").write_text('use "a.arch"\nblock b() { relu }\ninput 3x8x8\nb()\n', encoding="utf-8")
    for name in ("a.arch", "b.arch"):
        assert [d.code for d in check(tmp_path / name).diagnostics] == ["E0603"]


def test_an_argument_of_a_block_is_shown_with_its_signature() -> None:
    text = first_said(HEAD + "block basic(w, s=1) { conv3-{w}/{s} }\nbasic(64, stride=2)")
    assert "it is written `basic(w, s=...)`" in text
    assert "did you mean `s`?" in text


def test_what_came_in_is_shown_where_a_window_is_too_large() -> None:
    assert "before it: 3x8x8 -conv3/2-> 4x3x3 -maxpool2/2-> 4x1x1" in first_said(HEAD + "conv3-4/2; maxpool; conv3-4")


LOOPS = {
    "the example": ("let n = 8\nfor i in range(3) { let n = 2*n; conv3-{n}(pad=1) }", 1),
    "read again after an if": ("let n = 8\nif 2 > 1 { let n = 4; conv1-{n} }\nconv1-{n}", 1),
    "in the second branch": ("let n = 8\nif 1 > 2 { relu } else if 1 > 2 { relu } else { let n = n + 1; conv1-{n} }", 1),
    "a parameter": ("block b(n) { for i in range(2) { let n = n // 2; conv1-{n} } }\nb(8)", 1),
    "the name of a loop": ("for n in [4] { if n > 2 { let n = n - 1; conv1-{n} } }", 1),
    "within a branch of a merge": ("let n = 4\nconcat<. | if n > 2 { let n = n - 1; conv1-{n} }>", 1),
    "another name": ("let n = 8\nfor i in range(3) { let m = n * 2**i; conv3-{m}(pad=1) }\nconv1-{n}", 0),
    "not read outside": ("let n = 8\nconv1-{n}\nfor i in range(3) { let n = 2**i; conv3-{n}(pad=1) }", 0),
    "two loops": ("for i in range(3) { let n = 2**i; conv1-{n} }\nfor i in range(3) { let n = 3**i; conv1-{n} }", 0),
    "two branches": ("if 1 > 2 { let n = 4; conv1-{n} } else { let n = 8; conv1-{n} }", 0),
    "a block": ("let n = 4\nblock b() { let n = 2*n; conv1-{n} }\nb; conv1-{n}", 0),
}


@pytest.mark.parametrize(("text", "count"), LOOPS.values(), ids=LOOPS.keys())
def test_a_let_in_a_body_that_looks_like_an_assignment(text: str, count: int) -> None:
    assert [code[:5] for code in warned(HEAD + text + "\nrelu")].count("W0120") == count


def test_the_default_of_a_parameter_sees_what_comes_into_the_call() -> None:
    report = sound(HEAD + "block f(w=2*in.c, t=w + 1) { conv1-{w}; relu; conv1-{t}; relu }\nf => 7x8x8\nf => 15x8x8\nf(2) => 3x8x8")
    assert [node.shape[0] for node in report.graph if node.op == "conv"] == [6, 7, 14, 15, 2, 3]
    shared = "block g(w=in.c) { conv3-{w}(pad=1) }\nblock h(w) { conv1-{w}; relu; g }\nh(5) => 5x8x8\ng => 5x8x8"
    sound(HEAD + shared)


def test_a_claim_leaves_no_size_open() -> None:
    assert said(HEAD + "conv1-4 => 4xNx8") == ["E0204 2 only an `input` leaves sizes open"]
    sound("let N = 8\ninput 3xHxN\nblock b(w) { conv1-{w} => {w}xHxN }\nb(4) => 4xHx8")


@pytest.mark.parametrize("count", ["{n}", "{n - 0}"])
def test_a_computed_number_of_copies_may_be_none(count: str) -> None:
    assert warned(HEAD + f"let n = 0\nrelu x{count}\nresidual<relu x{count}>\nrelu") == []


def test_a_file_of_a_network_with_other_parameters_may_have_variables(tmp_path: Path) -> None:
    (tmp_path / "lib.arch").write_text("arch lib(w=4, unit=plain)\ninput 3x8x8\nblock plain(w) { conv3-{w} }\nunit(w)\n")
    (tmp_path / "wide.arch").write_text('use "lib.arch"\nlet n = 99\nblock thin(w) { conv1-{w} }\narch wide = lib(w=n, unit=thin)\n')
    report = check(tmp_path / "wide.arch")
    assert report.ok and report.graph["thin1.conv1"].shape == (99, 8, 8)
