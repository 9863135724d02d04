"""Trees of any depth, compared and measured without recursion."""

from __future__ import annotations

from dataclasses import fields

from archc.dsl import ast


def deeper(node: ast.Node, limit: int) -> ast.Node | None:
    """Return the first node, in text order, that is nested in more than `limit` others; None if there is none."""
    waiting: list[tuple[object, int]] = [(node, 0)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, ast.Node):
            if depth > limit:
                return value
            waiting.extend((inner, depth + 1) for inner in ast.inside(value))
        elif isinstance(value, tuple):
            waiting.extend((inner, depth) for inner in reversed(value))
    return None


def same(one: object, other: object) -> bool:
    """Return whether two trees are equal: `==` for trees of any depth, without recursion."""
    waiting = [(one, other)]
    while waiting:
        left, right = waiting.pop()
        if type(left) is not type(right):
            return False
        if isinstance(left, ast.Node):
            waiting.extend((getattr(left, part.name), getattr(right, part.name)) for part in fields(left) if part.compare)
        elif isinstance(left, tuple) and isinstance(right, tuple):
            if len(left) != len(right):
                return False
            waiting.extend(zip(left, right, strict=True))
        elif left != right:
            return False
    return True
