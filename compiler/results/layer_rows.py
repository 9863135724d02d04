"""Stages of several networks in rows: those of one resolution beside each other, and what all networks have, once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from archc.compiler.analysis.printed import POINT, Entry, Line, Printed, Stage

Cell = tuple[Entry, ...]
BESIDE = "Not shown, beside the path with the most layers"
CLOSED = "Only named, since branches join in them"


@dataclass(frozen=True)
class Strip:
    """A row of cells, one for each network, None where it has no such stage; `whole` where one cell is that of all networks."""

    cells: tuple[Cell | None, ...]
    whole: bool = False


@dataclass(frozen=True)
class Band:
    """The rows of one resolution: its size, and the name of its parts where all networks have it."""

    size: str
    name: str
    strips: tuple[Strip, ...]


@dataclass(frozen=True)
class Note:
    """What the cells of some networks leave out: a sentence, the parts that it is about, and the networks, by number."""

    sentence: str
    parts: tuple[str, ...]
    networks: tuple[int, ...]


def aligned(columns: Sequence[Sequence[Stage]]) -> list[list[Stage | None]]:
    """Return the stages of networks in rows, those of one resolution in one row, in an order that keeps that of every network."""
    rows: list[tuple[str, list[Stage | None]]] = []
    for number, stages in enumerate(columns):
        sizes = [stage.size for stage in stages]
        merged: list[tuple[str, list[Stage | None]]] = []
        for _, begin, end, first, last in SequenceMatcher(None, [size for size, _ in rows], sizes, autojunk=False).get_opcodes():
            same = [size for size, _ in rows[begin:end]] == sizes[first:last]
            for at in range(begin, end):
                size, row = rows[at]
                merged.append((size, [*row, stages[first + at - begin] if same else None]))
            if not same:
                merged.extend((stage.size, [*[None] * number, stage]) for stage in stages[first:last])
        rows = merged
    return [row for _, row in rows]


def band_of(stages: Sequence[Stage | None], notation: str) -> Band:
    """Return the rows of one resolution: what all networks begin with, without weights, is written once, and so is what all have."""
    there = [stage for stage in stages if stage is not None]
    names = {stage.name for stage in there}
    name = next(iter(names)) if len(names) == 1 else _common(names)
    cells = [None if stage is None else stage.entries for stage in stages]
    if len(stages) > 1 and len(set(cells)) == 1:
        shared = cells[0] or ()
        joined_ = notation == "kernels" and there[0].size == POINT
        strips = [Strip((shared,) * len(stages), True)] if joined_ else [Strip(((entry,),) * len(stages), True) for entry in shared]
        return Band(there[0].size, name, tuple(strips))
    strips = []
    while len(cells) > 1 and all(cell and cell[0] == (cells[0] or (None,))[0] and _light(cell[0]) for cell in cells):
        strips.append(Strip(tuple(cell[:1] for cell in cells if cell), True))
        cells = [cell[1:] for cell in cells if cell is not None]
    return Band(there[0].size, name, (*strips, Strip(tuple(cells))))


def _light(entry: Entry) -> bool:
    return isinstance(entry, Line) and not entry.layer


def _common(names: Iterable[str]) -> str:
    """Return the scope that holds the parts of every network; empty where there is none."""
    paths = [name.split(" .. ")[0].split(".") for name in names]
    shared = []
    for steps in zip(*paths, strict=False):
        if len(set(steps)) > 1:
            break
        shared.append(steps[0])
    return ".".join(shared)


def untold(columns: Sequence[Printed]) -> Iterator[Note]:
    """Yield what the cells leave out, once for networks of which the same is said."""
    found: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for number, column in enumerate(columns):
        for stride in dict.fromkeys(stride for stride, _ in column.strides):
            parts = tuple(part for each, part in column.strides if each == stride)
            found.setdefault((f"Blocks with stride {stride}", parts), []).append(number)
        for sentence, names in ((BESIDE, column.beside), (CLOSED, column.closed)):
            if names:
                found.setdefault((sentence, tuple(names)), []).append(number)
    for (sentence, parts), numbers in sorted(found.items(), key=lambda item: (item[0][0] == CLOSED, item[0][0] == BESIDE)):
        yield Note(sentence, parts, tuple(numbers))
