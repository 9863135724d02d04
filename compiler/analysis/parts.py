"""The nodes of a graph as a tree of scopes, by the parts of their names."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from archc.compiler.errors import UnknownName
from archc.compiler.graph import ArchGraph, Frame, Node


@dataclass
class Part:
    """A node, or a scope with the parts in it, of the tree of paths. What is asked of one is kept, so the tree must be whole by then."""

    name: str
    node: Node | None = None
    parts: dict[str, Part] = field(default_factory=dict)

    def nodes(self) -> list[Node]:
        """Return all nodes of the part, in order."""
        return list(self._nodes)

    @cached_property
    def _nodes(self) -> list[Node]:
        nodes = [self.node] if self.node is not None else []
        waiting = list(reversed(self.parts.values()))
        while waiting:
            part = waiting.pop()
            if part.node is not None:
                nodes.append(part.node)
            waiting.extend(reversed(part.parts.values()))
        return nodes

    @property
    def call(self) -> Frame | None:
        """The call whose scope it is, if it is a block."""
        first = self._nodes[0]
        return next((frame for frame in (first.frame.chain() if first.frame else ()) if frame.scope == self.name), None)

    @cached_property
    def mark(self) -> list[Any]:
        """A value that is equal for blocks that differ only in their place.

        Their nodes have the same names, options, shapes and wiring, and their inputs the same shapes.
        """
        cut, prefix = len(self.name), self.name + "."
        return [
            (node.name[cut:], node.op, node.attrs, node.shape, node.training_only, node.place,
             [each.name[cut:] if each.name.startswith(prefix) else each.shape for each in node.operands])
            for node in self._nodes
        ]  # fmt: skip

    @property
    def label(self) -> str:
        """The last step of the path."""
        return self.name.rpartition(".")[2]


def parts(graph: ArchGraph) -> Part:
    """Return the tree of a network; its root has no name."""
    root = Part("")
    for node in graph:
        part, path = root, ""
        for step in node.name.split("."):
            path = f"{path}.{step}" if path else step
            part = part.parts.setdefault(step, Part(path))
        part.node = node
    return root


def nodes_of(graph: ArchGraph, name: str) -> list[Node]:
    """Return a node, or the nodes of a labelled part, in order. Raises UnknownName, with the nearest names, for another name."""
    if name in graph:
        return [graph[name]]
    inside = [node for node in graph if node.name.startswith(f"{name}.")]
    if not inside:
        known = [*part_names(graph), *(node.name for node in graph)]
        raise UnknownName(f"{graph.name} has no node or part {name}", given=name, known=known)
    return inside


def part_names(graph: ArchGraph) -> list[str]:
    """List every name that several nodes share: `layer1`, `layer1.0`, in order."""
    names: dict[str, None] = {}
    for node in graph:
        steps = node.name.split(".")
        names.update(dict.fromkeys(".".join(steps[:count]) for count in range(1, len(steps))))
    return list(names)
