"""Write joins of ever longer lists as a chain of joins of two, as a dense block is drawn: the values are the same, bit by bit.

A source that joins the list of all outputs so far in front of every layer has as many operands as there are layers. Where the first
operands of a join are those of an earlier one, it takes that one instead. A join at the beginning of a scope, of tensors from outside,
goes in front of the scope, which then has one input.
"""

from __future__ import annotations

from archc.compiler.graph import ArchGraph, Node
from archc.compiler.read.regions import kept_names


def chained(graph: ArchGraph) -> ArchGraph:
    """Return a graph in which joins that begin as earlier ones take these. Its nodes have the same names, and their operands may differ."""
    copy = ArchGraph(graph.name, graph.title, dict(graph.outputs), list(graph.conditions), preprocess=graph.preprocess)
    earlier: dict[tuple[object, ...], str] = {}  # a join by its axis and its operands in the source
    for node in graph:
        operands = graph.operands(node.name)
        axis = None if node.is_input or len(operands) < 2 else node.operator.joined_axis(node.call)
        taken = operands
        if axis is not None:
            for count in range(len(operands) - 1, 1, -1):
                before = earlier.get((node.op, axis, *operands[:count]))
                if before is not None and len(graph[before].shape) == len(node.shape):
                    taken = [before, *operands[count:]]
                    break
            earlier.setdefault((node.op, axis, *operands), node.name)
        fresh = Node(
            node.name, node.op, node.attrs, node.shape, node.span, key=node.key, place=node.place, training_only=node.training_only
        )
        copy.add(fresh, taken)
    return copy


def moved_out(graph: ArchGraph) -> dict[str, str]:
    """Return the scopes of joins that go in front of the scope that they begin.

    So does what has no weights and no number in a scope whose members are numbered: a shuffle in front of an `nn.Sequential`.
    """
    scopes: dict[str, str] = {}
    numbered = {node.name.rpartition(".")[0] for node in graph if node.name.rpartition(".")[2].isdigit()}
    begun: set[str] = set()
    for node in graph:
        scope, _, name = node.name.rpartition(".")
        joins = not node.is_input and len(node.operands) > 1 and node.operator.joined_axis(node.call) is not None
        stray = scope in numbered and not name.isdigit()
        if scope and scope not in begun and (joins or stray) and not kept_names(node):
            inside = f"{scope}."
            if not any(operand.name.startswith(inside) and operand.name not in scopes for operand in node.operands):
                scopes[node.name] = scope.rpartition(".")[0]
                begun.update(_around(scope.rpartition(".")[0]))
                continue
        begun.update(_around(scope))
    return scopes


def _around(scope: str) -> list[str]:
    found = []
    while scope:
        found.append(scope)
        scope = scope.rpartition(".")[0]
    return found
