"""Regressions: programs that were once refused, accepted or printed wrongly. Those that were lowered wrongly are in `tests/back/`."""

from __future__ import annotations

import pytest

from archc.compiler.driver import check_text, expanded_text
from archc.compiler.ops import OPERATORS
from archc.dsl.formatter import format_text
from archc.dsl.parser import parse
from archc.dsl.printer import print_file
from archc.dsl.rendering import render_all
from archc.dsl.source import Source
from archc.dsl.stack import deep_stack
from archc.tests.support import ROOT
from archc.tests.support.regressions import SOUND


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND.keys())
def test_sound(text: str) -> None:
    report = check_text(text)
    assert report.ok, render_all(report.diagnostics)
    tree = parse(Source("a", text)).file
    assert tree is not None
    with deep_stack(400):  # for the comparison
        assert parse(Source("b", print_file(tree))).file == tree
    formatted = format_text(Source("c", text), OPERATORS)
    assert " {k}" not in formatted
    assert format_text(Source("d", formatted), OPERATORS) == formatted
    again = check_text(expanded_text(report))
    assert again.ok, render_all(again.diagnostics)
    assert again.graph.same_as(report.graph)


REFUSED = {
    "input 3x8x8\nlayer: [ relu #\nconv3-8\n": "E0102",
    "input 8x4x4_\nrelu": "E0101",
    "input 3x4x4\nconv3-4(pad=5, pad_mode=reflect)": "E0306",
    "input 3x4x4\nconv3-4(pad=5, pad_mode=circular)": "E0306",
    "input 4xL\ntranspose; channel_fc-4": "E0307",  # the shape of the result is known, that of the weights is not
    "input 4xHx4\ntranspose(c, h); layer_scale": "E0307",
    "input 4xHx4\ntranspose(c, h); subsample": "E0307",
    "input L\nrelu; rbf-3": "E0307",
    "input 64x196x196\nconcat(axis=w)<learned(1) | .>": "E0303",  # only one height is legal
    "input 3x4x4\nconv1-3(act=concat)": "E0403",
    "input 3x4x4\nconv1-{9**9**9**9}": "E0402",
    "input 3x4x4\nlet a = [1]\nconv1-{a[-1]}": "E0405",
    "let a = in.c\ninput 3x4x4\nrelu": "E0606",
    "input 3x8x8\nshare s { conv1-3 }\ns: relu": "E0205",
    "input 3x8\nlet in = 3\nrelu": "E0206",
    "input 3x8\nfor in in [1] { relu }": "E0206",
    "input 3x8\nself: conv1-3": "E0206",
    "input 3x8\nconv1-3(init=normal(std=1, std=2))": "E0403",
    "input 3x8\nconv1-3(init=normal(-1))": "E0401",
    "input 3x8\nbn(eps=0)": "E0401",
    "input 3x8\ndefault conv(pad=1, pad=2)\nrelu": "E0209",
    'input 3x8\n{ use "std/residual.arch" }': "E0213",
    "input 6x2x3x4x5\npad(c=1)": "E0305",
    'use "' + "a" * 300 + '"\ninput 3x8\nrelu': "E0602",
    "input 3x8\nlet a = " + "-" * 6000 + "1\nrelu": "E0107",
    "input 3xHxW\nlet a0 = in.h * in.w\n" + "".join(f"let a{i + 1} = a{i} * a{i}\n" for i in range(40)) + "relu": "E0313",
    "input 3x8\nlet a = relu\nlet b = bn(a)\nlet c = bn(b, b)\nrelu": "E0401",
    "input 999_999_999x9_999_999x9_999_999\nrelu": "E0312",
}


@pytest.mark.parametrize(("text", "code"), REFUSED.items(), ids=REFUSED.values())
def test_refused(text: str, code: str) -> None:
    assert [found.code for found in check_text(text).diagnostics] == [code]


def test_chains_of_open_sizes_stay_cheap() -> None:
    report = check_text("input 3xHxW\n" + "conv3-3/2(pad=1); upsample3\n" * 30)
    assert report.ok


def test_a_mistake_in_a_copy_leaves_no_trail_for_the_next() -> None:
    first, second = check_text("input 3x8x8\nadd<conv1-3> x2 => 3x8x8\nmaxpool99\n").diagnostics
    assert first.trail == ("in copy 1 of 2, line 2 of text.arch",)
    assert second.code == "E0301" and second.trail == ()


def test_a_condition_on_a_tensor_before_the_input_is_refused() -> None:
    (found,) = check_text("if in.c == 3 { conv3-8 }\n").diagnostics
    assert found.code == "E0606" and found.span is not None and found.span.text == "in"


def test_a_file_of_a_dot_holds_no_network() -> None:
    assert not check_text(".").has_network


def test_an_instance_has_no_parameters_of_its_own() -> None:
    text = 'use "std/resnet.arch"\narch z(m=3) = resnet(depths=[1, 1, 1, 1])'
    assert [found.code for found in check_text(text).diagnostics] == ["E0213"]


def test_an_instance_of_an_instance() -> None:
    text = 'use "resnet18.arch"\narch again = resnet18() "the same"\nexpect params == 11_689_512'
    report = check_text(text, folder=ROOT / "archs")
    assert report.ok, render_all(report.diagnostics)
    assert report.name == "again"
    wrong = check_text('use "resnet18.arch"\narch again = resnet18(classes=10)', folder=ROOT / "archs")
    assert [found.code for found in wrong.diagnostics] == ["E0208"]


def test_a_table_of_a_wrong_size_is_not_mended_by_a_crop() -> None:
    text = str(check_text("input 8x8\nadd<. | learned(5)>"))
    assert "add<. | learned>" in text
    assert "crop" not in text


@pytest.mark.parametrize("text", ["input 8x8x8\nreshape(8x64)", "input 8x8x8\nview"])
def test_a_reshape_is_not_taken_for_flatten(text: str) -> None:
    (found,) = check_text(text).diagnostics
    assert found.code == "E0201" and found.help is not None and "`rearrange(" in found.help


def test_an_option_of_roll_pads_nothing() -> None:
    (found,) = check_text("input 8x8x8\nroll(3)").diagnostics
    assert found.code == "E0215" and found.help == "write `roll(h=3, w=3)` for both axes of an image"
