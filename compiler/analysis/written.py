"""Build statements from nodes: an operator with its options, a claim, an input, an output."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from archc.compiler.analysis.notation import UNSEEN, spread, unusual_options
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.kinds import Extents, Kind, PerAxis, Text, exact
from archc.compiler.shapes.dim import Shape, show_sizes
from archc.dsl import ast
from archc.dsl.source import Source, Span

NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
NOWHERE = Span(Source("", ""), 0, 0)
HERE = ast.Item(NOWHERE, None, ast.Here(NOWHERE), None, None)

Body = Sequence[ast.Statement]


def header(graph: ArchGraph, title: str = "") -> list[ast.Statement]:
    """Return the `arch` line; none where the name of the graph cannot be written."""
    return [ast.Arch(NOWHERE, graph.name, (), None, re.sub(r"[\"\s]+", " ", title))] if NAME.fullmatch(graph.name) else []


def input_line(node: Node, name: str, facts: Mapping[str, Any] | None = None) -> ast.Input:
    """Return the `input` line of a node, with what is stated of its samples."""
    listed = ((option, tuple(held) if isinstance(held, list) else held) for option, held in (facts or {}).items())
    args = tuple(ast.Arg(NOWHERE, option, literal(held)) for option, held in listed)
    return ast.Input(NOWHERE, name, shape_dims(node.shape), args)


def output_line(name: str, training_only: bool, chain: Body = ()) -> ast.Output:
    """Return an `output` with the items that lead to it from the current tensor."""
    args = (ast.Arg(NOWHERE, "when", ast.Name(NOWHERE, "training")),) if training_only else ()
    return ast.Output(NOWHERE, name, args, tuple(item for item in chain if isinstance(item, ast.Item)))


def labelled(label: str, core: ast.Core, claim: Shape | None = None) -> ast.Item:
    """Return an item with a label, and a claim where a shape is given."""
    dims = None if claim is None else shape_dims(claim)
    return ast.Item(NOWHERE, ast.Label(NOWHERE, label, None), core, None, dims)


def reference(path: str) -> ast.Item:
    """Return a reference to a node: `@path`."""
    return ast.Item(NOWHERE, None, ast.Ref(NOWHERE, path), None, None)


def group(body: Body) -> ast.Group:
    """Return a group: `{ ... }`."""
    return ast.Group(NOWHERE, tuple(body), numbered=False)


def share(name: str, params: Sequence[str], body: Body) -> ast.Share:
    """Return the definition of a shared part."""
    return ast.Share(NOWHERE, name, tuple(ast.Param(NOWHERE, param, None) for param in params), tuple(body), NOWHERE)


def call(name: str, tensors: Sequence[ast.Ref] = ()) -> ast.Op:
    """Return a call of a shared part."""
    return ast.Op(NOWHERE, name, (), None, (), tuple(ast.Arg(NOWHERE, None, tensor) for tensor in tensors), NOWHERE)


def operator(node: Node, brief: bool = False) -> ast.Op:
    """Return an operator with all its options, rare ones only where they differ from their defaults.

    If `brief`, with those alone that differ from their defaults, and without initialization.
    """
    kernel, out, stride = node.operator.short
    unusual = dict(unusual_options(node))
    size = node.attrs[kernel] if kernel else None
    word = node.op + ("" if size is None else show_sizes(size) if isinstance(size, tuple) else str(size))
    out_expr = literal(node.attrs[out]) if out else None
    strides = (ast.Name(NOWHERE, show_sizes(node.attrs[stride])),) if stride and (stride in unusual or not brief) else ()
    kinds = {attr.name: attr.kind for attr in node.operator.attrs}
    options = {
        attr.name: node.attrs[attr.name]
        for attr in node.operator.attrs
        if attr.name not in (out, stride) and not (attr.name == kernel and node.attrs[kernel] is not None)
        if not (brief or attr.rare) or (attr.name in unusual and attr.name not in UNSEEN) or (attr.name == "from" and node.attrs["from"])
    }
    args = [ast.Arg(NOWHERE, name or None, literal(value, kinds.get(name))) for name, value in spread(options, node.operator.gathers)]
    if node.place:
        args.append(ast.Arg(NOWHERE, "place", literal(node.place)))
    return ast.Op(NOWHERE, word, (), out_expr, strides, tuple(args), NOWHERE)


def merge(node: Node, branches: Sequence[Body], brief: bool = False) -> ast.Merge:
    """Return an operator with several operands, each a branch."""
    short = (ast.Arg(NOWHERE, name, literal(node.attrs[name])) for name in node.operator.short if name)
    args = (*short, *operator(node, brief).args)
    return ast.Merge(NOWHERE, node.op, args, tuple(tuple(branch) or (HERE,) for branch in branches), NOWHERE, NOWHERE, ())


def shape_dims(shape: Shape) -> ast.Dims:
    """Return a shape as expressions."""
    return tuple(literal(dim) for dim in shape)


def literal(value: Any, kind: Kind | None = None) -> ast.Expr:
    """Return a value as an expression that reads back as the same value; one number where an option has the same for every axis."""
    if value is None:
        return ast.Name(NOWHERE, "none")
    if isinstance(value, Text):
        return ast.Text(NOWHERE, value.text)
    if isinstance(value, tuple):
        if isinstance(kind, Extents) and all(isinstance(size, int) for size in value):
            return ast.ShapeLiteral(NOWHERE, value) if len(value) > 1 else literal(value[0])
        if isinstance(getattr(kind, "kind", kind), PerAxis) and len(set(value)) == 1:
            return literal(value[0])
        return ast.List(NOWHERE, tuple(literal(item) for item in value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return ast.Number(NOWHERE, value, exact(value)) if value >= 0 else ast.Name(NOWHERE, exact(value))
    return ast.Name(NOWHERE, value if isinstance(value, str) else exact(value))
