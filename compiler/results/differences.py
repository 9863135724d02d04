"""Differences between two networks: a line for every change, with its effect on parameters and MACs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archc.compiler.analysis.diff import Change, Difference, diff
from archc.compiler.draw.figure import figure
from archc.compiler.draw.request import difference_picture, folding, request
from archc.compiler.errors import UsageError
from archc.compiler.graph import ArchGraph, shape_text
from archc.compiler.shapes.dim import Dim
from archc.compiler.tables import html_table, markdown_table, text_table

SIGNS = {"added": "+", "removed": "-", "changed": "~", "moved": ">", "rewired": "*", "follows": "=", "renamed": "@", "output": "o"}
HEADS = ("change", "where", "what", ">parameters", ">MACs")


@dataclass(frozen=True)
class Diff:
    """The changes that lead from a first network to a second. Counts include training-only parts."""

    first: str  # the names of the networks
    second: str
    difference: Difference
    graphs: tuple[ArchGraph, ArchGraph] = field(repr=False)

    @property
    def same(self) -> bool:
        """Whether the networks are the same except for their names and titles."""
        return self.difference.same

    @property
    def changes(self) -> Sequence[Change]:
        """The changes, each with its places, and its effect on parameters and MACs over all of them."""
        return self.difference.changes

    @property
    def params(self) -> tuple[int, int]:
        """The numbers of trainable scalars of the first and the second network."""
        return self.difference.params

    @property
    def macs(self) -> tuple[Dim, Dim]:
        """The multiply-accumulates for one sample of the first and the second network."""
        return self.difference.macs

    @property
    def counterparts(self) -> Mapping[str, str]:
        """The nodes that are in both networks: name in the first -> name in the second."""
        return self.difference.counterparts

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    def text(self) -> str:
        """Return a line for every change, with its effect, and the totals."""
        if self.same:
            return f"{self._notes()[0]}\n"
        return f"{text_table(HEADS, *self._rows())}\n" + "".join(f"{note}\n" for note in self._notes())

    def markdown(self) -> str:
        """Return the same as a table of Markdown, with the totals below it."""
        if self.same:
            return f"{self._notes()[0]}\n"
        rows, foot = self._rows()
        return markdown_table(HEADS, [*rows, foot]) + "\n" + "".join(f"{note}  \n" for note in self._notes())

    def facts(self) -> dict[str, Any]:
        """Return the names, the changes and the totals as plain data."""
        changes = [
            {
                "kind": c.kind,
                "what": c.what,
                "subject": c.subject,
                "before": c.before,
                "after": c.after,
                "places": c.places,
                "params": c.params,
                "macs": shape_text((c.macs,))[0],
            }
            for c in self.changes
        ]
        totals = {"params": list(self.params), "macs": shape_text(self.macs)}
        return {"first": self.first, "second": self.second, "same": self.same, "changes": changes, **totals}

    def draw(
        self,
        form: str = "svg",
        *,
        theme: str = "auto",
        depth: int | None = None,
        expand: str | Iterable[str] = (),
        collapse: str | Iterable[str] = (),
        flat: bool = False,
        side_by_side: bool = False,
        direction: str = "TB",
        title: str = "",
        scale: float = 1.0,
        dpi: int = 0,
        width: str = "",
    ) -> bytes:
        """Draw the second network: green for what was added, amber for what changed, red for what was removed.

        With `side_by_side`, both networks are drawn, with what corresponds on one line. Formats are svg, pdf, png, dot, mermaid or tex;
        the other options are as in `Network.draw`. Raises UsageError for an unknown format or theme, UnknownName for an unknown block,
        NoGraphviz where Graphviz is missing.
        """
        page = figure(direction, title, scale, dpi, width)
        options = request(form, "graph", theme, part="a difference", page=page)
        shown = folding(depth, expand, collapse, flat)
        return difference_picture(*self.graphs, self.difference, shown, (self.first, self.second), options, side_by_side)

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        rows, foot = ([], []) if self.same else self._rows()
        return html_table(HEADS, rows, foot, self._notes())

    def _notes(self) -> list[str]:
        if self.same:
            return [f"{self.first} and {self.second} are the same network"]
        totals = zip((self.first, self.second), self.params, self.macs, strict=True)
        return [f"{name}: {params:,} parameters, {_plain(macs)} MACs" for name, params, macs in totals]

    def _rows(self) -> tuple[list[list[str]], list[str]]:
        rows = [
            [f"{SIGNS[c.kind]} {c.kind}", _places(c), f"{c.subject}: {c.what}" if c.subject else c.what, _signed(c.params), _signed(c.macs)]
            for c in self.changes
        ]
        (params, params_b), (macs, macs_b) = self.params, self.macs
        return rows, ["total", "", f"{self.first} -> {self.second}", _signed(params_b - params), _signed(macs_b - macs)]


def compared(a: ArchGraph, b: ArchGraph, names: tuple[str, str] = ("", "")) -> Diff:
    """Compare two networks. `names` replaces their own names."""
    if not (isinstance(names, tuple) and [*map(type, names)] == [str, str]):
        raise UsageError(f"are two texts, not {names!r}", option="names", given=names)
    return Diff(names[0] or a.name, names[1] or b.name, diff(a, b), (a, b))


def _places(change: Change) -> str:
    """Write the places of a change: the first, its new name, and how many more there are."""
    names = change.before or change.after
    if not names:
        return ""
    where = names[0]
    if change.before and change.after and change.before[0] != change.after[0]:
        where += f" -> {change.after[0]}"
    return where + (f" and {change.places - 1} more" if change.places > 1 else "")


def _signed(number: Dim) -> str:
    return f"{number:+,}" if isinstance(number, int) and number else "" if number == 0 else str(number)


def _plain(number: Dim) -> str:
    return f"{number:,}" if isinstance(number, int) else str(number)
