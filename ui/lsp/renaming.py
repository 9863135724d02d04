"""Rename labels, blocks, parameters and variables, in all files that mean them; of a label, with the keys of weights that change."""

from __future__ import annotations

import os
from pathlib import Path

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from archc.compiler.driver import check_text
from archc.compiler.elaborate.loader import ARCHS
from archc.compiler.index.renaming import CannotRename, Effect, check_name, effect
from archc.compiler.index.symbols import INPUT, LABEL, OUTPUT, Symbol
from archc.compiler.report import Report
from archc.ui.lsp.analysis import Analysis, is_included
from archc.ui.lsp.documents import path_of
from archc.ui.lsp.navigation import occurrences, real_path
from archc.ui.lsp.workspace import Workspace

MOST_CHECKED = 50  # files whose networks are compared
NOTE = "archc.renaming"
Places = dict[str, list[tuple[int, int]]]  # by URI: from and to which offset


class Refused(JsonRpcException):
    """A request that is refused with a reason for the user."""

    CODE = types.LSPErrorCodes.RequestFailed.value
    MESSAGE = "refused"


def prepare_rename(space: Workspace, params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder | None:
    """Return the name at a position, if it can be changed."""
    now = space.analysis(params.text_document.uri)
    found = now.index.at(now.lines.offset(params.position)) if now is not None and now.index is not None else None
    if now is None or found is None:
        return None
    _refuse_included(now, found.symbol)
    return types.PrepareRenamePlaceholder(now.lines.of(found.span), found.span.text)


def rename(space: Workspace, params: types.RenameParams) -> types.WorkspaceEdit | None:
    """Return the edits that change a name wherever it means the same. Raises Refused where that would change more than a name."""
    now = space.analysis(params.text_document.uri)
    found = now.index.at(now.lines.offset(params.position)) if now is not None and now.index is not None else None
    if now is None or found is None:
        return None
    symbol, name = found.symbol, params.new_name
    _refuse_included(now, symbol)
    places: Places = {}
    edits: dict[str, list[types.TextEdit]] = {}
    texts: dict[str, str] = {}
    for uri, lines, occurrence in occurrences(space, now, symbol):
        if (path := path_of(uri)) is not None and is_included(os.path.realpath(path)):
            continue
        texts[uri] = lines.text
        places.setdefault(uri, []).append((occurrence.span.start, occurrence.span.end))
        edits.setdefault(uri, []).append(types.TextEdit(lines.of(occurrence.span), name))
    try:
        check_name(symbol, name)
        changed = _effect(space, texts, places, name)
    except CannotRename as error:
        raise Refused(f"`{symbol.name}` is not renamed: {error}") from None
    told = symbol.kind in (LABEL, INPUT, OUTPUT) or bool(changed.keys)
    return _edit(space, edits, f"rename {symbol.name} to {name}", changed if told else None)


def _refuse_included(now: Analysis, symbol: Symbol) -> None:
    if Path(real_path(now, symbol.span.source) or "/").is_relative_to(ARCHS):
        raise Refused(f"`{symbol.name}` is defined in {symbol.span.source.label}, one of archc's own files")


def _effect(space: Workspace, texts: dict[str, str], places: Places, name: str) -> Effect:
    """Check each changed text with all of them changed, and compare it with what it was."""
    after = {uri: _replaced(text, places[uri], name) for uri, text in texts.items()}
    before: dict[str, Report] = {}
    for uri in list(texts)[:MOST_CHECKED]:
        before[uri] = check_text(texts[uri], space.name(uri), space.folder(uri), mend=False, loader=space.loader(uri))

    def check(uri: str) -> Report:
        loader = space.loader(uri)
        changed = {os.path.realpath(path): text.encode() for other, text in after.items() if (path := path_of(other)) and other != uri}
        loader.texts = {**loader.texts, **changed}
        return check_text(after[uri], space.name(uri), space.folder(uri), mend=False, loader=loader)

    return effect(before, check)


def _replaced(text: str, places: list[tuple[int, int]], name: str) -> str:
    for start, end in sorted(set(places), reverse=True):
        text = text[:start] + name + text[end:]
    return text


def _edit(space: Workspace, edits: dict[str, list[types.TextEdit]], title: str, changed: Effect | None) -> types.WorkspaceEdit:
    """Return the edits; with a note that a client shows before it makes them, where it can."""
    if changed is None or not space.annotates:
        if changed is not None and changed.keys:
            space.say(f"{title}: {changed}")
        return types.WorkspaceEdit(changes=edits)
    note = types.ChangeAnnotation(title, needs_confirmation=bool(changed.keys), description=str(changed))
    documents: list[types.TextDocumentEdit | types.CreateFile | types.RenameFile | types.DeleteFile] = []
    for uri, rows in edits.items():
        held = space.open.get(uri)
        version = held.document.version if held is not None else None
        noted: list[types.TextEdit | types.AnnotatedTextEdit | types.SnippetTextEdit] = [
            types.AnnotatedTextEdit(NOTE, row.range, row.new_text) for row in rows
        ]
        documents.append(types.TextDocumentEdit(types.OptionalVersionedTextDocumentIdentifier(uri, version), noted))
    return types.WorkspaceEdit(document_changes=documents, change_annotations={NOTE: note})
