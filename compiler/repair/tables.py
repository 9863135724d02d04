"""Repairs of trained tensors that do not fit: one is as large as what it meets, and what it meets is never cut to its size."""

from __future__ import annotations

from archc.compiler.graph import ArchGraph, Node
from archc.compiler.repair.places import SURE, Candidates, argument, around, deleted, is_op, repair, with_option
from archc.compiler.repair.trial import Trials
from archc.compiler.shapes.dim import Shape
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Edit
from archc.dsl.source import Span

MOST = 30  # most nodes between trained tensors and a merge that are examined


def as_large(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Give a trained tensor the sizes, the channels, or both, of the other branch."""
    shapes, operands = d.facts.get("shapes", ()), d.facts.get("operands", ())
    if len(shapes) != len(operands):
        return
    found = [(node, shape) for name, shape in zip(operands, shapes, strict=True) for node in trained(trials.there.graph, name)]
    others = [shape for name, shape in zip(operands, shapes, strict=True) if not trained(trials.there.graph, name)]
    if len(found) != 1 or not others or not all(isinstance(size, int) for size in others[0]):
        return
    (node, shape), other = found[0], others[0]
    op = around(trials.tree, node.span, ast.Op) if node.span.source is trials.source else None
    if op is None or not is_op(op, "learned") or node.shape != shape:
        return
    changes: dict[str, str | None] = {}
    if shape[1:] != other[1:] and len(other) > 1:
        changes["sizes"] = None if node.call.x[1:] == other[1:] else _argument(other)
    if shape[0] != other[0]:
        changes["channels"] = None if node.call.x[0] == other[0] else str(other[0])
    for names in ([name] for name in changes) if len(changes) > 1 else ():
        yield repair("a tensor as large as the other branch", *_edits(op, {name: changes[name] for name in names}), kind=SURE)
    yield repair("a tensor as large as the other branch", *_edits(op, changes), kind=SURE)


def trained(graph: ArchGraph, name: str) -> list[Node]:
    """Return the trained tensors that a node is computed from, if it is computed from these alone; else none."""
    found: list[Node] = []
    waiting = [name]
    for _ in range(MOST):
        if not waiting:
            return found
        name = waiting.pop()
        if name not in graph or graph[name].is_input:
            return []
        if graph[name].operator.memory.stored:
            found.append(graph[name])
        else:
            waiting += graph.operands(name)
    return []


def _edits(op: ast.Op, changes: dict[str, str | None]) -> list[Edit]:
    """Set options of an operator, or leave out those without a value."""
    args = {name: argument(op, name) for name in changes}
    if not any(changes.values()) and all(any(arg is given for given in args.values()) for arg in op.args):
        return [Edit(op.span, op.word)]
    edits = []
    for name, value in changes.items():
        arg = args[name]
        if value is not None:
            edits.append(with_option(op, name, value))
        elif arg is not None:
            edits.append(deleted(arg.span) if arg.name else Edit(arg.value.span, "none"))
    return edits


def _argument(shape: Shape) -> str:
    sizes = [str(size) for size in shape[1:]]
    return sizes[0] if len(sizes) == 1 else f"[{', '.join(sizes)}]"
