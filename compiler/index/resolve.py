"""Resolve the names of a tree without elaborating it, so that blocks that nothing calls and files with errors have them too.

The rules are those of elaboration: names are bound early, so one walk in the order of the text, with an environment for each body,
finds what every name means. Where a label is computed, any label that it may be is meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from archc.compiler.elaborate.arithmetic import FUNCTIONS
from archc.compiler.elaborate.options import Signature
from archc.compiler.elaborate.strangers import RESIDUAL
from archc.compiler.index.symbols import (
    ARCH,
    BLOCK,
    CALLABLE,
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
    Body,
    Called,
    Entry,
    Index,
    Labels,
    Mention,
    Occurrence,
    Symbol,
)
from archc.compiler.ops import OPERATORS
from archc.dsl import ast
from archc.dsl.source import Source, Span

Used = Callable[[str], tuple[str, Index] | None]  # from the path of a `use` to the real path of the file and its index
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
class Resolver:
    """Makes the index of one tree."""

    index: Index
    used: Used
    _later: list[tuple[Span, str]] = field(default_factory=list)  # names of blocks that the header of the file may name before

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

    # ---- statements

    def file(self) -> None:
        """Resolve the whole tree."""
        tree, text = self.index.tree, self.index.source.text
        body = Body(0, len(text), None, self.index.top, None)
        self.index.bodies.append(body)
        place = Place(Names(), self.index.top, body, None)
        for statement in tree.statements:
            if isinstance(statement, ast.Use):
                self._use(statement, place)
        self.statements(tree.statements, place)
        for span, name in self._later:
            if (found := place.names.own.get(name)) is not None and found.kind in CALLABLE:
                self._occurs(span.start, name, found)
        self.index.finish()

    def _use(self, use: ast.Use, place: Place) -> None:
        found = self.used(use.path)
        self.index.uses.append((use, found[0] if found else ""))
        if found is None:
            return
        for symbol in found[1].symbols:
            if symbol.kind in (BLOCK, SHARED, ARCH) and symbol.container is None:
                self.index.imported.setdefault(symbol.name, symbol)
                place.names.own.setdefault(symbol.name, symbol)
        for name, symbol in found[1].imported.items():  # for calls of blocks that a parameter of the network holds
            self.index.imported.setdefault(name, symbol)
            place.names.own.setdefault(name, symbol)

    def statements(self, statements: Sequence[ast.Statement], place: Place) -> None:
        """Resolve the statements of a body in turn."""
        for statement in statements:
            self.statement(statement, place)

    def statement(self, statement: ast.Statement, place: Place) -> None:
        """Resolve one statement."""
        match statement:
            case ast.Item():
                self._item(statement, place)
            case ast.Block():
                self._block(BLOCK, statement, place)
            case ast.Share():
                self._block(SHARED, statement, place)
            case ast.Let():
                self.expr(statement.value, place)
                self._define(VARIABLE, statement.name, self._name_after(statement.span, 3, statement.name), statement, place, place.names)
            case ast.Next():
                self.expr(statement.value, place)
                if (symbol := place.names.find(statement.name)) is not None:
                    span = self._name_after(statement.span, 4, statement.name)
                    self._occurs(span.start if span else 0, statement.name, symbol)
            case ast.For():
                self._loop(statement, place)
            case ast.Turns():
                self.expr(statement.values, place)
                inner = self._inner(statement.span, place)
                self._pattern(statement.pattern, inner)
                self.statements(statement.body, inner)
            case ast.If():
                self.expr(statement.condition, place)
                self.statements(statement.then, self._inner(_around(statement.then, statement.span), place))
                self.statements(statement.otherwise, self._inner(_around(statement.otherwise, statement.span), place))
            case ast.Default():
                self._arguments(statement.word.lower(), None, statement.args, place)
                if statement.word.lower() in OPERATORS:
                    self._mention(statement.word_span.start, len(statement.word), OPERATOR, statement.word.lower())
            case ast.Arch():
                self._arch(statement, place)
            case ast.Input():
                self._input(statement, place)
            case ast.Output():
                self._output(statement, place)
            case ast.Expect():
                self._expect(statement, place)
            case _:
                pass

    def _inner(self, span: Span, place: Place, labels: Labels | None = None, block: Symbol | None = None) -> Place:
        body = Body(span.start, span.end, place.body, labels or place.labels, block or place.block)
        self.index.bodies.append(body)
        return Place(Names(place.names), labels or place.labels, body, block or place.block)

    def _block(self, kind: str, statement: ast.Block | ast.Share, place: Place) -> None:
        symbol = self._define(kind, statement.name, self._span(statement.name_span.start, statement.name), statement, place, place.names)
        symbol.labels = Labels(place.labels, boundary=True)
        inner = self._inner(statement.span, place, symbol.labels, symbol)
        self._parameters(symbol, statement.params, inner)
        self.statements(statement.body, inner)

    def _parameters(self, owner: Symbol, params: Sequence[ast.Param], place: Place) -> None:
        for param in params:
            if param.default is not None:
                self.expr(param.default, place)
            span = self._span(param.span.start, param.name)
            owner.parameters[param.name] = self._define(PARAMETER, param.name, span, param, place, place.names)

    def _arch(self, statement: ast.Arch, place: Place) -> None:
        if statement.base is not None:
            self._call(statement.base, place)
        symbol = self._define(ARCH, statement.name, self._name_after(statement.span, 4, statement.name), statement, place)
        for param in statement.params:
            named = param.default.name if isinstance(param.default, (ast.Name, ast.CallExpr)) else ""
            if named and place.names.find(named) is None and param.default is not None:
                self._later.append((param.default.span, named))
        self._parameters(symbol, statement.params, place)

    def _loop(self, statement: ast.For, place: Place) -> None:
        self.expr(statement.values, place)
        for state in statement.states:
            self.expr(state.value, place)
        inner = self._inner(statement.span, place)
        states = [
            self._define(STATE, state.name, self._span(state.span.start, state.name), state, inner, inner.names)
            for state in statement.states
        ]
        self._pattern(statement.pattern, inner)
        self.statements(statement.body, inner)
        for symbol in states:  # after the loop they are variables
            place.names.own[symbol.name] = symbol
            place.body.symbols.append(symbol)

    def _pattern(self, pattern: ast.Pattern, place: Place) -> None:
        if pattern.name is not None:
            self._define(LOOP_NAME, pattern.name, self._span(pattern.span.start, pattern.name), pattern, place, place.names)
        for part in pattern.parts:
            self._pattern(part, place)

    def _input(self, statement: ast.Input, place: Place) -> None:
        span = self._name_after(statement.span, 5, statement.name)
        symbol = self._define(INPUT, statement.name, span, statement, place)
        place.labels.entries.append(Entry(statement.name, symbol))
        for dim in statement.dims:
            if isinstance(dim, ast.Name) and place.names.find(dim.name) is None:
                self._define(OPEN_SIZE, dim.name, self._span(dim.span.start, dim.name), dim, place, place.names)
            else:
                self.expr(dim, place)
        for arg in statement.args:
            self.expr(arg.value, place)

    def _output(self, statement: ast.Output, place: Place) -> None:
        symbol = self._define(OUTPUT, statement.name, self._name_after(statement.span, 6, statement.name), statement, place)
        if statement.index is not None:
            self.expr(statement.index, place)
        for item in statement.chain:
            self._item(item, place)
        if statement.chain and statement.chain[-1].label is None:
            place.labels.entries.append(Entry(statement.name, symbol, numbered=statement.index is not None))

    def _expect(self, statement: ast.Expect, place: Place) -> None:
        if statement.target is not None:
            opened = self.index.source.text.find("(", statement.span.start, statement.span.end)
            begin = self.index.source.text.find(statement.target, opened, statement.span.end) if opened >= 0 else -1
            if begin >= 0:
                self._steps(begin, statement.target, place.labels)
        self.expr(statement.value, place)

    # ---- items

    def _item(self, item: ast.Item, place: Place) -> None:
        if item.label is not None:
            for index in (item.label.index, item.label.second):
                if index is not None:
                    self.expr(index, place)
        if item.count is not None:
            self.expr(item.count, place)
        entry = self._entry(item, place)
        inside = place
        labels = Labels(place.labels)
        if isinstance(item.core, ast.Group) and (entry is not None or item.core.numbered):
            inside = Place(place.names, labels, place.body, place.block)
            if entry is not None:
                entry.inside = labels
        callee = self._core(item.core, inside if isinstance(item.core, ast.Group) else place)
        if entry is not None and callee is not None:
            entry.callee = callee
        for dim in item.claim or ():
            self.expr(dim, place)

    def _entry(self, item: ast.Item, place: Place) -> Entry | None:
        """Enter the label of an item."""
        label = item.label
        if label is None:
            return None
        span = self._span(label.span.start, label.text) if label.text else None
        symbol = self._define(LABEL, label.text, span, item, place) if label.text else None
        entry = Entry(label.text, symbol, label.index is not None, item.count is not None)
        place.labels.entries.append(entry)
        return entry

    def _core(self, core: ast.Core, place: Place) -> Symbol | None:
        """Resolve an item without its label; return the block that it calls."""
        match core:
            case ast.Op():
                return self._op(core, place)
            case ast.Merge():
                self._word(core.word, core.word_span.start, core.args, place)
                for body, span in zip(core.branches, core.branch_spans, strict=True):
                    self.statements(body, self._inner(span, place))
            case ast.Group():
                inner = self._inner(core.span, place)
                self.statements(core.body, inner)
            case ast.Ref() | ast.Index():
                self.expr(core, place)
            case _:
                pass
        return None

    def _op(self, op: ast.Op, place: Place) -> Symbol | None:
        callee = self._word(op.word, op.word_span.start, op.args, place)
        for expr in (*op.kernel, *((op.out,) if op.out is not None else ()), *op.stride):
            self.expr(expr, place)
        return callee

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
                for each in (expr.base, expr.first, expr.stop):
                    if each is not None:
                        self.expr(each, place)
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


def _around(body: Sequence[ast.Statement], default: Span) -> Span:
    return body[0].span.to(body[-1].span) if body else Span(default.source, default.end, default.end)


def _may_be_called(symbol: Symbol) -> bool:
    """Return whether a name that an operator has too can be what an item of that name means: a block, or what may hold one."""
    if symbol.kind == VARIABLE and isinstance(symbol.node, ast.Let):
        return isinstance(symbol.node.value, (ast.Name, ast.CallExpr, ast.Conditional, ast.Index))
    if symbol.kind == PARAMETER and isinstance(symbol.node, ast.Param) and symbol.node.default is not None:
        return isinstance(symbol.node.default, (ast.Name, ast.CallExpr, ast.Conditional))
    return symbol.kind not in (OPEN_SIZE, STATE)


def index_of(source: Source, tree: ast.File, used: Used = lambda path: None) -> Index:
    """Return the index of a tree. `used` finds the index of a file that it uses."""
    index = Index(source, tree)
    Resolver(index, used).file()
    return index
