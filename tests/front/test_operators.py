"""Operator records: defaults, names and the reference; and how pools round."""

from __future__ import annotations

import pytest

from archc import loads
from archc.compiler.ops import FAMILIES, OPERATORS, reference
from archc.compiler.ops.record import Operator, Required
from archc.tests.support import ROOT

RECORDS = list(OPERATORS.values())


@pytest.mark.parametrize("operator", RECORDS, ids=lambda operator: operator.name)
def test_defaults_are_values_of_their_kind(operator: Operator) -> None:
    for attr in operator.attrs:
        if not isinstance(attr.default, Required) and not hasattr(attr.default, "option"):
            attr.kind.read(attr.name, attr.default, 2)
    assert {part for part in operator.short if part} <= set(operator.option_names)


def test_names_are_unique_over_the_families() -> None:
    assert sum(len(family.OPERATORS) for family in FAMILIES) == len(OPERATORS)


def test_reference_is_current() -> None:
    assert (ROOT / "docs/operators.md").read_text(encoding="utf-8") == reference.manual(), "run `make docs`"


@pytest.mark.parametrize(
    ("pool", "size", "floor", "ceil"),
    [
        # Where rounding up changes the shape: GoogLeNet's pools, ZFNet's first two, the ResNet authors' first one.
        ("maxpool3/2", 112, 55, 56),
        ("maxpool3/2", 56, 27, 28),
        ("maxpool3/2", 28, 13, 14),
        ("maxpool3/2", 14, 6, 7),
        ("maxpool3/2", 110, 54, 55),
        ("maxpool3/2", 26, 12, 13),
        # Where it does not: AlexNet at 227, VGG's even sizes.
        ("maxpool3/2", 55, 27, 27),
        ("maxpool3/2", 27, 13, 13),
        ("maxpool3/2", 13, 6, 6),
        ("maxpool2/2", 224, 112, 112),
    ],
)
def test_rounding_of_pools(pool: str, size: int, floor: int, ceil: int) -> None:
    assert loads(f"input 1x{size}x{size}\n{pool}")["maxpool1"] == (1, floor, floor)
    assert loads(f"input 1x{size}x{size}\n{pool}(ceil=yes)")["maxpool1"] == (1, ceil, ceil)
