"""Random programs: the laws that hold for every one of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import assume, given, note
from hypothesis import strategies as st

from archc.compiler.driver import check_text, expanded_text
from archc.compiler.ops import OPERATORS
from archc.compiler.shapes.dim import evaluate
from archc.dsl.formatter import format_text
from archc.dsl.parser import parse
from archc.dsl.printer import print_file
from archc.dsl.rendering import render_all
from archc.dsl.source import Source
from archc.tests.support import ARCHS
from archc.tests.support.mutations import mutate
from archc.tests.support.programs import checked, fewer, programs


@fewer
@given(programs())
def test_laws_of_text(text: str) -> None:
    report = checked(text)
    tree = parse(Source("a", text)).file
    assert tree is not None
    assert parse(Source("b", print_file(tree))).file == tree
    formatted = format_text(Source("c", text), OPERATORS)
    assert format_text(Source("d", formatted), OPERATORS) == formatted
    assert check_text(formatted).graph.same_as(report.graph)
    written = expanded_text(report)
    note(written)
    again = check_text(written)
    assert again.ok, render_all(again.diagnostics)
    assert again.graph.same_as(report.graph)
    assert expanded_text(again) == written


@fewer
@given(programs(open_sizes=True))
def test_open_sizes_evaluate_to_the_numbers(text: str) -> None:
    report = checked(text)
    sizes = re.search(r"input (\d+)x(\d+)x(\d+)", text)
    assert sizes is not None
    at = {"H": int(sizes[2]), "W": int(sizes[3])}
    opened = check_text(text.replace(sizes[0], f"input {sizes[1]}xHxW"))
    # What depends on the sizes in numbers (a fully-connected layer over the map) is refused; nothing else may be.
    assume(not {found.code for found in opened.diagnostics} & {"E0307", "E0401"})
    assert opened.ok, render_all(opened.diagnostics)
    for node in report.graph:
        assert tuple(evaluate(dim, at) for dim in opened.graph[node.name].shape) == node.shape
    assert all(condition.holds(at) for _, condition in opened.graph.conditions)
    assert evaluate(opened.cost().macs, at) == report.cost().macs
    for legal in opened.legal:
        period, value = legal.period, at[legal.name]
        assert any(low <= value and (value - low) % period == 0 and (high is None or value <= high) for low, high in legal.classes)


@pytest.mark.parametrize("path", ARCHS, ids=lambda path: path.stem)
def test_laws_of_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = parse(Source("a", text)).file
    assert tree is not None
    assert parse(Source("b", print_file(tree))).file == tree
    assert format_text(Source("c", text), OPERATORS) == text, "run `archc fmt archs`"


@fewer
@given(programs(), st.data())
def test_a_mutated_program_is_sound_or_refused_with_a_code(text: str, data: st.DataObject) -> None:
    mutated = mutate(text, lambda bound: data.draw(st.integers(0, bound - 1)))
    note(mutated)
    report = check_text(mutated)
    if not report.ok:
        assert all(re.fullmatch(r"E\d{4}", found.code) and found.span is not None for found in report.diagnostics)
