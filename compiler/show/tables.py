"""Tables: rows in, aligned text, Markdown or LaTeX out. A head that begins with `>` sets its column flush right."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


def text_table(heads: Sequence[str], rows: Iterable[Sequence[str]], foot: Sequence[str] = ()) -> str:
    """Rows under a head, as wide as they need to be."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, show_footer=bool(foot))
    for number, head in enumerate(heads):
        side = "right" if head.startswith(">") else "left"
        table.add_column(head.removeprefix(">"), foot[number] if foot else "", justify=side, no_wrap=True)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*row)
    out = io.StringIO()
    # No width of a terminal, no markup, no colour: the same text everywhere.
    console = Console(file=out, width=10_000, color_system=None, markup=False, highlight=False, emoji=False)
    console.print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines() if line.strip()) + "\n"


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return _tabulated(heads, rows, "pipe")


def latex_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return _tabulated(heads, rows, "latex_booktabs")


def _tabulated(heads: Sequence[str], rows: Iterable[Sequence[str]], form: str) -> str:
    from tabulate import tabulate

    sides = ["right" if head.startswith(">") else "left" for head in heads]
    names = [head.removeprefix(">") for head in heads]
    return str(tabulate(list(rows), names, tablefmt=form, colalign=sides, disable_numparse=True)) + "\n"
