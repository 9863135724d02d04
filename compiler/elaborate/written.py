"""The expanded program, recorded while the expansion runs: every block, repeat, loop and default written out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from archc.compiler.elaborate.scopes import Scope, Tensor, join
from archc.compiler.ops.kinds import Kind, PerAxis, exact
from archc.compiler.ops.record import Operator
from archc.compiler.shapes.dim import Shape
from archc.dsl import ast
from archc.dsl.source import Source, Span

NOWHERE = Span(Source("", ""), 0, 0)
Items = list[ast.Statement]


class Recorder:
    """Collects the statements of the expanded program. Does nothing unless it is active."""

    def __init__(self, active: bool) -> None:
        self.active = active
        self.program: Items = []
        self._here = self.program
        self._shares: dict[int, tuple[Items, int, str, Items]] = {}

    @contextmanager
    def collected(self) -> Iterator[Items]:
        """Collect what follows apart."""
        outer, self._here = self._here, []
        try:
            yield self._here
        finally:
            self._here = outer

    @contextmanager
    def group(self, name: str) -> Iterator[None]:
        """Put what follows into a labelled group."""
        with self.collected() as body:
            yield
        self._put(_label(name), ast.Group(NOWHERE, tuple(body), numbered=False))

    def op(self, name: str, operator: Operator, attrs: Mapping[str, Any], place: tuple[int, ...]) -> None:
        if self.active:
            self._put(_label(name), written_op(operator, attrs, place))

    def merge(self, name: str, operator: Operator, attrs: Mapping[str, Any], place: tuple[int, ...], branches: list[Items]) -> None:
        if self.active:
            args = _args(operator, attrs, place, set())
            here = ast.Item(NOWHERE, None, ast.Here(NOWHERE), None, None)
            bodies = tuple(tuple(branch or [here]) for branch in branches)
            self._put(_label(name), ast.Merge(NOWHERE, operator.name, args, bodies, NOWHERE, NOWHERE, ()))

    def ref(self, tensor: Tensor, scope: Scope, name: str = "") -> None:
        """Go on from a tensor; give it a name where it gets one."""
        if self.active and tensor.in_graph:
            self._put(_label(name) if name else None, ast.Ref(NOWHERE, reference(tensor, scope)))

    def claim(self, shape: Shape) -> None:
        if not self.active:
            return
        dims = tuple(literal(dim) for dim in shape)
        last = self._here[-1] if self._here else None
        if isinstance(last, ast.Item) and last.claim is None:
            self._here[-1] = replace(last, claim=dims)
        else:
            self._here.append(ast.Item(NOWHERE, None, ast.Here(NOWHERE), None, dims))

    def statement(self, statement: ast.Statement) -> None:
        if self.active:
            self._here.append(statement)

    def share(self, part: object, name: str) -> None:
        """Keep the place where a shared part is defined; its body is known at its first call."""
        self._shares[id(part)] = (self._here, len(self._here), name, [])
        self.statement(ast.Share(NOWHERE, name, (), NOWHERE))

    @contextmanager
    def share_call(self, part: object, name: str, first: bool) -> Iterator[None]:
        with self.collected() as body:
            yield
        here, index, share_name, _ = self._shares[id(part)]
        if self.active and first:
            here[index] = ast.Share(NOWHERE, share_name, tuple(body), NOWHERE)
        if self.active:
            self._put(_label(name), ast.Op(NOWHERE, share_name, (), None, (), (), NOWHERE))

    def _put(self, label: ast.Label | None, core: ast.Core) -> None:
        if self.active:
            self._here.append(ast.Item(NOWHERE, label, core, None, None))


def reference(tensor: Tensor, scope: Scope) -> str:
    """The shortest path that names a node from within a scope; from the top where none does."""
    parts = tensor.name.split(".")
    path = ""
    for part in reversed(parts):
        path = join(part, path) if path else part
        found = scope.lookup(path)
        if found is not None and found.name == tensor.name:
            return path
    return f".{tensor.name}"


def written_op(operator: Operator, attrs: Mapping[str, Any], place: tuple[int, ...]) -> ast.Op:
    """An operator with all its options: the short form where it has one, the rest by name."""
    word, out, stride = operator.name, None, ()
    kernel_name, out_name, stride_name = operator.short
    used = set()
    if kernel_name and attrs[kernel_name] is not None:
        word += _dims(attrs[kernel_name])
        used.add(kernel_name)
    out_expr: ast.Expr | None = out
    if out_name:
        out_expr = literal(attrs[out_name])
        used.add(out_name)
    stride_dims: ast.Dims = stride
    if stride_name:
        stride_dims = (ast.Name(NOWHERE, _dims(attrs[stride_name])),)
        used.add(stride_name)
    return ast.Op(NOWHERE, word, (), out_expr, stride_dims, _args(operator, attrs, place, used), NOWHERE)


def _args(operator: Operator, attrs: Mapping[str, Any], place: tuple[int, ...], used: set[str]) -> tuple[ast.Arg, ...]:
    args = [ast.Arg(NOWHERE, attr.name, literal(attrs[attr.name], attr.kind)) for attr in operator.attrs if attr.name not in used]
    if place:
        args.append(ast.Arg(NOWHERE, "place", literal(place)))
    return tuple(args)


def literal(value: Any, kind: Kind | None = None) -> ast.Expr:
    """A value as an expression that gives it back; one number where an option has the same for every axis."""
    if value is None:
        return ast.Name(NOWHERE, "none")
    if isinstance(value, tuple):
        if isinstance(getattr(kind, "kind", kind), PerAxis) and len(set(value)) == 1:
            return literal(value[0])
        return ast.List(NOWHERE, tuple(literal(item) for item in value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return ast.Number(NOWHERE, value, exact(value)) if value >= 0 else ast.Name(NOWHERE, exact(value))
    return ast.Name(NOWHERE, value if isinstance(value, str) else exact(value))


def _dims(sizes: tuple[int, ...]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))


def _label(name: str) -> ast.Label:
    return ast.Label(NOWHERE, name, None)
