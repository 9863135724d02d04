"""Repairs of values: fractions rounded, incomplete rows of a list completed, inputs given the same channels."""

from __future__ import annotations

from collections.abc import Sequence

from archc.compiler.repair.places import Candidates, insert, repair
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Edit
from archc.dsl.source import Span


def rounded(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Round a division that leaves a fraction down, or to the nearest integer, where it is computed."""
    expr = d.facts.get("fraction")
    if expr is None or expr.span.source is not tree.span.source:
        return
    text = expr.span.text
    divisions = [node for node in ast.walk(expr) if isinstance(node, ast.Fold) and node.rest[-1][0] == "/"]
    if len(divisions) == 1:
        last = divisions[0].rest[-2][1] if len(divisions[0].rest) > 1 else divisions[0].first
        at = text.find("/", last.span.end - expr.span.start)
        if at >= 0:
            yield repair(f"`{text[:at]}/{text[at:]}`, rounded down", insert(span, expr.span.start + at, "/"))
    yield repair(f"`round({text})`, to the nearest", insert(span, expr.span.start, "round("), insert(span, expr.span.end, ")"))


def completed_row(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Complete a row that lacks its last value with that of another row, nearest first."""
    rows: Sequence[ast.Expr] = d.facts.get("rows", ())
    number, names = d.facts.get("number", 0), d.facts.get("names", ())
    row = rows[number] if rows else None
    if not isinstance(row, ast.List) or len(row.items) != len(names) - 1 or not row.items or row.span.source is not tree.span.source:
        return
    others = [other for other in rows if isinstance(other, ast.List) and len(other.items) == len(names)]
    for other in sorted(others, key=lambda other: abs(other.span.line - row.span.line)):
        value = other.items[-1].span.text
        yield repair(
            f"`{value}` for the missing `{names[-1]}`, as on line {other.span.line}", insert(span, row.items[-1].span.end, f", {value}")
        )


def inputs_alike(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """For a shared part that gets inputs of different channels: give one input the channels of another, later ones first."""
    inputs = [line for line in tree.statements if isinstance(line, ast.Input) and len(line.dims) > 1]
    for line in reversed(inputs):
        for other in inputs:
            mine, there = line.dims[0].span, other.dims[0].span
            if mine.text != there.text:
                shape = there.text + line.span.text[mine.end - line.span.start :]
                yield repair(f"an input of {shape}, like the one on line {other.span.line}", Edit(mine, there.text))
