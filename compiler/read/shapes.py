"""Compare statements up to their numbers, and put expressions in the places of these."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from archc.compiler.analysis.written import NOWHERE
from archc.compiler.ops import OPERATORS
from archc.compiler.read.literals import literal
from archc.dsl import ast

INDEX = "i"

Params = Mapping[str, Sequence[ast.Param]]  # the parameters of each block


@dataclass(frozen=True)
class Leaf:
    """A number in a statement, and what it is called where it becomes a variable."""

    value: int | float
    hint: str


class Shapes:
    """Gives statements that are equal up to numbers the same key, and lists their numbers."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def split(self, node: Any) -> tuple[Any, list[Leaf]]:
        """Return the shape of a statement and its numbers, in a fixed order."""
        leaves: list[Leaf] = []
        return self._shape(node, leaves, "n"), leaves

    def _shape(self, node: Any, leaves: list[Leaf], hint: str) -> Any:
        match node:
            case ast.Number():
                leaves.append(Leaf(node.value, hint))
                return (type(node.value).__name__,)
            case ast.Label(index=None, second=None) if found := DASHED.fullmatch(node.text):
                leaves.extend(Leaf(int(digits), INDEX) for digits in found.groups()[1:])
                return ("labels", found[1])
            case ast.Label(index=None, second=None) if found := LABELLED.fullmatch(node.text):
                leaves.append(Leaf(int(found[2]), INDEX))
                return ("label", found[1])
            case ast.Text():
                return ("text", node.text)
            case ast.Ref(indices=()):
                return ("ref", self._path(node.path, leaves))
            case ast.Op():
                word, kernel = _word(node)
                out = None if node.out is None else self._shape(node.out, leaves, "w")
                sizes = tuple(self._shape(size, leaves, "k") for size in kernel)
                stride = tuple(self._shape(size, leaves, "s") for size in node.stride)
                args = tuple((arg.name, self._shape(arg.value, leaves, name)) for name, arg in self.named(node))
                return ("op", word, sizes, out, stride, args)
            case ast.Output(index=None) if found := LABELLED.fullmatch(node.name):
                leaves.append(Leaf(int(found[2]), INDEX))
                return ("output", found[1], self._shape(node.args, leaves, hint), self._shape(node.chain, leaves, hint))
            case ast.Item():
                label = self._shape(node.label, leaves, INDEX)
                core = self._shape(node.core, leaves, hint)
                return ("item", label, core, self._shape(node.count or literal(1), leaves, "n"))
            case ast.Node():
                names = [each.name for each in fields(node) if each.name not in SKIPPED]
                return (type(node).__name__, *(self._shape(getattr(node, name), leaves, hint) for name in names))
            case tuple():
                return tuple(self._shape(each, leaves, hint) for each in node)
            case _:
                return node

    def _path(self, path: str, leaves: list[Leaf]) -> str:
        for digits in re.findall(DIGITS, path):
            leaves.append(Leaf(int(digits), INDEX))
        return re.sub(DIGITS, "{}", path)

    def named(self, op: ast.Op) -> list[tuple[str, ast.Arg]]:
        """Return the arguments of an item with the names of what they set: of a call of a block, all of them."""
        if op.word not in self.params:
            return [(arg.name or "n", arg) for arg in op.args]
        given: dict[str, ast.Arg] = {}
        free = [param.name for param in self.params[op.word]]
        for at, arg in enumerate(op.args):
            given[arg.name or free[at]] = arg
        full = []
        for param in self.params[op.word]:
            if param.name in given:
                full.append((param.name, given[param.name]))
            elif param.default is not None:
                full.append((param.name, ast.Arg(NOWHERE, param.name, param.default)))
        return full


DIGITS = r"(?<![A-Za-z_0-9])(?:0|[1-9]\d*)(?![A-Za-z_0-9])|(?<=[A-Za-z_])(?:[1-9]\d*|0)(?=\.|$)"
LABELLED = re.compile(r"([^-]*?)(0|[1-9]\d*)")
DASHED = re.compile(r"([A-Za-z_][^-]*?)(0|[1-9]\d*)-(0|[1-9]\d*)")
SKIPPED = {"span", "word_span", "opening", "branch_spans", "name_span", "claim", "claim_span", "text"}


