"""The report on a file: its network, what is wrong or doubtful, and what became of its claims."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from archc.compiler.analysis.cost import Cost, cost, holes_of
from archc.compiler.analysis.nesting import Stated
from archc.compiler.elaborate.claims import ClaimResult
from archc.compiler.elaborate.elaboration import Failure, Passed
from archc.compiler.graph import ArchGraph, shape_text
from archc.compiler.shapes.conditions import Legal
from archc.compiler.verdict import verdict
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.rendering import render_all
from archc.dsl.source import Span

Claims = tuple[list[ClaimResult], list[Diagnostic]]  # what became of each, and the errors of those that fail


@dataclass(repr=False)
class Report:
    """What the front end has found out about one file. Without diagnostics, the network is sound."""

    name: str
    graph: ArchGraph
    diagnostics: list[Diagnostic]  # errors
    claims: list[ClaimResult] = field(default_factory=list)
    legal: list[Legal] = field(default_factory=list)
    tree: ast.File | None = None  # as parsed; None where nothing could be read
    stated: Stated = field(default_factory=Stated)
    nothing_at: Span | None = None  # the place of a file that holds no network, only blocks
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: list[Diagnostic] = field(default_factory=list)
    doubtful: Claims = field(default_factory=lambda: ([], []))  # of claims that are held against shapes that do not hold
    passed: list[Passed] = field(default_factory=list)  # what each item returned, in the order of elaboration
    failures: list[Failure] = field(default_factory=list)  # operators that are not in the graph, since their shapes do not fit

    @property
    def has_network(self) -> bool:
        """Whether there is a network, and not only blocks."""
        return self.nothing_at is None

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not self.diagnostics

    def __str__(self) -> str:
        """What is wrong, rendered; or, of a network that is sound, its counts and claims."""
        if self.diagnostics:
            return render_all(self.diagnostics)
        if not self.has_network:
            return f"{self.name}: only blocks, for `use`"
        return verdict(self.name, self.graph, self.cost(), self.claims, self.legal)

    def __repr__(self) -> str:
        return f"<Report {self.name}: {len(self.diagnostics)} errors, {len(self.warnings)} warnings, {len(self.claims)} claims>"

    def cost(self) -> Cost:
        """Parameters and MACs at inference and in training."""
        return cost(self.graph)

    def facts(self) -> dict[str, Any]:
        """Return the facts of the network as plain data, for JSON."""
        data: dict[str, Any] = {"name": self.name, "title": self.graph.title, "ok": self.ok}
        if self.ok and self.has_network:
            counts = self.cost()
            data |= {
                "params": counts.params,
                "params_training": counts.params_training,
                "macs": shape_text([counts.macs])[0],
                "macs_training": shape_text([counts.macs_training])[0],
                "inputs": {node.name: shape_text(node.shape) for node in self.graph.inputs},
                "outputs": {
                    key: shape_text(self.graph[out.node].shape) for key, out in self.graph.outputs.items() if not out.training_only
                },
                "training_outputs": {
                    key: shape_text(self.graph[out.node].shape) for key, out in self.graph.outputs.items() if out.training_only
                },
                "nodes": len(self.graph) - len(self.graph.inputs),
                "legal": {legal.name: str(legal) for legal in self.legal},
            }
            if holes := holes_of(self.graph):
                data["holes"] = [node.name for node in holes]
            if self.graph.preprocess:
                data["preprocess"] = self.graph.preprocess
        data["claims"] = [claim.to_json() for claim in self.claims]
        data["diagnostics"] = [found.to_json() for found in (*self.diagnostics, *self.warnings)]
        return data
