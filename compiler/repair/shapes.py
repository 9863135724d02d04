"""Repairs of one operator: groups, largest values, what must precede it, its bias."""

from __future__ import annotations

from math import gcd

from archc.compiler.ops import OPERATORS
from archc.compiler.repair.places import NOUNS, Candidates, argument, around, insert, is_op, ops_in, option, repair, with_option
from archc.compiler.repair.trial import Trials
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Edit
from archc.dsl.source import Span

USUAL = 224  # pixels on a side of a typical input


def groups_that_divide(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Yield numbers of groups that divide the channels."""
    op, facts = around(tree, span, ast.Op), d.facts
    if op is None:
        return
    groups, channels = facts["groups"], facts["channels"]
    written = option(op, "groups")
    if written is not None and op.out is not None and (written == op.out.span.text.strip("{}") or groups == facts.get("out")):
        yield repair("`groups=in.c`, one per incoming channel", with_option(op, "groups", "in.c"), kind="depthwise")
    both = gcd(channels, facts.get("out") or channels)
    fits = sorted((g for g in range(1, min(both, 4096) + 1) if both % g == 0), key=lambda g: (abs(g - groups), g))
    for number in fits[:2]:
        yield repair(f"groups {number}", with_option(op, "groups", str(number)))
    if facts.get("which") == "output":
        up = -(-channels // groups) * groups
        yield repair(f"{up} channels", with_option(op, "out", str(up)))


def windows_that_divide(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Yield padding to whole windows, and the nearest window that divides the map."""
    op, size, window = around(tree, span, ast.Op), d.facts.get("size"), d.facts.get("window")
    if op is None or not isinstance(size, int) or not isinstance(window, int):
        return
    yield repair("`pad=yes`, zeros up to whole windows", with_option(op, "pad", "yes"))
    fits = sorted((n for n in range(2, size + 1) if size % n == 0), key=lambda n: (abs(n - window), n))
    for number in fits[:2]:
        yield repair(f"windows of {number}", with_option(op, "window", str(number)))


def heads_that_divide(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Yield numbers of heads that divide the channels."""
    op, heads, channels = around(tree, span, ast.Op), d.facts["heads"], d.facts["channels"]
    if op is None:
        return
    fits = sorted((n for n in range(1, min(channels, 4096) + 1) if channels % n == 0), key=lambda n: (abs(n - heads), n))
    for number in fits[:2]:
        yield repair(f"{number} heads", with_option(op, "heads", str(number)))


def pool_first(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Yield global average pooling before a layer that needs a fixed number of inputs; else an input of a fixed size."""
    item, op = around(tree, span, ast.Item), around(tree, span, ast.Op)
    if item is not None and not (op is not None and is_op(op, "learned")):  # which is as large as what it meets
        yield repair("global average pooling before it", insert(item.span, item.span.start, "adaptive_avgpool1; "))
    for line in (s for s in tree.statements if isinstance(s, ast.Input)):
        sizes = line.dims[1:]
        if sizes and all(isinstance(size, ast.Name) for size in sizes):
            text = "x".join([str(USUAL)] * len(sizes))
            yield repair(f"a fixed input, for instance {line.dims[0].span.text}x{text}", Edit(sizes[0].span.to(sizes[-1].span), text))


def largest_legal(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Yield the largest legal value of an option."""
    op, most = around(tree, span, ast.Op), d.facts.get("most")
    if op is not None and isinstance(most, int):
        yield repair(f"{NOUNS.get(d.blame, d.blame)} {most}", with_option(op, d.blame, str(most)))


def from_the_end(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Write a negative number as a difference from the size of the axis; a bound that is computed may be wrong otherwise."""
    op = around(tree, span, ast.Op)
    arg = argument(op, d.blame) if op is not None else None
    if op is not None and arg is not None and arg.value.span.text.replace(" ", "") == str(d.facts["value"]):
        yield repair(f"`{d.facts['written']}`, counted from the end", with_option(op, d.blame, d.facts["written"]))


def no_bias(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Yield no bias where it has no effect: in the default if no other convolution has one, else at each operator without effect."""
    graph, tree = trials.there.graph, trials.tree
    biased = [node for node in graph if node.attrs.get("bias")]
    used = {node.span for node in biased if [graph[user].operator.removes_bias for user in graph.users(node.name)] != [True]}
    line = next((n for n in ast.walk(tree) if isinstance(n, ast.Default) and n.word.lower() == "conv"), None)
    all_needless = not any(node.op == "conv" and node.span in used for node in biased)
    if line is not None and all_needless and not any(arg.name == "bias" for arg in line.args):
        yield repair("no bias, in all convolutions", insert(line.span, line.span.end - 1, ", bias=no"), kind="bias")
    needless = {other.span for other in trials.there.found if other.code == d.code and other.span not in used}
    ops = [op for op in ops_in(tree) if op.span in needless and op.word.lower().rstrip("0123456789x") in OPERATORS]
    if span in needless and ops:
        edits = [with_option(op, "bias", "no") for op in ops]
        yield repair("no bias" if len(ops) == 1 else "no bias, where it has no effect", *edits, kind="bias")


def biases(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """For a count of parameters: add a bias to all convolutions, or remove it."""
    missing = d.facts.get("claimed", 0) - d.facts.get("actual", 0) if d.facts.get("measure") == "params" else 0
    value = "yes" if missing > 0 else "no"
    what = "with a bias" if missing > 0 else "without a bias"
    if not missing:
        return
    for default in (n for n in ast.walk(trials.tree) if isinstance(n, ast.Default) and n.word.lower() in ("conv", "fc")):
        given = next((arg for arg in default.args if arg.name == "bias"), None)
        if given is None and value == "no":
            yield repair(
                f"all {default.word} {what}", insert(default.span, default.span.end - 1, ", bias=no" if default.args else "bias=no")
            )
        elif given is not None and given.value.span.text != value:
            yield repair(f"all {default.word} {what}", Edit(given.value.span, value))
    ops = [op for op in ops_in(trials.tree) if is_op(op, "conv")]
    edits = [with_option(op, "bias", value) for op in ops if (option(op, "bias") or "yes") != value]
    if edits:
        yield repair(f"the convolutions {what}", *edits)
