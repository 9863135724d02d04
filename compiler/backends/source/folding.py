"""Loops over items of a sequence that differ in little: what repeats is written once, with the values that differ in the head of a loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from archc.compiler.backends.source.layout import WIDTH, Doc, Group, flat


@dataclass(frozen=True)
class Item:
    """A call of a class: arguments are (keyword or "", text, what the argument is called); `inner` are those of a nested sequence."""

    head: str
    args: tuple[tuple[str, str, str], ...]
    inner: tuple[Item, ...] = ()
    comment: str = ""


@dataclass(frozen=True)
class Loop:
    """`count` turns of a body. `names` are its variables, and `rows` their values as Python, one row for each turn."""

    count: int
    body: tuple[Item | Loop, ...]
    names: tuple[str, ...] = ()
    rows: tuple[tuple[Doc, ...], ...] = ()
    source: str = field(default="", compare=False)  # a variable that holds the rows, in a loop around

    def header(self) -> tuple[str, Doc]:
        """Return the variables of the head, and what it iterates over."""
        if not self.names:
            return "_", f"range({self.source or self.count})"
        if self.source:
            paired = f"pairwise({self.source})" if self.is_paired else self.source
            return ", ".join(self.names), paired
        return ", ".join(self.names), self.values()

    @property
    def is_paired(self) -> bool:
        """Return whether the second value of each row is the first of the next: what one layer returns, the next takes."""
        return len(self.names) == 2 and len(self.rows) > 1 and all(a[1] == b[0] for a, b in pairwise(self.rows))

    def values(self) -> Doc:
        """Return the rows as a list."""
        return Group("[", tuple(map(_row, self.rows)), "]")


def _row(cells: tuple[Doc, ...]) -> Doc:
    return cells[0] if len(cells) == 1 else Group("(", cells, ")")


def folded(items: Sequence[Item], taken: Iterable[str] = ()) -> list[Item | Loop]:
    """Return items with loops in place of what repeats, inner loops first. `taken` are no names for variables.

    What one layer returns, the next takes: such pairs are written out in all loops or in none, whichever is shorter.
    """
    ways = [_folded(items, paired, frozenset(taken)) for paired in (False, True)]
    found = min(ways, key=_length)
    if _length(found) + 8 > len(items) and any(isinstance(part, Loop) and one_line(part) is None for part in found):
        found = _folded(items, False, frozenset(taken), statements=False)
    return found


def _length(parts: Sequence[Item | Loop]) -> int:
    """Return about how many lines some parts take."""
    return sum(1 if isinstance(part, Item) or one_line(part) is not None else 1 + _length(part.body) for part in parts)


def _folded(items: Sequence[Item], paired: bool, taken: frozenset[str], statements: bool = True) -> list[Item | Loop]:
    parts: list[Item | Loop] = list(items)
    period = 1
    while period <= len(parts) // 2 and period <= 8:
        shorter = _fold(parts, period, paired, taken, statements)
        if shorter is None:
            period += 1
        else:
            parts, period = shorter, 1
    return parts


def _fold(parts: list[Item | Loop], period: int, paired: bool, taken: frozenset[str], statements: bool) -> list[Item | Loop] | None:
    """Replace each run of a period by a loop; None where there is no run."""
    result: list[Item | Loop] = []
    place = 0
    changed = False
    while place < len(parts):
        count = 1
        body = parts[place : place + period]
        while _fits(body, parts[place + count * period : place + (count + 1) * period]):
            count += 1
        turns = [parts[place + turn * period : place + (turn + 1) * period] for turn in range(count)]
        loop = _loop(turns, paired, taken) if count > 1 else None
        if loop is None or (not statements and one_line(loop) is None):
            result.append(parts[place])
            place += 1
            continue
        changed = True
        result.append(loop)
        place += count * period
    return result if changed else None


def _fits(body: Sequence[Item | Loop], other: Sequence[Item | Loop]) -> bool:
    return len(body) == len(other) and all(_form(one) == _form(two) for one, two in zip(body, other, strict=True))


def _form(part: Item | Loop) -> object:
    if isinstance(part, Item):
        return part.head, tuple((key, name) for key, _, name in part.args), tuple(map(_form, part.inner)), part.comment
    return len(part.names), part.is_paired, part.body


def _cells(part: Item | Loop) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of everything in which a part may differ from another."""
    if isinstance(part, Item):
        for _, text, name in part.args:
            yield name, text
        for inner in part.inner:
            yield from _cells(inner)
    elif part.is_paired or not part.names:
        yield "widths" if part.names else "copies", _listed(part)
    else:
        yield "rows", _listed(part)


