"""Tables: rows in, aligned text, Markdown or LaTeX out. A head that begins with `>` sets its column flush right."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

Rows = Sequence[Sequence[str]]

GAP = 3  # blanks between two columns
SHORTEST = 16  # a column that is cut short is still that wide


@dataclass(frozen=True)
class Room:
    """How wide a table may get, and what becomes smaller for it: columns that are left out, one after the other, then one cut short."""

    width: int
    spare: tuple[str, ...]
    elastic: str

    def fit(self, heads: Sequence[str], rows: Rows, foot: Sequence[str]) -> tuple[list[str], Rows, list[str]]:
        """The heads, the rows and the foot that fit."""
        names = [head.removeprefix(">") for head in heads]
        table = [list(names), *map(list, rows), *([list(foot)] if foot else [])]
        kept = list(range(len(heads)))
        widths = [max(len(row[number]) for row in table) for number in kept]

        def excess() -> int:
            return sum(widths[number] for number in kept) + GAP * (len(kept) - 1) - self.width

        short = names.index(self.elastic)
        for name in self.spare:
            if excess() > max(0, widths[short] - SHORTEST) and name in names:
                kept.remove(names.index(name))
        most = max(SHORTEST, widths[short] - max(0, excess()))
        for row in table:
            if len(row[short]) > most:
                row[short] = row[short][: most - 3] + "..."
        fitted = [[row[number] for number in kept] for row in table]
        end = len(fitted) - bool(foot)
        return [heads[number] for number in kept], fitted[1:end], fitted[end] if foot else []


def text_table(heads: Sequence[str], rows: Iterable[Sequence[str]], foot: Sequence[str] = (), room: Room | None = None) -> str:
    """Rows under a head, as wide as they need to be, or as there is room for."""
    if room is not None:
        heads, rows, foot = room.fit(heads, list(rows), foot)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, show_footer=bool(foot))
    for number, head in enumerate(heads):
        side = "right" if head.startswith(">") else "left"
        table.add_column(head.removeprefix(">"), foot[number] if foot else "", justify=side, no_wrap=True)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*row)
    out = io.StringIO()
    # No width of a terminal, no markup, no colour: the same text everywhere.
    console = Console(file=out, width=10_000, color_system=None, markup=False, highlight=False, emoji=False)
    console.print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines() if line.strip()) + "\n"


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return _tabulated(heads, rows, "pipe")


def latex_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return _tabulated(heads, rows, "latex_booktabs")


def _tabulated(heads: Sequence[str], rows: Iterable[Sequence[str]], form: str) -> str:
    from tabulate import tabulate

    sides = ["right" if head.startswith(">") else "left" for head in heads]
    names = [head.removeprefix(">") for head in heads]
    return str(tabulate(list(rows), names, tablefmt=form, colalign=sides, disable_numparse=True)) + "\n"
