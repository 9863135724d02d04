"""Graphs as text: what is printed reads back as the same graph, is printed the same again, and looks as a person would write it."""

from __future__ import annotations

from typing import Any

import pytest

from archc import loads
from archc.compiler.analysis.nesting import Program, Stated
from archc.compiler.analysis.printing import listing, program
from archc.compiler.analysis.written import NOWHERE
from archc.compiler.driver import check_text, expanded_text, parse_overrides
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.report import Report
from archc.dsl.rendering import render_all

HEAD = "input 3x8x8\n"


def sound(text: str, **settings: str) -> Report:
    report = check_text(text, overrides=parse_overrides(settings, {}), mend=False)
    assert report.ok, render_all(report.diagnostics)
    return report


def printed(report: Report) -> str:
    """The text of a report, after it was read back and printed again, from a graph without its source too."""
    text = expanded_text(report)
    again = sound(text)
    assert again.graph.same_as(report.graph), text
    assert list(again.graph.outputs) == list(report.graph.outputs)
    assert expanded_text(again) == text
    assert program(ArchGraph.from_json(report.graph.to_json()), report.stated) == text
    assert len(sound(listing(report.graph)).graph) == len(report.graph)
    return text


def lines(text: str) -> list[str]:
    """The printed program without `arch` and the options in parentheses, one line each."""
    plain = program(sound(HEAD + text).graph)
    return [line.strip().partition("(")[0] for line in plain.splitlines()[2:]]


PROGRAMS = {
    "a shared part that calls another": "share a { conv1-3 }\nshare b { a; relu; a }\nb; b",
    "a shared part of calls alone": "share b { share a { conv1-3 }; a; a }\nb; b",
    "a shared part of calls of others": "share a { conv1-3 }\nshare b { a; a }\nb; b",
    "calls in groups": "share a { conv1-3 }\ng: { h: { a: a; x: a } }",
    "shared parts in copies of a block": "block w() { share a { x: { conv1-3 } }; l: { a }; m: { a: { relu } }; a }\nw() x2",
    "a shared part that looks out": "x: relu\ny: tanh\nshare s { add<@.y | .>; conv1-3 }\n@x; s\nz: sigmoid\ns",
    "a shared part that looks at its first input": "x: relu\nshare s { add<@.x | .>; conv1-3 }\ns\nz: sigmoid\ns",
    "paths in a shared part": "share s { a: conv1-3; g: { b: conv1-3; h: { relu; add<@a | @b | .> } }; mul<@g.b | @a> }\ns; s; w: { s }",
    "calls in branches": "share s { conv1-3; residual<relu> }\nadd<s | relu; s | .>",
    "outputs in every place": "x: conv1-4\noutput a: relu; tanh\noutput b: @x; sigmoid\noutput c\nrelu\noutput d\n"
    "@x\noutput e: conv1-3; conv1-5\noutput f: @b",
    "an output within a branch": "r: residual<a: conv1-3; b: relu>\noutput m: @a\noutput n: @b\ntanh",
    "an output of groups": "stem: conv1-4\nrelu\noutput aux(when=training): @stem; x: { conv1-3; relu }; fc-2\nfc-5",
    "the usual output, which is not the last node": "relu\ntanh\n@relu1",
    "an output named as the usual one": "conv1-4\noutput output: relu\ntanh",
    "nodes that lead nowhere": "a: relu\nb: tanh\n@a; c: conv1-3; @b; d: conv1-3; residual<conv1-3>; @c; add<. | @d>",
    "one operand twice": "add<. | .>\nadd<conv1-3; relu | .>\nconv1-3; add<. | .>; mul<relu; . | tanh | @conv1>; concat<conv1-2>",
    "a node of a group in a branch": "conv1-3\ng: { a: conv1-3; b: relu }\nconcat<@g.a | .>\nh: { a: conv1-3; b: relu }\nadd<. | @h.a>",
    "one name in several scopes": "a: { x: conv1-3; b: { x: conv1-3; y: { relu; add<. | @.a.x | @x> } } }",
    "merges deeper than are nested": "add<.|relu;" * 60 + "." + ">; tanh" * 60,
    "several inputs": "input b: 3x8x8\nconv1-3\ninput c: 3x8x8\nadd<. | @conv1 | @input>\nresidual<@b; conv1-3 | .>",
    "numbered scopes": "f: [ conv1-3; [ relu; conv1-3 ]; residual<[ conv1-3; relu ]>; bn ]\nf2: relu x3\nr: { conv1-3 } x2 => 3x8x8",
    "tables and places": "conv3-4(from=[[0, 1], [1, 2], [0], [2]], place=[0, 1]); add(place=2)<. | .>",
    "other names and no scopes": "q: .\nempty: { }\nadd<empty2: { } | q2: .>\n@q; relu; add<. | @q2>",
}


