"""Tables for people: rows in, aligned text out."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


def text_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under a head, as wide as they need to be. A column whose name begins with `>` is set flush right."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    out = io.StringIO()
    # No width of a terminal, no markup, no colour: the same text everywhere.
    console = Console(file=out, width=10_000, color_system=None, markup=False, highlight=False, emoji=False)
    console.print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines() if line.strip()) + "\n"
