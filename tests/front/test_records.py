"""One record is all that an operator takes: whatever the compiler does with a network, it does with every record's example.

So it does with operators that the language does not have, which are registered here, each as one record. What needs torch is in
`back/test_records.py`.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from html import unescape
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from archc import loads
from archc.compiler.analysis.conventions import CONVENTIONS
from archc.compiler.analysis.derive import derive
from archc.compiler.analysis.memory import usage
from archc.compiler.analysis.notation import notation
from archc.compiler.analysis.printing import listing
from archc.compiler.analysis.summary import Counts
from archc.compiler.draw.fold import Folding, scene
from archc.compiler.draw.picture import FORMATS, picture
from archc.compiler.draw.style import DARK, FORMS, LIGHT, PRINT
from archc.compiler.driver import check_text, expanded_text
from archc.compiler.graph import ArchGraph
from archc.compiler.ops import INPUT, OPERATORS, reference
from archc.compiler.ops.record import Operator
from archc.compiler.shapes.dim import product
from archc.dsl.formatter import format_text
from archc.dsl.rendering import render_all
from archc.dsl.source import Source
from archc.tests.support.records import NEW, RECORDS, Check, example, graph_of
from archc.ui.verbs.app import app


@cache
def command() -> Any:
    """Build the command line, which takes longer than running it."""
    return get_command(app)


def said(*args: str) -> tuple[object, str]:
    """Run the command line; return its exit code and what it prints."""
    with CliRunner().isolation() as (printed, _, _):
        try:
            code = command().main(list(args), prog_name="archc")
        except SystemExit as end:
            code = end.code or 0
        sys.stdout.flush()
        return code, printed.getvalue().decode()


@cache
def graph(name: str) -> ArchGraph:
    """Return the graph of a record of the language, which no check changes."""
    return graph_of(next(operator for operator in RECORDS if operator.name == name))


def documented(operator: Operator, graph: ArchGraph) -> None:
    assert operator.summary.endswith(".")
    assert operator.doc.strip()
    assert operator.source
    assert all(attr.doc for attr in operator.attrs)
    assert operator.name in operator.example.lower()
    assert "=>" in operator.example, "an example claims its shape"


def explained(operator: Operator, graph: ArchGraph) -> None:
    for node in graph:
        topics = dict(derive(graph, node.name))
        shape, *lines = topics["output"]
        if node.is_input:
            assert lines == []
            continue
        kept = all(operand.shape == node.shape for operand in node.operands)
        assert lines, f"{node.name} becomes {shape}, and nothing says why"
        assert kept or lines != ["the shape of its input"]
        assert len(topics["input"]) == len(node.operands)
        assert {line.partition("=")[0] for line in topics.get("options", ())} == {attr.name for attr in node.operator.attrs}


def drawn(operator: Operator, graph: ArchGraph) -> None:
    family = operator.picture_family
    assert family in FORMS
    assert all(family in theme for theme in (LIGHT, DARK, PRINT))
    flat = scene(graph, Folding(flat=True))
    boxes = [box for box in flat.shown() if box.nodes and box.nodes[0].op == operator.name]
    assert boxes and all(box.family == family for box in boxes)
    made = {
        (form.name, style): picture(flat, form.name, style)
        for form in FORMATS
        for style in (() if form.binary or form.whole else form.styles)
    }
    assert all(made.values())
    said = "".join(unescape("".join(re.findall(r"<text[^>]*>(.*?)</text>", made["svg", "graph"].decode()))).split())
    assert all("".join(box.title.split()) in said for box in boxes)
    assert (operator.is_merge and not operator.plain) is (family == "merge")


def listed(operator: Operator, graph: ArchGraph) -> None:
    code, printed = said("ops", operator.name)
    if operator is INPUT:  # which no item can be
        assert code == 2
        assert operator.name not in dict(reference.index())
        return
    assert code == 0
    assert operator.summary in printed
    assert all(f"`{attr.name}`" in printed for attr in operator.attrs)
    assert dict(reference.index())[operator.name] == operator.summary
    assert reference.facts(operator)["summary"] == operator.summary


def summarised(operator: Operator, graph: ArchGraph) -> None:
    rows = {row.name: row for row in Counts(graph).leaves()}
    for node in graph:
        row = rows[node.name]
        assert (row.written, row.shape, row.values) == (notation(node), node.shape, product(node.shape))
        assert row.written.startswith(node.op)
        assert len(row.receptive_field.axes) in (len(node.shape) - 1, len(graph.inputs[0].shape) - 1)
    for convention in CONVENTIONS:
        assert Counts(graph, convention).macs >= 0
    used = usage(graph, batch=2)
    assert used.parameters == 4 * Counts(graph).params


def written_again(operator: Operator, graph: ArchGraph) -> None:
    report = check_text(example(operator))
    again = check_text(expanded_text(report))
    assert again.ok, render_all(again.diagnostics)
    assert again.graph.same_as(graph)
    flat = check_text(listing(graph))
    assert flat.ok, render_all(flat.diagnostics)
    assert [(node.op, node.attrs, node.shape) for node in flat.graph] == [(node.op, node.attrs, node.shape) for node in graph]
    plain = ArchGraph.from_json(graph.to_json())
    assert plain.same_as(graph)
    assert [[operand.name for operand in node.operands] for node in plain] == [graph.operands(node.name) for node in graph]
    formatted = format_text(Source("a", example(operator)), OPERATORS)
    assert check_text(formatted).graph.same_as(graph)


CHECKS: tuple[Check, ...] = (documented, explained, drawn, listed, summarised, written_again)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("operator", RECORDS, ids=lambda operator: operator.name)
def test_every_record_is(operator: Operator, check: Check) -> None:
    check(operator, graph(operator.name))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("operator", NEW, ids=lambda operator: operator.name)
def test_one_record_is_enough(operator: Operator, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    assert operator.name not in OPERATORS
    monkeypatch.setitem(OPERATORS, operator.name, operator)
    check(operator, graph_of(operator))


def test_a_new_operator_is_told_of_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for operator in NEW:
        monkeypatch.setitem(OPERATORS, operator.name, operator)
    text = "input 16xHxW\na: conv3-16(pad=1); my_half\nmy_maximum<. | conv3-16(pad=1)>\nmy_blocks(2)\n"
    report = check_text(text)
    assert report.ok, render_all(report.diagnostics)
    assert [str(legal) for legal in report.legal] == ["H >= 2 and H a multiple of 2", "W >= 2 and W a multiple of 2"]
    assert [str(dim) for dim in report.graph["my_blocks1"].shape] == ["64", "H//2", "W//2"]
    assert dict(derive(report.graph, "my_blocks1"))["output"][1:] == [
        "channels: 16 becomes 64",
        "height: H becomes H//2",
        "width: W becomes W//2",
    ]
    assert str(Counts(report.graph).fields["my_blocks1"]) == "6"  # two 3x3 windows, and a block of 2
    merge = next(box for box in scene(report.graph).shown() if box.family == "merge")
    assert merge.title == "M"
    attached = next(box for box in scene(report.graph).shown() if box.name == "a")
    assert attached.details == ["my_half"]
    assert "M my maximum" in picture(scene(report.graph), "svg").decode()
    odd = check_text("input 16x5x4\nmy_blocks(2)\n")
    assert "a divisor of 5" in odd.diagnostics[0].message


def test_an_input_has_a_record_and_is_no_item() -> None:
    graph = loads("input 3x8x8\nrelu").graph
    (node,) = graph.inputs
    assert node.operator is INPUT and node.is_input and node.operands == ()
    assert node.operator.weights(node.call) == {} and node.operator.macs(node.call, node.shape) == 0
    assert INPUT.name not in OPERATORS
    refused = check_text("input 3x8x8\nresidual<input>\n").diagnostics
    assert refused and not any("input" in found.help for found in refused)
