"""Rewrites of the graph: one a file, each a function from a graph to a graph; the pipelines are tuples of them."""

from __future__ import annotations

from collections.abc import Callable

from compiler.graph import ArchGraph
from compiler.passes.drop_training import drop_training

Pass = Callable[[ArchGraph], ArchGraph]

INFERENCE: tuple[Pass, ...] = (drop_training,)
TRAINING: tuple[Pass, ...] = ()


def run(graph: ArchGraph, pipeline: tuple[Pass, ...]) -> ArchGraph:
    """Run passes in order."""
    for rewrite in pipeline:
        graph = rewrite(graph)
    return graph
