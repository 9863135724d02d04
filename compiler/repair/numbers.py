"""Repairs of one number: digits exchanged, a value from other lines, or the solution that makes every claim true.

Counts are polynomials of low degree in one number of the file, so three trials determine where a count meets a claim. The
solution is tried like any other candidate, and is a repair only if every claim of the file holds with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isqrt

from archc.compiler.ops import OPERATORS
from archc.compiler.repair.places import SOLVED, Candidates, around, repair
from archc.compiler.repair.trial import Trials
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Edit, Repair
from archc.dsl.source import Span

MOST_LIKE = 4  # most values of other lines that are tried for one number
MOST_CALLS = 3  # most calls around an item whose numbers are examined
ROUND = 8  # channels are usually multiples of it


@dataclass(frozen=True)
class Spot:
    """A whole number of the file and its role: numbers of the same role are distinguished by their value."""

    span: Span
    value: int
    role: str

    @property
    def odd(self) -> bool:
        """Whether it is large enough to be a number of channels, but an unlikely choice for one."""
        return _odd(self.value)

    @property
    def falling(self) -> bool:
        """Whether the network may become smaller as this number grows."""
        return self.role.endswith((" stride", " s", " pad", " groups"))

    def with_value(self, value: int, why: str = "", kind: str = "") -> Repair:
        """Return the repair that replaces the number."""
        return repair(f"`{value}` instead of `{self.value}`{why}", Edit(self.span, str(value)), kind=kind)


# ---- for a claim on a shape


def near(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Vary a number since the last claim that holds: two digits exchanged, or the value of the same number on other lines."""
    inside, outside = _spots_of(d, trials)
    spots = (inside or outside) if isinstance(d.facts["actual"], tuple) else []
    yield from _exchanges(spots)
    for spot in spots:
        for value, line in _elsewhere(spot, [*inside, *outside]):
            yield spot.with_value(value, f", as on line {line}", SOLVED)


