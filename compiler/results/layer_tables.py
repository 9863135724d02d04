"""The layers of networks side by side, as in the tables of papers: rows of stages, columns of networks."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import cached_property
from itertools import zip_longest
from typing import Any

from archc.compiler.analysis.family import Entry
from archc.compiler.analysis.printed import NOTATIONS, POINT, Line, printed, times
from archc.compiler.analysis.printed import Entry as Layer
from archc.compiler.errors import UsageError, at_least, one_of
from archc.compiler.graph import ArchGraph, shape_text
from archc.compiler.results import layer_page
from archc.compiler.results import layer_text as text_
from archc.compiler.results.columns import LAYERS, PLAIN, Column, Look, waiver
from archc.compiler.results.layer_rows import Band, Note, Strip, aligned, band_of, untold
from archc.compiler.tables import booktabs, latex_text, markdown_table

LEADING = ("stage", "output")  # the columns before the networks
HIDDEN = (*LEADING, "notes")  # what can be left out: of the notes, what the cells do not say


@dataclass(frozen=True)
class LayerTable:
    """Rows of stages, columns of networks. `untold` is what the cells leave out; `hide` names what is not shown."""

    notation: str
    entries: tuple[Entry, ...]  # a network each, with its counts
    bands: tuple[Band, ...]
    untold: tuple[Note, ...]
    hide: tuple[str, ...] = ()
    look: Look = PLAIN

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    def shown(self, *, hide: Iterable[str] = (), **look: Any) -> LayerTable:
        """Return the same table with other columns, as rows below it, units, digits or names; the arguments are those of `Look`.

        Raises UsageError for a column, a unit or a renamed thing that is not there, and for an order, which stages have already.
        """
        hidden = tuple(hide)
        for name in hidden:
            one_of("hide", name, HIDDEN)
        other = replace(self, hide=hidden or self.hide, look=replace(self.look, **look))
        for option in ("sort", "group_by"):
            if getattr(other.look, option):
                raise UsageError("is for tables with a row for each network", option=option, given=getattr(other.look, option))
        columns = other.look.chosen(self.entries, LAYERS)
        stages = [band.name for band in self.bands]
        cells = [cell for band in self.bands for strip in band.strips for cell in strip.cells]
        written = [text for cell in cells for entry in cell or () for text in _texts(entry)]
        columns_ = [column.key for column in columns]
        other.look.check_names([*(entry.name for entry in self.entries), *columns_, *stages, *LEADING, *dict.fromkeys(written)])
        return other

    def text(self, width: int | None = None) -> str:
        """Return the table; with a `width`, as several below each other where that is too narrow for it. Raises UsageError."""
        if width is not None:
            at_least("width", width, 1)
        notes = [note if width is None else textwrap.fill(note, width) for note in self.notes]
        return "\n".join([*text_.tables(self, width), *(["".join(f"{note}\n" for note in notes)] if notes else [])])

    def markdown(self) -> str:
        """Return the table in Markdown. A cell of all networks is repeated in each column."""
        heads, rows = self._plain()
        return markdown_table(heads, rows) + "".join(f"\n{note}\n" for note in self.notes)

    def latex(self) -> str:
        """Return the table in LaTeX, for the package booktabs; a cell of all networks spans their columns."""
        lead, count = len(self.leading), len(self.entries)
        rows: list[Sequence[str] | str] = []
        for band in self.rows:
            rows += [r"\midrule"] * bool(rows)
            before = list(map(latex_text, self.before(band)))
            for number, strip in enumerate(band.strips):
                if number:
                    rows.append(rf"\cmidrule(l){{{lead + 1}-{lead + count}}}" if lead else r"\midrule")
                for line in self._in_latex(strip):
                    rows.append([*before, *line])
                    before = [""] * lead
        foot = self.totals()
        if foot:
            rows.append(r"\midrule")
        rows += [
            [latex_text(name), *[""] * (lead - 1), *map(latex_text, cells)] if lead else list(map(latex_text, cells))
            for name, cells in foot
        ]
        heads = [[*(latex_text(self.look.named(name)) for name in self.leading), *map(latex_text, self.names)]]
        if self.layer_counts():
            heads.append([*[""] * lead, *map(latex_text, self.layer_counts())])
        aligned = "".join("l" if name == "stage" else "c" for name in self.leading) + "c" * count
        look = self.look
        return booktabs(aligned, heads, rows, map(latex_text, self.notes), look.caption, look.label, look.floats, look.font)

    def csv(self) -> str:
        """Return the table as comma-separated values, a row for each row of a stage; a cell of all networks is repeated."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*map(self.look.named, self.leading), *self.names])
        for band in self.rows:
            for strip in band.strips:
                before = [self.look.named(band.name), band.size]
                writer.writerow(
                    [
                        *(cell for name, cell in zip(LEADING, before, strict=True) if name not in self.hide),
                        *("; ".join(map(joined, cell or ())) for cell in strip.cells),
                    ]
                )
        for name, cells in self.totals():
            writer.writerow([name, *[""] * (len(self.leading) - 1), *cells] if self.leading else cells)
        return out.getvalue()

    def facts(self) -> dict[str, Any]:
        """Return the table as plain data: for each cell, its layers as text and its blocks with `copies`."""
        return {
            "notation": self.notation,
            "networks": [{"name": e.name, "params": e.params, "macs": shape_text((e.macs,))[0], "depth": e.depth} for e in self.entries],
            "stages": [
                {"name": band.name, "output": band.size,
                 "rows": [{"whole": strip.whole, "cells": [None if cell is None else list(map(_fact, cell)) for cell in strip.cells]}
                          for strip in band.strips]}
                for band in self.rows
            ],
            "notes": list(self.notes),
        }  # fmt: skip

    def _repr_html_(self) -> str:
        """Return the table for a notebook or a page; a cell of all networks spans their columns, and what a network adds may be bold."""
        return layer_page.html(self)

    # ---- what is shown

    @property
    def names(self) -> list[str]:
        """The names of the networks, as they are shown."""
        return [self.look.named(entry.name) for entry in self.entries]

    @cached_property
    def rows(self) -> tuple[Band, ...]:
        """The bands as they are shown, with other words for lines that are renamed."""
        strips = [
            [Strip(tuple(cell and tuple(map(self._renamed, cell)) for cell in s.cells), s.whole) for s in band.strips]
            for band in self.bands
        ]
        return tuple(replace(band, strips=tuple(shown)) for band, shown in zip(self.bands, strips, strict=True))

    def _renamed(self, entry: Layer) -> Layer:
        if isinstance(entry, Line):
            return replace(entry, text=self.look.named(entry.text))
        return replace(entry, body=tuple(map(self._renamed, entry.body)))

    @property
    def notes(self) -> list[str]:
        """Sentences below the table: which claims are waived, and what the cells leave out, unless that is hidden."""
        waived: dict[str, list[str]] = {}
        for entry in self.entries:
            if entry.waived:
                waived.setdefault(waiver(entry), []).append(self.look.named(entry.name))
        return [*(f"{_joined(names)}: {note}" for note, names in waived.items()), *([] if "notes" in self.hide else self._untold())]

    def _untold(self) -> list[str]:
        texts: dict[str, list[str]] = {}
        for note in self.untold:
            of = "" if len(note.networks) == len(self.names) else f" ({_joined([self.names[number] for number in note.networks])})"
            texts.setdefault(note.sentence, []).append(_listed(note.parts) + of)
        return [f"{sentence}: {'; '.join(parts)}." for sentence, parts in texts.items()]

    @property
    def leading(self) -> list[str]:
        """The columns before those of the networks."""
        return [name for name in LEADING if name not in self.hide]

    def before(self, band: Band) -> list[str]:
        """Return the leading cells of a stage; its name is empty where it is that of the stage before."""
        at = self.rows.index(band)
        title = "" if at and self.rows[at - 1].name == band.name else self.look.named(band.name)
        return [cell for name, cell in zip(LEADING, (title, band.size), strict=True) if name not in self.hide]

    def layer_counts(self) -> list[str]:
        """Return a second line of the head, `11 weight layers`, where the column `layers` is shown."""
        shown = any(column.key == "layers" for column in self._columns())
        return [f"{entry.depth} weight layers" for entry in self.entries] if shown else []

    def totals(self) -> list[tuple[str, list[str]]]:
        """Return the rows below the stages: the head of a column, and its values, with the head where there is no column for it."""
        rows = []
        for column in self._columns():
            if column.key != "layers":
                head = self.look.head(column).removeprefix(">")
                cells = [self.look.write(column, entry) for entry in self.entries]
                rows.append((head, cells if self.leading else [f"{head}: {cell}" for cell in cells]))
        return rows

    def added(self, strip: Strip, number: int) -> list[bool]:
        """Return for each entry of a cell whether it is in bold, as asked for: a layer that is not in the cell to the left."""
        cell = strip.cells[number] or ()
        if not self.look.bold or strip.whole or not number:
            return [False] * len(cell)
        marks = [isinstance(entry, Line) for entry in cell]
        for block in SequenceMatcher(None, strip.cells[number - 1] or (), cell, autojunk=False).get_matching_blocks():
            marks[block.b : block.b + block.size] = [False] * block.size
        return marks

    def _columns(self) -> list[Column]:
        return self.look.chosen(self.entries, LAYERS)

    def _plain(self) -> tuple[list[str], list[list[str]]]:
        """Return heads and rows of Markdown, with the lines of a cell below each other."""
        rows = []
        for band in self.rows:
            before = self.before(band)
            for strip in band.strips:
                cells = []
                for number, cell in enumerate(strip.cells):
                    marked = zip(cell or (), self.added(strip, number), strict=True)
                    written = [f"**{each}**" if mark else each for entry, mark in marked for each in text_.lines(entry)]
                    cells.append("<br>".join(each.rstrip() for each in written))
                rows.append([*before, *cells])
                before = [""] * len(before)
        counts = self.layer_counts()
        if counts:
            rows.insert(0, [*[""] * len(self.leading), *counts])
        lead = len(self.leading)
        rows += [[name, *[""] * (lead - 1), *cells] if lead else cells for name, cells in self.totals()]
        return [*(self.look.named(name) for name in self.leading), *self.names], rows

    def _in_latex(self, strip: Strip) -> list[list[str]]:
        """Return the rows of LaTeX of a strip: one for each entry."""
        if strip.whole:
            span = rf"\multicolumn{{{len(self.entries)}}}{{c}}"
            return [[f"{span}{{{_latex(entry, False)}}}"] for entry in self.spanning(strip)]
        cells = [
            [_latex(entry, mark) for entry, mark in zip(cell or (), self.added(strip, number), strict=True)]
            for number, cell in enumerate(strip.cells)
        ]
        return [list(row) for row in zip_longest(*cells, fillvalue="")]

    def spanning(self, strip: Strip) -> list[Layer]:
        """Return what is written of a cell of all networks, line by line: by kernels, the layers of a vector are one line."""
        cell = strip.cells[0] or ()
        band = next(band for band in self.rows if strip in band.strips)
        if self.notation == "kernels" and band.size == POINT and all(isinstance(entry, Line) for entry in cell):
            return [Line(", ".join(entry.text for entry in cell if isinstance(entry, Line)))]
        return list(cell)


