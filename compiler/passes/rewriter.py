"""Rebuild a graph node by node: the tool of rewrites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from archc.compiler.graph import ArchGraph, Node


class Rewriter:
    """Build a graph from another. A rewrite walks the old nodes in order, and keeps, changes or replaces each.

    `value_map` maps the name of each old node to the name of the new node that computes its value.
    """

    def __init__(self, old: ArchGraph) -> None:
        self.old = old
        self.new = ArchGraph(old.name, old.title, {}, list(old.conditions), preprocess=old.preprocess)
        self.value_map: dict[str, str] = {}

    def keep(self, node: Node) -> None:
        """Add an old node unchanged, on the new nodes that compute its operands."""
        self.add(node, [self.value_map[operand.name] for operand in node.operands])

    def add(self, node: Node, operands: list[str], attrs: Mapping[str, Any] | None = None) -> str:
        """Add a node to the new graph, on operands of the new graph, with its shape inferred again, and return its name.

        `attrs` replaces the options. In `value_map` the name is mapped to the new node.
        """
        new = replace(node, attrs=node.attrs if attrs is None else attrs, operands=tuple(self.new[name] for name in operands))
        if not node.is_input:
            new.shape = node.operator.shape(new.call)
        self.new.add(new, operands)
        self.value_map[node.name] = node.name
        return node.name

    def drop(self, node: Node, instead: str) -> None:
        """Leave an old node out; its users take `instead`, the name of a new node."""
        self.value_map[node.name] = instead

    def result(self) -> ArchGraph:
        """Return the new graph, with the outputs mapped, and with the conditions of the nodes that remain."""
        self.new.outputs = {name: replace(out, node=self.value_map[out.node]) for name, out in self.old.outputs.items()}
        left = {node.name for node in self.new}
        self.new.conditions = [(name, condition) for name, condition in self.new.conditions if name in left]
        return self.new


def unshared(graph: ArchGraph) -> set[str]:
    """Return the keys that only one node uses, so that a pass may change the weights under them."""
    return {key for key, times in Counter(node.key for node in graph).items() if times == 1}
