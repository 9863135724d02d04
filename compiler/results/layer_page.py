"""Tables of layers as HTML: blocks in brackets, and cells that span the columns of all networks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from archc.compiler.analysis.printed import Entry, Line
from archc.compiler.tables import html_row, html_whole

if TYPE_CHECKING:
    from archc.compiler.results.layer_rows import Strip
    from archc.compiler.results.layer_tables import LayerTable

BRACKETS = "display: inline-block; vertical-align: middle; border: solid; border-width: 0 1px; border-radius: 6px; padding: 0 0.4em"


def html(table: LayerTable) -> str:
    """Return a table of layers in HTML. All text is escaped; no ids, no style sheet."""
    lead = len(table.leading)
    rows = []
    for band in table.rows:
        before = list(map(escape, table.before(band)))
        for strip in band.strips:
            rows.append(html_row("td", [*((cell, "left", 1) for cell in before), *_cells(table, strip)]))
            before = [""] * lead
    heads = [html_row("th", _aligned([*map(table.look.named, table.leading), *table.names], lead))]
    heads += [html_row("th", _aligned([*[""] * lead, *table.layer_counts()], lead))] if table.layer_counts() else []
    foot = [html_row("td", _aligned([*[name, ""][:lead], *cells], lead)) for name, cells in table.totals()]
    return html_whole(heads, [*rows, *foot], notes=table.notes)


def _aligned(cells: list[str], lead: int) -> list[tuple[str, str, int]]:
    return [(escape(cell), "left" if at < lead else "center", 1) for at, cell in enumerate(cells)]


def _cells(table: LayerTable, strip: Strip) -> list[tuple[str, str, int]]:
    """Return the cells of a strip; one that is that of all networks spans their columns."""
    if strip.whole:
        return [("\n".join(map(_entry, table.spanning(strip))), "center", len(strip.cells))]
    cells = []
    for number, cell in enumerate(strip.cells):
        marked = zip(cell or (), table.added(strip, number), strict=True)
        cells.append(("\n".join(f"<b>{_entry(entry)}</b>" if mark else _entry(entry) for entry, mark in marked), "center", 1))
    return cells


def _entry(entry: Entry) -> str:
    if isinstance(entry, Line):
        return escape(entry.text)
    body = "\n".join(map(_entry, entry.body))
    return f'<span style="{BRACKETS}">{body}</span> ×{entry.copies}'
