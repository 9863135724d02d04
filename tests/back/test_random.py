"""Random programs: our shapes and weights against PyTorch's."""

from __future__ import annotations

from hypothesis import given, note
from hypothesis import strategies as st

from archc.compiler.driver import check_text
from archc.tests.support.mutations import mutate
from archc.tests.support.programs import checked, fewer, programs, some
from archc.tests.support.pytorch import assert_agrees_with_torch


@some
@given(programs())
def test_shapes_and_parameters_are_those_of_pytorch(text: str) -> None:
    assert_agrees_with_torch(checked(text).graph)


@fewer
@given(programs(), st.data())
def test_a_mutated_program_that_checks_agrees_with_pytorch(text: str, data: st.DataObject) -> None:
    mutated = mutate(text, lambda bound: data.draw(st.integers(0, bound - 1)))
    note(mutated)
    report = check_text(mutated)
    if report.ok and report.has_network and not report.graph.unknowns and report.cost().params < 10**8:
        assert_agrees_with_torch(report.graph)
