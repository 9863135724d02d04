"""Several networks in one table, and in a plot."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archc.compiler.analysis.family import Entry
from archc.compiler.errors import UsageError, alternatives, at_least
from archc.compiler.files import replacing
from archc.compiler.graph import shape_text
from archc.compiler.results.summaries import in_bytes
from archc.compiler.shapes.dim import Formula
from archc.compiler.tables import Room, html_table, latex_table, markdown_table, text_table

HEADS = ("network", ">parameters", ">MACs", ">layers", ">field", ">inference", ">kept for backward")
SPARE = ("kept for backward", "inference", "field", "layers")  # columns that a narrow terminal leaves out, in this order
PLOTS = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Comparison:
    """Networks side by side: an entry for each, in the given order."""

    entries: tuple[Entry, ...]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    def text(self, width: int | None = None) -> str:
        """Return the table; with a `width`, no line is longer. Raises UsageError."""
        if width is not None:
            at_least("width", width, 1)
        return text_table(HEADS, self.cells(), room=Room(width, SPARE, "network") if width is not None else None)

    def markdown(self) -> str:
        """Return the table in Markdown."""
        return markdown_table(HEADS, self.cells())

    def latex(self) -> str:
        """Return the table in LaTeX, for the package booktabs."""
        return latex_table(HEADS, self.cells())

    def csv(self) -> str:
        """Return the columns of the table as comma-separated values, memory in bytes."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        heads = [head.removeprefix(">") for head in HEADS]
        writer.writerow([*heads[:5], *(f"{head} (bytes)" for head in heads[5:])])
        writer.writerows([e.name, e.params, shape_text((e.macs,))[0], e.depth, e.receptive_field, e.peak, e.saved] for e in self.entries)
        return out.getvalue()

    def facts(self) -> list[dict[str, Any]]:
        """Return the entries as plain data, with the keys of a summary."""
        return [
            {
                "name": e.name,
                "params": e.params,
                "macs": shape_text((e.macs,))[0],
                "depth": e.depth,
                "receptive_field": e.receptive_field.sizes,
                "peak": e.peak,
                "saved": e.saved,
            }
            for e in self.entries
        ]

    def plot(self, path: str | Path) -> None:
        """Write a plot of parameters against MACs, a point for each network whose sizes are known, as .svg, .png or .pdf.

        Needs matplotlib. Raises UsageError for another suffix, and CannotWrite.
        """
        path = can_plot(Path(path))
        import matplotlib

        matplotlib.use("Agg")
        matplotlib.rcParams["svg.hashsalt"] = "archc"  # the same file from run to run
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
        known = [e for e in self.entries if isinstance(e.macs, int)]
        axes.scatter([float(str(e.macs)) / 1e9 for e in known], [e.params / 1e6 for e in known])
        for e in known:
            axes.annotate(e.name, (float(str(e.macs)) / 1e9, e.params / 1e6), xytext=(5, 4), textcoords="offset points", fontsize=9)
        axes.set_xlabel("GMACs")
        axes.set_ylabel("million parameters")
        axes.margins(0.12)
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else None)
        pyplot.close(figure)

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return html_table(HEADS, self.cells())

    def cells(self) -> list[list[str]]:
        """Return the entries as text, as the table shows them."""
        return [
            [
                e.name,
                f"{e.params:,}",
                "depend on sizes" if isinstance(e.macs, Formula) else f"{e.macs:,}",
                str(e.depth),
                str(e.receptive_field),
                in_bytes(e.peak) if e.peak is not None else "",
                in_bytes(e.saved) if e.saved is not None else "",
            ]
            for e in self.entries
        ]


def can_plot(path: Path) -> Path:
    """Return a path whose suffix names a format of plots. Raises UsageError for another suffix."""
    if path.suffix not in PLOTS:
        raise UsageError(f"a plot is {alternatives(PLOTS)}, not {path.name}", given=path.suffix, known=PLOTS)
    return path
