"""Shortcuts within a block: merges of a tensor with what is computed from that tensor, as in residual and dense networks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from archc.compiler.analysis.cost import node_params
from archc.compiler.graph import ArchGraph, Node

MERGES = ("add", "concat")  # what a shortcut ends in


@dataclass(frozen=True)
class Skip:
    """One shortcut: the merge that it ends in, and whether it has weights of its own, as a projection has."""

    merge: str  # the name of the node
    op: str  # add or concat
    projected: bool = False


@dataclass(frozen=True)
class Skips:
    """The shortcuts of a block in order; `lead` and `trail` are whether layers come before the first, and after the last."""

    all: tuple[Skip, ...] = ()
    lead: bool = False
    trail: bool = False

    def __bool__(self) -> bool:
        return bool(self.all)

    @property
    def dense(self) -> bool:
        """Whether every layer sees the outputs of all layers before it: shortcuts that end in concatenations."""
        return bool(self.all) and all(skip.op == "concat" for skip in self.all)

    def __str__(self) -> str:
        if not self.all:
            return ""
        projected = sum(skip.projected for skip in self.all)
        count = f"{len(self.all)} {'dense connection' if self.dense else 'shortcut'}{'s' * (len(self.all) > 1)}"
        return count + (f", {projected} by projection" if projected else "")


def skips(graph: ArchGraph, nodes: Sequence[Node]) -> Skips:
    """Return the shortcuts on the way from the entry of a block to its exit; none where it has several exits.

    `nodes` are those of the block in order.
    """
    order = {node.name: number for number, node in enumerate(nodes)}
    ends = {output.node for output in graph.outputs.values()}
    left = [node.name for node in nodes if node.name in ends or any(user not in order for user in graph.users(node.name))]
    if left != [nodes[-1].name]:
        return Skips()
    found: list[Skip] = []
    before = after = False  # whether there are layers since the last merge, and before it
    name = nodes[-1].name
    while name in order and (operands := _operands(graph, name)):
        step = _shortcut(graph, name, operands, order) if graph[name].op in MERGES and len(operands) > 1 else None
        if step is not None:
            skip, name = step
            after = after if found else before
            before = False
            found.append(skip)
        else:
            before = before or _is_layer(graph, name)
            name = operands[0]
    return Skips(tuple(reversed(found)), lead=before, trail=after) if found else Skips()


def _shortcut(graph: ArchGraph, merge: str, operands: Sequence[str], order: dict[str, int]) -> tuple[Skip, str] | None:
    """Return the shortcut that ends in a merge, and the tensor that it starts from."""
    for start in operands:
        if any(_depends(graph, other, start, order) for other in operands if other != start):
            return Skip(merge, graph[merge].op), start
    if graph[merge].op != "add":
        return None
    for short in operands:  # another way to change the tensor, with fewer layers than the others have
        chain, start = _chain(graph, short, order)
        layers = sum(1 for name in chain if _is_layer(graph, name))
        others = [other for other in operands if other != short]
        for other in others:
            between = _ancestors(graph, other, start, order)
            if between is not None and layers < sum(1 for name in between if _is_layer(graph, name)):
                return Skip(merge, "add", projected=layers > 0), start
    return None


def _chain(graph: ArchGraph, name: str, order: dict[str, int]) -> tuple[list[str], str]:
    """Return the nodes before a tensor as far as each has one operand and at most one layer is passed, and the tensor they start from."""
    passed: list[str] = []
    layers = 0
    while name in order and len(_operands(graph, name)) == 1:
        layers += _is_layer(graph, name)
        if layers > 1:
            break
        passed.append(name)
        name = _operands(graph, name)[0]
    return passed, name


def _operands(graph: ArchGraph, name: str) -> list[str]:
    return [] if graph[name].operator.memory.stored else graph.operands(name)  # a trained tensor does not depend on its operand


def _is_layer(graph: ArchGraph, name: str) -> bool:
    node = graph[name]
    return node.operator.family in ("convolution", "dense", "attention") and node_params(graph, node) > 0


def _depends(graph: ArchGraph, name: str, on: str, order: dict[str, int]) -> bool:
    return _ancestors(graph, name, on, order) is not None


def _ancestors(graph: ArchGraph, name: str, of: str, order: dict[str, int]) -> Collection[str] | None:
    """Return the nodes of the block between a tensor and one that depends on it; None where it does not."""
    first = order.get(of, -1)
    seen: dict[str, None] = {}
    waiting, reached = [name], name == of
    while waiting:
        here = waiting.pop()
        if here == of:
            reached = True
        elif here not in seen and order.get(here, -1) > first:
            seen[here] = None
            waiting.extend(_operands(graph, here))
    return seen if reached else None
