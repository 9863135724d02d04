"""The names in items and expressions: what each means at its place, and what of the language it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from archc.compiler.elaborate.arithmetic import FUNCTIONS
from archc.compiler.elaborate.options import Signature
from archc.compiler.elaborate.strangers import RESIDUAL
from archc.compiler.index.symbols import (
    CALLABLE,
    FUNCTION,
    LOOP_NAME,
    OPEN_SIZE,
    OPERATOR,
    OPTION,
    PARAMETER,
    STATE,
    VARIABLE,
    WORD,
    Body,
    Called,
    Index,
    Labels,
    Mention,
    Occurrence,
    Symbol,
)
from archc.compiler.ops import OPERATORS
from archc.dsl import ast
from archc.dsl.source import Span

FIELDS = ("c", "d", "h", "w")
_STEP = re.compile(r"(?P<name>[A-Za-z_0-9-]*)(?P<more>(?:\{[^{}\n]*\}(?:-(?=\{))?)*)")
_TAIL = re.compile(r"[0-9]+(x[0-9]+)*x?$")


class Names:
    """What names mean in a body, and in those around it, as far as they precede."""

    def __init__(self, parent: Names | None = None) -> None:
        self.parent = parent
        self.own: dict[str, Symbol] = {}

    def find(self, name: str) -> Symbol | None:
        """Return the innermost meaning of a name."""
        names: Names | None = self
        while names is not None:
            if name in names.own:
                return names.own[name]
            names = names.parent
        return None


@dataclass
class Place:
    """Where a statement is: its names, its labels, the body and the block around it."""

    names: Names
    labels: Labels
    body: Body
    block: Symbol | None


@dataclass
class Expressions:
    """Resolves the names of expressions of one text."""

    index: Index

    # ---- what is found

    def _span(self, start: int, name: str) -> Span | None:
        """Return the span of a name that stands at an offset; None where the text was repaired and says something else."""
        span = Span(self.index.source, start, start + len(name))
        return span if span.text == name else None

    def _name_after(self, span: Span, skip: int, name: str) -> Span | None:
        """Return the first place of a name in a span, after the keyword."""
        found = re.compile(rf"(?<![\w@.]){re.escape(name)}(?!\w)").search(self.index.source.text, span.start + skip, span.end)
        return Span(span.source, found.start(), found.end()) if found else None

    def _define(self, kind: str, name: str, span: Span | None, node: ast.Node, place: Place, known: Names | None = None) -> Symbol:
        symbol = Symbol(kind, name, span or node.span, node.span, node, place.block)
        self.index.symbols.append(symbol)
        if known is not None:
            known.own[name] = symbol
            place.body.symbols.append(symbol)
        if span is not None:
            self.index.occurrences.append(Occurrence(span, symbol, defines=True))
        return symbol

    def _occurs(self, start: int, name: str, symbol: Symbol) -> None:
        if (span := self._span(start, name)) is not None:
            self.index.occurrences.append(Occurrence(span, symbol))

    def _mention(self, start: int, length: int, kind: str, name: str, of: str = "") -> None:
        self.index.mentions.append(Mention(Span(self.index.source, start, start + length), kind, name, of))

    def _word(self, word: str, start: int, args: Sequence[ast.Arg], place: Place) -> Symbol | None:
        """Resolve the word of an item, with its arguments; return the block that it calls."""
        stem = _TAIL.sub("", word)
        for name in dict.fromkeys((word, stem, stem + "x" if word.startswith(stem + "x") else stem)):
            symbol = place.names.find(name)
            if symbol is not None and not (name.lower() in OPERATORS and not _may_be_called(symbol)):
                self._occurs(start, name, symbol)
                if symbol.kind in CALLABLE:
                    self.index.calls.append(Called(Span(self.index.source, start, start + len(name)), symbol, place.block))
                self._arguments("", symbol, args, place)
                return symbol if symbol.kind in CALLABLE else None
            if name.lower() in OPERATORS or name == RESIDUAL:
                self._mention(start, len(name), OPERATOR, name.lower())
                self._arguments("add" if name == RESIDUAL else name.lower(), None, args, place)
                return None
        self._arguments("", None, args, place)
        return None

    def _arguments(self, operator: str, block: Symbol | None, args: Sequence[ast.Arg], place: Place) -> None:
        signature = Signature.of_operator(OPERATORS[operator]) if operator in OPERATORS else None
        positions = iter(signature.order if signature is not None else ())
        for arg in args:
            option = arg.name or next(positions, "")
            if arg.name is not None:
                if block is not None and arg.name in block.parameters:
                    self._occurs(arg.span.start, arg.name, block.parameters[arg.name])
                elif signature is not None and arg.name in (*signature.order, "place"):
                    self._mention(arg.span.start, len(arg.name), OPTION, arg.name, operator)
            words = signature.words.get(option, frozenset()) if signature is not None else frozenset()
            named = ast.bare(arg.value)
            if named in words:
                self._mention(arg.value.span.start, len(named), OPERATOR if named in OPERATORS else WORD, named, operator)
            elif isinstance(arg.value, ast.CallExpr) and arg.value.name in words and arg.value.name in OPERATORS:
                self._mention(arg.value.span.start, len(arg.value.name), OPERATOR, arg.value.name)
                self._arguments(arg.value.name, None, arg.value.args, place)
            else:
                self.expr(arg.value, place, words)

    # ---- expressions

    def expr(self, expr: ast.Expr, place: Place, words: frozenset[str] = frozenset()) -> None:
        """Resolve the names of an expression; `words` are read as words wherever they stand alone."""
        match expr:
            case ast.Name():
                self._name(expr, place, words)
            case ast.Ref():
                self._reference(expr, place)
            case ast.CallExpr():
                self._call(expr, place)
            case ast.Each():
                self.expr(expr.values, place)
                inner = self._inner(expr.span, place)
                self._pattern(expr.pattern, inner)
                self.expr(expr.item, inner)
            case ast.List():
                for item in expr.items:
                    self.expr(item, place, words)
            case ast.Conditional():
                self.expr(expr.condition, place)
                self.expr(expr.then, place, words)
                self.expr(expr.otherwise, place, words)
            case ast.Unary():
                self.expr(expr.operand, place)
            case ast.Fold():
                for each in (expr.first, *(part for _, part in expr.rest)):
                    self.expr(each, place)
            case ast.Index():
                self.expr(expr.base, place)
                self.expr(expr.index, place)
            case ast.Part():
                for bound in (expr.base, expr.first, expr.stop):
                    if bound is not None:
                        self.expr(bound, place)
            case ast.Field():
                self.expr(expr.base, place)
            case _:
                pass

    def _name(self, expr: ast.Name, place: Place, words: frozenset[str]) -> None:
        start = expr.span.start
        if expr.variable:  # in parentheses, which the span may hold
            start += self.index.source.text[expr.span.start : expr.span.end].find(expr.name)
        if not expr.variable and expr.name in words:
            self._mention(start, len(expr.name), WORD, expr.name)
        elif (symbol := place.names.find(expr.name)) is not None:
            self._occurs(start, expr.name, symbol)
        elif expr.name.lower() in OPERATORS:
            self._mention(start, len(expr.name), OPERATOR, expr.name.lower())

    def _call(self, expr: ast.CallExpr, place: Place) -> None:
        symbol = place.names.find(expr.name)
        if symbol is not None:
            self._occurs(expr.span.start, expr.name, symbol)
            self._arguments("", symbol, expr.args, place)
            return
        if expr.name in FUNCTIONS:
            self._mention(expr.span.start, len(expr.name), FUNCTION, expr.name)
        elif expr.name.lower() in OPERATORS:
            self._mention(expr.span.start, len(expr.name), OPERATOR, expr.name.lower())
            self._arguments(expr.name.lower(), None, expr.args, place)
            return
        self._arguments("", None, expr.args, place)

    def _reference(self, ref: ast.Ref, place: Place) -> None:
        for index in ref.indices:
            self.expr(index, place)
        text = ref.span.text
        if not text.startswith("@"):
            return
        top = text.startswith("@.")
        begin = ref.span.start + 1 + top
        if not self._steps(begin, text[1 + top :], self.index.top if top else place.labels):
            name = re.match(r"[A-Za-z_]\w*", text[1 + top :])
            if name and (symbol := place.names.find(name[0])) is not None:
                self._occurs(begin, name[0], symbol)

    def _steps(self, begin: int, path: str, labels: Labels) -> bool:
        """Resolve the steps of a path of labels; return whether its first step is a label."""
        steps: list[tuple[int, str, str]] = []  # where it begins, its name, and the step with `{}` for numbers that are computed
        at = 0
        while at <= len(path):
            found = _STEP.match(path, at)
            if found is None or not found[0]:
                break
            steps.append((begin + at, found["name"], found["name"] + re.sub(r"\{[^{}\n]*\}", "{}", found["more"])))
            at = found.end() + 1
            if path[found.end() : at] != ".":
                break
        meant = labels.find([step for _, _, step in steps]) if steps else []
        for (start, name, _), entry in zip(steps, meant, strict=False):
            if entry is None or entry.symbol is None:
                continue
            length = len(entry.text)
            if name[:length] == entry.text:
                self._occurs(start, entry.text, entry.symbol)
        return bool(meant)

    def _inner(self, span: Span, place: Place, labels: Labels | None = None, block: Symbol | None = None) -> Place:
        body = Body(span.start, span.end, place.body, labels or place.labels, block or place.block)
        self.index.bodies.append(body)
        return Place(Names(place.names), labels or place.labels, body, block or place.block)

    def _pattern(self, pattern: ast.Pattern, place: Place) -> None:
        if pattern.name is not None:
            self._define(LOOP_NAME, pattern.name, self._span(pattern.span.start, pattern.name), pattern, place, place.names)
        for part in pattern.parts:
            self._pattern(part, place)


def _may_be_called(symbol: Symbol) -> bool:
    """Return whether a name that an operator has too can be what an item of that name means: a block, or what may hold one."""
    if symbol.kind == VARIABLE and isinstance(symbol.node, ast.Let):
        return isinstance(symbol.node.value, (ast.Name, ast.CallExpr, ast.Conditional, ast.Index))
    if symbol.kind == PARAMETER and isinstance(symbol.node, ast.Param) and symbol.node.default is not None:
        return isinstance(symbol.node.default, (ast.Name, ast.CallExpr, ast.Conditional))
    return symbol.kind not in (OPEN_SIZE, STATE)
