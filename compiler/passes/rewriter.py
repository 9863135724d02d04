"""A graph rebuilt node by node: the base class of rewrites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from archc.compiler.graph import ArchGraph, Node


class Rewriter:
    """Builds a graph from another. A rewrite walks the old nodes in order, and keeps, changes or replaces each.

    Operands are named as in the old graph; `value_map` maps them to the nodes of the new graph that compute their values.
    """

    def __init__(self, old: ArchGraph) -> None:
        self.old = old
        self.new = ArchGraph(old.name, old.title, {}, list(old.conditions))
        self.value_map: dict[str, str] = {}

    def keep(self, node: Node) -> None:
        self.add(node, [self.value_map[operand.name] for operand in node.operands])

    def add(self, node: Node, operands: list[str], attrs: Mapping[str, Any] | None = None) -> str:
        """A node of the new graph, on operands of the new graph; its shape is inferred anew."""
        made = replace(node, attrs=node.attrs if attrs is None else attrs, operands=tuple(self.new[name] for name in operands))
        if not node.is_input:
            made.shape = node.operator.shape(made.call)
        self.new.add(made, operands)
        self.value_map[node.name] = node.name
        return node.name

    def drop(self, node: Node, instead: str) -> None:
        """What takes this node takes a node of the new graph instead."""
        self.value_map[node.name] = instead

    def result(self) -> ArchGraph:
        self.new.outputs = {name: replace(out, node=self.value_map[out.node]) for name, out in self.old.outputs.items()}
        left = {node.name for node in self.new}
        self.new.conditions = [(name, condition) for name, condition in self.new.conditions if name in left]
        return self.new


def unshared(graph: ArchGraph) -> set[str]:
    """The keys of weights that are used once, so that they may be changed for that place."""
    return {key for key, times in Counter(node.key for node in graph).items() if times == 1}
