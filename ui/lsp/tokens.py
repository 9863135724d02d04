"""Semantic tokens: what each word of a text is. They are found in the text and by its names, so an unfinished line takes none away."""

from __future__ import annotations

import re

from lsprotocol import types

from archc.compiler.index.symbols import (
    ARCH,
    BLOCK,
    FUNCTION,
    INPUT,
    LABEL,
    LOOP_NAME,
    OPEN_SIZE,
    OPERATOR,
    OPTION,
    OUTPUT,
    PARAMETER,
    SHARED,
    STATE,
    VARIABLE,
    WORD,
    Index,
)
from archc.ui.highlighting.table import keywords
from archc.ui.lsp.analysis import Analysis
from archc.ui.lsp.workspace import Workspace

TYPES = (
    "keyword",
    "comment",
    "string",
    "number",
    "operator",
    "function",
    "variable",
    "parameter",
    "property",
    "enumMember",
    "namespace",
    "type",
    "macro",
)
MODIFIERS = ("definition", "readonly", "defaultLibrary")
KINDS = {
    BLOCK: "function",
    SHARED: "function",
    ARCH: "namespace",
    LABEL: "property",
    INPUT: "property",
    OUTPUT: "property",
    VARIABLE: "variable",
    LOOP_NAME: "variable",
    STATE: "variable",
    PARAMETER: "parameter",
    OPEN_SIZE: "type",
    OPERATOR: "macro",
    OPTION: "parameter",
    WORD: "enumMember",
    FUNCTION: "function",
}
KEYWORDS = frozenset(keywords())
_TOKEN = re.compile(
    r'(?P<comment>#[^\n]*)|(?P<string>"[^"\n]*"?)|(?P<word>[A-Za-z_][A-Za-z_0-9]*)'
    r"|(?P<number>[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[KMG]?(?![A-Za-z]))|(?P<operator>=>|\*\*|//|[=!<>]=|[-+*/%@])"
)


def semantic_tokens(space: Workspace, params: types.SemanticTokensParams) -> types.SemanticTokens | None:
    """Return the tokens of a whole text."""
    now = space.analysis(params.text_document.uri)
    return types.SemanticTokens(_encoded(now, 0, len(now.lines.text))) if now is not None else None


def semantic_tokens_range(space: Workspace, params: types.SemanticTokensRangeParams) -> types.SemanticTokens | None:
    """Return the tokens of a range."""
    now = space.analysis(params.text_document.uri)
    if now is None:
        return None
    return types.SemanticTokens(_encoded(now, now.lines.offset(params.range.start), now.lines.offset(params.range.end)))


def _encoded(now: Analysis, start: int, end: int) -> list[int]:
    named = _named(now.index) if now.index is not None else {}
    data: list[int] = []
    line, column = 0, 0
    for first, last, kind, modifiers in _tokens(now.lines.text, start, end, named):
        begin, stop = now.lines.position(first), now.lines.position(last)
        delta = begin.line - line
        data += [delta, begin.character - (column if not delta else 0), stop.character - begin.character, TYPES.index(kind), modifiers]
        line, column = begin.line, begin.character
    return data


def _named(index: Index) -> dict[int, tuple[int, str, int]]:
    """Return, by where it begins, the end of each name, its type, and its modifiers."""
    found: dict[int, tuple[int, str, int]] = {}
    for mention in index.mentions:
        modifiers = 1 << MODIFIERS.index("defaultLibrary")
        found[mention.span.start] = (mention.span.end, KINDS[mention.kind], modifiers)
    for each in index.occurrences:
        found[each.span.start] = (each.span.end, KINDS[each.symbol.kind], int(each.defines))
    return found


def _tokens(text: str, start: int, end: int, named: dict[int, tuple[int, str, int]]) -> list[tuple[int, int, str, int]]:
    found: list[tuple[int, int, str, int]] = []
    at = start
    while at < end and (match := _TOKEN.search(text, at, end)) is not None:
        first, last = match.span()
        kind = match.lastgroup or ""
        at = last
        if kind == "word" or (kind == "number" and first in named):
            if first in named:
                last, kind, modifiers = named[first]
                found.append((first, last, kind, modifiers))
                at = max(last, first + 1)
            elif match.group() in KEYWORDS:
                found.append((first, last, "keyword", 0))
            continue
        found.append((first, last, kind, 0))
    return found
