"""Links on `use` lines, and lenses above networks and blocks: counts, and the commands `draw` and `expand`."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from archc.compiler.graph import Node
from archc.compiler.index.places import counted
from archc.compiler.index.symbols import CALLABLE, Symbol
from archc.dsl import ast
from archc.ui.lsp.actions import EXPAND
from archc.ui.lsp.analysis import Analysis
from archc.ui.lsp.documents import uri_of
from archc.ui.lsp.workspace import Workspace

DRAW = "archc.draw"


def document_links(space: Workspace, params: types.DocumentLinkParams) -> list[types.DocumentLink] | None:
    """Return a link to the file of each `use` line."""
    now = space.analysis(params.text_document.uri)
    if now is None or now.index is None:
        return None
    links = []
    for use, real in now.index.uses:
        start = now.lines.text.find(use.path, use.span.start, use.span.end)
        if real and start >= 0:
            links.append(types.DocumentLink(now.lines.range(start, start + len(use.path)), uri_of(real)))
    return links


def code_lenses(space: Workspace, params: types.CodeLensParams) -> list[types.CodeLens] | None:
    """Return the lenses of a text."""
    now = space.analysis(params.text_document.uri)
    if now is None or not space.settings.lenses or now.loaded.tree is None:
        return None
    return list(_lenses(now))


def _lenses(now: Analysis) -> Iterator[types.CodeLens]:
    tree, report = now.loaded.tree, now.report
    assert tree is not None
    header = next((s for s in tree.statements if isinstance(s, (ast.Arch, ast.Input))), None)
    if header is not None and report.has_network:
        place = now.lines.range(header.span.start, header.span.start)
        if report.ok:
            counts = report.cost()
            yield types.CodeLens(place, types.Command(f"{counts.params:,} parameters, {counted(counts.macs)} MACs", ""))
            yield types.CodeLens(place, types.Command("expand", EXPAND, arguments=[now.uri]))
        if len(report.graph):
            yield types.CodeLens(place, types.Command("draw", DRAW, arguments=[{"uri": now.uri}]))
    for symbol in now.index.symbols if now.index is not None else ():
        if symbol.kind in CALLABLE and symbol.span.source is now.source:
            yield from _of_block(now, symbol)


def _of_block(now: Analysis, symbol: Symbol) -> Iterator[types.CodeLens]:
    place = now.lines.range(symbol.whole.start, symbol.whole.start)
    calls = {scope: nodes for scope, nodes in now.places.within(symbol.whole).items() if scope}
    if not calls:
        return
    counts = [now.places.params(nodes) for nodes in calls.values()]
    low, high = min(counts), max(counts)
    shown = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    yield types.CodeLens(
        place, types.Command(f"{len(calls)} call{'s' * (len(calls) > 1)}, {shown} parameters{' each' * (len(calls) > 1)}", "")
    )
    yield types.CodeLens(place, types.Command("draw", DRAW, arguments=[{"uri": now.uri, "expand": [_first(calls)]}]))


def _first(calls: dict[str, list[Node]]) -> str:
    return next(iter(calls))
