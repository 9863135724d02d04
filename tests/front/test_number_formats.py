"""Floats: rounded where people read them, exact in programs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from archc import loads
from archc.compiler.analysis.derive import derive
from archc.compiler.analysis.notation import notation
from archc.compiler.analysis.printing import listing
from archc.compiler.driver import check_text, expanded_text
from archc.compiler.ops.kinds import Word, exact, show

TEXT = """
input 3x16x16
block unit(p) { conv3-8(pad=1); stochastic_depth(p) }
for i in [3] { unit(0.2*i/16) }
"""


def test_people_read_rounded_numbers_and_programs_the_value_itself() -> None:
    report = check_text(TEXT)
    node = report.graph["unit1.stochastic_depth1"]
    assert node.attrs["p"] == 0.2 * 3 / 16 != 0.0375  # 0.037500000000000006
    assert notation(node) == "stochastic_depth(p=0.0375)"
    assert node.frame is not None
    assert node.frame.text == "unit(p=0.0375)"
    assert dict(derive(report.graph, node.name))["options"][0] == "p=0.0375, given here"
    for program in (expanded_text(report), listing(report.graph)):
        assert "p=0.037500000000000006" in program
        again = [other for other in loads(program).graph if other.op == "stochastic_depth"]
        assert [other.attrs["p"] for other in again] == [0.2 * 3 / 16]


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0))
def test_floats_are_read_back(value: float) -> None:
    assert float(exact(value)) == value
    assert abs(float(show(value)) - value) <= value * 1e-11
    assert exact(Word("normal", (("std", value),))) == f"normal(std={exact(value)})"
