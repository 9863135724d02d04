"""Write tables as aligned text, Markdown, LaTeX or HTML. A head that begins with `>` aligns its column to the right."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest

from archc.dsl.rendering import columns, visible

Rows = Sequence[Sequence[str]]

GAP = 3  # blanks between two columns
RULE = r"\midrule"
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
SHORTEST = 16  # the least width of a column that is cut


@dataclass(frozen=True)
class Room:
    """The most columns of a table's lines, and how it is narrowed: `spare` columns are left out in order, then `elastic` is cut."""

    width: int
    spare: tuple[str, ...]
    elastic: str

    def fit(self, heads: Sequence[str], rows: Rows, foot: Sequence[str]) -> tuple[list[str], Rows, list[str]]:
        """Return the heads, the rows and the foot, narrowed to the width."""
        names = [head.removeprefix(">") for head in heads]
        table = [list(names), *map(list, rows), *([list(foot)] if foot else [])]
        kept = list(range(len(heads)))
        widths = [max(len(row[number]) for row in table) for number in kept]

        def excess() -> int:
            return sum(widths[number] for number in kept) + GAP * (len(kept) - 1) - self.width

        short = names.index(self.elastic)
        for name in self.spare:
            if excess() > max(0, widths[short] - SHORTEST) and name in names:
                kept.remove(names.index(name))
        most = max(SHORTEST, widths[short] - max(0, excess()))
        for row in table:
            if len(row[short]) > most:
                row[short] = row[short][: most - 3] + "..."
        fitted = [[row[number] for number in kept] for row in table]
        end = len(fitted) - bool(foot)
        return [heads[number] for number in kept], fitted[1:end], fitted[end] if foot else []


def text_table(heads: Sequence[str], rows: Iterable[Sequence[str]], foot: Sequence[str] = (), room: Room | None = None) -> str:
    """Return rows under a head, as wide as their content, or within a `room`."""
    rows = list(rows)
    if room is not None:
        heads, rows, foot = room.fit(heads, rows, foot)
    names = [head.removeprefix(">") for head in heads]
    right = [head.startswith(">") for head in heads]
    body = [[visible(cell).replace("\t", " ").replace("\n", " ") for cell in row] for row in (*rows, *([foot] if foot else []))]
    widths = [max(columns(row[number]) for row in [names, *body]) for number in range(len(names))]
    rule = "─" * (sum(widths) + GAP * (len(widths) - 1))
    lines = [_line(names, widths, right), rule, *(_line(row, widths, right) for row in body)]
    return "".join(f"{line}\n" for line in lines if line)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    """Return one row: every cell padded to the width of its column, without blanks at the end."""
    filled = []
    for cell, width, flush in zip(cells, widths, right, strict=True):
        shown = cell.rstrip()
        blanks = " " * (width - columns(shown))
        filled.append(blanks + shown if flush else shown + blanks)
    return (" " * GAP).join(filled).rstrip()


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as a Markdown table."""
    return _tabulated(heads, rows, "pipe")


def latex_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as a LaTeX table, for the package booktabs."""
    return _tabulated(heads, rows, "latex_booktabs")


def _tabulated(heads: Sequence[str], rows: Iterable[Sequence[str]], form: str) -> str:
    from tabulate import tabulate

    sides = ["right" if head.startswith(">") else "left" for head in heads]
    names = [head.removeprefix(">") for head in heads]
    return str(tabulate(list(rows), names, tablefmt=form, colalign=sides, disable_numparse=True)) + "\n"


def booktabs(
    aligned: str, heads: Rows, rows: Sequence[Sequence[str] | str], notes: Iterable[str] = (), caption: str = "", label: str = "",
    floats: str = "", font: str = "",
) -> str:  # fmt: skip
    """Return a LaTeX table for the package booktabs, of cells that are LaTeX; a row that is text is a rule.

    `aligned` holds a letter for each column. With a caption or a label, in LaTeX and as it is, or the name of an environment, the table
    floats. In a small `font`, columns are nearer to each other. Notes are below it.
    """
    lines = [f"\\begin{{tabular}}{{{aligned}}}", "\\toprule", *(" & ".join(row) + r" \\" for row in heads), "\\midrule"]
    lines += [row if isinstance(row, str) else " & ".join(row) + r" \\" for row in rows]
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += [f"\\par\\smallskip\\noindent{{\\footnotesize {note}\\par}}" for note in notes]
    if font:
        lines = [f"\\{font}\\setlength{{\\tabcolsep}}{{0.7\\tabcolsep}}%", *lines]
    if caption or label or floats:
        titles = [*([f"\\caption{{{caption}}}"] if caption else []), *([f"\\label{{{label}}}"] if label else [])]
        name = floats or "table"
        lines = [f"\\begin{{{name}}}", "\\centering", *titles, *(["\\smallskip"] if caption else []), *lines, f"\\end{{{name}}}"]
    elif font:
        lines = ["\\begingroup", *lines, "\\endgroup"]
    return "".join(f"{line}\n" for line in lines)


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$",
          "×": r"$\times$", "[": "{[}", "]": "{]}", **{sign: f"\\{sign}" for sign in "&%$#_{}"}}  # fmt: skip


def latex_text(text: str) -> str:
    """Return a text in LaTeX, where it means itself; powers of ten (`×10⁹`) are set as such."""
    parts = re.split("×10([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", text)
    plain = ["".join(_LATEX.get(char, char) for char in visible(part)) for part in parts[::2]]
    powers = [rf"$\times10^{{{power.translate(RAISED)}}}$" for power in parts[1::2]]
    return "".join(before + power for before, power in zip(plain, [*powers, ""], strict=True))


def html_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    foot: Sequence[str] = (),
    notes: Iterable[str] = (),
    bold: Sequence[Sequence[bool]] = (),
) -> str:
    """Return rows as an HTML table with notes below; `bold` says of each cell whether it is. All text is escaped; no ids or styles."""
    sides = ["right" if head.startswith(">") else "left" for head in heads]

    def row(tag: str, cells: Sequence[str], marks: Sequence[bool] = ()) -> str:
        written = [
            f"<b>{escape(cell)}</b>" if mark else escape(cell) for cell, mark in zip(cells, marks or [False] * len(cells), strict=True)
        ]
        return html_row(tag, [(cell, side, 1) for cell, side in zip(written, sides, strict=True)])

    body = [row("td", cells, marks) for cells, marks in zip_longest(rows, bold, fillvalue=())]
    return html_whole([row("th", [head.removeprefix(">") for head in heads])], body, row("th", foot) if foot else "", notes)


def html_row(tag: str, cells: Iterable[tuple[str, str, int]]) -> str:
    """Return a row of HTML: of each cell its content, which is HTML, its alignment, and how many columns it spans."""
    tags = [f'<{tag}{_span(span)} style="text-align: {side}; white-space: pre">{cell}</{tag}>' for cell, side, span in cells]
    return f"<tr>{''.join(tags)}</tr>"


def _span(count: int) -> str:
    return f' colspan="{count}"' if count > 1 else ""


def html_whole(heads: Iterable[str], rows: Iterable[str], foot: str = "", notes: Iterable[str] = ()) -> str:
    """Return a table of rows that are HTML, with notes below."""
    end = f"<tfoot>{foot}</tfoot>" if foot else ""
    below = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f"<table><thead>{''.join(heads)}</thead><tbody>{''.join(rows)}</tbody>{end}</table>{below}"
