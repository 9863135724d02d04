"""Code actions: every repair that was tried, as a quick fix that says what it changes; comments that allow warnings; the expanded text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from lsprotocol import types

from archc.compiler.driver import check_text, expanded_text
from archc.compiler.report import Report
from archc.dsl.diagnostics import WARNING, WRITING, Diagnostic, Repair
from archc.dsl.errors import ArchError
from archc.dsl.rendering import edited
from archc.ui.lsp.analysis import Analysis
from archc.ui.lsp.documents import Lines
from archc.ui.lsp.reporting import diagnostic
from archc.ui.lsp.workspace import Workspace

EXPAND = "archc.expand"
FIX_ALL = "source.fixAll.archc"
SHOW_EXPANDED = "source.expand.archc"
KINDS = (types.CodeActionKind.QuickFix, FIX_ALL, SHOW_EXPANDED)
MOST = 200  # repairs that are applied at once
TITLE = 200  # characters of a title


async def code_actions(space: Workspace, params: types.CodeActionParams) -> list[types.CodeAction]:
    """Return the actions for a range. Waits for the search of repairs."""
    uri = params.text_document.uri
    only = params.context.only
    full = await space.full(uri)
    if full is None:
        return []
    start, end = full.lines.offset(params.range.start), full.lines.offset(params.range.end)
    actions: list[types.CodeAction] = []
    if _wanted(only, types.CodeActionKind.QuickFix):
        for found in full.found:
            if found.span is None or found.span.source is not full.source or not _touches(full, found, start, end):
                continue
            actions.extend(_fix(found, repair, full) for repair in found.repairs)
            if found.severity == WARNING:
                actions.append(_allow(found, full))
    if _wanted(only, FIX_ALL) and any(repair.safe for found in full.found for repair in found.repairs):
        text = await asyncio.get_running_loop().run_in_executor(None, _all_fixed, space, full)
        if text != full.lines.text:
            actions.append(types.CodeAction("Correct all slips of writing", FIX_ALL, edit=_edit(uri, replaced(full.lines, text))))
    if _wanted(only, SHOW_EXPANDED) and full.report.ok and full.report.has_network:
        title = "Show as expanded: every block, repeat and default written out"
        actions.append(types.CodeAction(title, SHOW_EXPANDED, command=types.Command(title, EXPAND, arguments=[uri])))
    return actions


def _wanted(only: Sequence[types.CodeActionKind | str] | None, kind: str) -> bool:
    return not only or any(kind == each or kind.startswith(f"{getattr(each, 'value', each)}.") for each in only)


def _touches(full: Analysis, found: Diagnostic, start: int, end: int) -> bool:
    """Return whether a range touches what is wrong, or, where it is a place, the lines of it."""
    assert found.span is not None
    if found.span.start <= end and start <= found.span.end:
        return True
    first, last = full.lines.line_at(start), full.lines.line_at(end)
    return start == end and first <= full.lines.line_at(found.span.start) <= last


def _fix(found: Diagnostic, repair: Repair, full: Analysis) -> types.CodeAction:
    title = f"Repair: {repair if repair.changes != WRITING else f'{repair.what} (only how it is written)'}"
    title = title if repair.complete else f"{title}; other errors are left"
    title = " ".join(title.split())
    edits = [types.TextEdit(full.lines.of(edit.span), edit.text) for edit in repair.edits if edit.span.source is full.source]
    return types.CodeAction(
        title if len(title) <= TITLE else f"{title[: TITLE - 1]}…",
        types.CodeActionKind.QuickFix,
        diagnostics=[diagnostic(found, full)],
        is_preferred=repair.safe and repair is found.repairs[0],
        edit=_edit(full.uri, edits),
    )


def _allow(found: Diagnostic, full: Analysis) -> types.CodeAction:
    """Return the action that adds the comment by which a warning is allowed on its line."""
    assert found.span is not None
    line = found.span.line - 1
    comment = ", " if "#" in full.lines.line(line) else "  # "
    edit = types.TextEdit(types.Range(full.lines.end_of(line), full.lines.end_of(line)), f"{comment}allow: {found.code}")
    return types.CodeAction(
        f"Allow {found.code} on this line, by a comment",
        types.CodeActionKind.QuickFix,
        diagnostics=[diagnostic(found, full)],
        edit=_edit(full.uri, [edit]),
    )


def _edit(uri: str, edits: Sequence[types.TextEdit]) -> types.WorkspaceEdit:
    return types.WorkspaceEdit(changes={uri: list(edits)})


def _all_fixed(space: Workspace, full: Analysis) -> str:
    """Return the text with all safe repairs applied in turn, as `check --fix --all` does it."""
    report: Report = full.report
    text = full.lines.text
    loader = full.loader
    for _ in range(MOST):
        repairs = (r for found in (*report.diagnostics, *report.warnings) for r in found.repairs if r.safe)
        repair = next(repairs, None)
        if repair is None:
            break
        text = edited(repair.edits[0].span.source, repair.edits)
        report = check_text(text, full.source.name, full.loaded.folder, limits=space.settings.limits, loader=loader.renewed())
    return text


# ---- whole texts as edits


def replaced(lines: Lines, text: str, first: int = 0, last: int | None = None) -> list[types.TextEdit]:
    """Return the edits, line by line, that turn the lines of a text into another; only those within some lines, from 0."""
    before, after = lines.text.split("\n"), text.split("\n")
    stop = len(before) if last is None else last + 1
    edits = []
    for a, b, c, d in _changed(SequenceMatcher(None, before, after, autojunk=False)):
        if not (first <= a and max(b, a + 1) <= stop):
            continue
        if b < len(before):
            place, new = types.Range(_start(lines, a), _start(lines, b)), "".join(f"{line}\n" for line in after[c:d])
        else:  # to the end of the text, which has no newline of its own
            begin = lines.end_of(a - 1) if a else _start(lines, 0)
            place, new = types.Range(begin, lines.end_of(len(before) - 1)), ("\n" if a and d > c else "") + "\n".join(after[c:d])
        edits.append(types.TextEdit(place, new))
    return edits


def _changed(matcher: SequenceMatcher[str]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the lines that change, before and after: one by one where as many lines take their place."""
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "replace" and b - a == d - c:
            yield from ((a + step, a + step + 1, c + step, c + step + 1) for step in range(b - a))
        elif tag != "equal":
            yield a, b, c, d


def _start(lines: Lines, line: int) -> types.Position:
    return lines.position(lines.starts[line])


# ---- the expanded text


def expanded(space: Workspace, uri: str) -> str:
    """Return the program with everything written out, or what is wrong with it, as comments."""
    now = space.analysis(uri)
    if now is None:
        return ""
    if not now.report.has_network:
        return "# only blocks, for `use`\n"
    if now.report.ok:
        try:
            return expanded_text(now.report)
        except ArchError as error:
            return _commented([str(error)])
    return _commented([f"{found.code}: {found.message}" for found in now.report.diagnostics])


def _commented(rows: Iterable[str]) -> str:
    return "".join(f"# {line}\n" for row in ("it cannot be expanded while it has errors", *rows) for line in row.splitlines())