def _listed(loop: Loop) -> str:
    if not loop.names:
        return str(loop.count)
    if loop.is_paired:
        return f"[{', '.join(map(flat, (*(row[0] for row in loop.rows), loop.rows[-1][1])))}]"
    return flat(loop.values())


def _loop(turns: Sequence[Sequence[Item | Loop]], paired: bool, reserved: frozenset[str]) -> Loop | None:
    """Return turns as a loop; None where that saves nothing."""
    columns = [[cell for part in turn for cell in _cells(part)] for turn in turns]
    names: dict[tuple[str, ...], str] = {}  # the values of a column -> its variable
    variables: list[str | None] = []
    taken: set[str] = set(reserved)
    chained = _chained(columns) if paired and len(turns[0]) > 1 else ()
    for place, column in enumerate(zip(*columns, strict=True)):
        texts = tuple(text for _, text in column)
        if place in chained:
            variables.append(names.setdefault((*texts, str(place)), _fresh(column[0][0], taken)))
            continue
        if len(set(texts)) == 1:
            variables.append(None)
            continue
        if texts not in names:
            names[texts] = _fresh(column[0][0], taken)
        variables.append(names[texts])
    single = all(isinstance(part, Item) for part in turns[0])
    if single and len(turns[0]) == 1 and len(turns) < (2 if not names else 3):
        return None
    if any(isinstance(part, Item) and part.inner for part in turns[0]) and names:
        return None
    if len(turns) == 2 and single and (len(turns[0]) < 2 or len(names) > 2):
        return None
    cells = iter(variables)
    body = tuple(_replaced(part, cells) for part in turns[0])
    rows = tuple(zip(*(texts[: len(turns)] for texts in names), strict=True)) if names else ()
    return Loop(len(turns), body, tuple(names.values()), rows)


def _chained(columns: Sequence[Sequence[tuple[str, str]]]) -> tuple[int, ...]:
    """Return the first two columns where the second value of each turn is the first of the next; none elsewhere."""
    if any(len(row) < 2 for row in columns):
        return ()
    if all(a[1][1] == b[0][1] for a, b in pairwise(columns)) and not columns[0][0][1].startswith("["):
        return 0, 1
    return ()


def _fresh(name: str, taken: set[str]) -> str:
    number = 1
    while (chosen := name if number == 1 else f"{name}{number}") in taken:
        number += 1
    taken.add(chosen)
    return chosen


def _replaced(part: Item | Loop, cells: Iterator[str | None]) -> Item | Loop:
    if isinstance(part, Item):
        args = tuple((key, next(cells) or text, name) for key, text, name in part.args)
        inner = tuple(_replaced(item, cells) for item in part.inner)
        return Item(part.head, args, inner, part.comment)  # type: ignore[arg-type]
    return Loop(part.count, part.body, part.names, part.rows, next(cells) or "")


def one_line(loop: Loop) -> str | None:
    """Return a loop over one item as a generator, `*(...)`; None where it needs statements."""
    if len(loop.body) != 1 or not isinstance(loop.body[0], Item) or loop.body[0].inner:
        return None
    item = loop.body[0]
    args = ", ".join(f"{key}={text}" if key else text for key, text, _ in item.args)
    head, values = loop.header()
    text = f"*({item.head}({args}) for {head} in {flat(values)})"
    return text if len(text) <= WIDTH - 14 else None
