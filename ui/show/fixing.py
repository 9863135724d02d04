"""Repairs of `check --fix`: listed, shown as a diff, and applied to the file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from archc.compiler.driver import check_text
from archc.compiler.files import write_bytes
from archc.compiler.report import Report
from archc.dsl.diagnostics import Diagnostic, Repair
from archc.dsl.rendering import edited
from archc.dsl.source import Source

BOM = b"\xef\xbb\xbf"
MOST = 200  # the most repairs that are applied at once


def offered(diagnostics: Sequence[Diagnostic]) -> list[tuple[Diagnostic, Repair]]:
    """Return all repairs of a file, in the order of its diagnostics."""
    return [(d, repair) for d in diagnostics for repair in d.repairs]


def fixed(report: Report, path: Path) -> tuple[str, Report]:
    """Return the text with all safe repairs applied in sequence, empty where there is none, and the report on it.

    A safe repair changes only how something is written. One that changes what is computed, or a claim, is applied by its number.
    """
    text = ""
    for _ in range(MOST):
        repair = next((repair for _, repair in offered([*report.diagnostics, *report.warnings]) if repair.safe), None)
        if repair is None:
            break
        text = edited(repair.edits[0].span.source, repair.edits)
        report = check_text(text, name=str(path), folder=path.parent)
    return text, report


def listed(repairs: Sequence[tuple[Diagnostic, Repair]]) -> list[str]:
    """Return a line for each repair, with the number that `--choose` takes."""
    return [f"  {n}. {repair}, for {d.code} on line {d.span.line if d.span else 0}" for n, (d, repair) in enumerate(repairs, start=1)]


def difference(source: Source, text: str) -> str:
    """Return the changes to a file as a unified diff."""
    before, after = source.text.splitlines(), text.splitlines()
    return "".join(f"{line}\n" for line in difflib.unified_diff(before, after, source.name, source.name, lineterm="", n=2))


def write_fixed(text: str, path: Path) -> None:
    """Write the new text of a file, with its byte-order mark and its line ends. Raises CannotWrite."""
    data = path.read_bytes()
    ends = re.findall(r"\r\n|\r|\n", data.removeprefix(BOM).decode("utf-8"))
    lines = text.split("\n")
    usual = ends[0] if ends else "\n"
    ends = [*ends, *[usual] * (len(lines) - 1 - len(ends))]
    content = "".join(line + end for line, end in zip(lines, [*ends[: len(lines) - 1], ""], strict=True))
    write_bytes(path, (BOM if data.startswith(BOM) else b"") + content.encode())
