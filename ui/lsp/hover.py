"""Hover: what an item returns and costs in each call, how its shape comes about, and the documentation of its operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import cleandoc

from lsprotocol import types

from archc.compiler.analysis.derive import derive
from archc.compiler.graph import INPUT, Node
from archc.compiler.index.places import Seen, counted
from archc.compiler.index.symbols import ARCH, BLOCK, CALLABLE, OPERATOR, OPTION, SHARED, WORD, Mention, Symbol
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import exact
from archc.compiler.ops.record import Like, Operator, Required
from archc.compiler.ops.reference import page
from archc.compiler.shapes.dim import show_shape
from archc.ui.lsp.analysis import Analysis
from archc.ui.lsp.hints import key_of
from archc.ui.lsp.workspace import Workspace

MOST_CALLS = 12  # of a block, that are listed
EARLIER = "*as it was before the last edits*"
TOPICS = ("output", "parameters", "MACs", "memory", "field")


def hover(space: Workspace, params: types.HoverParams) -> types.Hover | None:
    """Return what is known of the name or the item at a position."""
    uri = params.text_document.uri
    now = space.analysis(uri)
    if now is None:
        return None
    offset = now.lines.offset(params.position)
    _look(space, uri, now, offset)
    looked_at = space.open[uri].looked_at
    parts: list[str] = []
    index = now.index
    occurrence = index.at(offset) if index is not None else None
    mention = index.mention_at(offset) if index is not None else None
    if mention is not None and mention.kind in (OPTION, WORD):
        parts.extend(_option(mention))
    elif occurrence is not None:
        parts.append(f"```arch\n{occurrence.symbol.signature}\n```")
        if occurrence.symbol.kind in (BLOCK, SHARED, ARCH):
            parts.extend(_block(now, occurrence.symbol))
        else:
            parts.append(f"{occurrence.symbol.kind}, {_place(now, occurrence.symbol)}")
    if mention is None or mention.kind == OPERATOR:
        parts.extend(_item(space, uri, now, offset, looked_at))
    if mention is not None and mention.kind == OPERATOR and mention.name in OPERATORS:
        parts.append("---\n" + page(OPERATORS[mention.name]))
    if not parts:
        return None
    found = occurrence.span if occurrence is not None else mention.span if mention is not None else None
    value = "\n\n".join(parts)
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, value), now.lines.of(found) if found is not None else None)


def _look(space: Workspace, uri: str, now: Analysis, offset: int) -> None:
    """Remember that the call of a block was looked at, so that its body shows the shapes of that call."""
    if now.index is None:
        return
    for call in now.index.calls:
        if call.span.start <= offset <= call.span.end:
            for (start, end), scopes in now.places.calls().items():
                if start <= call.span.start <= end and call.span.start - start < 1 and scopes:
                    space.open[uri].looked_at[key_of(call.symbol)] = scopes[0]


def _place(now: Analysis, symbol: Symbol) -> str:
    where = "" if symbol.span.source is now.source else f" of {symbol.span.source.label}"
    return f"line {symbol.span.line}{where}"


def _block(now: Analysis, symbol: Symbol) -> Iterator[str]:
    """Yield what is known of a block: what is written above it, and its calls."""
    if comment := _comment_above(symbol):
        yield comment
    if symbol.kind not in CALLABLE:
        if now.report.ok and now.report.has_network:
            counts = now.report.cost()
            yield f"{counts.params:,} parameters, {counted(counts.macs)} MACs"
        return
    calls: dict[str, list[Node]] = {}
    for node in now.report.graph:
        for frame in node.frame.chain() if node.frame is not None else ():
            if frame.scope and frame.text.partition("(")[0] == symbol.name:
                calls.setdefault(frame.scope, []).append(node)
    if calls:
        yield _table(
            [
                (scope, show_shape(nodes[0].operands[0].shape) if nodes[0].operands else "", show_shape(nodes[-1].shape), nodes)
                for scope, nodes in calls.items()
            ],
            now,
        )
    elif now.report.has_network and symbol.span.source is now.source:
        yield "nothing calls it"


def _table(rows: Sequence[tuple[str, str, str, Sequence[Node]]], now: Analysis) -> str:
    shown = [
        f"| {scope} | {before} | {after} | {now.places.params(nodes):,} | {counted(now.places.macs(nodes))} |"
        for scope, before, after, nodes in rows[:MOST_CALLS]
    ]
    more = f"\n\nand {len(rows) - MOST_CALLS} more calls" if len(rows) > MOST_CALLS else ""
    return "\n".join(["| call | in | out | parameters | MACs |", "|--|--|--|--:|--:|", *shown]) + more


def _comment_above(symbol: Symbol) -> str:
    """Return the comment lines just above a definition."""
    source, lines = symbol.span.source, []
    for number in range(symbol.whole.line - 1, 0, -1):
        text = source.line_text(number).strip()
        if not text.startswith("#"):
            break
        lines.append(text.lstrip("# "))
    return "  \n".join(reversed(lines))


# ---- items


def _item(space: Workspace, uri: str, now: Analysis, offset: int, looked_at: dict[str, str]) -> list[str]:
    """Return what is known of the item at an offset; where it is not known now, what was known before the last edits."""
    analysis, seen = now, now.places.at(offset)
    earlier = False
    if not seen and not now.report.has_network:  # blocks: as an open text that uses them calls them
        analysis, seen = next(((user, found) for user, places in space.users(uri) if (found := places.at(offset))), (now, seen))
        looked_at = space.open[analysis.uri].looked_at
    if not any(each.nodes for each in seen) and (before := space.good(uri)) is not None and not now.report.ok:
        good, carried = before
        line = carried.earlier(now.lines.line_at(offset))
        if line is not None:
            column = offset - now.lines.starts[now.lines.line_at(offset)]
            old = good.places.at(good.lines.starts[line] + column)
            if old:
                analysis, seen, earlier = good, old, True
    if not seen:
        return []
    parts = [EARLIER] if earlier else []
    if len(seen) > 1:
        parts.append(_table([(each.scope, _incoming(each), _shape(each), each.nodes) for each in seen], analysis))
    index = now.index if not earlier else analysis.index
    body = index.body_at(seen[0].span.start).block if index is not None else None
    chosen = looked_at.get(key_of(body), "") if body is not None else ""
    return [*parts, *_one(next((each for each in seen if each.scope == chosen), seen[0]), analysis)]


def _shape(seen: Seen) -> str:
    return show_shape(seen.shape) if seen.shape is not None else "?"


def _incoming(seen: Seen) -> str:
    return show_shape(seen.nodes[0].operands[0].shape) if seen.nodes and seen.nodes[0].operands else ""


def _one(seen: Seen, analysis: Analysis) -> Iterator[str]:
    """Yield what is known of an item in one call."""
    within = f", in {seen.scope}" if seen.scope else ""
    if not seen.nodes:
        yield f"**{_shape(seen)}**{within}"
        return
    main = _main(seen, analysis)
    arrow = f"{_incoming(seen)} → " if _incoming(seen) else ""
    named = main.name if _is_one(seen, main) else " ".join(seen.span.text.split())[:80]
    yield f"`{named}`{within}: {arrow}**{_shape(seen)}**"
    if len(seen.nodes) > 1:
        shown = ", ".join(f"{node.name} {show_shape(node.shape)}" for node in seen.nodes[:MOST_CALLS])
        more = f", and {len(seen.nodes) - MOST_CALLS} more" if len(seen.nodes) > MOST_CALLS else ""
        yield f"{len(seen.nodes)} nodes: {shown}{more}"
        yield f"{analysis.places.params(seen.nodes):,} parameters, {counted(analysis.places.macs(seen.nodes))} MACs"
    if main.op == INPUT or main.span.source is not seen.span.source or not _is_one(seen, main):
        return
    topics = dict(derive(analysis.report.graph, main.name, analysis.fields))
    yield "\n".join(f"* {topic}: " + "; ".join(topics[topic]) for topic in TOPICS if topics.get(topic))


def _is_one(seen: Seen, main: Node) -> bool:
    return (main.span.start, main.span.end) == (seen.span.start, seen.span.end)


def _main(seen: Seen, analysis: Analysis) -> Node:
    """Return the node that an item is about: not a flattening before it, nor a normalization or an activation after it."""
    text = seen.span.text.lower()
    named = [node for node in seen.nodes if text.startswith(node.op)]
    return named[0] if named else seen.nodes[-1]


# ---- options


def _option(mention: Mention) -> Iterator[str]:
    """Yield the documentation of an option, or of the option that takes a word."""
    operator = OPERATORS.get(mention.of)
    if operator is None:
        return
    attrs = [operator.option(mention.name)] if mention.kind == OPTION else []
    for attr in filter(None, attrs):
        default = "required" if isinstance(attr.default, Required) else _default_text(operator, attr.name)
        yield f"`{attr.name}` of `{operator.name}`: {attr.doc}"
        yield f"It takes {attr.kind}; {default}."
    if mention.kind == OPTION and mention.name in ("norm", "act"):
        yield f"`{mention.name}` of `{operator.name}`: an operator or a block that is applied after it, such as `bn` or `leaky_relu(0.1)`"
    if mention.kind == WORD:
        yield f"a word of `{operator.name}`: {cleandoc(operator.doc).partition(chr(10) * 2)[0]}"


def _default_text(operator: Operator, name: str) -> str:
    attr = operator.option(name)
    if attr is None or isinstance(attr.default, Required):
        return "required"
    if isinstance(attr.default, Like):
        return f"by default it is that of `{attr.default.option}`"
    return f"`{exact(attr.default)}` by default"
