"""Formatting of a text, or of some of its lines, as `archc fmt` writes it. A text that cannot be parsed is left as it is."""

from __future__ import annotations

from lsprotocol import types

from archc.compiler.ops import OPERATORS
from archc.dsl.errors import ArchError
from archc.dsl.formatter import ChangedMeaningError, format_text
from archc.dsl.source import Source
from archc.ui.lsp.actions import replaced
from archc.ui.lsp.workspace import Workspace


def formatting(space: Workspace, params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
    """Return the edits that bring a text into canonical form."""
    return _edits(space, params.text_document.uri, None)


def range_formatting(space: Workspace, params: types.DocumentRangeFormattingParams) -> list[types.TextEdit] | None:
    """Return those of the edits that lie within the lines of a range."""
    return _edits(space, params.text_document.uri, params.range)


def _edits(space: Workspace, uri: str, place: types.Range | None) -> list[types.TextEdit] | None:
    held = space.open.get(uri)
    if held is None:
        return None
    lines = held.document.lines
    try:
        text = format_text(Source(space.name(uri), lines.text), OPERATORS)
    except (ArchError, ChangedMeaningError):
        return None
    if place is None:
        return replaced(lines, text)
    last = place.end.line - (place.end.character == 0 and place.end.line > place.start.line)
    return replaced(lines, text, place.start.line, last)
