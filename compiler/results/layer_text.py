"""Tables of layers as aligned text, as several below each other where one is too wide."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from archc.compiler.analysis.printed import Entry, Line
from archc.compiler.tables import GAP
from archc.dsl.rendering import columns, visible

if TYPE_CHECKING:
    from archc.compiler.results.layer_tables import LayerTable

Row = tuple[list[str], list[str], bool]  # the leading cells, those of the networks, and whether these are one
RULE: Row = ([], [], False)


def lines(entry: Entry) -> list[str]:
    """Return an entry as lines: those of a block in brackets of one width, the copies beside its middle."""
    if isinstance(entry, Line):
        return [visible(entry.text)]
    body = [line for part in entry.body for line in lines(part)]
    wide = max(map(columns, body))
    framed = [f"[{line}{' ' * (wide - columns(line))}]" for line in body]
    middle = (len(framed) - 1) // 2 if len(framed) % 2 else len(framed) // 2 - 1
    mark = f" ×{entry.copies}"
    return [line + (mark if number == middle else " " * len(mark)) for number, line in enumerate(framed)]


def tables(table: LayerTable, width: int | None) -> list[str]:
    """Return the table, with as many networks as fit a width, and the rest below it."""
    rows = _rows(table)
    wide = [max(columns(row[0][at]) for row in rows if row[0]) for at in range(len(table.leading))]
    count = len(table.entries)
    cells = [max(columns(row[1][at]) for row in rows if row[1] and not row[2]) for at in range(count)]
    span = max((columns(row[1][0]) for row in rows if row[2]), default=0)
    room = None if width is None else width - sum(wide) - GAP * len(wide)
    texts = []
    for chosen in _chunks(cells, room):
        widths = [cells[at] for at in chosen]
        short = span - sum(widths) - GAP * (len(widths) - 1)
        widths = [each + (max(0, short) + at) // len(widths) for at, each in enumerate(widths)]
        texts.append(_text(rows, wide, chosen, widths))
    return texts


def _chunks(widths: Sequence[int], room: int | None) -> list[list[int]]:
    """Return the numbers of networks that are beside each other, at least one at a time."""
    chunks: list[list[int]] = [[]]
    for number, width in enumerate(widths):
        used = sum(widths[at] + GAP for at in chunks[-1])
        if room is not None and chunks[-1] and used + width > room:
            chunks.append([])
        chunks[-1].append(number)
    return chunks


def _text(rows: Sequence[Row], wide: Sequence[int], chosen: Sequence[int], widths: Sequence[int]) -> str:
    total = sum(widths) + GAP * (len(widths) - 1)
    lines_ = []
    for before, cells, whole in rows:
        if not cells:
            lines_.append("─" * (sum(wide) + GAP * len(wide) + total))
            continue
        left = [cell + " " * (width - columns(cell)) for cell, width in zip(before, wide, strict=True)]
        parts = [(cells[0], total)] if whole else [(cells[at], width) for at, width in zip(chosen, widths, strict=True)]
        middle = [_centred(cell, width) for cell, width in parts]
        lines_.append((" " * GAP).join([*left, *middle]).rstrip())
    return "".join(f"{line}\n" for line in lines_)


def _centred(text: str, width: int) -> str:
    blanks = width - columns(text)
    return " " * (blanks // 2) + text + " " * (blanks - blanks // 2)


def _rows(table: LayerTable) -> list[Row]:
    """Return the lines of the table, those between stages included."""
    lead = len(table.leading)
    rows: list[Row] = [([table.look.named(name) for name in table.leading], list(map(visible, table.names)), False)]
    if table.layer_counts():
        rows.append(([""] * lead, table.layer_counts(), False))
    for band in table.rows:
        rows.append(RULE)
        before = table.before(band)
        for strip in band.strips:
            if strip.whole:
                written = [([line], True) for entry in table.spanning(strip) for line in lines(entry)]
            else:
                cells = [[line for entry in cell or () for line in lines(entry)] for cell in strip.cells]
                written = [(list(row), False) for row in zip_longest(*cells, fillvalue="")]
            for row, whole in written:
                rows.append((list(map(visible, before)), row, whole))
                before = [""] * lead
    totals = table.totals()
    rows += [RULE] * bool(totals)
    return rows + [([visible(name), *[""] * (lead - 1)] if lead else [], cells, False) for name, cells in totals]