@pytest.mark.parametrize("text", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_what_is_printed_reads_back(text: str) -> None:
    printed(sound(HEAD + text))


def test_open_sizes_and_changed_parameters() -> None:
    claim = "{(H-1)//2+1}x{(W-1)//2+1}"
    text = printed(sound(f"input 3xHxW\nconv3-8/2(pad=1) => 8x{claim}\nresidual<conv3-8(pad=1)>\nx: {{ conv1-4 }} => 4x{claim}"))
    assert text.count("=>") == 2
    text = printed(sound("arch net(w=4)\ninput 3x8x8\nconv1-{w} => 4x8x8\nexpect params == 16\nexpect macs >= 1\n", w="5"))
    assert "=> 5x8x8" in text and "expect macs" in text and "params" not in text


def test_a_branch_stands_in_its_merge_where_another_starts_from_the_same_node() -> None:
    assert lines("relu; add<conv1-3; bn | .>") == ["relu1: relu", "add1: add<", "conv1: conv1-3/1", "bn1: bn", "| .", ">"]
    assert lines("a: relu; tanh; bn; add<. | @a>") == ["a: relu", "add1: add<", "tanh1: tanh", "bn1: bn", "| .", ">"]
    assert lines("concat<conv1-3>") == ["conv1: conv1-3/1", "concat1: concat"]
    path = "a: relu; b: tanh; c: sigmoid; @b; abs: relu6; add<. | @a | @c>"
    assert lines(path) == ["a: relu", "b: tanh", "c: sigmoid", "add1: add<", "@b", "abs: relu6", "| @a", "| .", ">"]


def test_a_reference_means_its_node_however_often_its_label_is_there() -> None:
    text = "a: { x: relu; b: { x: tanh; c: { bn; add<. | @x | @.a.x | @.input> } } }\nunet: { relu; add<. | @a.b.x> }"
    assert [line.partition("<")[2] for line in lines(text) if "add1" in line] == ["bn1: bn", ". | @.a.b.x>"]
    (merge,) = [line for line in program(sound(HEAD + text).graph).splitlines() if "bn1" in line]
    assert merge.endswith(" | . | @.a.x | @.input>")


def test_claims_and_expects_stand_where_they_stood() -> None:
    text = "arch net\nlet n = 84\nexpect params == n\ninput 3x8x8\nconv3-3 => 3x6x6\nq: .\ng: { relu; tanh; @relu1 } => 3x6x6\n"
    text += "expect params(q) == n\nexpect shape(g) == 3x6x6\nexpect shape(q) == [3, 3 + 3, 6]\nr: { relu } => 3x6x6\n"
    report = sound(text)
    assert expanded_text(report).splitlines() == [
        "arch net",
        "expect params == 84",
        "input 3x8x8",
        "conv1: conv3-3/1(pad=0, dilation=1, groups=1, bias=yes, from=none, pad_mode=zeros, weight=plain, init=torch, bias_init=torch)"
        " => 3x6x6",
        "g: {",
        "  relu1: relu => 3x6x6",
        "  tanh1: tanh",
        "}",
        "expect params(conv1) == 84",
        "expect shape(g.relu1) == 3x6x6",
        "expect shape(conv1) == [3, 3 + 3, 6]",
        "@g.relu1",
        "r: {",
        "  relu1: relu",
        "} => 3x6x6",
    ]
    assert len(sound(expanded_text(report)).claims) == len(report.claims)


def test_a_graph_that_nobody_wrote() -> None:
    """No spans, scopes or claims, and a name that is none of the language, as from another framework."""
    made = loads("input 3x8x8\na: { conv1-3; relu }\nadd<. | @a.conv1>").graph
    graph = ArchGraph("an export", 'of "something"', made.outputs)
    for node in made:
        name, operands = node.name.replace(".", "_"), [name.replace(".", "_") for name in made.operands(node.name)]
        graph.add(Node(name, node.op, node.attrs, node.shape, NOWHERE, key=name), operands)
    text = program(graph)
    assert text.startswith("input 3x8x8\na_conv1: conv1-3/1(")
    assert text.endswith("add1: add<a_relu1: relu | .>\n")
    assert sound(text).graph.same_as(graph)


def test_scopes_that_cannot_be_written() -> None:
    graph = loads("input 3x8x8\na: { relu }").graph
    graph.add(Node("tanh1", "tanh", {}, (3, 8, 8), NOWHERE, key="tanh1"), ["a.relu1"])
    graph.add(Node("a.relu2", "relu", {}, (3, 8, 8), NOWHERE, key="a.relu2"), ["tanh1"])
    with pytest.raises(ValueError, match="the scope a is not in one piece"):
        program(graph)


def test_weights_that_cannot_be_written() -> None:
    graph = loads("input 3x8x8\nconv1-3").graph
    graph.add(Node("again", "conv", graph["conv1"].attrs, (3, 8, 8), NOWHERE, key="conv1"), ["conv1"])
    with pytest.raises(ValueError, match="the weights of again are those of conv1"):
        program(graph)


def test_no_run_is_walked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost is linear: as many runs as there are merges end before one that does not take them in."""
    walked = 0
    whole = Program._sequence

    def counted(self: Program, scope: Any, parts: Any, current: str | None) -> Any:
        nonlocal walked
        walked += len(parts)
        return whole(self, scope, parts, current)

    monkeypatch.setattr(Program, "_sequence", counted)
    graph = loads("input 3x8x8\nfor i in range(300) { relu; add<. | @.input>; g{i}: { tanh; add<. | @.input> }; residual<relu> }").graph
    list(Program(graph, Stated()).statements())
    assert walked < 2 * len(graph)
