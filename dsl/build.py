"""Convert Lark's parse tree to the syntax tree: one method per grammar rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lark import Token, Tree
from lark.tree import Meta

from archc.dsl import ast
from archc.dsl.numbers import number, whole
from archc.dsl.source import Source, Span

Children = list[Any]


Step = Any  # a token, or None, or of a rule: its name, its place and the number of its children


def steps(tree: Tree[Token]) -> list[Step]:
    """Return the nodes of a parse tree, leaves first: what a `TreeBuilder` goes through, in order."""
    waiting: list[Any] = [tree]
    nodes: list[Step] = []
    while waiting:
        node = waiting.pop()
        if type(node) is Tree:
            nodes.append((str(node.data), node.meta, len(node.children)))
            waiting += node.children
        else:
            nodes.append(node)
    nodes.reverse()
    return nodes


class TreeBuilder:
    """Builds the syntax tree of one source. Not recursive, so that it handles any nesting depth."""

    def __init__(self, source: Source, origin: Sequence[int] | None = None) -> None:
        """Create a builder. `origin` maps the offsets of a repaired text to offsets in the source."""
        self.source = source
        self._methods: dict[str, Callable[[Meta, Children], Any]] = {}
        self._move(origin)

    def _move(self, origin: Sequence[int] | None) -> None:
        source = self.source
        moved = origin if isinstance(origin, range) else range(len(source.text) + 1)  # a stretch that was not repaired has moved as a whole
        self.origin = origin if origin is not None and not isinstance(origin, range) else None
        self._begin = moved.start
        self._end = moved.stop - 1

    def build(self, steps: list[Step]) -> Any:
        """Return the result of the methods for a parse tree, whose nodes come leaves first.

        Same as lark's `Transformer_NonRecursive`, which looks up and wraps a method at every node and so takes twice as long.
        """
        methods = self._methods
        done: Children = []
        for step in steps:
            if type(step) is not tuple:
                done.append(step)
                continue
            name, meta, size = step
            method = methods.get(name)
            if method is None:
                method = methods[name] = getattr(self, name)
            children = done[-size:] if size else []
            if size:
                del done[-size:]
            done.append(method(meta, children))
        return done[0]

    def build_at(self, steps: list[Step], begin: int, end: int) -> Any:
        """Build the tree of a stretch of the source."""
        self._move(range(begin, end + 1))
        return self.build(steps)

    def _span(self, meta: Meta) -> Span:
        if meta.empty:
            return Span(self.source, 0, 0)
        return self._place(meta.start_pos, meta.end_pos)

    def _place(self, start: int, end: int) -> Span:
        if self.origin is None:
            last = self._end
            start, end = start + self._begin, end + self._begin
            return Span(self.source, start if start < last else last, end if end < last else last)
        last = len(self.origin) - 1
        return Span(self.source, self.origin[min(start, last)], self.origin[min(end, last)])

    def _token_span(self, token: Token) -> Span:
        assert token.start_pos is not None and token.end_pos is not None
        return self._place(token.start_pos, token.end_pos)

    def _dim(self, child: Any) -> ast.Expr:
        if isinstance(child, Token):
            span = self._token_span(child)
            if child.type == "DIM":
                return ast.Number(span, whole(child.replace("_", "")), str(child))
            return ast.Name(span, str(child))
        return child  # type: ignore[no-any-return]

    # ---- statements

    def file(self, meta: Meta, children: Children) -> ast.File:
        return ast.File(self._span(meta), tuple(children))

    def value(self, meta: Meta, children: Children) -> ast.Expr:
        return children[0]  # type: ignore[no-any-return]

    def size(self, meta: Meta, children: Children) -> ast.Dims:
        return children[0]  # type: ignore[no-any-return]

    def use(self, meta: Meta, children: Children) -> ast.Use:
        return ast.Use(self._span(meta), str(children[0])[1:-1])

    def arch(self, meta: Meta, children: Children) -> ast.Arch:
        name, params, base, title = children
        return ast.Arch(self._span(meta), str(name), params or (), base, str(title)[1:-1] if title else "")

    def input(self, meta: Meta, children: Children) -> ast.Input:
        name, dims, args = children
        return ast.Input(self._span(meta), str(name) if name else "input", dims, args or ())

    def output(self, meta: Meta, children: Children) -> ast.Output:
        name, index, args, *chain = children
        return ast.Output(self._span(meta), str(name), args or (), tuple(item for item in chain if item is not None), index)

    def default(self, meta: Meta, children: Children) -> ast.Default:
        word, args = children
        return ast.Default(self._span(meta), str(word), args, self._token_span(word))

    def block(self, meta: Meta, children: Children) -> ast.Block:
        name, params, body = children
        numbered = isinstance(body, ast.Group)
        return ast.Block(self._span(meta), str(name), params, body.body if numbered else body, numbered, self._token_span(name))

    def share(self, meta: Meta, children: Children) -> ast.Share:
        name, params, body = children
        return ast.Share(self._span(meta), str(name), params or (), body, self._token_span(name))

    def let(self, meta: Meta, children: Children) -> ast.Let:
        name, value = children
        return ast.Let(self._span(meta), str(name), value)

    def next(self, meta: Meta, children: Children) -> ast.Next:
        _, name, value = children
        return ast.Next(self._span(meta), str(name), value)

    def expect(self, meta: Meta, children: Children) -> ast.Expect:
        measure, target, relation, value, within = children
        percent = float(within.value) if within is not None else None
        return ast.Expect(self._span(meta), str(measure), target, relation, value, percent)

    def target(self, meta: Meta, children: Children) -> str:
        return str(children[0])

    def loop(self, meta: Meta, children: Children) -> ast.For:
        pattern, values, states, body = children
        return ast.For(self._span(meta), pattern, values, body, states or ())

    def carried(self, meta: Meta, children: Children) -> tuple[ast.State, ...]:
        return tuple(children)

    def state(self, meta: Meta, children: Children) -> ast.State:
        name, value = children
        return ast.State(self._span(meta), str(name), value)

    def choice(self, meta: Meta, children: Children) -> ast.If:
        condition, then, otherwise = children
        if isinstance(otherwise, ast.If):
            otherwise = (otherwise,)
        return ast.If(self._span(meta), condition, then, otherwise or ())

    def params(self, meta: Meta, children: Children) -> tuple[ast.Param, ...]:
        return tuple(child for child in children if child is not None)

    def param(self, meta: Meta, children: Children) -> ast.Param:
        name, default = children
        return ast.Param(self._span(meta), str(name), default)

    def pattern(self, meta: Meta, children: Children) -> ast.Pattern:
        if isinstance(children[0], Token):
            return ast.Pattern(self._span(meta), str(children[0]), ())
        return ast.Pattern(self._span(meta), None, tuple(children))

    def group_body(self, meta: Meta, children: Children) -> tuple[ast.Statement, ...]:
        return tuple(children)

    # ---- items

    def item(self, meta: Meta, children: Children) -> ast.Item:
        label, core, count, claim = children
        dims, claim_span = claim if claim is not None else (None, None)
        return ast.Item(self._span(meta), label, core, count, dims, claim_span)

    def label(self, meta: Meta, children: Children) -> ast.Label:
        index, second = (*children[1:], None, None)[:2]
        return ast.Label(self._span(meta), str(children[0]), index, second)

    def numeral(self, meta: Meta, children: Children) -> ast.Label:
        return ast.Label(self._span(meta), "", children[0])

    def repeat(self, meta: Meta, children: Children) -> ast.Expr:
        return self._dim(children[0])

    def claim(self, meta: Meta, children: Children) -> tuple[ast.Dims, Span]:
        return children[0], self._span(meta)

    def op(self, meta: Meta, children: Children) -> ast.Op:
        word, kernel, out, stride, args = children
        return ast.Op(self._span(meta), str(word), kernel or (), out, stride or (), args or (), self._token_span(word))

    def kernel(self, meta: Meta, children: Children) -> ast.Dims:
        return tuple(self._dim(child) for child in children)

    def dash(self, meta: Meta, children: Children) -> ast.Expr:
        return self._dim(children[0])

    def slash(self, meta: Meta, children: Children) -> ast.Dims:
        return children[0]  # type: ignore[no-any-return]

    def merge(self, meta: Meta, children: Children) -> ast.Merge:
        word, args, opening, *branches = children
        bodies = tuple(body for body, _ in branches)
        spans = tuple(span for _, span in branches)
        return ast.Merge(self._span(meta), str(word), args or (), bodies, self._token_span(word), self._token_span(opening), spans)

    def branch(self, meta: Meta, children: Children) -> tuple[tuple[ast.Statement, ...], Span]:
        span = children[0].span.to(children[-1].span) if children else self._span(meta)
        return tuple(children), span

    def turns(self, meta: Meta, children: Children) -> tuple[tuple[ast.Statement, ...], Span]:
        pattern, values, (body, _) = children
        begin = self.source.text.rfind("for", 0, pattern.span.start)  # the rule itself begins with the lines before
        span = self._span(meta)
        span = Span(self.source, begin if begin >= 0 else span.start, span.end)
        return (ast.Turns(span, pattern, values, body),), span

    def group(self, meta: Meta, children: Children) -> ast.Group:
        return ast.Group(self._span(meta), tuple(children), numbered=False)

    def numbered(self, meta: Meta, children: Children) -> ast.Group:
        return ast.Group(self._span(meta), tuple(children), numbered=True)

    def here(self, meta: Meta, children: Children) -> ast.Here:
        return ast.Here(self._span(meta))

    def broken(self, meta: Meta, children: Children) -> ast.Broken:
        return ast.Broken(self._span(meta))

    def ref(self, meta: Meta, children: Children) -> ast.Ref:
        path, indices = "", []
        for child in children:
            if isinstance(child, Token):
                path += child
            elif child is not None:
                dash, index = child if isinstance(child, tuple) else ("", child)
                path += f"{dash}{{}}"
                indices.append(index)
        return ast.Ref(self._span(meta), path[1:], tuple(indices))

    def second(self, meta: Meta, children: Children) -> tuple[str, ast.Expr]:
        return "-", children[0]

    def picked(self, meta: Meta, children: Children) -> ast.Index:
        base, *indices = children
        for index in indices:
            base = ast.Index(self._span(meta), base, index)
        return base  # type: ignore[no-any-return]

    def dims(self, meta: Meta, children: Children) -> ast.Dims:
        return tuple(self._dim(child) for child in children)

    def braced(self, meta: Meta, children: Children) -> ast.Expr:
        return children[0]  # type: ignore[no-any-return]

    # ---- expressions

    def args(self, meta: Meta, children: Children) -> tuple[ast.Arg, ...]:
        return tuple(child for child in children if child is not None)

    def arg(self, meta: Meta, children: Children) -> ast.Arg:
        name, value = children if len(children) == 2 else (None, children[0])
        return ast.Arg(self._span(meta), str(name) if name else None, value)

    def chosen(self, meta: Meta, children: Children) -> ast.Conditional:
        return ast.Conditional(self._span(meta), *children)

    def text(self, meta: Meta, children: Children) -> ast.Text:
        return ast.Text(self._span(meta), str(children[0])[1:-1])

    def _fold(self, meta: Meta, children: Children) -> ast.Fold:
        rest = tuple(zip((str(op) for op in children[1::2]), children[2::2], strict=True))
        return ast.Fold(self._span(meta), children[0], rest)

    sum = product = comparison = _fold

    def _logic(self, meta: Meta, children: Children, word: str) -> ast.Fold:
        return ast.Fold(self._span(meta), children[0], tuple((word, child) for child in children[1:]))

    def either(self, meta: Meta, children: Children) -> ast.Fold:
        return self._logic(meta, children, "or")

    def both(self, meta: Meta, children: Children) -> ast.Fold:
        return self._logic(meta, children, "and")

    def power(self, meta: Meta, children: Children) -> ast.Fold:
        return self._logic(meta, children, "**")

    def negated(self, meta: Meta, children: Children) -> ast.Unary:
        return ast.Unary(self._span(meta), "not", children[0])

    def negative(self, meta: Meta, children: Children) -> ast.Unary:
        return ast.Unary(self._span(meta), "-", children[-1])

    def relation(self, meta: Meta, children: Children) -> str:
        return str(children[0])

    def index(self, meta: Meta, children: Children) -> ast.Index:
        return ast.Index(self._span(meta), children[0], children[1])

    def part(self, meta: Meta, children: Children) -> ast.Part:
        return ast.Part(self._span(meta), *children)

    def field(self, meta: Meta, children: Children) -> ast.Field:
        return ast.Field(self._span(meta), children[0], str(children[1]))

    def call(self, meta: Meta, children: Children) -> ast.CallExpr:
        return ast.CallExpr(self._span(meta), str(children[0]), children[1])

    def name(self, meta: Meta, children: Children) -> ast.Name:
        return ast.Name(self._span(meta), str(children[0]))

    def parenthesised(self, meta: Meta, children: Children) -> ast.Expr:
        """Return the inner expression: the tree shows grouping. A bare name is marked as a variable, not a word of an option."""
        inner: ast.Expr = children[0]
        return replace(inner, variable=True) if isinstance(inner, ast.Name) else inner

    def list(self, meta: Meta, children: Children) -> ast.List:
        return ast.List(self._span(meta), tuple(child for child in children if child is not None))

    def each(self, meta: Meta, children: Children) -> ast.Each:
        return ast.Each(self._span(meta), *children)

    def shape(self, meta: Meta, children: Children) -> ast.ShapeLiteral:
        parts = str(children[0]).replace("_", "").split("x")
        return ast.ShapeLiteral(self._span(meta), tuple(whole(p) if p.isdigit() else p for p in parts))

    def number(self, meta: Meta, children: Children) -> ast.Number:
        text = str(children[0])
        return ast.Number(self._span(meta), number(text), text)
