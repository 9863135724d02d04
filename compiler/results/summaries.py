"""Summaries of networks: a row for each node or block, with its shape, parameters, MACs, memory and receptive field."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archc.compiler.analysis.conventions import CONVENTIONS
from archc.compiler.analysis.cost import holes_of
from archc.compiler.analysis.memory import BYTES
from archc.compiler.analysis.preparation import prepared
from archc.compiler.analysis.receptive import Field
from archc.compiler.analysis.summary import SORTS, Counts, Row
from archc.compiler.errors import at_least, one_of
from archc.compiler.graph import ArchGraph, shape_text
from archc.compiler.shapes.dim import Dim, Formula, Shape, show_shape
from archc.compiler.tables import Room, html_table, latex_table, markdown_table, text_table

HEADS = ("name", "operator", ">output", ">parameters", ">MACs", ">share", ">FLOPs", ">memory", ">field")
SPARE = ("FLOPs", "share", "memory", "field", "MACs")  # columns that a narrow terminal leaves out, in this order
LAYOUTS = ("chw", "hwc")


@dataclass(frozen=True)
class Units:
    """How sizes are shown: the order of axes, and the dtype and number of samples for which memory is counted.

    Raises UsageError for an unknown layout or dtype, and for a batch below 1.
    """

    layout: str = "chw"
    dtype: str = "float32"
    batch: int = 1

    def __post_init__(self) -> None:
        one_of("layout", self.layout, LAYOUTS)
        one_of("dtype", self.dtype, tuple(BYTES))
        at_least("batch", self.batch, 1)

    def shape(self, shape: Shape) -> str:
        """Write a shape, without the batch: `64x56x56`, or `56x56x64` where the channels are last."""
        if self.layout == "hwc" and len(shape) > 1:
            shape = (*shape[1:], shape[0])
        return show_shape(shape)

    def memory(self, values: Dim) -> str:
        """Write the memory of values: `3.06 MiB`; empty where sizes are open."""
        size = self.bytes(values)
        return "" if isinstance(size, Formula) else in_bytes(size)

    def bytes(self, values: Dim) -> Dim:
        """Count the bytes of values, given for one sample, over the whole batch."""
        return values * BYTES[self.dtype] * self.batch


@dataclass(frozen=True)
class View:
    """Which rows are shown.

    `depth`: levels of labels; `expand`: parts to show whole; `flat`: every node alone, nothing folded;
    `sort`: every node, the largest `top` by `params`, `macs` or `memory` first; `convention`: whose rule counts MACs.

    Raises UsageError for an unknown sort key or convention, and for a depth or a top below 1.
    """

    depth: int = 2
    expand: tuple[str, ...] = ()
    flat: bool = False
    sort: str = ""
    top: int = 10
    convention: str = "paper"

    def __post_init__(self) -> None:
        one_of("sort", self.sort, ("", *SORTS))
        one_of("convention", self.convention, tuple(CONVENTIONS))
        at_least("depth", self.depth, 1)
        at_least("top", self.top, 1)

    def rows(self, counts: Counts) -> list[Row]:
        """Choose the rows. Raises UnknownName for an unknown part."""
        if self.sort:
            return counts.largest(counts.leaves(), self.sort, self.top)
        return counts.leaves() if self.flat else counts.rows(self.depth, self.expand)


@dataclass(frozen=True)
class Summary:
    """The rows of a network and its totals. Counts are for one sample at inference; rows of training-only parts say so."""

    name: str
    rows: tuple[Row, ...]  # outermost; an opened block holds the rows inside it
    params: int  # trainable scalars
    macs: Dim  # multiply-accumulates by the rule below; a formula where sizes are open
    receptive_field: Field  # the receptive field of the network, in pixels of the input
    rule: str  # what counts as a MAC, in words
    misaligned: tuple[str, ...]  # nodes whose branches look at different places of the input
    units: Units = Units()
    preprocess: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by input: how samples are prepared
    holes: tuple[str, ...] = ()  # nodes that nothing computes, of which nothing is counted: the totals are lower bounds

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    def __iter__(self) -> Iterator[Row]:
        return (row for _, row in flat(self.rows))

    def text(self, width: int | None = None) -> str:
        """Return the table and what its columns mean; with a `width`, no line is longer. Raises UsageError."""
        if width is not None:
            at_least("width", width, 1)
        table = text_table(HEADS, self.cells(), self.totals())
        if width is not None and len(table.partition("\n")[0]) > width:
            table = text_table(HEADS, self.cells(short=True), self.totals(), Room(width, SPARE, "operator"))
        if width is None:
            notes = [self.rule, self._memory(), *filter(None, [self._misaligned(), self._bounds()]), *prepared(self.preprocess)]
            return f"{table}\n" + "".join(f"{note}\n" for note in notes)
        return f"{table}\n" + "".join(f"{textwrap.fill(note, width)}\n" for note in self._notes())

    def markdown(self) -> str:
        """Return the table in Markdown, and below it how samples are prepared, where that is stated."""
        table = markdown_table(HEADS, [*self.cells(), self.totals()])
        return table + "".join(f"\n{line}\n" for line in prepared(self.preprocess))

    def latex(self) -> str:
        """Return the table in LaTeX, for the package booktabs."""
        return latex_table(HEADS, [*self.cells(), self.totals()])

    def csv(self) -> str:
        """Return the columns of the table as comma-separated values, counts those of one copy, memory in bytes."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(
            ["depth", "name", "operator", "copies", "nodes", "output", "parameters", "MACs", "FLOPs", "memory (bytes)", "field"]
        )
        for level, row in flat(self.rows):
            macs, flops, memory = shape_text((row.macs, 2 * row.macs, self.units.bytes(row.activations)))
            shape = self.units.shape(row.shape)
            writer.writerow(
                [level, row.name, row.written, row.copies, row.nodes, shape, row.params, macs, flops, memory, str(row.receptive_field)]
            )
        return out.getvalue()

    def facts(self) -> dict[str, Any]:
        """Return the rows and totals as plain data; counts of a row are those of one copy, and formulas are text."""
        total = shape_text((self.macs,))[0]
        return {
            "name": self.name,
            "params": self.params,
            "macs": total,
            "receptive_field": self.receptive_field.sizes,
            "rows": _plain(self.rows),
            **({"holes": list(self.holes)} if self.holes else {}),
            **({"preprocess": {name: dict(facts) for name, facts in self.preprocess.items()}} if self.preprocess else {}),
        }

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return html_table(HEADS, self.cells(), self.totals(), self._notes())

    def _notes(self) -> list[str]:
        return [
            note
            for note in (self.rule.replace("\n", " "), self._memory(), self._misaligned(), self._bounds(), *prepared(self.preprocess))
            if note
        ]

    def _memory(self) -> str:
        memory = f"Memory: all values that the row's nodes produce, {self.units.dtype}, batch {self.units.batch}."
        return f"{memory} Field: the receptive field, in pixels of the input."

    def _misaligned(self) -> str:
        names = self.misaligned
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"Branches that look at different places of the input meet at {', '.join(names[:3])}{more}." if names else ""

    def _bounds(self) -> str:
        names = self.holes
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"Not counted: the holes {', '.join(names[:3])}{more}. The totals are lower bounds." if names else ""

    def cells(self, short: bool = False) -> list[list[str]]:
        """Return the rows as text, blocks before the rows inside them; if `short`, without the counts of one copy."""
        cells = []
        for level, row in flat(self.rows):
            name = "  " * level + row.shown_name + ("  (training)" if row.training_only else "")
            written = row.written if len(row.written) <= 44 else row.written[:41] + "..."
            cells.append(
                [
                    name,
                    written + (f"  x{row.copies}" if row.copies > 1 else ""),
                    self.units.shape(row.shape),
                    _at_least(row, _count(row.params * row.copies, 1) if short else _count(row.params, row.copies)),
                    _at_least(row, _count(row.macs * row.copies, 1) if short else _count(row.macs, row.copies)),
                    self._share(row),
                    _at_least(row, _count(2 * row.macs * row.copies, 1)),
                    self.units.memory(row.activations * row.copies),
                    str(row.receptive_field) if row.copies == 1 else f"{row.receptive_field} .. {row.last_receptive_field}",
                ]
            )
        return cells

    def _share(self, row: Row) -> str:
        """Write a row's share of all MACs."""
        if not isinstance(row.macs, int) or not isinstance(self.macs, int) or row.training_only or self.holes:
            return ""
        return f"{100 * row.macs * row.copies / self.macs:.1f}%" if row.macs and self.macs else ""

    def totals(self) -> list[str]:
        """Return the last row of the table as text."""
        macs, flops = (f"{value:,}" if isinstance(value, int) else str(value) for value in (self.macs, 2 * self.macs))
        least = ">= " if self.holes else ""
        return ["total", "", "", f"{least}{self.params:,}", least + macs, "", least + flops, "", str(self.receptive_field)]


