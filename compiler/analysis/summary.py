"""Count a network by nodes and blocks, under a convention; equal neighbours fold into one row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from archc.compiler.analysis.conventions import CONVENTIONS
from archc.compiler.analysis.cost import holes_of, node_params, params_of
from archc.compiler.analysis.notation import notation
from archc.compiler.analysis.parts import Part, nodes_of, parts
from archc.compiler.analysis.receptive import Field, network_field, receptive_fields
from archc.compiler.errors import one_of
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.shapes.dim import Dim, Shape, product


@dataclass
class Row:
    """A node, or a block of nodes; `copies` is the number of consecutive equal ones.

    Counts are those of one copy, for one sample.
    """

    name: str
    written: str  # the operator with its options, the call of a block, or the number of nodes
    shape: Shape  # of its last output, without the batch
    params: int  # trainable scalars
    macs: Dim  # multiply-accumulates; a formula where sizes are open
    values: Dim  # values of the output of its last node
    activations: Dim  # values of the outputs of all its nodes
    receptive_field: Field  # the receptive field of its last node, in pixels of the input
    nodes: int = 1
    copies: int = 1
    last: str = ""  # the name of the last copy
    last_receptive_field: Field | None = None
    training_only: bool = False
    holes: int = 0  # nodes of which nothing is counted, as nothing says what they compute
    inside: list[Row] = field(default_factory=list)  # the rows of an opened block

    @property
    def shown_name(self) -> str:
        """The name, or the names of the first and last copy: `layer3.1 .. 35`."""
        return self.name if self.copies == 1 else f"{self.name} .. {self.last.rpartition('.')[2]}"


SORTS = ("params", "macs", "memory")  # what nodes can be sorted by


class Counts:
    """The counts of a network, and rows of them to a depth. `convention` names whose rule counts MACs; raises UsageError if unknown."""

    def __init__(self, graph: ArchGraph, convention: str = "paper") -> None:
        one_of("convention", convention, tuple(CONVENTIONS))
        self.graph = graph
        self.count, self.rule = CONVENTIONS[convention]
        self._counted: dict[str, Dim] = {}
        self.fields = receptive_fields(graph)
        self.receptive_field = network_field(graph, self.fields)
        self.params = params_of(graph, (node for node in graph if not node.training_only))
        self.macs = self._macs(node for node in graph if not node.training_only)
        self._tree = parts(graph)
        self._first: dict[str, str] = {}  # the weights of each key are in the row of the first node that has them
        for node in sorted(graph, key=lambda node: node.training_only):
            self._first.setdefault(node.key, node.name)

    def _macs(self, nodes: Iterable[Node]) -> Dim:
        total: Dim = 0
        for node in nodes:
            total = total + self._node_macs(node)
        return total

    def _node_macs(self, node: Node) -> Dim:
        if node.name not in self._counted:
            self._counted[node.name] = self.count(self.graph, node)
        return self._counted[node.name]

    def _node_params(self, node: Node) -> int:
        return node_params(self.graph, node) if self._first[node.key] == node.name else 0

    def leaves(self) -> list[Row]:
        """Return a row for every node, in order."""
        return [self._leaf(node) for node in self.graph]

    def largest(self, rows: list[Row], by: str, top: int) -> list[Row]:
        """Return the rows with the most `params`, `macs` or `memory` (values of activations)."""

        def size(row: Row) -> int:
            value = {"params": row.params, "macs": row.macs, "memory": row.activations}[by]
            return value if isinstance(value, int) else 0

        return sorted(rows, key=size, reverse=True)[:top]

    def rows(self, depth: int, expand: Iterable[str] = (), fold: bool = True) -> list[Row]:
        """Return blocks to a depth of labels, deeper where a label is to be expanded; equal neighbours folded.

        Raises UnknownName for a label that the network does not have.
        """
        for name in expand:
            nodes_of(self.graph, name)
        return self._rows(self._tree, depth, tuple(expand), fold)

    def _rows(self, part: Part, depth: int, expand: tuple[str, ...], fold: bool) -> list[Row]:
        rows: list[Row] = []
        before: Any = None
        for inner in part.parts.values():
            opened = any(name == inner.name or name.startswith(inner.name + ".") for name in expand)
            if inner.node is not None and not inner.parts:
                row = self._leaf(inner.node)
            else:
                row = self._block(inner)
                if depth > 1 or opened:
                    row.inside = self._rows(inner, max(depth - 1, int(opened)), expand, fold)
            mark = (inner.mark, row.params) if fold and inner.parts and not opened else None
            if mark is not None and mark == before:
                rows[-1].copies += 1
                rows[-1].last, rows[-1].last_receptive_field = inner.name, row.receptive_field
            else:
                rows.append(row)
            before = mark
        return rows

    def _leaf(self, node: Node) -> Row:
        values = product(node.shape)
        counts = (self._node_params(node), self._node_macs(node))
        row = Row(node.name, notation(node), node.shape, *counts, values, values, self.fields[node.name], training_only=node.training_only)
        row.holes = len(holes_of([node]))
        return row

    def _block(self, part: Part) -> Row:
        nodes = part.nodes()
        last = nodes[-1]
        params, macs = sum(self._node_params(node) for node in nodes), self._macs(nodes)
        activations: Dim = 0
        for node in nodes:
            activations = activations + product(node.shape)
        training_only = all(node.training_only for node in nodes)
        field = self.fields[last.name]
        call = part.call
        written = call.text if call else f"{len(nodes)} nodes"
        return Row(
            part.name, written, last.shape, params, macs, product(last.shape), activations, field, len(nodes),
            training_only=training_only, holes=len(holes_of(nodes)),
        )  # fmt: skip
