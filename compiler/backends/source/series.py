"""Loops of a forward: statements that repeat with members whose names count up, such as the layers of a dense block."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import pairwise
from typing import Any

from archc.compiler.backends.source.expressions import alike
from archc.compiler.backends.source.parts import Applied, Do, Leaf, Member, Own, Ref, Unit, refs

CARRIED = -1000  # in the body of a loop: what a turn takes from the one before
INNER = 1000  # and from here on the results of its statements
FEWEST = 3  # turns


@dataclass(frozen=True)
class Affine:
    """A constant that grows by the same amount from turn to turn."""

    base: Leaf
    step: Leaf


@dataclass(frozen=True)
class Series:
    """Members of a loop: a stem of names for each statement that has one, from the number `first` on, and what differs from turn to turn.

    `items` are the members of the first turn; their constants are the `cells`, in order.
    """

    stems: tuple[str, ...]
    first: int
    count: Leaf
    forms: tuple[Any, ...]
    cells: tuple[Leaf | Affine, ...]
    items: tuple[Member, ...] = field(compare=False)


@dataclass(frozen=True)
class Turns:
    """A loop: its body with CARRIED and INNER numbers, the value that enters the first turn, and the result of the last."""

    results: tuple[int, ...]
    start: Ref
    count: Leaf
    body: tuple[Do, ...]
    training_only: bool = False
    shapes: tuple[str, ...] = field(compare=False, default=())
    place: int = field(compare=False, default=-1)
    label: str = field(compare=False, default="")
    leads: bool = field(compare=False, default=True)


Leaves = Callable[[Any], list[Leaf]]
Bare = Callable[[Any], Any]


def looped(unit: Unit, bare: Bare, leaves: Leaves) -> dict[int, int]:
    """Replace the first loop that a unit has, in its members and statements, in place; return the new numbers of its values."""
    if unit.chain is not None or any(do.training_only or len(do.results) != 1 for do in unit.body):
        return {}
    for period in range(1, 5):
        for start in range(len(unit.body) - FEWEST * period + 1):
            count = _turns(unit.body, start, period, bare)
            if count >= FEWEST and _replace(unit, start, period, count, bare, leaves):
                return _renumber(unit)
    return {}


def _renumber(unit: Unit) -> dict[int, int]:
    """Number the results of statements from 0, in place; return the new numbers by the old ones."""
    numbers = {do.results[0]: place for place, do in enumerate(unit.body)}
    body: list[Any] = []
    for place, do in enumerate(unit.body):
        if isinstance(do, Turns):
            inner = tuple(replace(each, call=_moved(each.call, numbers)) for each in do.body)
            body.append(replace(do, results=(place,), start=_moved(do.start, numbers), body=inner))
        else:
            body.append(replace(do, results=(place,), call=_moved(do.call, numbers)))
    unit.body = tuple(body)
    unit.returns = tuple(_moved(ref, numbers) for ref in unit.returns)
    return numbers


def _moved(part: Any, numbers: dict[int, int]) -> Any:
    """Return a call with other numbers of values."""
    match part:
        case Ref(number):
            return Ref(numbers.get(number, number))
        case tuple():
            return tuple(_moved(item, numbers) for item in part)
        case Applied():
            return replace(part, args=_moved(part.args, numbers))
    return part


def _turns(body: Sequence[Do], start: int, period: int, bare: Bare) -> int:
    """Return how many turns of a period there are from a statement on."""
    count = 1
    while _follows(body, start, period, count, bare):
        count += 1
    return count


def _follows(body: Sequence[Do], start: int, period: int, count: int, bare: Bare) -> bool:
    at = start + count * period
    if at + period > len(body):
        return False
    pairs = list(zip(body[start + (count - 1) * period : at], body[at : at + period], strict=True))
    if not all(_form(one.call, bare) == _form(two.call, bare) and one.place == two.place for one, two in pairs):
        return False
    names = [(a, b) for one, two in pairs for a, b in zip(_own(one.call), _own(two.call), strict=True)]
    if not names or not all(_counts(a, b) for a, b in names):
        return False
    before = {do.results[0]: INNER + place for place, do in enumerate(body[at - period : at])}
    now = {do.results[0]: INNER + place for place, do in enumerate(body[at : at + period])}
    last = body[at - 1].results[0]
    carried = [(a, b) for one, two in pairs for a, b in zip(refs(one.call), refs(two.call), strict=True)]
    if not any(b == last for _, b in carried):
        return False
    entering = {a for a, b in carried if b == last}
    if len(entering) != 1:
        return False
    return all(
        now.get(b) == before.get(a) if b in now or a in before else (b == last and a in entering) or (a == b and a not in entering)
        for a, b in carried
    )


def _form(part: Any, bare: Bare) -> Any:
    """Return a call without its constants, values and members."""
    match part:
        case Ref():
            return "ref"
        case Own():
            return "own", len(part.path)
        case Leaf():
            return bare(part)
        case tuple():
            return tuple(_form(item, bare) for item in part)
        case _ if is_dataclass(part):
            return (type(part).__name__, *(_form(getattr(part, f.name), bare) for f in fields(part)))
    return part


def _own(part: Any) -> Iterator[tuple[str, ...]]:
    match part:
        case Own(path):
            yield path
        case Applied():
            yield from _own(part.target)
            yield from _own(part.args)
        case tuple():
            for item in part:
                yield from _own(item)


def _numbered(name: str) -> tuple[str, int] | None:
    found = re.fullmatch(r"(.*?)(0|[1-9]\d*)", name)
    return (found[1], int(found[2])) if found is not None else None


def _counts(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Return whether the second path has the next number of the first."""
    if len(one) != 1 or len(other) != 1:
        return False
    a, b = _numbered(one[0]), _numbered(other[0])
    return a is not None and b is not None and a[0] == b[0] and b[1] == a[1] + 1


