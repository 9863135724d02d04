"""The warning about a `let` in a `for` or an `if` that hides an outer name where assigning to it seems intended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from archc.compiler.analysis.text_warnings import mentioned
from archc.compiler.graph import ArchGraph
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Related
from archc.dsl.source import Span
from archc.dsl.vocabulary import text_warnings as says


@dataclass
class _Bound:
    """A name, where it is bound, and where it is read."""

    place: Span
    reads: list[int] = field(default_factory=list)


@dataclass
class _Body:
    """The names bound in a body, with the body around it; `part_of` is the loop or condition that it belongs to."""

    outer: _Body | None = None
    part_of: ast.For | ast.If | None = None
    names: dict[str, _Bound] = field(default_factory=dict)

    def find(self, name: str) -> _Bound | None:
        """Look a name up here and in the bodies around."""
        body: _Body | None = self
        while body is not None:
            if name in body.names:
                return body.names[name]
            body = body.outer
        return None


@dataclass
class _Read:
    """A `let` whose expression was visited, with how often the outer name had been read before."""

    let: ast.Let
    outer: _Bound | None
    before: int


@dataclass
class _Hidden:
    """A `let` that hides an outer name; `reads_outer` where its expression reads that one."""

    let: ast.Let
    part_of: ast.For | ast.If
    outer: _Bound
    own: _Bound
    reads_outer: bool


def hides_the_outer(graph: ArchGraph, tree: ast.File) -> Iterator[Diagnostic]:
    """Warn of `let n = 2*n` in a loop, which reads like an assignment of Python that later statements would see."""
    if not any(isinstance(node, ast.Let) for node in ast.walk(tree)):
        return
    for hidden in _resolved(tree):
        again = any(place >= hidden.part_of.span.end for place in hidden.outer.reads)
        if hidden.own.reads and (hidden.reads_outer or again):
            related = [Related(hidden.outer.place, "the one around it")]
            yield says.hides_the_outer(hidden.let.name, isinstance(hidden.part_of, ast.For)).at(hidden.let.span, related=related)


def _names(pattern: ast.Pattern) -> dict[str, _Bound]:
    return {part.name: _Bound(part.span) for part in ast.walk(pattern) if isinstance(part, ast.Pattern) and part.name}


def _resolved(tree: ast.File) -> list[_Hidden]:
    """Return every `let` that hides a name, with all names of the file looked up in the order of the text."""
    hidden: list[_Hidden] = []
    waiting: list[tuple[object, _Body]] = [(tree.statements, _Body())]
    while waiting:
        node, body = waiting.pop()
        parts: list[tuple[object, _Body]] = []
        match node:
            case tuple():
                parts = [(part, body) for part in node]
            case ast.Let():
                outer = body.find(node.name)
                before = len(outer.reads) if outer is not None else 0
                parts = [(node.value, body), (_Read(node, outer, before), body)]
            case _Read():
                own = body.names[node.let.name] = _Bound(node.let.span)
                if node.outer is not None and body.part_of is not None:
                    reads_outer = len(node.outer.reads) > node.before
                    hidden.append(_Hidden(node.let, body.part_of, node.outer, own, reads_outer))
            case ast.Arch() | ast.Block() | ast.Share():
                inner = body if isinstance(node, ast.Arch) else _Body(body)
                parts = [(param.default, inner) for param in node.params]
                inner.names |= {param.name: _Bound(param.span) for param in node.params}
                parts += [(node.body, inner)] if not isinstance(node, ast.Arch) else []
            case ast.Group():
                parts = [(node.body, _Body(body))]
            case ast.Output():
                parts = [(node.index, body), (node.chain, _Body(body))]
            case ast.Merge():
                parts = [(node.args, body), *((branch, _Body(body)) for branch in node.branches)]
            case ast.For():
                inner = _Body(body, node, _names(node.pattern) | {state.name: _Bound(state.span) for state in node.states})
                parts = [(node.values, body), *((state.value, body) for state in node.states), (node.body, inner)]
                body.names |= {state.name: _Bound(state.span) for state in node.states}  # after it
            case ast.Turns():
                parts = [(node.values, body), (node.body, _Body(body, None, _names(node.pattern)))]
            case ast.Each():
                parts = [(node.values, body), (node.item, _Body(body, None, _names(node.pattern)))]
            case ast.If():
                parts = [(node.condition, body), (node.then, _Body(body, node))]
                chained = len(node.otherwise) == 1 and isinstance(node.otherwise[0], ast.If)  # `else if`, which may be a long chain
                parts.append((node.otherwise, body if chained else _Body(body, node)))
            case ast.Node():
                for name in mentioned(node):
                    if (bound := body.find(name)) is not None:
                        bound.reads.append(node.span.start)
                parts = [(part, body) for part in reversed(ast.inside(node))]
            case _:
                pass
        waiting.extend(reversed(parts))
    return hidden
