"""Repairs of definitions: in the wrong place, duplicate, or endlessly recursive."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from archc.compiler.repair.places import Candidates, around, free_name, repair
from archc.dsl import ast
from archc.dsl.diagnostics import WRITING, Diagnostic, Edit
from archc.dsl.source import Span

RULING = (ast.Default, ast.Let, ast.Block, ast.Share, ast.Input)  # the statements before a block that affect it


def moved_up(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Move a definition, with its comments, before the statement that first uses it.

    The move is only a matter of spelling if nothing between the two places is visible to a block.
    """
    place: Span | None = d.facts.get("definition")
    for body in _bodies(tree):
        index = next((i for i, s in enumerate(body) if s.span == place and isinstance(s, (ast.Block, ast.Share, ast.Let))), None)
        user = next((i for i, s in enumerate(body) if s.span.start <= span.start and span.end <= s.span.end), None)
        if place is None or index is None or user is None or user >= index:
            continue
        text = span.source.text
        begin, end = _lines_of(body[index].span)
        first, last = text.rfind("\n", 0, place.start) + 1, text[place.end : end].strip()
        if text[first : place.start].strip() or (last and not last.startswith("#")):
            return  # its lines contain something else
        there = text.rfind("\n", 0, body[user].span.start) + 1
        blank = text[begin - 2 : begin] == "\n\n"
        moved = Edit(Span(span.source, there, there), text[begin:end].rstrip("\n") + "\n\n")
        left_out = Edit(Span(span.source, begin - blank, end), "")
        moving = repair(f"the definition before line {body[user].span.line}", moved, left_out)
        rules = any(isinstance(s, RULING) for s in body[user:index]) or isinstance(body[index], ast.Let)
        yield moving if rules else replace(moving, changes=WRITING)


def _bodies(tree: ast.File) -> Iterator[Sequence[ast.Statement]]:
    yield tree.statements
    for node in ast.walk(tree):
        if isinstance(node, (ast.Block, ast.Share, ast.Group, ast.For)):
            yield node.body


def _lines_of(span: Span) -> tuple[int, int]:
    """Return the bounds of the whole lines of a statement, with the comment directly above it."""
    text = span.source.text
    begin = text.rfind("\n", 0, span.start) + 1
    while begin and text[(above := text.rfind("\n", 0, begin - 1) + 1) : begin].lstrip().startswith("#"):
        begin = above
    end = text.find("\n", span.end)
    return begin, len(text) if end < 0 else end + 1


def another_output(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Delete a second `output` without items of its own, or rename it."""
    statement = around(tree, span, ast.Output)
    if statement is None:
        return
    names = {node.name for node in ast.walk(tree) if isinstance(node, (ast.Output, ast.Input))}
    free = free_name(statement.name, names | {node.text for node in ast.walk(tree) if isinstance(node, ast.Label)})
    if not statement.chain:
        yield repair(f"without line {statement.span.line}", _without(statement.span))
    yield repair(f"the name `{free}`", Edit(span, free))


def needless_use(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Delete a `use` whose only effect is a cycle."""
    if d.facts.get("needless"):
        yield repair(f"without line {span.line}, which imports nothing that is used", _without(span))


def _without(span: Span) -> Edit:
    """Delete a statement, with its line if it is alone on it."""
    text = span.source.text
    begin = text.rfind("\n", 0, span.start) + 1
    end = text.find("\n", span.end)
    end = len(text) if end < 0 else end + 1
    alone = not text[begin : span.start].strip() and not text[span.end : end].strip()
    return Edit(Span(span.source, begin, end) if alone else span, "")


def ended(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Put a block's call of itself in an `if`, as long as the number that it counts down is above one.

    In the `else`, the item before the call is repeated, or there is none.
    """
    call = around(tree, span, ast.Op)
    block = around(tree, span, ast.Block)
    if call is None or block is None or call.word != block.name or any(isinstance(node, ast.If) for node in ast.walk(block)):
        return
    params = [param.name for param in block.params]
    counted = next((name for arg in call.args if (name := _counted_down(arg.value)) in params), "")
    if not counted:
        return
    before = next((item for body in _chains(block) for item, after in pairwise(body) if after.span == call.span), None)
    text = f"if {counted} > 1 {{ {call.span.text} }}"
    if isinstance(before, ast.Item) and isinstance(before.core, ast.Op) and before.label is None:
        again = before.core.span.text
        yield repair(f"the recursion ends at `{counted}` = 1, with `{again}` there", Edit(call.span, f"{text} else {{ {again} }}"))
    yield repair(f"the recursion ends at `{counted}` = 1", Edit(call.span, text))


def _counted_down(expr: ast.Expr) -> str:
    """Return the name in `n - 1`."""
    found = re.fullmatch(r"(\w+)\s*-\s*\d+", expr.span.text)
    return found[1] if found else ""


def _chains(block: ast.Block) -> Iterator[Sequence[ast.Statement]]:
    yield block.body
    for node in ast.walk(block):
        if isinstance(node, ast.Merge):
            yield from node.branches
        elif isinstance(node, ast.Group):
            yield node.body
