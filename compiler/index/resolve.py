"""Resolve the names of a tree without elaborating it, so that blocks that nothing calls and files with errors have them too.

The rules are those of elaboration: names are bound early, so one walk in the order of the text, with an environment for each body,
finds what every name means. Where a label is computed, any label that it may be is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from archc.compiler.index.expressions import Expressions, Names, Place
from archc.compiler.index.symbols import (
    ARCH,
    BLOCK,
    CALLABLE,
    INPUT,
    LABEL,
    OPEN_SIZE,
    OPERATOR,
    OUTPUT,
    PARAMETER,
    SHARED,
    STATE,
    VARIABLE,
    Body,
    Entry,
    Index,
    Labels,
    Symbol,
)
from archc.compiler.ops import OPERATORS
from archc.dsl import ast
from archc.dsl.source import Source, Span

Used = Callable[[str], tuple[str, Index] | None]  # from the path of a `use` to the real path of the file and its index


@dataclass
class Resolver(Expressions):
    """Makes the index of one tree."""

    used: Used
    _later: list[tuple[Span, str]] = field(default_factory=list)  # names of blocks that the header of the file may name before

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


def _around(body: Sequence[ast.Statement], default: Span) -> Span:
    return body[0].span.to(body[-1].span) if body else Span(default.source, default.end, default.end)


def index_of(source: Source, tree: ast.File, used: Used = lambda path: None) -> Index:
    """Return the index of a tree. `used` finds the index of a file that it uses."""
    index = Index(source, tree)
    Resolver(index, used).file()
    return index