def summary(graph: ArchGraph, view: View = View(), units: Units = Units()) -> Summary:
    """Summarize a network. Raises UnknownName for an unknown part to expand."""
    counts = Counts(graph, view.convention)
    misaligned = tuple(name for name, field in counts.fields.items() if field.misaligned)
    rows = tuple(view.rows(counts))
    totals = (counts.params, counts.macs, counts.receptive_field)
    holes = tuple(node.name for node in holes_of(graph))
    return Summary(graph.name, rows, *totals, counts.rule, misaligned, units, graph.preprocess, holes)


def in_bytes(size: int) -> str:
    """Write a size: `3.06 MiB`, or `12.5 KiB`."""
    return f"{size / 2**20:,.2f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"


def flat(rows: Sequence[Row], level: int = 0) -> Iterator[tuple[int, Row]]:
    """Yield every row with its depth, blocks before the rows inside them."""
    for row in rows:
        yield level, row
        yield from flat(row.inside, level + 1)


def _count(each: Dim, copies: int) -> str:
    if not isinstance(each, int):
        return str(each)
    if not each:
        return ""
    return f"{each:,}" if copies == 1 else f"{copies} x {each:,} = {each * copies:,}"


def _at_least(row: Row, count: str) -> str:
    """Write a count of a row, of which its holes are an unknown part."""
    return f"{count} + ?".removeprefix(" + ") if row.holes else count


def _plain(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [_facts(row) | ({"inside": _plain(row.inside)} if row.inside else {}) for row in rows]


def _facts(row: Row) -> dict[str, Any]:
    macs, values, activations = shape_text((row.macs, row.values, row.activations))
    return {
        "name": row.name,
        "operator": row.written,
        "copies": row.copies,
        "nodes": row.nodes,
        "output": shape_text(row.shape),
        "params": row.params,
        "macs": macs,
        "flops": shape_text((2 * row.macs,))[0],
        "values": values,
        "activations": activations,
        "receptive_field": row.receptive_field.sizes,
        "jump": None if row.receptive_field.whole else [float(axis.jump) for axis in row.receptive_field.axes],
        "start": None if row.receptive_field.whole else [float(axis.start) for axis in row.receptive_field.axes],
        "misaligned": row.receptive_field.misaligned,
        "training_only": row.training_only,
        **({"holes": row.holes} if row.holes else {}),
    }
