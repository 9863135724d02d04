"""The structure of a text: what can be folded, and what a selection grows to."""

from __future__ import annotations

import re

from lsprotocol import types

from archc.dsl import ast
from archc.ui.lsp.analysis import Analysis
from archc.ui.lsp.workspace import Workspace

_COMMENT = re.compile(r"[ \t]*#")


def folding_ranges(space: Workspace, params: types.FoldingRangeParams) -> list[types.FoldingRange] | None:
    """Return the bodies, argument lists, `use` lines and comments that go over several lines."""
    now = space.analysis(params.text_document.uri)
    if now is None:
        return None
    found: dict[int, types.FoldingRange] = {}
    for first, last in _spans(now):
        if last > first and (first not in found or found[first].end_line < last):
            found[first] = types.FoldingRange(first, last)
    for first, last in _runs(now, lambda line: _COMMENT.match(line) is not None):
        found.setdefault(first, types.FoldingRange(first, last, kind=types.FoldingRangeKind.Comment))
    for first, last in _runs(now, lambda line: line.lstrip().startswith("use ")):
        found.setdefault(first, types.FoldingRange(first, last, kind=types.FoldingRangeKind.Imports))
    return sorted(found.values(), key=lambda each: each.start_line)


def _spans(now: Analysis) -> list[tuple[int, int]]:
    """Return the first and the last line that stay or go, of every node over several lines."""
    if now.loaded.tree is None:
        return []
    spans = []
    for node in ast.walk(now.loaded.tree):
        if isinstance(node, (ast.Block, ast.Share, ast.For, ast.If, ast.Group, ast.Merge, ast.Op, ast.List, ast.Turns, ast.Default)):
            end = node.span.end
            while end > node.span.start and now.lines.text[end - 1].isspace():
                end -= 1
            first, last = now.lines.line_at(node.span.start), now.lines.line_at(max(end - 1, node.span.start))
            closed = now.lines.text[end - 1 : end] in ("}", "]", ")", ">")
            spans.append((first, last - closed))  # the closing bracket stays
    return spans


def _runs(now: Analysis, belongs: object) -> list[tuple[int, int]]:
    assert callable(belongs)
    runs, begin = [], None
    count = len(now.lines.starts)
    for number in range(count + 1):
        inside = number < count and belongs(now.lines.line(number))
        if inside and begin is None:
            begin = number
        elif not inside and begin is not None:
            if number - begin > 1:
                runs.append((begin, number - 1))
            begin = None
    return runs


def selection_ranges(space: Workspace, params: types.SelectionRangeParams) -> list[types.SelectionRange] | None:
    """Return, for each position, what a selection grows to: a word, its item, the statement, the body, the text."""
    now = space.analysis(params.text_document.uri)
    if now is None:
        return None
    return [_selection(now, now.lines.offset(position)) for position in params.positions]


def _selection(now: Analysis, offset: int) -> types.SelectionRange:
    text = now.lines.text
    spans = {(0, len(text))}
    for word in re.finditer(r"@?[\w.]+", text[max(0, offset - 200) : offset + 200]):
        start, end = word.start() + max(0, offset - 200), word.end() + max(0, offset - 200)
        if start <= offset <= end:
            spans.add((start, end))
    line = now.lines.line_at(offset)
    spans.add((now.lines.starts[line], now.lines.starts[line] + len(now.lines.line(line))))
    if now.loaded.tree is not None:
        spans |= {(node.span.start, node.span.end) for node in ast.walk(now.loaded.tree) if node.span.start <= offset <= node.span.end}
    chain: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: span[1] - span[0]):
        if not chain or (start <= chain[-1][0] and chain[-1][1] <= end and (start, end) != chain[-1]):
            chain.append((start, end))
    selection: types.SelectionRange | None = None
    for start, end in reversed(chain):
        selection = types.SelectionRange(now.lines.range(start, end), selection)
    assert selection is not None
    return selection
