"""A table of several networks as text, CSV, Markdown, LaTeX or JSON, and as a plot."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archc.compiler.analysis.family import Entry
from archc.compiler.files import replacing
from archc.compiler.graph import shape_text
from archc.compiler.shapes.dim import Formula
from archc.ui.show.summaries import in_bytes
from archc.ui.show.tables import Room, latex_table, markdown_table, text_table

HEADS = ("network", ">parameters", ">MACs", ">layers", ">field", ">inference", ">kept for backward")
SPARE = ("kept for backward", "inference", "field", "layers")  # what a narrow terminal does without, in this order


def cells(entries: Sequence[Entry]) -> list[list[str]]:
    return [
        [
            e.name,
            f"{e.params:,}",
            "depend on sizes" if isinstance(e.macs, Formula) else f"{e.macs:,}",
            str(e.depth),
            str(e.field),
            in_bytes(e.peak) if e.peak is not None else "",
            in_bytes(e.saved) if e.saved is not None else "",
        ]
        for e in entries
    ]


def show(entries: Sequence[Entry], form: str, width: int | None = None) -> str:
    if form == "csv":
        return comma_separated(entries)
    if form == "text":
        return text_table(HEADS, cells(entries), room=Room(width, SPARE, "network") if width is not None else None)
    return {"md": markdown_table, "latex": latex_table}[form](HEADS, cells(entries))


def comma_separated(entries: Sequence[Entry]) -> str:
    """The columns of the table, under its heads, memory in bytes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heads = [head.removeprefix(">") for head in HEADS]
    writer.writerow([*heads[:5], *(f"{head} (bytes)" for head in heads[5:])])
    writer.writerows([e.name, e.params, shape_text((e.macs,))[0], e.depth, e.field, e.peak, e.saved] for e in entries)
    return out.getvalue()


def facts(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The entries as plain data, under the names that a summary has for them."""
    return [
        {
            "name": e.name,
            "params": e.params,
            "macs": shape_text((e.macs,))[0],
            "depth": e.depth,
            "receptive_field": e.field.sizes,
            "peak": e.peak,
            "saved": e.saved,
        }
        for e in entries
    ]


def plot(entries: Sequence[Entry], path: Path) -> None:
    """Parameters against MACs, a point for each network."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "archc"  # the same file from run to run
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
    known = [e for e in entries if isinstance(e.macs, int)]
    axes.scatter([float(str(e.macs)) / 1e9 for e in known], [e.params / 1e6 for e in known])
    for e in known:
        axes.annotate(e.name, (float(str(e.macs)) / 1e9, e.params / 1e6), xytext=(5, 4), textcoords="offset points", fontsize=9)
    axes.set_xlabel("GMACs")
    axes.set_ylabel("million parameters")
    axes.margins(0.12)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
