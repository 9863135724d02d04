"""Random programs: our shapes and weights against PyTorch's, and the laws that hold for every program."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from archc.compiler.driver import Report, check_text, expanded_text
from archc.compiler.ops import OPERATORS
from archc.compiler.shapes.dim import evaluate
from archc.dsl.formatter import format_text
from archc.dsl.parser import parse
from archc.dsl.printer import print_file
from archc.dsl.rendering import render_all
from archc.dsl.source import Source
from archc.tests.mutations import mutate
from archc.tests.support import ARCHS, assert_agrees_with_torch, programs

# `make test` tries the same programs every time; `make fuzz`, which says how many, tries new ones.
FUZZ = "ARCHC_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("ARCHC_EXAMPLES", "1000"))
relaxed = settings(max_examples=EXAMPLES, derandomize=not FUZZ, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
fewer = settings(relaxed, max_examples=max(EXAMPLES // 4, 1))


def checked(text: str) -> Report:
    note(text)
    report = check_text(text)
    for found in report.diagnostics:
        # Only a window that has outgrown its input makes these programs wrong.
        assert found.code in ("E0301", "E0306"), render_all(report.diagnostics)
    assume(report.ok)
    return report


@relaxed
@given(programs())
def test_shapes_and_parameters_are_those_of_pytorch(text: str) -> None:
    assert_agrees_with_torch(checked(text).graph)


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


@fewer
@given(programs(), st.data())
def test_a_mutated_program_is_sound_on_both_sides_or_refused_with_a_code(text: str, data: st.DataObject) -> None:
    mutated = mutate(text, lambda bound: data.draw(st.integers(0, bound - 1)))
    note(mutated)
    report = check_text(mutated)
    if not report.ok:
        assert all(re.fullmatch(r"E\d{4}", found.code) and found.span is not None for found in report.diagnostics)
        return
    if report.has_network and not report.graph.unknowns and report.cost().params < 10**8:
        assert_agrees_with_torch(report.graph)


@pytest.mark.parametrize("path", ARCHS, ids=lambda path: path.stem)
def test_laws_of_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = parse(Source("a", text)).file
    assert tree is not None
    assert parse(Source("b", print_file(tree))).file == tree
    assert format_text(Source("c", text), OPERATORS) == text, "run `archc fmt archs`"
