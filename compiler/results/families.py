"""Several networks in one table, and in a plot."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from archc.compiler.analysis.family import Entry
from archc.compiler.errors import at_least
from archc.compiler.graph import shape_text
from archc.compiler.plots.request import Axes
from archc.compiler.results.columns import COLUMNS, PLAIN, USUAL, Column, Given, Look, waiver
from archc.compiler.results.own import own_columns
from archc.compiler.results.plotted import Plotted, plot
from archc.compiler.tables import RULE, Room, booktabs, html_table, latex_text, markdown_table, text_table

SPARE = ("kept for backward", "inference", "field", "layers")  # columns that a narrow terminal leaves out, in this order


@dataclass(frozen=True)
class Comparison:
    """Networks side by side: an entry for each, in the given order, and how they are shown."""

    entries: tuple[Entry, ...]
    look: Look = PLAIN

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    def shown(self, **look: Any) -> Comparison:
        """Return the same networks with other columns, units, digits or order; the arguments are those of `Look`.

        Raises UsageError for a column, a unit or a renamed thing that is not there.
        """
        other = replace(self, look=replace(self.look, **look))
        look_ = other.look
        look_.chosen(self.entries, USUAL)
        look_.ordered(self.entries)
        words = [str(value) for entry in self.entries for value in (entry.family, *entry.own.values())]
        look_.check_names([*(entry.name for entry in self.entries), *look_.everything(self.entries), *words, "network"])
        return other

    def with_data(self, path: str | Path) -> Comparison:
        """Return the same networks with the columns of a CSV file, matched by name; its column `family` replaces theirs.

        Raises UsageError for a file that cannot be read, and for a row that matches no network.
        """
        own = own_columns(Path(path), [entry.name for entry in self.entries])
        return replace(self, entries=tuple(_joined(entry, own) for entry in self.entries))

    def text(self, width: int | None = None) -> str:
        """Return the table; with a `width`, no line of it is longer. Raises UsageError."""
        if width is not None:
            at_least("width", width, 1)
        room = Room(width, tuple(map(self._head, SPARE)), self._named) if width is not None and not self._given else None
        table = text_table(self._heads, self.cells(), room=room)
        return table + ("\n" + "".join(f"[{mark}] {note}\n" for mark, note in self._notes.items()) if self._notes else "")

    def markdown(self) -> str:
        """Return the table in Markdown, with the best values in bold where that is asked for."""
        rows = [[_marked_down(cell) for cell in row] for row in self._rows(lambda name, mark: f"{name}<sup>{mark}</sup>" if mark else name)]
        notes = "".join(f"\n<sup>{mark}</sup> {note}\n" for mark, note in self._notes.items())
        return markdown_table(self._heads, rows) + notes

    def latex(self) -> str:
        """Return the table in LaTeX, for the package booktabs: a float where it has a caption or a label, groups apart by lines."""
        rows: list[list[str] | str] = []
        group = ""
        for cells in self._rows(lambda name, mark: f"{name}\0{mark}" if mark else name):
            if self.look.group_by:
                if rows and cells[0].text not in ("", group):
                    rows.append(RULE)
                group = cells[0].text or group
            rows.append([_in_latex(cell) for cell in cells])
        heads = [latex_text(head.removeprefix(">")) for head in self._heads]
        aligned = "".join("r" if head.startswith(">") else "l" for head in self._heads)
        notes = [rf"\textsuperscript{{{mark}}} {latex_text(note)}" for mark, note in self._notes.items()]
        look = self.look
        return booktabs(aligned, [heads], rows, notes, look.caption, look.label, look.floats, look.font)

    def csv(self) -> str:
        """Return the columns of the table as comma-separated values: whole counts, memory in bytes, where no unit is given."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        columns = self._columns
        group = [self._group] if self._group else []
        heads = [self.look.head(column).removeprefix(">") for column in (*group, *columns)]
        plain = [
            f"{head} (bytes)" if c.in_bytes and c.key not in self.look.units else head
            for head, c in zip(heads, [*group, *columns], strict=True)
        ]
        writer.writerow([self._named, *plain])
        for entry in self._ordered:
            writer.writerow([self.look.named(entry.name), *(self._plain(column, entry) for column in (*group, *columns))])
        return out.getvalue()

    def facts(self) -> list[dict[str, Any]]:
        """Return the entries as plain data, with the keys of a summary, in the order of the table."""
        return [
            {
                "name": e.name,
                "params": e.params,
                "macs": shape_text((e.macs,))[0],
                "depth": e.depth,
                "receptive_field": e.receptive_field.sizes,
                "peak": e.peak,
                "saved": e.saved,
                "family": e.family,
                **({"waived": list(e.waived)} if e.waived else {}),
                **({"own": {key: value.number if isinstance(value, Given) else value for key, value in e.own.items()}} if e.own else {}),
            }
            for e in self._ordered
        ]

    def plot(self, path: str | Path, **axes: Any) -> Plotted:
        """Write a plot of the networks by two columns, as .svg, .pdf, .png, or .tex for the LaTeX package pgf.

        The arguments are those of `compiler.plots.request.Axes`: `x="macs", y="top1", size="params", color="family"`, and others. Returns
        which networks are not in it or have no label. Needs matplotlib. Raises UsageError for a suffix, an axis or a style that is not
        there, and where no network has both values, and CannotWrite.
        """
        return plot(self.entries, self.look, Axes(**axes), Path(path))

    def _repr_html_(self) -> str:
        """Return the table for a notebook or a page, with the best values in bold where that is asked for."""
        rows = self._rows(lambda name, mark: f"{name} [{mark}]" if mark else name)
        notes = [f"[{mark}] {note}" for mark, note in self._notes.items()]
        bold = [[cell.best and bool(cell.text) for cell in row] for row in rows]
        return html_table(self._heads, [[cell.text for cell in row] for row in rows], notes=notes, bold=bold)

    def cells(self) -> list[list[str]]:
        """Return the entries as text, as the table shows them."""
        return [[cell.text for cell in row] for row in self._rows(lambda name, mark: f"{name} [{mark}]" if mark else name)]

    # ---- what is shown

    @cached_property
    def _columns(self) -> list[Column]:
        return [column for column in self.look.chosen(self.entries, USUAL) if column.key != self.look.group_by]

    @cached_property
    def _group(self) -> Column | None:
        everything = self.look.everything(self.entries)
        return everything[self.look.group_by] if self.look.group_by else None

    @cached_property
    def _ordered(self) -> list[Entry]:
        return self.look.ordered(self.entries)

    @property
    def _given(self) -> bool:
        """Whether the columns were chosen, so that none of them is left out."""
        return self.look.columns is not None

    @property
    def _named(self) -> str:
        return self.look.named("network")

    def _head(self, title: str) -> str:
        """Return the head of the column of archc with a title."""
        column = next(column for column in COLUMNS.values() if column.title == title)
        return self.look.head(column).removeprefix(">")

    @cached_property
    def _heads(self) -> list[str]:
        group = [self.look.head(self._group)] if self._group else []
        return [*group, self._named, *map(self.look.head, self._columns)]

    @cached_property
    def _notes(self) -> dict[str, str]:
        """The footnotes, by their letters: networks that are not what their files claim."""
        texts = dict.fromkeys(waiver(entry) for entry in self._ordered if entry.waived)
        return {_letter(number): text for number, text in enumerate(texts)}

    def _rows(self, mark: Callable[[str, str], str]) -> list[list[Cell]]:
        """Return the rows; `mark` joins a name and the letter of its footnote."""
        letters = {text: letter for letter, text in self._notes.items()}
        best = [self.look.best(column, self._ordered) for column in self._columns]
        rows: list[list[Cell]] = []
        group: str | None = None
        for number, entry in enumerate(self._ordered):
            name = mark(self.look.named(entry.name), letters.get(waiver(entry), ""))
            row = [Cell(name), *(Cell(self.look.write(c, entry), b[number]) for c, b in zip(self._columns, best, strict=True))]
            if self._group is not None:
                title = self._group.write(entry)
                row.insert(0, Cell("" if title == group else title))
                group = title
            rows.append(row)
        return rows

    def _plain(self, column: Column, entry: Entry) -> Any:
        """Return the value of a column for CSV."""
        if column.key in self.look.units or self.look.precision(column.key) is not None:
            return self.look.write(column, entry).replace(",", "")
        value = column.value(entry)
        if isinstance(value, Given):
            return value.text
        return value if value is None or isinstance(value, int) else str(value)


@dataclass(frozen=True)
class Cell:
    """One cell of a table, and whether it is the best of its column."""

    text: str
    best: bool = False


def _marked_down(cell: Cell) -> str:
    text = cell.text.replace("|", r"\|")
    return f"**{text}**" if cell.best and text else text


def _in_latex(cell: Cell) -> str:
    text, _, mark = cell.text.partition("\0")
    written = latex_text(text) + (rf"\textsuperscript{{{mark}}}" if mark else "")
    return rf"\textbf{{{written}}}" if cell.best and text else written


def _joined(entry: Entry, own: Mapping[str, Mapping[str, Any]]) -> Entry:
    """Return an entry with the columns of a user."""
    heads = list(next(iter(own.values())))
    row = own.get(entry.name, dict.fromkeys(heads))
    family = row.get("family") or entry.family
    return replace(entry, family=family, own={**entry.own, **{head: row[head] for head in heads if head != "family"}})


def _letter(number: int) -> str:
    """Return the mark of a footnote: a to z, then aa."""
    return (_letter(number // 26 - 1) if number >= 26 else "") + "abcdefghijklmnopqrstuvwxyz"[number % 26]
