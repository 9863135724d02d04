"""Symbols of a text, as a tree, and of the workspace."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from archc.compiler.elaborate.loader import ARCHS
from archc.compiler.index.symbols import (
    ARCH,
    BLOCK,
    INPUT,
    LABEL,
    LOOP_NAME,
    OPEN_SIZE,
    OUTPUT,
    PARAMETER,
    SHARED,
    STATE,
    VARIABLE,
    Index,
    Symbol,
)
from archc.dsl import ast
from archc.ui.lsp.documents import Lines, uri_of
from archc.ui.lsp.files import arch_files, index_of_file
from archc.ui.lsp.workspace import Workspace

KINDS = {
    ARCH: types.SymbolKind.Module,
    BLOCK: types.SymbolKind.Function,
    SHARED: types.SymbolKind.Function,
    LABEL: types.SymbolKind.Field,
    INPUT: types.SymbolKind.Interface,
    OUTPUT: types.SymbolKind.Interface,
    VARIABLE: types.SymbolKind.Variable,
    PARAMETER: types.SymbolKind.TypeParameter,
    LOOP_NAME: types.SymbolKind.Variable,
    STATE: types.SymbolKind.Variable,
    OPEN_SIZE: types.SymbolKind.Constant,
}
SHOWN = (ARCH, BLOCK, SHARED, LABEL, INPUT, OUTPUT, VARIABLE)
FOUND = (ARCH, BLOCK, SHARED, VARIABLE, LABEL)
MOST = 300  # symbols of the workspace that are returned


def document_symbols(space: Workspace, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol] | None:
    """Return the symbols of a text, each with those inside it."""
    now = space.analysis(params.text_document.uri)
    if now is None:
        return None
    found = _tree(now.index, now.lines) if now.index is not None else []
    if any(each.is_of_writing for each in now.report.diagnostics) and (before := space.good(params.text_document.uri)) is not None:
        good, carried = before  # what cannot be read now stays where it was
        known = {(each.name, each.kind) for each in found}
        for each in _tree(good.index, good.lines) if good.index is not None else []:
            if (each.name, each.kind) not in known and (moved := _moved(each, carried.line)) is not None:
                found.append(moved)
        found.sort(key=lambda each: (each.range.start.line, each.range.start.character))
    return found


def _tree(index: Index, lines: Lines) -> list[types.DocumentSymbol]:
    shapes = [s for s in index.symbols if s.kind in SHOWN and s.span.source is index.source and s.name]
    top: list[types.DocumentSymbol] = []
    around: list[tuple[Symbol, types.DocumentSymbol]] = []
    for symbol in sorted(shapes, key=lambda s: (s.whole.start, -s.whole.end)):
        made = types.DocumentSymbol(
            symbol.name + _number(symbol), KINDS[symbol.kind], lines.of(symbol.whole), lines.of(symbol.span), detail=_detail(symbol)
        )
        while around and symbol.whole.start >= around[-1][0].whole.end:
            around.pop()
        if around:
            parent = around[-1][1]
            parent.children = [*(parent.children or []), made]
        else:
            top.append(made)
        around.append((symbol, made))
    return top


def _number(symbol: Symbol) -> str:
    if isinstance(symbol.node, ast.Item) and symbol.node.label is not None and symbol.node.label.index is not None:
        return "{" + symbol.node.label.index.span.text + "}"
    return ""


def _detail(symbol: Symbol) -> str:
    if isinstance(symbol.node, ast.Item):
        core = symbol.node.core
        return core.word if isinstance(core, (ast.Op, ast.Merge)) else ""
    if isinstance(symbol.node, (ast.Block, ast.Share, ast.Arch)):
        return symbol.signature.partition(symbol.name)[2]
    return symbol.kind


def _moved(symbol: types.DocumentSymbol, line: object) -> types.DocumentSymbol | None:
    """Return a symbol of an earlier text where its first line is now; None where that was changed."""
    assert callable(line)
    here = line(symbol.selection_range.start.line)
    if here is None:
        return None
    by = here - symbol.selection_range.start.line
    symbol.children = [each for child in symbol.children or [] if (each := _moved(child, line)) is not None]
    symbol.range, symbol.selection_range = _by(symbol.range, by), _by(symbol.selection_range, by)
    return symbol


def _by(place: types.Range, lines: int) -> types.Range:
    return types.Range(
        types.Position(max(place.start.line + lines, 0), place.start.character),
        types.Position(max(place.end.line + lines, 0), place.end.character),
    )


def workspace_symbols(space: Workspace, params: types.WorkspaceSymbolParams) -> list[types.WorkspaceSymbol]:
    """Return the symbols of all files of the workspace whose names contain a text; those of archc's own files where they are asked for."""
    query = params.query.lower()
    found: list[types.WorkspaceSymbol] = []
    for path in arch_files(space, own=bool(query)):
        index = index_of_file(space, path, query)
        if index is None:
            continue
        uri, lines = uri_of(path), Lines(index.source.text, space.encoding)
        for symbol in _matching(index, query, labels=not path.is_relative_to(ARCHS)):
            container = symbol.container.name if symbol.container is not None else path.name
            place = types.Location(uri, lines.of(symbol.span))
            found.append(types.WorkspaceSymbol(place, symbol.name, KINDS[symbol.kind], container_name=container))
            if len(found) == MOST:
                return found
    return found


def _matching(index: Index, query: str, labels: bool) -> Iterator[Symbol]:
    for symbol in index.symbols:
        if symbol.kind in FOUND and query in symbol.name.lower() and (labels or symbol.kind in (ARCH, BLOCK, SHARED)):
            yield symbol
