"""A picture of a wrong file: as much as has shapes, and where it fails."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archc.compiler.draw.fold import Folding, scene
from archc.compiler.draw.scene import Box, Edge, Scene
from archc.compiler.elaborate.elaboration import Failure
from archc.compiler.graph import ArchGraph
from archc.compiler.shapes.dim import show_shape
from archc.dsl.diagnostics import Diagnostic


def partial(graph: ArchGraph, failures: Sequence[Failure], diagnostics: Iterable[Diagnostic], folding: Folding) -> Scene:
    """As much of a wrong network as has shapes; red where it fails, with what is wrong."""
    made = scene(graph, folding)
    made.graph = None
    told = set()
    for failure in failures:
        told.add((failure.span.source, failure.span.start))
        box = Box(f"failed/{failure.name}", "failed", "", failure.written, status="failed", note=failure.message, span=failure.span)
        made.boxes.append(box)
        made.edges += [
            Edge(made.shown_as[operand].id, box.id, show_shape(graph[operand].shape), status="failed")
            for operand in dict.fromkeys(failure.operands)
            if operand in made.shown_as
        ]
    for found in diagnostics:
        span = found.span
        if span is None or (span.source, span.start) in told:
            continue
        blamed = [node for node in graph if node.span.source is span.source and node.span.start <= span.end and span.start <= node.span.end]
        if blamed:
            box = made.shown_as[blamed[-1].name]
            box.status, box.note = "failed", found.message
            for edge in made.edges:
                edge.status = "failed" if edge.source == box.id else edge.status
    return made
