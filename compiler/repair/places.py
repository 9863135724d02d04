"""Find the syntax node at a place of a file, and express changes of it as edits of the text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TypeVar

from archc.compiler.ops import OPERATORS
from archc.dsl import ast
from archc.dsl.diagnostics import Edit, Repair
from archc.dsl.source import Span

N = TypeVar("N", bound=ast.Node)


Candidates = Iterator[Repair]
SOLVED = "solved"  # kind of a repair that is offered if there is no likelier one
SURE = "sure"  # kind of a repair that is the only one offered, if it fixes the whole file
NOUNS = {"pad": "padding", "ceil": "rounding up", "out_pad": "`out_pad` of", "stop": "a range up to"}


def repair(what: str, *edits: Edit, kind: str = "") -> Repair:
    """Build a repair from its description, edits and kind."""
    return Repair(what, edits, kind=kind)


def around(tree: ast.Node, span: Span, kind: type[N]) -> N | None:
    """Return the innermost node of a kind that contains the span, or is contained in it; None if there is none."""
    holding = [n for n in ast.walk(tree) if isinstance(n, kind) and n.span.start <= span.start and span.end <= n.span.end]
    within = [n for n in ast.walk(tree) if isinstance(n, kind) and span.start <= n.span.start and n.span.end <= span.end]
    return holding[-1] if holding else within[0] if within else None


def insert(at: Span, offset: int, text: str) -> Edit:
    """Insert a text at an offset."""
    return Edit(Span(at.source, offset, offset), text)


def change(span: Span, offset: int, length: int, text: str) -> Edit:
    """Replace some characters, with offsets from the start of the file."""
    return Edit(Span(span.source, offset, offset + length), text)


def deleted(span: Span) -> Edit:
    """Delete an argument and the adjacent comma, or a bare stretch of text."""
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
    """Set an option of an operator: where it is written, in the short form or by name, else as a new argument.

    An expression is passed in the braces of the short form: `{2*w}`.
    """
    plain = value.removeprefix("{").removesuffix("}")
    if (arg := argument(op, name)) is not None:
        return Edit(arg.value.span, plain)
    if name == "stride" and op.stride:
        return Edit(_with_braces(op.stride[0].span.to(op.stride[-1].span)), value)
    if name == "out" and op.out is not None:
        return Edit(_with_braces(op.out.span), value)
    if name == "kernel" and (digits := re.search(r"[0-9]+(x[0-9]+)*$", op.word)) and not op.kernel:
        return change(op.span, op.word_span.start + digits.start(), len(digits.group()), value)
    if name == "stride" and op.out is not None:
        return insert(op.span, _with_braces(op.out.span).end, f"/{value}")
    if name == "stride" and not op.args and "(" not in op.span.text:
        return insert(op.span, op.span.end, f"/{value}")
    end = op.span.end
    if op.span.text.endswith(")"):
        return insert(op.span, end - 1, f", {name}={plain}" if op.args else f"{name}={plain}")
    return insert(op.span, end, f"({name}={plain})")


def _with_braces(span: Span) -> Span:
    text = span.source.text
    braced = text[span.start - 1 : span.start] == "{" and text[span.end : span.end + 1] == "}"
    return Span(span.source, span.start - braced, span.end + braced)


def stride_dropped(op: ast.Op) -> Edit | None:
    """Delete the stride of an operator; None if it has none."""
    if op.stride:
        written = _with_braces(op.stride[0].span.to(op.stride[-1].span))
        return Edit(Span(op.span.source, written.start - 1, written.end), "")
    arg = argument(op, "stride")
    if arg is None:
        return None
    return deleted(arg.span) if arg.name else Edit(arg.span, "1")


def free_name(name: str, taken: Collection[str]) -> str:
    """Return the next name like this one that is not taken: `aux2` for `aux1`, `head2` for `head`."""
    stem = name.rstrip("0123456789")
    number = int(name[len(stem) :] or 1) + 1
    while f"{stem}{number}" in taken:
        number += 1
    return f"{stem}{number}"


# ---- operators as they are written


def ops_in(*nodes: ast.Node) -> list[ast.Op]:
    """Return the operators and calls in some nodes, in text order."""
    return [n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Op)]


def is_op(op: ast.Op, *names: str) -> bool:
    """Return whether an operator is one of these, with or without a kernel in its word."""
    word = op.word.lower()
    return any(word == name or (word.startswith(name) and word[len(name) :].replace("x", "").isdigit()) for name in names)


def argument(op: ast.Op, name: str) -> ast.Arg | None:
    """Return the argument that sets an option, by name or by position; None if there is none."""
    named = next((arg for arg in op.args if arg.name == name), None)
    operator = OPERATORS.get(op.word.lower()) or OPERATORS.get(op.word.lower().rstrip("0123456789x"))
    if named is not None or operator is None:
        return named
    short = zip(operator.short, (op.kernel or op.word.lower() not in OPERATORS, op.out is not None, op.stride), strict=True)
    given = {part for part, is_given in short if is_given}
    free = [part for part in operator.option_names if part not in given]
    return next((arg for arg, part in zip(op.args, free, strict=False) if arg.name is None and part == name), None)


def option(op: ast.Op, name: str) -> str | None:
    """Return the text of an option that is passed as an argument; None if it is not."""
    arg = argument(op, name)
    return arg.value.span.text if arg is not None else None


def kernel_of(op: ast.Op) -> int | None:
    """Return the kernel of an operator if it is a single number: 5 for `conv5-32` and for `conv(kernel=5, out=32)`."""
    arg = argument(op, "kernel")
    values = [arg.value] if arg is not None else list(op.kernel)
    if values:
        return int(values[0].value) if len(values) == 1 and isinstance(values[0], ast.Number) else None
    digits = re.search(r"[a-z_]([0-9]+)$", op.word)
    return int(digits[1]) if digits else None
