"""Holes: what could not be read has a shape and a name; it checks, is counted as unknown, is drawn, and is not lowered."""

from __future__ import annotations

import json

import pytest

from archc import loads
from archc.compiler.analysis.diff import diff
from archc.compiler.draw.fold import scene
from archc.compiler.draw.picture import picture
from archc.compiler.driver import check_text
from archc.compiler.frontends.flat import Flat
from archc.compiler.frontends.item import CannotRead
from archc.compiler.lowering import lowered
from archc.compiler.read import read_graph
from archc.dsl.errors import ArchError

TEXT = """arch net
input 3x8x8
stem: conv3-8(pad=1)
block odd(c) { residual<conv3-{c}(pad=1); hole("aten.unfold", shape=4x64); hole("a fold", shape=8x8x8)> }
odd(8) x3
joined: hole("two", shape=10)<. | @stem>
FC-5
expect params >= 100
"""


def test_a_hole_checks_and_its_totals_are_lower_bounds() -> None:
    net = loads(TEXT)
    assert net["joined"] == (10,)
    summary = net.summary()
    assert summary.holes == tuple(node.name for node in net.graph if node.op == "hole") and len(summary.holes) == 7
    text = str(summary)
    assert "Not counted: the holes odd1.hole1, odd1.hole2, odd2.hole1 and 4 more. The totals are lower bounds." in text
    total = next(line for line in text.splitlines() if line.startswith("total"))
    assert f">= {net.params:,}" in total
    row = next(line for line in text.splitlines() if line.startswith("joined"))
    assert row.split().count("?") == 3
    assert summary.facts()["holes"] == list(summary.holes)
    assert "holes       7, of which nothing is counted" in str(check_text(TEXT))
    assert check_text(TEXT).facts()["holes"] == list(summary.holes)


def test_without_holes_nothing_is_said_of_them() -> None:
    summary = loads("input 3x8x8\nconv3-8").summary()
    assert summary.holes == () and ">=" not in str(summary) and "holes" not in json.dumps(summary.facts())


def test_a_hole_is_not_lowered_and_the_line_is_named() -> None:
    with pytest.raises(ArchError) as refused:
        lowered(loads(TEXT).graph)
    (found,) = refused.value.diagnostics
    assert found.code == "E0617" and found.span is not None and found.span.line == 4
    assert "aten.unfold" in found.message


def test_a_hole_is_drawn_as_an_empty_box() -> None:
    made = scene(loads(TEXT).graph)
    boxes = [box for box in made.every() if box.family == "unknown"]
    assert [box.title for box in boxes if not box.inside][-1].startswith('hole("two"')
    assert b"stroke-dasharray" in picture(made, "svg")
    assert b"stroke-dasharray:5 4" in picture(made, "mermaid")


def test_holes_are_read_back_with_their_blocks() -> None:
    graph = loads(TEXT).graph
    reading = read_graph(graph)
    assert check_text(reading.text).graph.same_as(graph)
    assert reading.blocks == 1 and reading.text.count("aten.unfold") == 1
    assert "expect params >= " in reading.text


def test_holes_are_compared() -> None:
    one, two = loads(TEXT).graph, loads(TEXT.replace("a fold", "another")).graph
    assert {change.kind for change in diff(one, two).changes} == {"changed"}


def test_a_front_end_makes_holes() -> None:
    flat = Flat("test")
    x = flat.add_input("input", (3, 8, 8))
    y = flat.add_pseudo("half of a pattern", [x], (3, 8, 8), path="a.b")
    y = flat.add_hole('a "name"\n\u202e', [y, x], (4, 2), path="a.c")
    flat.partial = True
    graph, _ = flat.finished("net", "", {"output": y}, {"a.weight": (3,)})
    assert [(node.op, str(node.attrs.get("what", ""))) for node in graph][1:] == [("hole", '"half of a pattern"'), ("hole", '"a ?name???"')]
    with pytest.raises(CannotRead, match="its result has 5 axes"):
        flat.add_hole("x", [x], (1, 2, 3, 4, 5))


def test_without_holes_every_tensor_must_be_read() -> None:
    flat = Flat("test")
    flat.partial = True
    x = flat.add("relu", [flat.add_input("input", (3, 8, 8))])
    with pytest.raises(CannotRead, match="is stored and used by no operator"):
        flat.finished("net", "", {"output": x}, {"a.weight": (3,)})
