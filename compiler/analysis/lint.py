"""Warnings: what a sound network probably does not mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import prod

from compiler.analysis import slips
from compiler.analysis.receptive import Field, receptive_fields
from compiler.graph import INPUT, ArchGraph, Node
from compiler.ops import LINEAR
from compiler.ops.record import AXES
from compiler.ops.windows import arithmetic
from compiler.shapes.dim import show_shape
from compiler.shapes.window import unseen
from dsl import ast
from dsl.diagnostics import Diagnostic
from dsl.source import Source, Span
from dsl.vocabulary import warnings as says

Found = Iterator[Diagnostic]


def lint(graph: ArchGraph, tree: ast.File) -> list[Diagnostic]:
    """The warnings of a sound network and of the text of its file, in the order of the text, each place once."""
    found: dict[tuple[str, Span], Diagnostic] = {}
    for rule in GRAPH_RULES:
        for warning in rule(graph):
            assert warning.span is not None
            found.setdefault((warning.code, warning.span), warning)
    for text_rule in TEXT_RULES:
        for warning in text_rule(graph, tree):
            assert warning.span is not None
            found.setdefault((warning.code, warning.span), warning)
    heads: dict[Source, str] = {}
    kept = [warning for warning in found.values() if not _allowed(warning, heads)]
    return sorted(kept, key=lambda w: _order(w, tree))


def _order(warning: Diagnostic, tree: ast.File) -> tuple[bool, str, int]:
    """The file itself first, then those that it uses, each from top to bottom."""
    assert warning.span is not None
    return warning.span.source is not tree.span.source, warning.span.source.name, warning.span.start


_ALLOW = re.compile(r"#.*?\ballow:\s*([A-Z0-9,\s]+)")
_HEAD = re.compile(r"(?:#[^\n]*\n?)*")  # the comment that a file begins with


def _allowed(warning: Diagnostic, heads: dict[Source, str]) -> bool:
    """Is there `# allow: CODE` on the line, on a line of comment above it, or in the comment that the file begins with?

    `heads` keeps that comment for each source.
    """
    span = warning.span
    assert span is not None
    head = heads.get(span.source)
    if head is None:
        head = heads[span.source] = _HEAD.match(span.source.text)[0]  # type: ignore[index]
    lines = [span.source.line_text(span.line)]
    for number in range(span.line - 1, 0, -1):
        if not (above := span.source.line_text(number)).lstrip().startswith("#"):
            break
        lines.append(above)
    lines += head.splitlines()
    return any(warning.code in match[1].replace(",", " ").split() for line in lines if (match := _ALLOW.search(line)))


# ---- rules that look at the graph


def bias_before_norm(graph: ArchGraph) -> Found:
    for node in graph:
        if node.op == "bn":
            before = graph[graph.operands(node.name)[0]]
            if before.op in LINEAR and before.attrs["bias"] and len(graph.users(before.name)) == 1:
                yield says.bias_before_norm(before.name, before.attrs["out"]).at(before.span)


def rows_dropped(graph: ArchGraph) -> Found:
    for node in graph:
        attrs = node.attrs
        if node.op not in ("conv", "maxpool", "avgpool") or attrs.get("ceil") or set(attrs["kernel"]) == {1}:
            continue
        before = graph[graph.operands(node.name)[0]].shape
        dilations = attrs.get("dilation") or (1,) * len(attrs["kernel"])
        lost: list[str] = []
        notes = []
        for axis, name in enumerate(AXES[len(before) - 1]):
            size, kernel, stride, pad = before[axis + 1], attrs["kernel"][axis], attrs["stride"][axis], attrs["pad"][axis]
            if not isinstance(size, int):
                continue
            count = unseen(size, kernel, stride, pad, dilations[axis])
            if count > 0:
                what = {"height": "row", "width": "column"}.get(name, "position")
                lost.append(what if count == 1 else f"{count} {what}s")
                notes.append(arithmetic(name, size, kernel, stride, pad, dilations[axis], False))
        if lost:
            yield says.rows_dropped(node.name, node.op != "conv", " and ".join(lost), show_shape(before), notes).at(node.span)


def pixels_skipped(graph: ArchGraph) -> Found:
    for node in graph:
        if node.op == "conv" and set(node.attrs["kernel"]) == {1} and set(node.attrs["stride"]) != {1} and not _is_shortcut(graph, node):
            stride = node.attrs["stride"]
            shown = str(stride[0]) if len(set(stride)) == 1 else "x".join(map(str, stride))
            yield says.pixels_skipped(node.name, shown, str(prod(stride))).at(node.span)


def _is_shortcut(graph: ArchGraph, node: Node) -> bool:
    """Is it the projection of a residual, as published: a convolution, perhaps its norm, and the addition?"""
    users = [graph[name] for name in graph.users(node.name)]
    if len(users) == 1 and users[0].op == "bn":
        users = [graph[name] for name in graph.users(users[0].name)]
    return [user.op for user in users] == ["add"]


def leads_nowhere(graph: ArchGraph) -> Found:
    live = graph.ancestors(output.node for output in graph.outputs.values())
    for node in graph:
        if node.name not in live and not graph.users(node.name):
            yield says.leads_nowhere(node.name).at(node.span)


def nothing_between(graph: ArchGraph) -> Found:
    for node in graph:
        if node.op not in LINEAR or node.attrs.get("groups", 1) != 1:
            continue
        before = graph[graph.operands(node.name)[0]]
        if before.op == "flatten":
            before = graph[graph.operands(before.name)[0]]
        # A grouped convolution with a dense one behind it is a factored kernel, and meant.
        if before.op in LINEAR and before.attrs.get("groups", 1) == 1 and len(graph.users(before.name)) == 1:
            yield says.nothing_between(before.name, node.name).at(node.span)


def softmax_at_the_end(graph: ArchGraph) -> Found:
    for name, output in graph.outputs.items():
        node = graph[output.node]
        if node.op == "softmax":
            yield says.softmax_at_the_end(node.name, name).at(node.span)


def branches_misaligned(graph: ArchGraph) -> Found:
    fields = receptive_fields(graph)
    for name, field in fields.items():
        if field.misaligned:
            node = graph[name]
            places = [f"{branch}: {_places(fields[branch], len(node.shape))}" for branch in dict.fromkeys(graph.operands(name))]
            yield says.branches_misaligned(name, places).at(node.span)


def _places(field: Field, rank: int) -> str:
    """`pixels 1/2, 5/2, 9/2, ... of the height`, of every axis or, where they are the same, once."""
    shown = {
        name: f"{axis.start}, {axis.start + axis.jump}, {axis.start + 2 * axis.jump}"
        for name, axis in zip(AXES[rank - 1], field.axes, strict=True)
    }
    if len(set(shown.values())) == 1:
        return f"around pixels {next(iter(shown.values()))}, ..."
    return "around pixels " + " and ".join(f"{places}, ... of the {name}" for name, places in shown.items())


# ---- rules that look at the text


def channels_last(graph: ArchGraph, tree: ast.File) -> Found:
    for line in tree.statements:
        if isinstance(line, ast.Input) and len(line.dims) == 4:
            _, c, h, w = (dim.value if isinstance(dim, ast.Number) else 0 for dim in line.dims)
            if c in (1, 3, 4) and h == w and h >= 16:
                shown = Span(line.span.source, line.dims[0].span.start, line.dims[-1].span.end)
                yield says.channels_last(shown.text, f"{c}x{h}x{w}", "channels x depth x height x width", "the first is the batch").at(
                    shown
                )
        if isinstance(line, ast.Input) and len(line.dims) == 3:
            h, w, c = (dim.value if isinstance(dim, ast.Number) else 0 for dim in line.dims)
            if c in (1, 3, 4) and h == w and h >= 16:
                shown = Span(line.span.source, line.dims[0].span.start, line.dims[-1].span.end)
                yield says.channels_last(shown.text, f"{c}x{h}x{w}", "channels x height x width", "the last is the channels").at(shown)


def stays_at_inference(graph: ArchGraph, tree: ast.File) -> Found:
    """Every node of a training-only chain should be gone at inference."""
    for line in tree.statements:
        if isinstance(line, ast.Output) and line.args and line.chain and line.name in graph.outputs:
            inside = [node for node in graph if _within(node, line.span) and not node.training_only and node.op != INPUT]
            if inside:
                yield says.stays_at_inference(line.name, inside[-1].name).at(line.span)


def _within(node: Node, span: Span) -> bool:
    """Does a node come from this stretch of the text, directly or through a call?"""
    places = [node.span, *(frame.span for frame in (node.frame.chain() if node.frame else ()))]
    return any(p.source is span.source and span.start <= p.start and p.end <= span.end for p in places)


def never_used(graph: ArchGraph, tree: ast.File) -> Found:
    nodes = list(ast.walk(tree))
    words = {node.word for node in nodes if isinstance(node, (ast.Op, ast.Merge, ast.Default))}
    names = {node.name for node in nodes if isinstance(node, (ast.Name, ast.CallExpr))}
    stems = {word.rstrip("0123456789x") for word in words} | {word.rstrip("0123456789") for word in words}
    used = words | stems | names
    paths = [n.path for n in nodes if isinstance(n, ast.Ref)] + [n.target for n in nodes if isinstance(n, ast.Expect) and n.target]
    parts = {part for path in paths for part in path.split(".")}
    called = used | parts
    is_network = any(isinstance(line, ast.Input) for line in tree.statements)
    is_family = any(isinstance(line, ast.Arch) and line.params for line in tree.statements)
    for node in nodes:
        if isinstance(node, ast.Block):
            body = set()
            for inner in ast.walk(node):
                body |= _mentioned(inner)
            for param in node.params:
                if param.name not in body:
                    yield says.never_used("parameter", param.name).at(param.span)
            if is_network and not is_family and node.name not in called:
                yield says.never_used("block", node.name).at(node.name_span)
        elif isinstance(node, ast.Share) and node.name not in called:
            yield says.never_used("shared part", node.name).at(node.name_span)
        elif isinstance(node, ast.Let) and node.name not in called:
            yield says.never_used("variable", node.name).at(node.span)
        elif isinstance(node, ast.Item) and node.label is not None and isinstance(node.core, (ast.Here, ast.Ref)):
            yield from _unused_label(node.label, parts)


def ends_with_its_body(graph: ArchGraph, tree: ast.File) -> Found:
    """A `let` that nothing behind it in its body reads: it does not reach the next turn, nor what stands outside."""
    for node in ast.walk(tree):
        bodies = [node.then, node.otherwise] if isinstance(node, ast.If) else [node.body] if isinstance(node, ast.For) else []
        for body in bodies:
            for number, statement in enumerate(body):
                if isinstance(statement, ast.Let):
                    later = {name for other in body[number + 1 :] for inner in ast.walk(other) for name in _mentioned(inner)}
                    if statement.name not in later:
                        yield says.never_used("variable", statement.name, "it ends with this body").at(statement.span)


def _unused_label(label: ast.Label, parts: set[str]) -> Found:
    if label.index is None and label.text not in parts:
        yield says.never_used("label", label.text).at(label.span)


def _mentioned(node: ast.Node) -> set[str]:
    """The names that a node may mean a parameter by."""
    if isinstance(node, (ast.Op, ast.Merge)):
        return {node.word, node.word.rstrip("0123456789x"), node.word.rstrip("0123456789")}
    if isinstance(node, (ast.Name, ast.CallExpr)):
        return {node.name}
    if isinstance(node, ast.Ref):
        return set(node.path.split("."))
    return set()


GRAPH_RULES: tuple[Callable[[ArchGraph], Found], ...] = (
    bias_before_norm,
    rows_dropped,
    pixels_skipped,
    leads_nowhere,
    nothing_between,
    softmax_at_the_end,
    branches_misaligned,
)
TEXT_RULES: tuple[Callable[[ArchGraph, ast.File], Found], ...] = (
    channels_last,
    stays_at_inference,
    ends_with_its_body,
    never_used,
    *slips.RULES,
)
