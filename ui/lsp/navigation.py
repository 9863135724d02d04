"""From a name to what it means and back: definition, references, highlights, and the calls of blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from lsprotocol import types

from archc.compiler.elaborate.loader import ARCHS
from archc.compiler.index.symbols import CALLABLE, Occurrence, Symbol, same_symbol
from archc.dsl import ast
from archc.dsl.source import Source, Span
from archc.ui.lsp.analysis import Analysis
from archc.ui.lsp.documents import Lines, uri_of
from archc.ui.lsp.files import arch_files, index_of_file
from archc.ui.lsp.symbols import KINDS
from archc.ui.lsp.workspace import Workspace


def definition(space: Workspace, params: types.DefinitionParams) -> types.Location | None:
    """Return where the name at a position is defined: in this text, or in a file that it uses."""
    found = _symbol_at(space, params)
    if found is not None:
        now, symbol = found
        uri = now.uri_of(symbol.span.source)
        return types.Location(uri, now.lines_of(symbol.span.source).of(symbol.span)) if uri else None
    now_ = space.analysis(params.text_document.uri)
    return _implied(now_, now_.lines.offset(params.position)) if now_ is not None else None


class At(Protocol):
    """A request about a position."""

    text_document: types.TextDocumentIdentifier
    position: types.Position


def _symbol_at(space: Workspace, params: At) -> tuple[Analysis, Symbol] | None:
    now = space.analysis(params.text_document.uri)
    if now is None or now.index is None:
        return None
    found = now.index.at(now.lines.offset(params.position))
    return (now, found.symbol) if found is not None else None


def _implied(now: Analysis, offset: int) -> types.Location | None:
    """Return the file of a `use` line, or the item of a name that was given by counting: `@conv3` is the third convolution."""
    tree = now.loaded.tree
    if tree is None or now.index is None:
        return None
    for use, real in now.index.uses:
        if use.span.start <= offset <= use.span.end and real:
            return types.Location(uri_of(real), types.Range(types.Position(0, 0), types.Position(0, 0)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Ref) and node.span.start <= offset <= node.span.end and not node.indices:
            if (span := _node_of(now, node)) is not None and (uri := now.uri_of(span.source)):
                return types.Location(uri, now.lines_of(span.source).of(span))
            return None
    return None


def _node_of(now: Analysis, ref: ast.Ref) -> Span | None:
    """Return the place of the node that a reference names, seen from the calls that hold it, outwards."""
    graph, path = now.report.graph, ref.path.lstrip(".")
    scopes = [seen.scope for seen in now.places.at(ref.span.start)] or [""]
    while path:
        for scope in scopes:
            while True:
                name = f"{scope}.{path}" if scope else path
                if name in graph:
                    return graph[name].span
                if not scope:
                    break
                scope = scope.rpartition(".")[0]
        path = path.rpartition(".")[0]  # a field, `@conv1.c`
    return None


# ---- references


def references(space: Workspace, params: types.ReferenceParams) -> list[types.Location] | None:
    """Return all places of the name at a position, in the files of the workspace that may mean it."""
    found = _symbol_at(space, params)
    if found is None:
        return None
    now, symbol = found
    return [
        types.Location(uri, lines.of(occurrence.span))
        for uri, lines, occurrence in occurrences(space, now, symbol)
        if params.context.include_declaration or not occurrence.defines
    ]


def occurrences(space: Workspace, now: Analysis, symbol: Symbol) -> Iterator[tuple[str, Lines, Occurrence]]:
    """Yield every place of what a symbol means, in the text at hand and then in the other files of the workspace."""
    assert now.index is not None
    for occurrence in now.index.of(symbol):
        yield now.uri, now.lines, occurrence
    home = real_path(now, symbol.span.source)
    own = os.path.realpath(now.loaded.folder / Path(now.source.name).name)
    for path in arch_files(space, own=Path(home).is_relative_to(ARCHS)):
        if str(path) == own or now.uri == uri_of(path):
            continue
        index = index_of_file(space, path, symbol.name)
        if index is None:
            continue
        lines = Lines(index.source.text, space.encoding)
        for occurrence in index.occurrences:
            if _same(occurrence.symbol, symbol):
                yield _uri(space, path), lines, occurrence


def _same(a: Symbol, b: Symbol) -> bool:
    """Return whether two symbols of perhaps different readings are the same definition: files are told by what they contain."""
    if same_symbol(a, b):
        return True
    return (a.kind, a.name, a.span.start) == (b.kind, b.name, b.span.start) and a.span.source.text == b.span.source.text


def _uri(space: Workspace, path: Path) -> str:
    """Return the URI of a file, as the client calls it where it is open."""
    for uri, held in space.open.items():
        if held.document.path is not None and os.path.realpath(held.document.path) == str(path):
            return uri
    return uri_of(path)


def real_path(now: Analysis, source: Source) -> str:
    """Return the real path of a source of an analysis; "" for a text that is in no file."""
    if source is not now.source:
        return next((real for real, each in now.used.items() if each is source), "")
    return os.path.realpath(now.loaded.folder / Path(now.source.name).name)


def highlights(space: Workspace, params: types.DocumentHighlightParams) -> list[types.DocumentHighlight] | None:
    """Return the places of the name at a position in its own text."""
    found = _symbol_at(space, params)
    if found is None or found[0].index is None:
        return None
    now, symbol = found
    assert now.index is not None
    write, read = types.DocumentHighlightKind.Write, types.DocumentHighlightKind.Read
    return [types.DocumentHighlight(now.lines.of(o.span), write if o.defines else read) for o in now.index.of(symbol)]


# ---- calls of blocks


def prepare_call_hierarchy(space: Workspace, params: types.CallHierarchyPrepareParams) -> list[types.CallHierarchyItem] | None:
    """Return the block at a position."""
    found = _symbol_at(space, params)
    if found is None or found[1].kind not in CALLABLE:
        return None
    return [_item(found[0], found[1])]


def _item(now: Analysis, symbol: Symbol) -> types.CallHierarchyItem:
    lines = now.lines_of(symbol.span.source)
    return types.CallHierarchyItem(
        symbol.name,
        KINDS[symbol.kind],
        now.uri_of(symbol.span.source),
        lines.of(symbol.whole),
        lines.of(symbol.span),
        detail=symbol.signature,
        data={"text": now.uri},
    )


def _meant(space: Workspace, item: types.CallHierarchyItem) -> tuple[Analysis, Symbol] | None:
    """Return the block of an item that was returned before."""
    uri = item.data.get("text") if isinstance(item.data, dict) else None
    now = space.analysis(uri) if isinstance(uri, str) else None
    if now is None or now.index is None:
        return None
    known = [*now.index.symbols, *now.index.imported.values()]
    for symbol in known:
        if symbol.kind in CALLABLE and symbol.name == item.name and now.uri_of(symbol.span.source) == item.uri:
            return now, symbol
    return None


def incoming_calls(space: Workspace, params: types.CallHierarchyIncomingCallsParams) -> list[types.CallHierarchyIncomingCall] | None:
    """Return the blocks, and the text itself, that call a block."""
    found = _meant(space, params.item)
    if found is None or found[0].index is None:
        return None
    now, symbol = found
    assert now.index is not None
    callers: dict[int, tuple[types.CallHierarchyItem, list[types.Range]]] = {}
    for call in now.index.calls:
        if same_symbol(call.symbol, symbol):
            item = _item(now, call.caller) if call.caller is not None else _whole(now)
            callers.setdefault(id(call.caller), (item, []))[1].append(now.lines.of(call.span))
    return [types.CallHierarchyIncomingCall(item, ranges) for item, ranges in callers.values()]


def _whole(now: Analysis) -> types.CallHierarchyItem:
    """Return the text itself, as what calls a block outside of others."""
    start = types.Range(types.Position(0, 0), types.Position(0, 0))
    whole = now.lines.range(0, len(now.lines.text))
    return types.CallHierarchyItem(
        now.report.name, types.SymbolKind.Module, now.uri, whole, start, detail=now.source.label, data={"text": now.uri}
    )


def outgoing_calls(space: Workspace, params: types.CallHierarchyOutgoingCallsParams) -> list[types.CallHierarchyOutgoingCall] | None:
    """Return the blocks that a block, or the text itself, calls."""
    found = _meant(space, params.item)
    now = found[0] if found is not None else space.analysis(params.item.uri)
    if now is None or now.index is None:
        return None
    symbol = found[1] if found is not None else None
    called: dict[int, tuple[types.CallHierarchyItem, list[types.Range]]] = {}
    for call in now.index.calls:
        if call.caller is symbol:
            called.setdefault(id(call.symbol), (_item(now, call.symbol), []))[1].append(now.lines.of(call.span))
    return [types.CallHierarchyOutgoingCall(item, ranges) for item, ranges in called.values()]
