"""Rotary positions: shapes, and what is refused."""

from __future__ import annotations

import pytest

from archc import loads
from archc.compiler.driver import check_text


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("24x5x7\nrotary_positions(4)", (8, 5, 7)),
        ("24x5\nrotary_positions(4)", (4, 5)),
        ("24x5\nrotary_positions(4, sizes=2x3)", (8, 2, 3)),
        ("24x5x7\nrotary(3)<. | rotary_positions(4)>", (24, 5, 7)),
        ("24x5x7\nrotary(3)<. | rotary_positions(12)>", (24, 5, 7)),
        ("24x37\nrotary(3, skip=2)<. | rotary_positions(4, sizes=5x7)>", (24, 37)),
        ("24xL\nrotary(3)<. | rotary_positions(8)>", (24, "L")),
    ],
)
def test_shapes(text: str, shape: tuple[object, ...]) -> None:
    assert tuple(size if isinstance(size, int) else str(size) for size in list(loads(f"input {text}").graph)[-1].shape) == shape


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("24\nrotary_positions(4)", "E0305"),
        ("24x5\nrotary_positions(3)", "E0306"),
        ("24x5x7\nrotary_positions(4, reference=[2, 2, 2])", "E0306"),
        ("24x5x7\nrotary_positions(4, reference=[2, 2], centered=yes)", "E0306"),
        ("24x5\nrotary(5)<. | rotary_positions(8)>", "E0316"),
        ("24x5\nrotary(8)<. | rotary_positions(8)>", "E0306"),
        ("24x5\nrotary(3)<. | rotary_positions(4)>", "E0317"),
        ("24x5\nrotary(3)<. | rotary_positions(8, sizes=[4])>", "E0317"),
        ("24x5\nrotary(3, skip=1)<. | rotary_positions(8)>", "E0317"),
        ("24x5x7\nrotary(3)<. | rotary_positions(4, sizes=7x5)>", "E0317"),
        ("24x5x7\nrotary(3, skip=1)<. | rotary_positions(4)>", "E0305"),
    ],
)
def test_what_does_not_fit(text: str, code: str) -> None:
    assert [d.code for d in check_text(f"input {text}").diagnostics] == [code]
