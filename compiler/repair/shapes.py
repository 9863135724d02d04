"""Repairs of one operator: kernels, padding, groups, what must stand before it, its bias."""

from __future__ import annotations

from math import gcd

from compiler.ops import OPERATORS
from compiler.repair.places import NOUNS, Candidates, around, insert, option, repair, with_option
from compiler.shapes.window import reach
from dsl import ast
from dsl.diagnostics import Diagnostic
from dsl.source import Span


def kernel_that_fits(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    op, facts = around(tree, span, ast.Op), d.facts
    if op is None or not isinstance(facts.get("size"), int):
        return
    size, kernel, pad, dilation = facts["size"], facts["kernel"], facts["pad"], facts["dilation"]
    fits = (size + 2 * pad - 1) // dilation + 1
    if fits >= 1:
        yield repair(f"kernel {fits}", with_option(op, "kernel", str(fits)))
    more = -((size - reach(kernel, dilation)) // 2)
    yield repair(f"padding {more}", with_option(op, "pad", str(more)))


def groups_that_divide(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    op, facts = around(tree, span, ast.Op), d.facts
    if op is None:
        return
    groups, channels = facts["groups"], facts["channels"]
    written = option(op, "groups")
    if written is not None and op.out is not None and (written == op.out.span.text.strip("{}") or groups == facts.get("out")):
        yield repair("`groups=in.c`, one for each channel that comes in", with_option(op, "groups", "in.c"), kind="depthwise")
    both = gcd(channels, facts.get("out") or channels)
    fits = sorted((g for g in range(1, min(both, 4096) + 1) if both % g == 0), key=lambda g: (abs(g - groups), g))
    for number in fits[:2]:
        yield repair(f"groups {number}", with_option(op, "groups", str(number)))
    if facts.get("which") == "output":
        up = -(-channels // groups) * groups
        yield repair(f"{up} channels", with_option(op, "out", str(up)))


def pool_first(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    item = around(tree, span, ast.Item)
    if item is not None:
        yield repair("global average pooling before it", insert(item.span, item.span.start, "adaptive_avgpool1; "))


def largest_legal(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    op, most = around(tree, span, ast.Op), d.facts.get("most")
    if op is not None and isinstance(most, int):
        yield repair(f"{NOUNS.get(d.blame, d.blame)} {most}", with_option(op, d.blame, str(most)))


def no_bias(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    line = next((n for n in ast.walk(tree) if isinstance(n, ast.Default) and n.word.lower() == "conv"), None)
    if line is not None and not any(arg.name == "bias" for arg in line.args):
        yield repair("no bias, in all convolutions", insert(line.span, line.span.end - 1, ", bias=no"), kind="bias")
    op = around(tree, span, ast.Op)
    if op is not None and op.word.lower().rstrip("0123456789x") in OPERATORS:
        yield repair("no bias", with_option(op, "bias", "no"), kind="bias")
