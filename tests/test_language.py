"""The language: the line it was made for, names and keys, and every example of the documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from archc import loads
from archc.compiler.driver import Report, check_text
from archc.compiler.elaborate.elaboration import Limits
from archc.compiler.ops import OPERATORS
from archc.dsl.formatter import format_text
from archc.dsl.rendering import render_all
from archc.dsl.source import Source
from archc.tests.support import ROOT
from archc.ui.verbs.app import app

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


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


def test_labels_are_keys() -> None:
    module = loads("input 3x8x8\nlayer1: { conv1: conv3-64 } x2\n").lower()
    assert [name for name, _ in module.named_parameters()] == [
        "layer1.0.conv1.weight",
        "layer1.0.conv1.bias",
        "layer1.1.conv1.weight",
        "layer1.1.conv1.bias",
    ]
    assert module.layer1[0].conv1.out_channels == 64
    assert "self.layer1(" in module.code and "self.conv1(" in module.layer1[1].code
    meta = next(node for node in module.layer1[1].graph.nodes if node.name == "conv1").meta["arch"]
    assert meta["name"] == "layer1.1.conv1"
    assert (meta["line"], meta["text"], meta["provenance"][-1]) == (2, "conv3-64", "copy 2 of 2")


def test_keys_do_not_move_for_cosmetic_reasons() -> None:
    plain = "input 3x32x32\nconv3-8; maxpool; conv3-8; layer: { conv3-4 } x2; FC-3\n"
    dressed = "input 3x32x32\nfirst: conv3-8(act=relu) => 8x30x30 # a comment\nmaxpool; relu; conv3-8; layer: { conv3-4; relu } x2; FC-3\n"
    keys = [{name.replace("first", "conv1") for name in loads(text).lower().state_dict()} for text in (plain, dressed)]
    assert keys[0] == keys[1]


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


def test_shared_weights_are_counted_once_and_run_twice() -> None:
    text = "share tower { conv3-8; relu }\ninput left: 3x8x8\ninput right: 3x8x8\nconcat<@left; tower | @right; tower>\n"
    net = loads(text)
    assert (net.params, net.macs) == (8 * 28, 2 * 36 * 8 * 27)
    module = net.lower()
    assert [name for name, _ in module.named_parameters()] == ["tower.conv1.weight", "tower.conv1.bias"]
    x = torch.randn(1, 3, 8, 8)
    first, second = module(x, x).chunk(2, dim=1)
    assert torch.equal(first, second)
    again = check_text(net.expand())
    assert again.ok, net.expand()
    assert again.graph.same_as(net.graph)


def test_outputs_follow_the_mode() -> None:
    module = loads("input 3x8x8\nconv3-4; stem: relu\noutput side(when=training): FC-2\noutput map\noutput top: FC-5\n").lower().eval()
    x = torch.randn(2, 3, 8, 8)
    assert {name: tuple(t.shape) for name, t in module(x).items()} == {"map": (2, 4, 6, 6), "top": (2, 5)}
    assert set(module.train()(x)) == {"side", "map", "top"}
    assert set(module.eval()(x)) == {"map", "top"}


def test_lowering_is_deterministic() -> None:
    text = (ROOT / "archs/mobilenet_v2.arch").read_text(encoding="utf-8")
    modules = []
    for _ in range(2):
        torch.manual_seed(3)
        modules.append(loads(text).lower())
    first, second = modules
    assert first.code == second.code
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True))


def test_stated_initialisation_is_carried_out() -> None:
    torch.manual_seed(0)
    module = loads("input 64x8x8\nconv3-256(init=he_normal(mode=fan_out), bias_init=constant(0.5))\nFC-100(init=normal(0.01))").lower()
    assert module.conv1.weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.02)
    assert module.conv1.bias.eq(0.5).all()
    assert module.fc1.weight.std().item() == pytest.approx(0.01, rel=0.02)


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


def test_the_python_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    exec(program, names)
    assert capsys.readouterr().out.strip() in program
    assert isinstance(names["model"], torch.fx.GraphModule)


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
    assert list(net.lower().state_dict())[2] == "unit1-0.weight"
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
