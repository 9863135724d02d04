"""Print the tree of a file as indented text: one node a line, with its place, its fields, and its expressions as source text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_args

from archc.dsl import ast
from archc.dsl.printer import expression

EXPRESSIONS = get_args(ast.Expr)


def dump(node: ast.Node) -> str:
    """Return the tree below a node, one line for each node: `line:column Kind field=value`.

    Fields that are empty, and spans other than the place, are left out. Works for trees of any depth.
    """
    lines: list[str] = []
    waiting: list[tuple[int, str, ast.Node]] = [(0, "", node)]
    while waiting:
        depth, role, item = waiting.pop()
        facts, inner = _parts(item)
        lines.append(f"{item.span.line}:{item.span.column}".ljust(8) + "  " * depth + " ".join([role + type(item).__name__, *facts]))
        waiting.extend((depth + 1, name, child) for name, child in reversed(inner))
    return "\n".join(lines) + "\n"


def _parts(node: ast.Node) -> tuple[list[str], list[tuple[str, ast.Node]]]:
    """The fields of a node: those that fit on its line, as text, and the nodes that follow on lines of their own."""
    facts: list[str] = []
    inner: list[tuple[str, ast.Node]] = []
    for part in fields(node):
        value = getattr(node, part.name)
        if part.name == "span" or not part.compare or value in (None, (), False, ""):
            continue
        if _is_inline(value):
            facts.append(f"{part.name}={_text(value)}")
        else:
            inner.extend(_children(part.name, value))
    return facts, inner


def _is_inline(value: Any) -> bool:
    """Whether a field is a constant, an expression, arguments, parameters, a label or a pattern."""
    if isinstance(value, tuple):
        return all(_is_inline(item) for item in value)
    return not isinstance(value, ast.Node) or isinstance(value, (*EXPRESSIONS, ast.Arg, ast.Param, ast.Label, ast.Pattern))


def _text(value: Any) -> str:
    match value:
        case tuple():
            return f"[{', '.join(_text(item) for item in value)}]"
        case ast.Arg(name=name, value=inner):
            return f"{name}={expression(inner)}" if name else expression(inner)
        case ast.Param(name=name, default=default):
            return f"{name}={expression(default)}" if default is not None else name
        case ast.Label():
            return " ".join(value.span.text.rstrip(": ").split())
        case ast.Pattern(name=name, parts=parts):
            return name if name is not None else f"({', '.join(_text(part) for part in parts)})"
        case _ if isinstance(value, EXPRESSIONS):
            return expression(value)
        case str():
            return value if value.isidentifier() else repr(value)
    return str(value)


def _children(name: str, value: Any) -> Iterator[tuple[str, ast.Node]]:
    """The nodes in a field; each branch of a merge, and each arm of an `if`, says which it is."""
    if isinstance(value, ast.Node):
        yield "", value
        return
    for number, item in enumerate(value, 1):
        if isinstance(item, tuple):
            for step in item:
                yield f"branch {number}: ", step
        else:
            yield (f"{name}: " if name in ("then", "otherwise") else ""), item
