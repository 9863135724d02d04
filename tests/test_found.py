"""What broke once: programs that were refused, accepted, printed or lowered wrongly before."""

from __future__ import annotations

import pytest
import torch

from archc import loads
from archc.compiler.driver import check_text, expanded_text
from archc.compiler.ops import OPERATORS
from archc.dsl.formatter import format_text
from archc.dsl.parser import parse
from archc.dsl.printer import print_file
from archc.dsl.rendering import render_all
from archc.dsl.source import Source
from archc.dsl.stack import deep_stack
from archc.tests.support import ROOT, assert_agrees_with_torch

SOUND = {
    "a table with rows of one": "input 6x20\nconv3-3(from=[[0, 1], [2], [3]], pad=2, pad_mode=circular)",
    "an item that is a dot": "input 512x7x7\nadaptive_avgpool1\n. => 512x1x1",
    "merges within merges": "input 3x4x4\n" + "add<.|" * 150 + "." + ">" * 150,
    "groups within groups": "input 3x4x4\n" + "{" * 190 + "relu" + "}" * 190,
    "parentheses within parentheses": "input 3x4x4\nlet a = " + "(" * 150 + "1" + ")" * 150 + "\nrelu",
    "a long sum": "input 3x4x4\nlet a = " + "+".join(["1"] * 5000) + "\nrelu",
    "equal signs in bodies": "input 3x4x4\nblock f(w=3) {\n  let size = [in.h, in.w]\n  crop(size)\n}\nf(w=2)",
    "a field of a reference": "input 3x4x4\na: conv1-5\nconv1-{2*@a.c} => 10x4x4",
    "a block as activation": "input 3x4x4\nblock swish() { mul<. | sigmoid> }\nconv1-3(act=swish); conv1-3(act=swish())",
    "shared parts in blocks": "input 3x8x8\nblock twice() { share step { conv1-3 }; step; step }\ntwice(); twice()",
    "a kernel in braces": "input 3x8x8\nlet k = 1\nconv{k}x3-4",
    "a kernel in braces within a loop": "input 3x8x8\nfor k in [1] { part{k}: conv{k}-4 }",
    "a label behind a number": "input 3x4x4\nf: [ conv1-3; pool: maxpool1; relu ]",
    "a shared part with references": "share s { a: conv1-3; b: conv1-3; add<@a | .> }\ninput 3x4x4\nx: s\ny: s",
    "settings of a block that is a value": "input 3x8\nblock b(w) { conv1-{w} }\nlet c = b(4)\nc => 4x8\nblock u(f) { f }\nu(b(5)) => 5x8",
    "a training-only output in the middle": "input 3x8\nrelu\noutput o(when=training)\ntanh",
    "a claim about an alias": "input 3x8\nz: { relu; conv1-4; relu }\nq: @z.conv1\nexpect params(q) == 16",
    "numbers with a scale": "input 3x8\nlet a = 4.1G\nif a == 4_100_000_000 { conv1-4 } else { conv1-5 }\n. => 4x8",
    "an output within a loop": "input 3x4x4\nfor w in [4] { conv1-{w}; output mid }\noutput end: relu",
}


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND.keys())
def test_sound(text: str) -> None:
    report = check_text(text)
    assert report.ok, render_all(report.diagnostics)
    assert_agrees_with_torch(report.graph)
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
    "input 8x4x4_\nrelu": "E0101",
    "input 3x4x4\nconv3-4(pad=5, pad_mode=reflect)": "E0306",
    "input 3x4x4\nconv3-4(pad=5, pad_mode=circular)": "E0306",
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


def test_training_only_outputs_are_gone_in_evaluation() -> None:
    module = loads(SOUND["a training-only output in the middle"]).lower().eval()
    x = torch.randn(1, 3, 8)
    assert isinstance(module(x), torch.Tensor)
    assert set(module.train()(x)) == {"output", "o"}


def test_chains_of_open_sizes_stay_cheap() -> None:
    report = check_text("input 3xHxW\n" + "conv3-3/2(pad=1); upsample3\n" * 30)
    assert report.ok


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
