"""Completion and hover, by the functions of the language server."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from archc.ui.lsp import completion
from archc.ui.lsp import hover as hovering
from archc.ui.lsp.analysis import Analysis
from archc.ui.lsp.documents import Document
from archc.ui.lsp.workspace import Open, Workspace
from archc.ui.playground.checks import Checked

MOST = 200  # entries of a list


def _opened(now: Checked, sound: Checked | None) -> tuple[Workspace, str]:
    """Return the text as one that an editor has opened, checked, and the last one without errors beside it."""
    space = Workspace(lambda published: None)
    uri = f"playground:/{now.name}"
    document = Document(uri, now.text, 0, space.encoding)
    held = Open(document, now.trees, Analysis(document, now.loaded, now.loader, now.report))
    if sound is now:
        held.good = held.quick
    elif sound is not None:
        held.good = Analysis(Document(uri, sound.text, 0, space.encoding), sound.loaded, sound.loader, sound.report)
    space.open[uri] = held
    return space, uri


def hover(now: Checked, sound: Checked | None, units: int) -> dict[str, Any]:
    """Return what is known of a place, as Markdown; empty where there is nothing to say."""
    space, uri = _opened(now, sound)
    here = space.open[uri].document.lines.position(now.offset(units))
    found = hovering.hover(space, types.HoverParams(types.TextDocumentIdentifier(uri), here))
    return {"markdown": found.contents.value if found is not None and isinstance(found.contents, types.MarkupContent) else ""}


def complete(now: Checked, sound: Checked | None, units: int) -> dict[str, Any]:
    """Return what may be written at a place: labels, details, and what each replaces."""
    space, uri = _opened(now, sound)
    lines = space.open[uri].document.lines
    offset = now.offset(units)
    found = completion.completion(space, types.CompletionParams(types.TextDocumentIdentifier(uri), lines.position(offset)))
    items = []
    start = units
    for item in (found.items if found is not None else [])[:MOST]:
        edit = item.text_edit
        if isinstance(edit, types.TextEdit):
            start = min(start, now.units(lines.offset(edit.range.start)))
            items.append({"label": item.label, "detail": item.detail or "", "insert": edit.new_text, "kind": int(item.kind or 1)})
    return {"from": start, "items": items}
