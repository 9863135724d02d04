"""Drops what only training needs: GoogLeNet's two classifiers, and whatever leads to nothing else."""

from __future__ import annotations

from compiler.graph import ArchGraph


def drop_training(graph: ArchGraph) -> ArchGraph:
    """The graph without its training-only nodes and outputs; the same graph where there are none."""
    dropped = {node.name for node in graph if node.training_only}
    return graph.without(dropped) if dropped or any(out.training_only for out in graph.outputs.values()) else graph
