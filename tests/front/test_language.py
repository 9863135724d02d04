"""The language: the line it was made for, names and keys, and every example of the documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archc import loads
from archc.compiler.driver import check, check_text
from archc.compiler.elaborate.elaboration import Limits
from archc.compiler.ops import OPERATORS
from archc.compiler.report import Report
from archc.dsl.formatter import format_text
from archc.dsl.rendering import render_all
from archc.dsl.source import Source
from archc.tests.support import ROOT
from archc.ui.verbs.app import app

# A translation has the programs of its original, as test_learn finds.
DOCUMENTS = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "ko")]


def sound(text: str) -> Report:
    report = check_text(text)
    assert report.ok, render_all(report.diagnostics)
    return report


def names(text: str) -> list[str]:
    return [node.name for node in sound(text).graph if node.op != "input"]


def test_the_line_that_the_language_was_made_for() -> None:
    graph = sound("""
        block inception(c1, r3, c3, r5, c5, proj) {
          concat< conv1-{c1} | conv1-{r3}; conv3-{c3}(pad=1) | conv1-{r5}; conv5-{c5}(pad=2) | maxpool3/1(pad=1); conv1-{proj} >
        }
        input 3x32x32
        conv3-64 x2; maxpool; inception(64, 96, 128, 16, 32, 32); residual<conv3-256(pad=1); relu; conv3-256(pad=1)>
    """).graph
    assert graph["add1"].shape == (256, 14, 14)
    assert graph.operands("add1") == ["conv4", "inception1.concat1"]


def test_numbered_groups_count_every_operator() -> None:
    assert names("input 3x32x32\nfeatures: [ conv3-8(act=relu); maxpool; [conv3-8; relu]; residual<conv1-8> ]") == [
        "features.0",
        "features.1",
        "features.2",
        "features.3.0",
        "features.3.1",
        "features.4",
        "features.5",
    ]
    assert names("input 3x32x32\nclassifier: [ FC-8; relu; FC-2 ]") == [
        "classifier.flatten1",
        "classifier.0",
        "classifier.1",
        "classifier.2",
    ]


def test_order_and_parallel_edges_are_kept() -> None:
    graph = sound("input 3x4x4\na: conv1-3; b: conv1-3\nadd<. | .>\nconcat<@b | @a | @b>").graph
    assert graph.operands("add1") == ["b", "b"]
    assert graph.operands("concat1") == ["b", "a", "b"]


def test_shared_weights_are_counted_once() -> None:
    text = "share tower { conv3-8; relu }\ninput left: 3x8x8\ninput right: 3x8x8\nconcat<@left; tower | @right; tower>\n"
    net = loads(text)
    assert (net.params, net.macs) == (8 * 28, 2 * 36 * 8 * 27)
    again = check_text(net.expand())
    assert again.ok, net.expand()
    assert again.graph.same_as(net.graph)


def test_place_is_carried_and_ignored() -> None:
    graph = sound("input 4x8x8\nconv3-4(groups=2, place=[0, 1])").graph
    assert graph["conv1"].place == (0, 1)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 // 2 + 8 / 2", 7),
        ("max(1, 2, min([5, 3]))", 3),
        ("round(0.75 * 32 / 8) * 8", 24),
        ("len(range(2, 10, 3)) + sum([1, 2])", 6),
        ("-2 ** 2 + 2 ** 3", 4),
        ("[[1, 2], [3, 4]][1][0]", 3),
        ("ceil(2.1) * floor(2.9) % 4", 2),
        ("4K // 1000", 4),
    ],
)
def test_expressions(expression: str, value: int) -> None:
    assert sound(f"input 1x4x4\nconv1-{{{expression}}}").graph["conv1"].shape[0] == value


def test_the_first_screen_of_the_readme_is_true(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    program, shown = re.findall(r"^```(?:arch|text)\n(.*?)^```", text, re.M | re.S)[:2]
    path = tmp_path / "small.arch"
    path.write_text(program, encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        app(["check", str(path)])
    assert end.value.code == 0
    assert capsys.readouterr().out == shown


def fences(language: str) -> list[object]:
    found: list[object] = []
    for path in DOCUMENTS:
        texts = re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
        found.extend(pytest.param(text, id=f"{path.stem}-{number}") for number, text in enumerate(texts))
    return found


@pytest.mark.parametrize("text", fences("arch"))
def test_example_of_the_documents(text: str) -> None:
    sound(text)


@pytest.mark.parametrize("text", fences("arch-error"))
def test_wrong_example_of_the_documents(text: str) -> None:
    report = check_text(text, limits=Limits(max_nodes=100_000))
    assert report.diagnostics or report.warnings or not report.has_network


def test_the_grammar_in_the_documents_is_the_grammar() -> None:
    text = (ROOT / "docs/language.md").read_text(encoding="utf-8")
    (grammar,) = re.findall(r"^```lark\n(.*?)^```", text, re.M | re.S)
    assert grammar == (ROOT / "dsl/grammar.lark").read_text(encoding="utf-8")


def test_labels_with_words_of_the_language_and_with_dashes() -> None:
    text = "input 3x8x8\nblock: [ conv1-4; relu ]\nfor i in range(2) { unit{i + 1}-{i}: conv1-4 }\nuse-this: { conv1-2 }\n"
    text += "expect params(unit2-1) == 20\n"
    net = loads(text)
    assert [node.name for node in net.graph if node.op == "conv"] == ["block.0", "unit1-0", "unit2-1", "use-this.conv1"]
    again = loads(net.expand())
    assert again.graph.same_as(net.graph)
    assert format_text(Source("t", text), OPERATORS) == text


@pytest.mark.parametrize(
    ("expression", "value"),
    [("n[:2]", 3), ("n[1:]", 9), ("n[1:3]", 5), ("n[:]", 10), ("n[2:1]", 0), ("n[:9]", 10), ("n[1 + 1:][:1]", 3)],
)
def test_parts_of_lists(expression: str, value: int) -> None:
    net = loads(f"input 3x8x8\nlet n = [1, 2, 3, 4]\nconv1-{{sum({expression}) + 1}}")
    assert net["conv1"][0] == value + 1


@pytest.mark.parametrize("expression", ["n[-1:]", "n[:1.5]", "n[yes:]", "3[:1]"])
def test_parts_that_are_none(expression: str) -> None:
    (found,) = check_text(f"input 3x8x8\nlet n = [1, 2]\nlet part = {expression}\nconv1-{{len(part)}}").diagnostics
    assert found.code.startswith("E04") or found.code.startswith("E01")


def test_a_used_file_may_name_tensors_of_its_network(tmp_path: Path) -> None:
    """They exist in each network that is built from it, and not for a block that another file calls."""
    (tmp_path / "base.arch").write_text(
        "arch base(w=16)\ninput 3xHxW\nstem: conv3-{w}(pad=1)\nlet v = @stem\nlet c = v.c\nlet many = [v, @stem]\nlet half = H // 2\n"
        "let now = in.c\nlet plain = 7\nblock takes() { add<conv3-{in.c}(pad=1) | @v> }\nblock counts() { conv3-{plain} }\n"
        "conv3-{c}(pad=1)\nadd<. | @many[1]>\nupsample(size=[half, half])\nconv1-{now}\n"
    )
    for text, code in (
        ('use "base.arch"\narch big = base(w=32)\n', ""),
        ('use "base.arch"\ninput 3x32x32\ncounts()\n', ""),
        ('use "base.arch"\ninput 16x32x32\ntakes()\n', "E0203"),
    ):
        (tmp_path / "user.arch").write_text(text)
        report = check(tmp_path / "user.arch")
        assert [found.code for found in report.diagnostics if found.code.startswith("E")] == [code][: bool(code)], text
