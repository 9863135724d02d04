"""Sums of multiples of parameters, divided by a power of 2: the channels behind layers that add and halve channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

DIVISORS = (1, 2, 4, 8, 16)
LARGEST = 4  # sums of this many coefficients are tried for each divisor


def _terms(values: Sequence[Any], given: Mapping[str, Sequence[Any]]) -> tuple[dict[str, int], int, int] | None:
    """Return the coefficient of each name, a constant and a divisor with `(sum + constant) // divisor` equal to all values, or None.

    The first row is the one to start from; each name must differ from it alone in at least two rows.
    """
    if not given or not all(type(value) is int for column in (values, *given.values()) for value in column):
        return None
    names = list(given)
    rows = list(zip(*given.values(), strict=True))
    alone: dict[str, list[int]] = {name: [] for name in names}
    for place, row in enumerate(rows):
        changed = [name for name, now, before in zip(names, row, rows[0], strict=True) if now != before]
        if len(changed) == 1:
            alone[changed[0]].append(place)
    if any(len(places) < 2 for places in alone.values()):
        return None
    for divisor in DIVISORS:
        choices = [list(_coefficients(values, given[name], alone[name], divisor)) for name in names]
        for found in product(*choices):
            for rest in range(divisor):
                constant = divisor * values[0] + rest - sum(c * x for c, x in zip(found, rows[0], strict=True))
                computed = [(sum(c * x for c, x in zip(found, row, strict=True)) + constant) // divisor for row in rows]
                if computed == list(values):
                    return dict(zip(names, found, strict=True)), constant, divisor
    return None


def linear(values: Sequence[Any], given: Mapping[str, Sequence[Any]]) -> tuple[str, bool, frozenset[str]] | None:
    """Return such an expression as text, whether it is a quotient, and the names in it; None where there is none."""
    found = _terms(values, given)
    if found is None:
        return None
    coefficients, constant, divisor = found
    text = ""
    for name, count in sorted(coefficients.items(), key=lambda row: row[1] < 0):
        if count:
            term = name if abs(count) == 1 else f"{abs(count)} * {name}"
            text += (f" {'-' if count < 0 else '+'} " if text else "-" * (count < 0)) + term
    if not text:
        return None
    text += f" {'-' if constant < 0 else '+'} {abs(constant)}" if constant else ""
    names = frozenset(name for name, count in coefficients.items() if count)
    if divisor == 1:
        return text, False, names
    return f"{text} // {divisor}" if text.isidentifier() else f"({text}) // {divisor}", True, names


def _coefficients(values: Sequence[int], column: Sequence[int], places: Sequence[int], divisor: int) -> Iterator[int]:
    """Yield the coefficients of one name that the rows where it alone differs allow."""
    place = max(places, key=lambda place: abs(column[place] - column[0]))
    step, rise = column[place] - column[0], divisor * (values[place] - values[0])
    least, most = sorted(((rise - divisor + 1) / step, (rise + divisor - 1) / step))
    first = -int(-least // 1)
    yield from (found for found in range(first, first + LARGEST) if found <= most)
