"""The verdict on one file as text: its inputs, outputs and counts, and whether its claims hold."""

from __future__ import annotations

from collections.abc import Sequence

from archc.compiler.analysis.cost import Cost, holes_of
from archc.compiler.elaborate.claims import ClaimResult
from archc.compiler.graph import ArchGraph
from archc.compiler.shapes.conditions import Legal
from archc.compiler.shapes.dim import Dim, show_shape


def verdict(name: str, graph: ArchGraph, counts: Cost, claims: Sequence[ClaimResult], legal: Sequence[Legal]) -> str:
    """Return a line each for the name, inputs, outputs, counts, claims and legal sizes of a network."""
    title = f"  {graph.title}" if graph.title else ""
    lines = [f"{name}{title}"]
    lines.extend(f"  input       {node.name}: {show_shape(node.shape)}" for node in graph.inputs)
    lines.extend(
        f"  output      {output}: {show_shape(graph[out.node].shape)}{' (training only)' * out.training_only}"
        for output, out in graph.outputs.items()
    )
    extra = f" ({counts.params_training:,} with training-only parts)" if counts.params_training != counts.params else ""
    lines.append(f"  parameters  {counts.params:,}{extra}")
    lines.append(f"  MACs        {number(counts.macs)}")
    lines.append(f"  nodes       {len(graph) - len(graph.inputs):,}")
    if holes := len(holes_of(graph)):
        lines.append(f"  holes       {holes:,}, of which nothing is counted")
    lines.append(f"  claims      {_claims(claims)}")
    lines.extend(f"  legal       {sizes}" for sizes in legal)
    return "\n".join(lines)


def number(value: Dim) -> str:
    """Write a count, which is a formula where sizes are open."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def _claims(claims: Sequence[ClaimResult]) -> str:
    if not claims:
        return "none"
    held = sum(claim.held for claim in claims)
    waived = sum(claim.waived for claim in claims)
    text = f"{held} of {len(claims)} hold"
    return text + (f", {waived} waived: they are about the file without --set and --input" if waived else "")
