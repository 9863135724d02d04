"""Completion: operators, options with their values, blocks, labels and variables in scope, files, and sizes that are legal here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lsprotocol import types

from archc.compiler.elaborate.arithmetic import FUNCTIONS
from archc.compiler.elaborate.evaluate import FOLLOWERS
from archc.compiler.elaborate.loader import ARCHS
from archc.compiler.elaborate.options import Signature
from archc.compiler.elaborate.strangers import RESIDUAL
from archc.compiler.index.legal import defaults_before, legal, numbers
from archc.compiler.index.symbols import ARCH, CALLABLE, PARAMETER, Labels, Symbol
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import Flag, Optional, PerAxis, Recipe, Sizes, Whole, exact, words_of
from archc.compiler.ops.record import Attr, Like, Required
from archc.compiler.ops.reference import page
from archc.compiler.pages import page as code_page
from archc.compiler.shapes.dim import Shape, show_shape
from archc.dsl.diagnostics import CODES
from archc.ui.lsp.analysis import Analysis
from archc.ui.lsp.cursor import Cursor, cursor_at
from archc.ui.lsp.files import arch_files
from archc.ui.lsp.workspace import Workspace

TRIGGERS = ["@", ".", "(", ",", "=", " ", "-", '"', "<", "|"]
KEYWORDS = {
    "use": "blocks and the network of another file",
    "arch": "the name and the parameters of the network",
    "input": "begins the network with a tensor",
    "output": "makes the end of a chain an output",
    "default": "other values for options of an operator",
    "block": "defines a block",
    "share": "a part whose calls have the same weights",
    "let": "gives a value a name",
    "expect": "claims a count or a shape",
    "for": "once for every element of a list",
    "if": "one of two bodies",
    "next": "the value of a state in the next turn",
}
TOP = ("use", "arch", "input", "expect")
MEASURES = ("params", "macs", "nodes", "connections", "shape")
FIELDS = {"c": "channels", "d": "depth", "h": "height", "w": "width, or positions of a row"}
Kind = types.CompletionItemKind


def completion(space: Workspace, params: types.CompletionParams) -> types.CompletionList | None:
    """Return what may be written at a position."""
    now = space.analysis(params.text_document.uri)
    if now is None:
        return None
    offset = now.lines.offset(params.position)
    cursor = cursor_at(now.lines.text, offset)
    items: dict[str, types.CompletionItem] = {}
    for number, item in enumerate(_offers(space, now, cursor, offset)):
        item.sort_text = f"{number:04}"
        if item.text_edit is None:
            item.text_edit = types.TextEdit(now.lines.range(cursor.start, offset), item.insert_text or item.label)
            item.insert_text = None
        items.setdefault(item.label, item)
    return types.CompletionList(is_incomplete=False, items=list(items.values()))


def resolve(space: Workspace, item: types.CompletionItem) -> types.CompletionItem:
    """Add the documentation of an operator to an item that was returned before."""
    name = item.data.get("operator") if isinstance(item.data, dict) else None
    if name in OPERATORS:
        item.documentation = types.MarkupContent(types.MarkupKind.Markdown, page(OPERATORS[name]))
    return item


def _item(label: str, kind: Kind, detail: str = "", insert: str | None = None, **more: object) -> types.CompletionItem:
    return types.CompletionItem(label, kind=kind, detail=detail or None, insert_text=insert, **more)  # type: ignore[arg-type]


def _offers(space: Workspace, now: Analysis, cursor: Cursor, offset: int) -> Iterator[types.CompletionItem]:
    if cursor.comment:
        if re.search(r"allow:[^#]*$", cursor.line):
            for code in sorted(code for code in CODES if code.startswith("W")):
                described = code_page(code)
                yield _item(code, Kind.Constant, described.title if described is not None else "")
        return
    if cursor.quoted is not None:
        if re.match(r"\s*use\b", cursor.line):
            yield from _files(space, now, cursor, offset)
        return
    if reference := re.search(r"@(\.?[\w{}.-]*)$", cursor.line):
        yield from _labels(now, reference[1], offset, cursor)
        return
    if re.search(r"(?<![\w.@])[A-Za-z_]\w*(?:\[[^\[\]]*\])?\.\w*$", cursor.line):
        yield from (_item(name, Kind.Field, meaning) for name, meaning in FIELDS.items())
        return
    if re.search(r"=>\s*[\dx]*$", cursor.line):
        yield from _shape_here(space, now, cursor, offset)
        return
    if found := re.search(r"(\w+)-$", cursor.line):
        yield from _widths(space, now, cursor, offset, found[1])
        return
    if re.match(r"\s*default\s+\w*$", cursor.line):
        yield from _operators()
        return
    if re.match(r"\s*expect\s+\w*$", cursor.line):
        yield from (_item(name, Kind.Keyword) for name in MEASURES)
        return
    if re.match(r"\s*expect\s+\w+\([\w.]*$", cursor.line):
        yield from _labels(now, cursor.line.rpartition("(")[2], offset, cursor)
        return
    if re.match(r"\s*arch\s+\w+(\(.*\))?\s*=\s*\w*$", cursor.line) and now.index is not None:
        yield from (_named(s) for s in now.index.imported.values() if s.kind == ARCH)
        return
    if cursor.callee and not (cursor.callee in KEYWORDS or re.match(r"\s*(?:block|share|arch)\b", cursor.line)):
        yield from _arguments(space, now, cursor, offset)
        return
    if cursor.begins:
        yield from _items(now, cursor, offset)
        return
    yield from _values(now, offset)


def _named(symbol: Symbol) -> types.CompletionItem:
    kind = Kind.Function if symbol.kind in CALLABLE else Kind.Module if symbol.kind == ARCH else Kind.Variable
    return _item(symbol.name, kind, symbol.signature)


def _operators() -> Iterator[types.CompletionItem]:
    for name, operator in OPERATORS.items():
        yield _item(name, Kind.Operator, operator.summary, data={"operator": name})


def _items(now: Analysis, cursor: Cursor, offset: int) -> Iterator[types.CompletionItem]:
    """Yield what an item or a statement may begin with."""
    visible = now.index.visible(offset) if now.index is not None else {}
    yield from (_named(symbol) for symbol in visible.values() if symbol.kind in CALLABLE)
    yield from (_named(symbol) for symbol in visible.values() if symbol.kind == PARAMETER)
    yield from _operators()
    yield _item(RESIDUAL, Kind.Operator, "the sum of a chain and its input: `residual<body>`, `residual<body | shortcut>`")
    if ":" not in cursor.statement:
        inside = now.index is not None and now.index.body_at(offset).parent is not None
        yield from (_item(name, Kind.Keyword, meaning) for name, meaning in KEYWORDS.items() if not (inside and name in TOP))


def _values(now: Analysis, offset: int) -> Iterator[types.CompletionItem]:
    """Yield what an expression may name."""
    visible = now.index.visible(offset) if now.index is not None else {}
    yield from (_named(symbol) for symbol in visible.values())
    yield _item("in", Kind.Keyword, "the current tensor: `in.c`, `in.h`, `in.w`")
    yield from (_item(name, Kind.Function, "a function of numbers or lists") for name in FUNCTIONS)
    yield from (_item(name, Kind.Constant) for name in ("yes", "no"))


# ---- labels


def _labels(now: Analysis, path: str, offset: int, cursor: Cursor) -> Iterator[types.CompletionItem]:
    """Yield the labels that a reference may go on with, and the names that were given by counting."""
    top, steps = path.startswith("."), path.lstrip(".").split(".")
    if now.index is None:
        return
    scope: Labels | None = now.index.top if top else now.index.body_at(offset).labels
    entries = list(scope.visible()) if scope is not None else []
    if len(steps) > 1 and scope is not None:
        found = scope.find(steps[:-1])
        last = found[-1] if found else None
        if found and last is None:  # the number of a copy
            last = next((each for each in reversed(found) if each is not None), None)
        inner = last.within() if last is not None else None
        entries = list(inner.entries) if inner is not None else []
        if last is not None and last.copies and found[-1] is not None:
            yield _item("0", Kind.Field, "the first copy")
        yield from (_item(name, Kind.Field, meaning) for name, meaning in FIELDS.items())
    for entry in entries:
        if entry.symbol is not None and (entry.symbol.span.start < offset or entry.symbol.span.source is not now.source):
            text = entry.text + ("{}" if entry.numbered else "")
            yield _item(text, Kind.Field, entry.symbol.signature, insert=entry.text)
    if len(steps) == 1:
        labels = {entry.text for entry in entries}
        for symbol in now.index.visible(offset).values():
            if symbol.kind not in (*CALLABLE, ARCH):
                yield _named(symbol)
        for passed in now.report.passed:
            if passed.span.source is now.source and passed.span.end < offset and not passed.scope:
                name = passed.node.partition(".")[0]
                if name and name not in labels:
                    labels.add(name)
                    yield _item(name, Kind.Field, show_shape(passed.shape))


# ---- arguments


def _arguments(space: Workspace, now: Analysis, cursor: Cursor, offset: int) -> Iterator[types.CompletionItem]:
    """Yield the options of the call around, or the values of the option that is being written."""
    index = now.index
    symbol = index.visible(offset).get(_stem(cursor.callee)) if index is not None else None
    name = _stem(cursor.callee).lower()
    if symbol is not None and symbol.parameters:
        if not cursor.option:
            for parameter in symbol.parameters.values():
                if parameter.name not in cursor.given:
                    yield _item(f"{parameter.name}=", Kind.Property, parameter.signature)
        yield from _values(now, offset)
        return
    if name not in OPERATORS and name != RESIDUAL:
        yield from _values(now, offset)
        return
    operator = OPERATORS.get(name) or OPERATORS["add"]
    signature = Signature.of_operator(operator)
    option = cursor.option
    if not option:
        for attr in operator.attrs:
            if attr.name not in cursor.given and attr.name != operator.gathers:
                yield _item(f"{attr.name}=", Kind.Property, f"{attr.doc} ({_default(attr)})")
        for follower in FOLLOWERS if operator.followers else ():
            if follower not in cursor.given:
                yield _item(f"{follower}=", Kind.Property, f"the {FOLLOWERS[follower]} after it")
        free = [each for each in signature.order if each not in cursor.given]
        option = free[cursor.position - len(cursor.given)] if len(free) > cursor.position - len(cursor.given) >= 0 else ""
        if operator.named:
            option = ""
    yield from _option_values(space, now, cursor, offset, operator.name, option)


def _default(attr: Attr) -> str:
    if isinstance(attr.default, Required):
        return "required"
    return attr.default.option if isinstance(attr.default, Like) else exact(attr.default)


def _stem(word: str) -> str:
    return word if word in OPERATORS else word.rstrip("0123456789x") or word


def _option_values(space: Workspace, now: Analysis, cursor: Cursor, offset: int, name: str, option: str) -> Iterator[types.CompletionItem]:
    operator = OPERATORS[name]
    attr = operator.option(option)
    if option in FOLLOWERS and operator.followers:
        visible = now.index.visible(offset) if now.index is not None else {}
        yield from (_named(symbol) for symbol in visible.values() if symbol.kind in CALLABLE)
        for other in OPERATORS.values():
            if other.family == FOLLOWERS[option]:
                yield _item(other.name, Kind.EnumMember, other.summary, data={"operator": other.name})
        yield _item("none", Kind.EnumMember, "nothing after it")
        return
    if attr is None:
        if option == "":
            yield from _values(now, offset)
        return
    kind = attr.kind.kind if isinstance(attr.kind, Optional) else attr.kind
    words = sorted(words_of(attr.kind))
    if isinstance(kind, Flag):
        words = ["yes", "no"]
    for word in words:
        detail = attr.doc if not isinstance(kind, Recipe) else f"{word}({', '.join(kind.table.get(word, ()))})"
        yield _item(word, Kind.EnumMember, detail)
    if isinstance(kind, (Whole, PerAxis, Sizes)) and (entered := _incoming(space, now, cursor, offset)) is not None:
        yield from _legal(now, cursor, offset, entered)
    yield from _values(now, offset)


# ---- sizes


def _incoming(space: Workspace, now: Analysis, cursor: Cursor, offset: int) -> Shape | None:
    """Return the shape of the tensor that enters the statement at an offset, as far as it is known."""
    begin = offset - len(cursor.statement)
    if (found := _before(now, begin)) is not None:
        return found
    earlier = space.good(now.uri)
    if earlier is None:
        return None
    good, carried = earlier
    for line in range(now.lines.line_at(begin) - 1, -1, -1):  # the last line that was there before
        old = carried.earlier(line)
        if old is not None:
            return _before(good, good.lines.starts[old] + len(good.lines.line(old)) + 1)
    return None


def _before(known: Analysis, offset: int) -> Shape | None:
    """Return the shape of the last item that ends before an offset in the bodies around it."""
    if known.index is None:
        return None
    body = known.index.body_at(min(offset, len(known.source.text)))
    inner = {(b.start, b.end) for b in known.index.bodies if b is not body and not (b.start <= offset <= b.end)}
    ended = [
        passed
        for passed in known.report.passed
        if passed.span.source is known.source
        and passed.span.end <= offset
        and not any(start <= passed.span.start and passed.span.end <= end for start, end in inner)
    ]
    last = max(ended, key=lambda passed: passed.span.end, default=None)
    return last.shape if last is not None else None


def _legal(now: Analysis, cursor: Cursor, offset: int, incoming: Shape) -> Iterator[types.CompletionItem]:
    """Yield the numbers with which the unfinished item would be sound, each with the shape that it would return."""
    written = re.search(r"[\w]*$", cursor.line)
    start = len(cursor.statement) - len(written[0] if written is not None else "")
    before = re.sub(r"^\s*(?:[A-Za-z_0-9][\w-]*\s*:(?!:))?\s*", "", cursor.statement[:start])
    if "{" in before or "@" in before:
        return
    after = ")" * (before.count("(") - before.count(")"))
    candidates = [str(number) for number in numbers(incoming)]
    for text, shape in legal(before, candidates, after, incoming, defaults_before(now.loaded.tree, offset)):
        yield _item(text, Kind.Value, f"legal here: {_change(incoming, shape)}")


def _widths(space: Workspace, now: Analysis, cursor: Cursor, offset: int, word: str) -> Iterator[types.CompletionItem]:
    """Yield widths for the number after the dash: those that enter, twice and half as many."""
    entered = _incoming(space, now, cursor, offset)
    if entered is None or _stem(word).lower() not in OPERATORS or not isinstance(entered[0], int):
        return
    channels = entered[0]
    before = re.sub(r"^\s*(?:[A-Za-z_0-9][\w-]*\s*:(?!:))?\s*", "", cursor.statement)
    wanted = dict.fromkeys(str(n) for n in (channels, 2 * channels, channels // 2) if n > 0)
    for text, shape in legal(before, wanted, "", entered, defaults_before(now.loaded.tree, offset)):
        yield _item(text, Kind.Value, _change(entered, shape))


def _change(before: Shape, after: Shape) -> str:
    """Return what an item makes of a shape; of open sizes, which were tried under other names, nothing is said."""
    known = all(isinstance(size, int) for size in (*before, *after))
    return f"{show_shape(before)} -> {show_shape(after)}" if known else f"after {show_shape(before)}"


def _shape_here(space: Workspace, now: Analysis, cursor: Cursor, offset: int) -> Iterator[types.CompletionItem]:
    """Yield the shape that the item before a `=>` returns, in the first call of what holds it."""
    begin = now.source.text.rfind("\n", 0, offset) + 1
    item = cursor.line.rpartition("=>")[0].rstrip()
    rows = [p for p in now.report.passed if p.span.source is now.source and begin <= p.span.start and p.span.end >= begin + len(item)]
    shapes = dict.fromkeys(passed.shape for passed in rows if passed.span.start < offset)
    if not shapes and (entered := _incoming(space, now, Cursor(cursor.line, item.rpartition(";")[2], "", offset), offset)) is not None:
        text = re.sub(r"^\s*(?:[A-Za-z_0-9][\w-]*\s*:(?!:))?\s*", "", item.rpartition(";")[2])
        tried = legal(text, [""], "", entered, defaults_before(now.loaded.tree, offset))
        shapes = dict.fromkeys(shape for _, shape in tried if all(isinstance(size, int) for size in shape))
    for shape in shapes:
        written = re.search(r"[\dx]*$", cursor.line)
        start = offset - len(written[0] if written is not None else "")
        edit = types.TextEdit(now.lines.range(start, offset), show_shape(shape))
        yield _item(show_shape(shape), Kind.Value, "what it returns", text_edit=edit)


# ---- files


def _files(space: Workspace, now: Analysis, cursor: Cursor, offset: int) -> Iterator[types.CompletionItem]:
    """Yield the files that `use` can name: those below the folder of the text, and archc's own."""
    folder = Path(space.folder(now.uri)).resolve()
    typed = cursor.quoted or ""
    for path in arch_files(space, own=True):
        root = next((root for root in (folder, ARCHS) if path.is_relative_to(root)), None)
        if root is None or (path.name == Path(now.source.name).name and root is folder):
            continue
        name = path.relative_to(root).as_posix()
        edit = types.TextEdit(now.lines.range(offset - len(typed), offset), name)
        yield _item(name, Kind.File, "one of archc's own" if root is ARCHS else "of this folder", text_edit=edit, filter_text=name)
