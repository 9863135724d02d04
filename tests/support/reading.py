"""How long our own files are, to compare with what is read back from their graphs."""

from __future__ import annotations

import re
from pathlib import Path

from archc.dsl import ast
from archc.dsl.parser import parse
from archc.dsl.source import Source
from archc.tests.support import ROOT


def code_lines(text: str) -> int:
    """Count the lines that are neither blank nor comments."""
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.splitlines())


def own_lines(path: Path) -> int:
    """Count the lines of a network of ours: of its file and of what it uses of others, blocks by their names."""
    return _lines(path, None, set())


def _lines(path: Path, words: set[str] | None, seen: set[Path]) -> int:
    """Count a file: all of it, or, for the `words` of the file that uses it, what these lead to."""
    if path in seen:
        return 0
    seen.add(path)
    text = path.read_text(encoding="utf-8")
    parsed = parse(Source(str(path), text))
    assert parsed.file is not None
    statements = [(statement, statement.span.text) for statement in parsed.file.statements]
    blocks = {each.name: part for each, part in statements if isinstance(each, ast.Block)}
    named = next((each.name for each, _ in statements if isinstance(each, ast.Arch)), "")
    whole = words is None or named in words
    kept = [
        part
        for each, part in statements
        if not isinstance(each, (ast.Block, ast.Use)) and (whole or isinstance(each, (ast.Default, ast.Let)))
    ]
    waiting, used = [*kept, *(words or ())], set[str]()
    while waiting:
        for word in re.findall(r"[A-Za-z_]\w*", waiting.pop()):
            if word in blocks and word not in used:
                used.add(word)
                waiting.append(blocks[word])
    lines = sum(code_lines(part) for part in [*kept, *(blocks[word] for word in used)])
    reached = {word for part in [*kept, *(blocks[word] for word in used)] for word in re.findall(r"[A-Za-z_]\w*", part)} | (words or set())
    for each, _ in statements:
        if isinstance(each, ast.Use):
            inner = path.parent / each.path
            lines += 1 + _lines(inner if inner.exists() else ROOT / "archs" / each.path, reached, seen)
    return lines