def _word(op: ast.Op) -> tuple[str, ast.Dims]:
    """Return the name of an operator and its kernel, where that is one number at the end of the word."""
    found = re.fullmatch(r"([a-z_]+?)(\d+)", op.word)
    if found and op.word not in OPERATORS and found[1] in OPERATORS and not op.kernel:
        return found[1], (ast.Number(NOWHERE, int(found[2]), found[2]),)
    return op.word, op.kernel


class Fill:
    """Puts expressions in the places of the numbers of a statement, in the order in which `Shapes` lists them."""

    def __init__(self, shapes: Shapes, exprs: Sequence[ast.Expr]) -> None:
        self.shapes = shapes
        self.exprs = iter(exprs)

    def node(self, node: Any) -> Any:
        match node:
            case ast.Number():
                return next(self.exprs)
            case ast.Label(index=None, second=None) if found := DASHED.fullmatch(node.text):
                both = next(self.exprs), next(self.exprs)
                same = [_is_number(expr) and expr.text == digits for expr, digits in zip(both, found.groups()[1:], strict=True)]  # type: ignore[union-attr]
                return node if all(same) else ast.Label(NOWHERE, found[1], *both)
            case ast.Label(index=None, second=None) if found := LABELLED.fullmatch(node.text):
                expr = next(self.exprs)
                return node if _is_number(expr) and expr.value == int(found[2]) else ast.Label(NOWHERE, found[1], expr)  # type: ignore[union-attr]
            case ast.Ref(indices=()):
                return self._reference(node)
            case ast.Op():
                return self._op(node)
            case ast.Output(index=None) if found := LABELLED.fullmatch(node.name):
                expr = next(self.exprs)
                args, chain = self.node(node.args), self.node(node.chain)
                fixed = _is_number(expr) and expr.value == int(found[2])  # type: ignore[union-attr]
                return ast.Output(NOWHERE, node.name, args, chain) if fixed else ast.Output(NOWHERE, found[1], args, chain, expr)
            case ast.Item():
                label, core = self.node(node.label), self.node(node.core)
                count = next(self.exprs)
                once = _is_number(count) and count.value == 1  # type: ignore[union-attr]
                return ast.Item(NOWHERE, label, core, None if once else count, None)
            case ast.Node():
                names = [each.name for each in fields(node) if each.name not in SKIPPED]
                return replace(node, **{name: self.node(getattr(node, name)) for name in names})
            case tuple():
                return tuple(self.node(each) for each in node)
            case _:
                return node

    def _reference(self, node: ast.Ref) -> ast.Ref:
        path, indices, at = "", [], 0
        for found in re.finditer(DIGITS, node.path):
            expr = next(self.exprs)
            fixed = _is_number(expr) and expr.value == int(found[0])  # type: ignore[union-attr]
            path += node.path[at : found.start()] + (found[0] if fixed else "{}")
            at = found.end()
            if not fixed:
                indices.append(expr)
        return ast.Ref(NOWHERE, path + node.path[at:], tuple(indices))

    def _op(self, node: ast.Op) -> ast.Op:
        word, kernel = _word(node)
        out = None if node.out is None else self.node(node.out)
        sizes = tuple(self.node(size) for size in kernel)
        stride = tuple(self.node(size) for size in node.stride)
        defaults = {param.name: param.default for param in self.shapes.params.get(word, ())}
        args = []
        for name, arg in self.shapes.named(node):
            value = self.node(arg.value)
            if defaults.get(name) is None or value != defaults[name]:
                args.append(ast.Arg(NOWHERE, name if defaults.get(name) is not None else arg.name, value))
        if len(sizes) == 1 and kernel is not node.kernel and _is_number(sizes[0]):
            word, sizes = word + sizes[0].text, ()
        return ast.Op(NOWHERE, word, sizes, out, stride, tuple(args), NOWHERE)


def _is_number(expr: Any) -> bool:
    return isinstance(expr, ast.Number)
