"""A summary as text, JSON, CSV, Markdown or LaTeX."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archc.compiler.analysis.memory import BYTES, Usage
from archc.compiler.analysis.summary import Row, Summary
from archc.compiler.graph import shape_text
from archc.compiler.shapes.dim import Dim, Formula, Shape, show_shape
from archc.ui.show.tables import Room, latex_table, markdown_table, text_table

HEADS = ("name", "operator", ">output", ">parameters", ">MACs", ">share", ">FLOPs", ">memory", ">field")
SPARE = ("FLOPs", "share", "memory", "field", "MACs")  # what a narrow terminal does without, in this order


@dataclass(frozen=True)
class Style:
    """How sizes are shown: the order of axes, and what a value takes."""

    layout: str = "chw"
    dtype: str = "float32"
    batch: int = 1

    def shape(self, shape: Shape) -> str:
        if self.layout == "hwc" and len(shape) > 1:
            shape = (*shape[1:], shape[0])
        return show_shape(shape)

    def memory(self, values: Dim) -> str:
        size = self.bytes(values)
        return "" if isinstance(size, Formula) else in_bytes(size)

    def bytes(self, values: Dim) -> Dim:
        return values * BYTES[self.dtype] * self.batch


def in_bytes(size: int) -> str:
    return f"{size / 2**20:,.2f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"


def flat(rows: Sequence[Row], level: int = 0) -> Iterator[tuple[int, Row]]:
    """Every row with its depth."""
    for row in rows:
        yield level, row
        yield from flat(row.inside, level + 1)


def cells(summary: Summary, rows: Sequence[Row], style: Style, short: bool = False) -> list[list[str]]:
    """The rows as text, blocks before what is in them; in short, without the counts of one copy."""
    found = []
    for level, row in flat(rows):
        share = "" if isinstance(row.macs, Formula) or isinstance(summary.macs, Formula) else _share(row, summary.macs)
        name = "  " * level + row.shown_name + ("  (training)" if row.training_only else "")
        written = row.written if len(row.written) <= 44 else row.written[:41] + "..."
        flops = 2 * row.macs * row.copies
        found.append(
            [
                name,
                written + (f"  x{row.copies}" if row.copies > 1 else ""),
                style.shape(row.shape),
                _count(row.params * row.copies, 1) if short else _count(row.params, row.copies),
                _count(row.macs * row.copies, 1) if short else _count(row.macs, row.copies),
                share,
                _count(flops, 1),
                style.memory(row.activations * row.copies),
                str(row.sees) if row.copies == 1 else f"{row.sees} .. {row.last_sees}",
            ]
        )
    return found


def _share(row: Row, total: Any) -> str:
    macs: Any = row.macs
    return f"{100 * macs * row.copies / total:.1f}%" if macs and total and not row.training_only else ""


def _count(each: Dim, copies: int) -> str:
    if not isinstance(each, int):
        return str(each)
    if not each:
        return ""
    return f"{each:,}" if copies == 1 else f"{copies} x {each:,} = {each * copies:,}"


def totals(summary: Summary, style: Style) -> list[str]:
    macs = summary.macs
    flops = f"{2 * macs:,}" if isinstance(macs, int) else str(2 * macs)
    return ["total", "", "", f"{summary.params:,}", f"{macs:,}" if isinstance(macs, int) else str(macs), "", flops, "", str(summary.field)]


def text(summary: Summary, rows: Sequence[Row], style: Style, width: int | None = None) -> str:
    """The table and what its columns mean; with a width, no line is longer."""
    table = text_table(HEADS, cells(summary, rows, style), totals(summary, style))
    if width is not None and len(table.partition("\n")[0]) > width:
        table = text_table(HEADS, cells(summary, rows, style, short=True), totals(summary, style), Room(width, SPARE, "operator"))
    memory = f"Memory: all values that the row's nodes give, {style.dtype}, batch {style.batch}."
    memory += " Field: the receptive field, in pixels of the input."
    if width is None:
        return f"{table}\n{summary.rule}\n{memory}\n{_misaligned(summary)}"
    legend = (summary.rule.replace("\n", " "), memory, _misaligned(summary).rstrip())
    return f"{table}\n" + "".join(f"{textwrap.fill(text, width)}\n" for text in legend if text)


def _misaligned(summary: Summary) -> str:
    names = [name for name, seen in summary.fields.items() if seen.misaligned]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"Branches that look at different places of the input meet at {', '.join(names[:3])}{more}.\n" if names else ""


def markdown(summary: Summary, rows: Sequence[Row], style: Style) -> str:
    return markdown_table(HEADS, [*cells(summary, rows, style), totals(summary, style)])


def latex(summary: Summary, rows: Sequence[Row], style: Style) -> str:
    return latex_table(HEADS, [*cells(summary, rows, style), totals(summary, style)])


def facts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as plain data; counts are those of one copy."""
    return [_facts(row) | ({"inside": facts(row.inside)} if row.inside else {}) for row in rows]


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
        "receptive_field": row.sees.sizes,
        "jump": None if row.sees.whole else [float(axis.jump) for axis in row.sees.axes],
        "start": None if row.sees.whole else [float(axis.start) for axis in row.sees.axes],
        "misaligned": row.sees.misaligned,
        "training_only": row.training_only,
    }


def comma_separated(rows: Sequence[Row], style: Style) -> str:
    """The columns of the table, under its heads, those of one copy; memory in bytes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["depth", "name", "operator", "copies", "nodes", "output", "parameters", "MACs", "FLOPs", "memory (bytes)", "field"])
    for level, row in flat(rows):
        macs, flops, memory = shape_text((row.macs, 2 * row.macs, style.bytes(row.activations)))
        shape = style.shape(row.shape)
        writer.writerow([level, row.name, row.written, row.copies, row.nodes, shape, row.params, macs, flops, memory, str(row.sees)])
    return out.getvalue()


def memory(usage: Usage, style: Style, optimizer: str, measured: tuple[int, int] | None) -> str:
    """What a network needs of memory, predicted, and beside it measured."""
    peak, saved = measured if measured is not None else (None, None)
    rows = [
        ["parameters", in_bytes(usage.parameters), ""],
        ["buffers", in_bytes(usage.buffers), ""],
        ["activations at inference, peak", in_bytes(usage.peak), in_bytes(peak) if peak is not None else ""],
        ["gradients", in_bytes(usage.gradients), ""],
        [f"state of the optimizer ({optimizer})", in_bytes(usage.optimizer), ""],
        ["activations kept for backward", in_bytes(usage.saved), in_bytes(saved) if saved is not None else ""],
        ["a training step, after its forward pass", in_bytes(usage.training), ""],
    ]
    heads = ("memory", ">predicted", ">measured") if measured is not None else ("memory", ">predicted")
    table = text_table(heads, [row[: len(heads)] for row in rows])
    return f"\n{table}\n{style.dtype}, batch {style.batch}; the input is not counted. The peak is at {usage.peak_at}.\n"
