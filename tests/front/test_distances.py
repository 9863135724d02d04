"""Attention in rows, tables of distances, masks of shifts and fixed numbers: shapes, and what is refused."""

from __future__ import annotations

import pytest

from archc import loads
from archc.compiler.driver import check_text


def codes(text: str) -> list[str]:
    return [d.code for d in check_text(text).diagnostics]


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("3x13x13\ndistances", (3, 49, 49)),
        ("3x13\ndistances", (3, 7, 7)),
        ("3x5x7\ndistances(absolute=yes)", (3, 35, 35)),
        ("3x5x7\ndistances(absolute=yes, step=2)", (3, 12, 35)),
        ("3x3x3x5\ndistances(step=[2, 1, 1])", (3, 6, 12)),
        ("8x14x21\nshift_mask(window=7, shift=3)", (1, 6, 49, 49)),
        ("8x12\nfixed(0)", (8, 12)),
        ("8x12\nfixed([1, 2, 3], sizes=3, channels=1)", (1, 3)),
        ("24x4x9\nattention(2, rows=yes)", (8, 4, 9)),
    ],
)
def test_shapes(text: str, shape: tuple[int, ...]) -> None:
    assert list(loads(f"input {text}").graph)[-1].shape == shape


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3x12x13\ndistances", ["E0306"]),
        ("3xHx13\ndistances", ["E0305"]),
        ("8x12x21\nshift_mask(window=7, shift=3)", ["E0319"]),
        ("8x14x21\nshift_mask(window=7, shift=7)", ["E0306"]),
        ("8x12\nfixed([1, 2])", ["E0306"]),
        ("24x9\nattention(2, rows=yes)", ["E0305"]),
    ],
)
def test_what_does_not_fit(text: str, found: list[str]) -> None:
    assert codes(f"input {text}") == found


@pytest.mark.parametrize(("bias", "sound"), [("2x9x9", True), ("1x4x9x9", True), ("2x4x9x9", True), ("2x3x9x9", False), ("2x36x36", False)])
def test_a_bias_of_rows(bias: str, sound: bool) -> None:
    assert codes(f"input bias: {bias}\ninput 24x4x9\nattention(2, rows=yes)<. | @bias>") == ([] if sound else ["E0317"])


def test_rows_must_be_the_same() -> None:
    assert codes("input other: 8x3x5\ninput 8x4x9\nattention(2, rows=yes)<. | @other | @other>") == ["E0317"]


def test_rows_cost_the_products_of_a_row() -> None:
    net = loads("input 24x4x9\nattention(2, rows=yes)")
    assert net.macs == 4 * 9 * 9 * 16
