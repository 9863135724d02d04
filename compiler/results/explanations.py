"""Explanations of nodes in words and arithmetic: their shapes, parameters, MACs, memory, receptive fields and options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from archc.compiler.analysis.derive import back as derive_back
from archc.compiler.analysis.derive import derive, size_lines
from archc.compiler.analysis.notation import notation
from archc.compiler.analysis.parts import nodes_of
from archc.compiler.analysis.receptive import receptive_fields
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.shapes.dim import show_shape


@dataclass(frozen=True)
class Step:
    """One node, and the lines of its explanation by topic.

    Topics are `written`, `input`, `output`, `parameters`, `MACs`, `memory`, `field`, `options` and `called by`.
    """

    name: str
    topics: Mapping[str, list[str]]


@dataclass(frozen=True)
class Explanation:
    """The explanation of one node, or of several in order."""

    steps: tuple[Step, ...]

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    def text(self) -> str:
        """Return every node with its topics."""
        out = []
        for step in self.steps:
            out.append(step.name)
            for topic, lines in step.topics.items():
                out.extend(f"  {topic if number == 0 else '':<12}{line}" for number, line in enumerate(lines))
        return "\n".join(out) + "\n"

    def facts(self) -> list[dict[str, Any]]:
        """Return the same as plain data."""
        return [{"name": step.name, "topics": dict(step.topics)} for step in self.steps]

    def _repr_html_(self) -> str:
        """Return the text for a notebook."""
        return f"<pre>{escape(str(self))}</pre>"


def explanation(graph: ArchGraph, name: str = "", back: bool = False) -> Explanation:
    """Explain a node or the nodes of a labelled part; without a name, those of the network that change a shape.

    With `back`, the shape is derived from the (last) node back to the input. Raises UnknownName for an unknown name.
    """
    nodes = nodes_of(graph, name) if name else list(graph)
    if back:
        return Explanation(tuple(_step(node, lines) for node, lines in derive_back(graph, nodes[-1].name)))
    if not name:
        return Explanation(tuple(_step(node, size_lines(graph, node)) for node in nodes if _changes(graph, node)))
    fields = receptive_fields(graph)
    return Explanation(tuple(Step(node.name, dict(derive(graph, node.name, fields))) for node in nodes))


def _step(node: Node, lines: list[str]) -> Step:
    return Step(node.name, {"output": [f"{show_shape(node.shape)}, by {notation(node)}", *lines]})


def _changes(graph: ArchGraph, node: Node) -> bool:
    operands = graph.operands(node.name)
    return not operands or len(operands) > 1 or graph[operands[0]].shape != node.shape
