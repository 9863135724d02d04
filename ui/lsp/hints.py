"""Inlay hints: at the end of each line, the shape that it returns and, where asked, its parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lsprotocol import types

from archc.compiler.index.places import Places
from archc.compiler.index.symbols import CALLABLE, Symbol
from archc.compiler.shapes.dim import Shape, show_shape
from archc.ui.lsp.analysis import Analysis
from archc.ui.lsp.settings import Settings
from archc.ui.lsp.workspace import Workspace

_CLAIMED = re.compile(r"=>[^;#|>}]*(#.*)?$")  # a line that states its shape itself
EARLIER = "~"  # before what was known before the last edits


def inlay_hints(space: Workspace, params: types.InlayHintParams) -> list[types.InlayHint] | None:
    """Return the hints of a range."""
    uri = params.text_document.uri
    now = space.analysis(uri)
    settings = space.settings
    if now is None or not (settings.shapes or settings.parameters):
        return None
    looked_at = space.open[uri].looked_at
    rows = {line: (text, tip, False) for line, (text, tip) in _rows(now, now.places, looked_at, settings).items()}
    if not now.report.has_network:  # blocks: as an open text that uses them calls them
        for user, places in space.users(uri):
            known = space.open[user.uri].looked_at
            for line, (text, tip) in _rows(now, places, known, settings).items():
                rows.setdefault(line, (text, f"{tip}\nin {user.report.name}", False))
    if (before := space.good(uri)) is not None and not now.report.ok:
        good, carried = before
        for line, (text, tip) in _rows(good, good.places, looked_at, settings).items():
            if (here := carried.line(line)) is not None:
                rows.setdefault(here, (text, f"{tip}, before the last edits", True))
    return [
        types.InlayHint(
            now.lines.end_of(line),
            (EARLIER if earlier else "") + text,
            types.InlayHintKind.Type,
            tooltip=tip,
            padding_left=True,
        )
        for line, (text, tip, earlier) in sorted(rows.items())
        if params.range.start.line <= line <= params.range.end.line
    ]


def _rows(analysis: Analysis, places: Places, looked_at: Mapping[str, str], settings: Settings) -> dict[int, tuple[str, str]]:
    """Return the text and the tooltip of each line, counted from 0, as the network of `places` has them."""
    found: dict[int, tuple[str, str]] = {}
    for line, row in places.at_line_ends().items():
        code = analysis.lines.line(line - 1)
        chosen = looked_at.get(_block_at(analysis, next(iter(row.values())).span.start), "")
        parts: list[str] = []
        if settings.shapes and not _CLAIMED.search(code):
            parts.append(_shape_text({scope: passed.shape for scope, passed in row.items()}, chosen))
        if settings.parameters:
            first = row.get(chosen) or next(iter(row.values()))
            begin = analysis.source.line_starts[line - 1]
            if count := places.params(places.of_line(begin, begin + len(code), first.scope)):
                parts.append(f"{count:,} params")
        if parts:
            tips = [f"{scope or 'here'}: {show_shape(passed.shape)}" for scope, passed in row.items()]
            tip = (
                "\n".join(tips[:20]) if len(row) > 1 else f"the shape after this line, from {next(iter(row.values())).node or 'its claim'}"
            )
            found[line - 1] = (" · ".join(parts), tip)
    return found


def _shape_text(shapes: Mapping[str, Shape], chosen: str) -> str:
    """Return the shape in all calls; where they differ, in the call last looked at, or in the first and the last."""
    if chosen in shapes:
        text = show_shape(shapes[chosen])
        return f"{text} in {chosen}" if len(set(shapes.values())) > 1 else text
    texts = list(dict.fromkeys(show_shape(shape) for shape in shapes.values()))
    return texts[0] if len(texts) == 1 else f"{texts[0]} … {texts[-1]}"


def _block_at(analysis: Analysis, offset: int) -> str:
    """Return the key of the block around an offset, "" outside of blocks."""
    symbol = analysis.index.body_at(offset).block if analysis.index is not None else None
    return key_of(symbol) if symbol is not None else ""


def key_of(symbol: Symbol) -> str:
    """Return what identifies a block from one version of a text to the next."""
    return symbol.name if symbol.kind in CALLABLE else ""