def exchanged_here(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Exchange two digits in a number of the item itself, or of the calls around it."""
    calls = [frame.span for frame in d.facts.get("frames", ()) if frame.scope]
    for place in (span, *calls[:MOST_CALLS]):
        if place.source is trials.source:
            yield from _exchanges(s for s in _spots(trials.tree) if place.start <= s.span.start < place.end)


def exchanged_around(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Exchange two digits in a number of an operator, one of whose arguments is blamed."""
    item = around(trials.tree, span, ast.Op)
    if item is not None:
        yield from exchanged_here(d, item.span, trials)


def channels(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Change a number since the last claim that holds by the difference, or the ratio, of the channels."""
    inside, outside = _spots_of(d, trials)
    actual, claimed = d.facts["actual"], d.facts["claimed"]
    if not isinstance(actual, tuple) or not isinstance(claimed, tuple):
        return
    if len(actual) == len(claimed) and actual[1:] == claimed[1:] and isinstance(actual[0], int) and isinstance(claimed[0], int):
        known = {(spot.role, spot.value) for spot in (*inside, *outside)}
        found = [(spot, value) for spot in inside or outside for value in _of_channels(spot.value, actual[0], claimed[0])]
        for spot, value in sorted(found, key=lambda pair: ((pair[0].role, pair[1]) not in known, bool(pair[1] % ROUND))):
            yield spot.with_value(value, kind=SOLVED)


def rounded(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Round an unusual number to the nearest multiple of eight: `384` for `385`."""
    for spot in _spots(trials.tree):
        if spot.odd:
            yield spot.with_value(round(spot.value / ROUND) * ROUND, kind=SOLVED)


def far(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Exchange two digits in a number before the last claim that holds, if no likelier repair is known."""
    inside, outside = _spots_of(d, trials)
    for exchange in _exchanges(outside) if inside else ():
        yield replace(exchange, kind=SOLVED)


def _of_channels(value: int, actual: int, claimed: int) -> Iterator[int]:
    if (more := value + claimed - actual) > 0:
        yield more
    if value * claimed % actual == 0:
        yield value * claimed // actual


# ---- for a count


def counted(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Exchange two digits in a number, or solve for one number that makes the claim true. Unusual numbers come first."""
    actual, claimed = d.facts.get("actual"), d.facts.get("claimed")
    if not isinstance(actual, int) or not isinstance(claimed, int) or d.facts.get("relation") != "==":
        return
    spots = list(_spots(trials.tree))
    for odd in (True, False):
        some = [spot for spot in spots if spot.odd is odd]
        yield from _exchanges(some)
        for degree in (1, 2):  # most numbers occur once, in the count of one layer
            for spot in some:
                lines = dict(_elsewhere(spot, spots))
                for value in _roots(d, spot, actual, claimed, trials, degree):
                    yield spot.with_value(value, f", as on line {lines[value]}" if value in lines else "", SOLVED)
    for spot in spots:  # strides, for which the count is not a polynomial
        for value, line in _elsewhere(spot, spots) if spot.falling else ():
            yield spot.with_value(value, f", as on line {line}", SOLVED)


def _roots(d: Diagnostic, spot: Spot, actual: int, claimed: int, trials: Trials, degree: int) -> list[int]:
    """Return where the count, as a polynomial of a degree in the number, equals the claim; nearest first."""
    counts = [actual]
    for times in range(2, degree + 2):  # multiples, so that groups and heads still divide it
        tried = trials.of([Edit(spot.span, str(times * spot.value))])
        if tried is None or any(found.code != "E0502" for found in tried.found if found.severity == "error"):
            return []
        same = (found.facts["actual"] for found in tried.found if found.code == "E0502" and found.facts["measure"] == d.facts["measure"])
        counts.append(next(same, claimed))
        if counts[1] == actual:  # the count does not depend on this number
            return []
    a = Fraction(counts[2] - 2 * counts[1] + counts[0], 2) if degree == 2 else Fraction(0)
    b = counts[1] - counts[0] - 3 * a
    c = counts[0] - a - b - claimed
    return sorted(_whole_roots(a / spot.value**2, b / spot.value, c), key=lambda n: abs(n - spot.value))


def _whole_roots(a: Fraction, b: Fraction, c: Fraction) -> set[int]:
    """Return the positive integer roots of a quadratic polynomial."""
    if a == 0:
        return {int(-c / b)} if b and (-c / b).denominator == 1 and -c / b > 0 else set()
    scale = a.denominator * b.denominator * c.denominator
    p, q, r = (int(part * scale) for part in (a, b, c))
    under = q * q - 4 * p * r
    if under < 0 or isqrt(under) ** 2 != under:
        return set()
    found = {Fraction(-q + sign * isqrt(under), 2 * p) for sign in (1, -1)}
    return {int(root) for root in found if root.denominator == 1 and root > 0}


# ---- the numbers of a file


def _spots_of(d: Diagnostic, trials: Trials) -> tuple[list[Spot], list[Spot]]:
    """Return the numbers between the last claim that holds and the one that fails, and the others."""
    between: Sequence[Span] = d.facts.get("between") or []
    spots = sorted(_spots(trials.tree), key=lambda spot: not spot.odd)
    inside = [s for s in spots if any(b.source is trials.source and b.start <= s.span.start and s.span.end <= b.end for b in between)]
    return inside, [spot for spot in spots if spot not in inside]


def _spots(tree: ast.File) -> Iterator[Spot]:
    """Yield the whole numbers that define the network: not those of claims and inputs."""
    for statement in tree.statements:
        if not isinstance(statement, (ast.Expect, ast.Input, ast.Use)):
            yield from _numbers(statement, "")


def _numbers(node: ast.Node, role: str) -> Iterator[Spot]:
    if isinstance(node, ast.Number):
        if isinstance(node.value, int) and node.value > 0 and node.text.replace("_", "").isdigit():
            yield Spot(node.span, node.value, role)
    elif isinstance(node, ast.Item):
        yield from _numbers(node.core, role)
        if node.count is not None:
            yield from _numbers(node.count, "copies")
    elif isinstance(node, ast.Op):
        yield from _of_an_operator(node)
    else:
        for child in _children(node):
            yield from _numbers(child, role or type(node).__name__)


def _of_an_operator(op: ast.Op) -> Iterator[Spot]:
    digits = re.search(r"[A-Za-z_]([0-9]+)$", op.word)
    stem = op.word[: digits.start(1)] if digits and op.word.lower() not in OPERATORS else op.word
    if digits and stem != op.word and stem.lower() in OPERATORS:
        start = op.word_span.start + digits.start(1)
        yield Spot(Span(op.span.source, start, start + len(digits[1])), int(digits[1]), f"{stem} kernel")
    for part, what in ((op.kernel, "kernel"), ((op.out,) if op.out is not None else (), "out"), (op.stride, "stride")):
        for expr in part:
            yield from _numbers(expr, f"{stem} {what}")
    for position, arg in enumerate(op.args):
        yield from _numbers(arg.value, f"{stem} {arg.name or position}")


def _children(node: ast.Node) -> Iterable[ast.Node]:
    walked = ast.walk(node)
    next(walked)
    inner: set[int] = set()
    for child in walked:
        if id(child) not in inner:
            inner |= {id(n) for n in ast.walk(child)}
            yield child


def _odd(value: int) -> bool:
    return value > 2 * ROUND and value % ROUND != 0


def _exchanges(spots: Iterable[Spot]) -> Candidates:
    for spot in spots:
        for value in _exchanged(spot.value):
            if spot.odd or not _odd(value):  # a common number is not a typing error for an unusual one: 128 for 182
                yield spot.with_value(value, ": two digits exchanged")


def _exchanged(value: int) -> Iterator[int]:
    """Yield the numbers that result from exchanging two adjacent digits."""
    text = str(value)
    for i in range(len(text) - 1):
        other = text[:i] + text[i + 1] + text[i] + text[i + 2 :]
        if other != text and other[0] != "0":
            yield int(other)


def _elsewhere(spot: Spot, spots: Iterable[Spot]) -> Iterator[tuple[int, int]]:
    """Yield the values of other numbers of the same role, with their lines; nearest first."""
    lines: dict[int, int] = {}
    for other in sorted(spots, key=lambda o: abs(o.span.line - spot.span.line)):
        if other.role == spot.role and other.value != spot.value:
            lines.setdefault(other.value, other.span.line)
    yield from list(lines.items())[:MOST_LIKE]
