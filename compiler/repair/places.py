"""Finds what stands at a place of a file, and words a change of it as edits of the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeVar

from dsl import ast
from dsl.diagnostics import Edit, Repair
from dsl.source import Span

N = TypeVar("N", bound=ast.Node)


Candidates = Iterator[Repair]
SOLVED = "solved"  # the kind of a repair that is offered where no likelier one is
NOUNS = {"pad": "padding", "ceil": "rounding up"}


def repair(what: str, *edits: Edit, kind: str = "") -> Repair:
    return Repair(what, edits, kind=kind)


def around(tree: ast.Node, span: Span, kind: type[N]) -> N | None:
    """The innermost node of a kind that holds the span, or that stands in it."""
    holding = [n for n in ast.walk(tree) if isinstance(n, kind) and n.span.start <= span.start and span.end <= n.span.end]
    within = [n for n in ast.walk(tree) if isinstance(n, kind) and span.start <= n.span.start and n.span.end <= span.end]
    return holding[-1] if holding else within[0] if within else None


def insert(at: Span, offset: int, text: str) -> Edit:
    return Edit(Span(at.source, offset, offset), text)


def change(span: Span, offset: int, length: int, text: str) -> Edit:
    """Replace some characters, counted from the start of the file."""
    return Edit(Span(span.source, offset, offset + length), text)


def deleted(span: Span) -> Edit:
    """Without an argument and the comma beside it, or without a bare stretch of text."""
    text = span.source.text
    before, after = re.search(r",[ \t]*$", text[: span.start]), re.match(r"[ \t]*,[ \t]*", text[span.end :])
    if before:
        return Edit(Span(span.source, before.start(), span.end), "")
    if after:
        return Edit(Span(span.source, span.start, span.end + after.end()), "")
    if text[span.start - 1 : span.start] == "(" and text[span.end : span.end + 1] == ")":
        return Edit(Span(span.source, span.start - 1, span.end + 1), "")
    return Edit(span, "")


def with_option(op: ast.Op, name: str, value: str) -> Edit:
    """An operator with an option set anew: where it stands, in its short form or by name, else added."""
    for arg in op.args:
        if arg.name == name:
            return Edit(arg.value.span, value)
    if name == "stride" and op.stride:
        return Edit(op.stride[0].span.to(op.stride[-1].span), value)
    if name == "out" and op.out is not None:
        span, text = op.out.span, op.span.source.text
        braced = text[span.start - 1 : span.start] == "{" and text[span.end : span.end + 1] == "}"
        return Edit(Span(span.source, span.start - braced, span.end + braced), value)
    if name == "kernel" and (digits := re.search(r"[0-9]+(x[0-9]+)*$", op.word)) and not op.kernel:
        return change(op.span, op.word_span.start + digits.start(), len(digits.group()), value)
    if name == "stride" and not op.args and not op.stride and "(" not in op.span.text:
        return insert(op.span, op.span.end, f"/{value}")
    end = op.span.end
    if op.span.text.endswith(")"):
        return insert(op.span, end - 1, f", {name}={value}" if op.args else f"{name}={value}")
    return insert(op.span, end, f"({name}={value})")


def stride_dropped(op: ast.Op) -> Edit | None:
    """An operator without its stride."""
    if op.stride:
        return Edit(Span(op.span.source, op.stride[0].span.start - 1, op.stride[-1].span.end), "")
    arg = next((arg for arg in op.args if arg.name == "stride"), None)
    return None if arg is None else deleted(arg.span)


# ---- operators as they are written


def ops_in(*nodes: ast.Node) -> list[ast.Op]:
    """The operators and calls in some nodes, in the order of the text."""
    return [n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Op)]


def is_op(op: ast.Op, *names: str) -> bool:
    """Whether an operator is one of these, with a kernel in its word or without."""
    word = op.word.lower()
    return any(word == name or (word.startswith(name) and word[len(name) :].replace("x", "").isdigit()) for name in names)


def kernel_of(op: ast.Op) -> int | None:
    """The kernel of an operator where it is one number as it stands: 5 of `conv5-32` and of `conv(kernel=5, out=32)`."""
    values = [arg.value for arg in op.args if arg.name == "kernel"] or list(op.kernel)
    if values:
        return int(values[0].value) if len(values) == 1 and isinstance(values[0], ast.Number) else None
    digits = re.search(r"[a-z_]([0-9]+)$", op.word)
    return int(digits[1]) if digits else None


def option(op: ast.Op, name: str) -> str | None:
    """The text of an option that is given by name."""
    return next((arg.value.span.text for arg in op.args if arg.name == name), None)