def _replace(unit: Unit, start: int, period: int, count: int, bare: Bare, leaves: Leaves) -> bool:
    end = start + count * period
    body = unit.body[start:end]
    found = _series(unit, body, period, count, bare, leaves)
    if found is None or not _is_closed(unit, start, end, period):
        return False
    series, place = found
    first, second = body[:period], body[period : 2 * period]
    for turn in range(1, count):  # what functions take must be the same in all turns
        for one, two in zip(first, body[turn * period : (turn + 1) * period], strict=True):
            if not all(alike(a.value, b.value) for a, b in zip(_constants(one), _constants(two), strict=True)):
                return False
    last = first[-1].results[0]
    entering = {a for one, two in zip(first, second, strict=True) for a, b in zip(refs(one.call), refs(two.call), strict=True) if b == last}
    numbers = {do.results[0]: INNER + place for place, do in enumerate(first)} | {entering.pop(): CARRIED}
    inner = tuple(replace(do, results=(INNER + at,), call=_renamed(do.call, numbers)) for at, do in enumerate(first))
    turns = Turns(body[-1].results, Ref(next(key for key, value in numbers.items() if value == CARRIED)), series.count, inner)
    turns = replace(turns, shapes=body[-1].shapes, place=body[0].place)
    unit.body = (*unit.body[:start], turns, *unit.body[end:])
    kept = [row for row in unit.members if row[0] not in _names(series, count)]
    unit.members = (*kept[:place], ("*", series), *kept[place:])
    return True


def _constants(do: Do) -> list[Leaf]:
    found: list[Leaf] = []

    def visit(part: Any) -> None:
        if isinstance(part, Leaf):
            found.append(part)
        elif isinstance(part, tuple):
            for item in part:
                visit(item)
        elif is_dataclass(part):
            for f in fields(part):
                visit(getattr(part, f.name))

    visit(do.call)
    return found


def _names(series: Series, count: int) -> list[str]:
    return [f"{stem}{series.first + turn}" for turn in range(count) for stem in series.stems]


def _series(unit: Unit, body: Sequence[Do], period: int, count: int, bare: Bare, leaves: Leaves) -> tuple[Series, int] | None:
    """Return the members of a loop, and their place among those of the unit; None where they are not alike, or not in order."""
    paths = [path[0] for do in body[:period] for path in _own(do.call)]
    rows = [_numbered(path) for path in dict.fromkeys(paths)]
    if any(row is None for row in rows) or len({row[1] for row in rows if row is not None}) != 1:
        return None
    stems = tuple(row[0] for row in rows if row is not None)
    first = next(row[1] for row in rows if row is not None)
    members = dict(unit.members)
    names = [f"{stem}{first + turn}" for turn in range(count) for stem in stems]
    order = list(members)
    if not all(name in members for name in names) or names[0] not in order:
        return None
    place = order.index(names[0])
    if order[place : place + len(names)] != names:
        return None
    turns = [[members[name] for name in names[turn * len(stems) : (turn + 1) * len(stems)]] for turn in range(count)]
    forms = [tuple(map(bare, turn)) for turn in turns]
    if any(form != forms[0] for form in forms):
        return None
    columns = list(zip(*(leaves(tuple(turn)) for turn in turns), strict=True))
    cells = [_cell(column) for column in columns]
    if any(cell is None for cell in cells):
        return None
    text = ""
    return Series(stems, first, Leaf(count, "copies", text), forms[0], tuple(cells), tuple(turns[0])), place  # type: ignore[arg-type]


def _cell(column: Sequence[Leaf]) -> Leaf | Affine | None:
    values = [leaf.value for leaf in column]
    if all(alike(value, values[0]) for value in values):
        return column[0]
    if all(type(value) is int for value in values):
        steps = {b - a for a, b in pairwise(values)}
        if len(steps) == 1:
            return Affine(column[0], Leaf(steps.pop(), "step"))
    return None


def _is_closed(unit: Unit, start: int, end: int, period: int) -> bool:
    """Return whether nothing outside of a loop takes a value from within it but the last."""
    within = {do.results[0] for do in unit.body[start : end - 1]}
    taken = {number for do in (*unit.body[:start], *unit.body[end:]) for number in refs(do.call)}
    return not within & (taken | {ref.number for ref in unit.returns})


def _renamed(part: Any, numbers: dict[int, int]) -> Any:
    """Return a call of the first turn as one of any turn."""
    match part:
        case Ref(number):
            return Ref(numbers.get(number, number))
        case Own(path):
            found = _numbered(path[0])
            assert found is not None
            return Own((found[0],))
        case tuple():
            return tuple(_renamed(item, numbers) for item in part)
        case Applied():
            return replace(part, target=_renamed(part.target, numbers), args=_renamed(part.args, numbers))
    return part
