"""`check --fix`: one chosen repair as a diff, and carried out on the file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from compiler.files import write_bytes
from dsl.diagnostics import Diagnostic, Repair
from dsl.rendering import edited
from dsl.source import Source

BOM = b"\xef\xbb\xbf"


def offered(diagnostics: Sequence[Diagnostic]) -> list[tuple[Diagnostic, Repair]]:
    """All repairs of a file, in the order of its diagnostics."""
    return [(d, repair) for d in diagnostics for repair in d.repairs]


def difference(repair: Repair) -> str:
    """What a repair changes, as a unified diff."""
    source = repair.edits[0].span.source
    before, after = source.text.splitlines(), edited(source, repair.edits).splitlines()
    return "".join(f"{line}\n" for line in difflib.unified_diff(before, after, source.name, source.name, lineterm="", n=2))


def carry_out(repair: Repair, path: Path) -> None:
    """Write the file with the repair; its byte-order mark and its line ends stay as they are."""
    data = path.read_bytes()
    source: Source = repair.edits[0].span.source
    text = data.removeprefix(BOM).decode("utf-8")
    ends = re.findall(r"\r\n|\r|\n", text)
    lines = edited(source, repair.edits).split("\n")
    usual = ends[0] if ends else "\n"
    ends = [*ends, *[usual] * (len(lines) - 1 - len(ends))]
    mended = "".join(line + end for line, end in zip(lines, [*ends[: len(lines) - 1], ""], strict=True))
    write_bytes(path, (BOM if data.startswith(BOM) else b"") + mended.encode())
