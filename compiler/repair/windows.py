"""Repairs of windows larger than their input: fewer copies, more padding, a larger input, a smaller kernel."""

from __future__ import annotations

import re

from archc.compiler.graph import ArchGraph, Frame, Node
from archc.compiler.repair.claims import IN_USE
from archc.compiler.repair.places import Candidates, around, insert, kernel_of, option, repair, with_option
from archc.compiler.repair.trial import Trials
from archc.compiler.shapes.window import reach
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Edit
from archc.dsl.source import Span

FARTHEST = 200  # most nodes before a window that are examined
WIDEST = 11  # largest kernel that is likely intended
LARGEST = 2  # most times that an input is enlarged


def fewer_copies(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Reduce a repeat to the copies that fit."""
    frames: list[Frame] = d.facts.get("frames", [])
    for frame in frames:
        copies = re.fullmatch(r"copy (\d+) of (\d+)", frame.text)
        item = next((n for n in ast.walk(trials.tree) if isinstance(n, ast.Item) and n.span == frame.span), None)
        if copies and int(copies[1]) > 1 and item is not None and isinstance(item.count, ast.Number):
            fit = int(copies[1]) - 1
            yield repair(f"{fit} cop{'ies' if fit > 1 else 'y'} instead of {copies[2]}", Edit(item.count.span, str(fit)))


def padded_on_the_way(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Add size-keeping padding to the first unpadded convolution; else to all."""
    short = [node for node in _way(trials.there.graph, d.facts.get("operand", "")) if node.span.source is trials.source and _shrinks(node)]
    ops = [op for node in short if (op := around(trials.tree, node.span, ast.Op)) is not None and option(op, "pad") is None]
    if not ops:
        return
    first, kernel = ops[0], kernel_of(ops[0])
    if kernel is not None:
        what = f"padding {kernel // 2} for `{first.span.text}`, which keeps the size"
        yield repair(what, with_option(first, "pad", str(kernel // 2)), kind="padding")
    default = next((n for n in ast.walk(trials.tree) if isinstance(n, ast.Default) and n.word.lower() == "conv"), None)
    if default is not None and default.args and not any(arg.name == "pad" for arg in default.args):
        at = default.args[0].span.start
        yield repair("padding that keeps the size, in all convolutions", insert(default.span, at, "pad=same, "), kind="padding")
    edits = {op.span: with_option(op, "pad", "same") for op in ops}
    yield repair(f"padding that keeps the size, in {len(edits)} convolutions", *edits.values(), kind="padding")


def _shrinks(node: Node) -> bool:
    """Return whether a node is an unpadded convolution with an odd kernel."""
    return node.op == "conv" and not any(node.attrs["pad"]) and all(k % 2 for k in node.attrs["kernel"]) and max(node.attrs["kernel"]) > 1


def _way(graph: ArchGraph, name: str) -> list[Node]:
    """Return the nodes on the path of first operands from the input to a node."""
    nodes: list[Node] = []
    while name in graph and len(nodes) < FARTHEST:
        nodes.append(graph[name])
        operands = graph.operands(name)
        name = operands[0] if operands else ""
    return nodes[::-1]


def larger_input(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Yield the next larger commonly used square input."""
    lines = [s for s in trials.tree.statements if isinstance(s, ast.Input)]
    if len(lines) != 1 or not all(isinstance(dim, ast.Number) for dim in lines[0].dims) or d.facts["kernel"] > WIDEST:
        return
    channels, *sizes = (int(dim.value) for dim in lines[0].dims if isinstance(dim, ast.Number))
    if not sizes or len(set(sizes)) > 1:
        return
    for size in sorted(IN_USE):
        if sizes[0] < size <= LARGEST * sizes[0]:
            text = "x".join(map(str, (channels, *[size] * len(sizes))))
            yield repair(f"an input of {text}", Edit(lines[0].dims[0].span.to(lines[0].dims[-1].span), text), kind="input")


def kernel_that_fits(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Give the operator itself a smaller kernel, or padding."""
    op, facts = around(trials.tree, span, ast.Op), d.facts
    if op is None or not isinstance(facts.get("size"), int):
        return
    size, kernel, pad, dilation = facts["size"], facts["kernel"], facts["pad"], facts["dilation"]
    fits = (size + 2 * pad - 1) // dilation + 1
    if fits >= 1:
        yield repair(f"kernel {fits}", with_option(op, "kernel", str(fits)))
    more = -((size - reach(kernel, dilation)) // 2)
    yield repair(f"padding {more}", with_option(op, "pad", str(more)))