def layer_table(networks: Sequence[tuple[Entry, ArchGraph]], notation: str) -> LayerTable:
    """Lay out the layers of networks. Raises UsageError for an unknown notation, and where there is no network."""
    one_of("notation", notation, NOTATIONS)
    if not networks:
        raise UsageError("are none", option="networks")
    columns = [printed(graph, notation) for _, graph in networks]
    bands = [band_of(stages, notation) for stages in aligned([column.stages for column in columns])]
    if notation == "layers":
        inputs = [tuple(Line(f"input ({times(node.shape)})", False) for node in graph.inputs) for _, graph in networks]
        bands.insert(0, Band("", "", (Strip(tuple(inputs), len(inputs) > 1 and len(set(inputs)) == 1),)))
    entries = tuple(entry for entry, _ in networks)
    return LayerTable(notation, entries, tuple(bands), tuple(untold(columns)))


def _texts(entry: Layer) -> list[str]:
    return [entry.text] if isinstance(entry, Line) else [text for part in entry.body for text in _texts(part)]


def _listed(parts: Sequence[str], most: int = 6) -> str:
    return ", ".join(parts[:most]) + f" and {len(parts) - most} more" if len(parts) > most else _joined(parts)


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def joined(entry: Layer) -> str:
    """Write an entry in one line: `[3×3, 64; 3×3, 64] ×2`."""
    return entry.text if isinstance(entry, Line) else f"[{'; '.join(map(joined, entry.body))}] ×{entry.copies}"


def _fact(entry: Layer) -> Any:
    return entry.text if isinstance(entry, Line) else {"block": list(map(_fact, entry.body)), "copies": entry.copies}


def _latex(entry: Layer, bold: bool) -> str:
    r"""Write an entry in LaTeX: a line, or an array in brackets, as ResNet's authors set it."""
    if isinstance(entry, Line):
        return rf"\textbf{{{latex_text(entry.text)}}}" if bold else latex_text(entry.text)
    body = r"\\".join(rf"\mbox{{{_latex(part, False)}}}" for part in entry.body)
    return rf"$\left[\,\begin{{array}}{{@{{}}c@{{}}}}{body}\end{{array}}\,\right]\times {entry.copies}$"
