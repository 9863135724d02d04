"""A picture of a file with errors: everything that has shapes, and the places that fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archc.compiler.draw.fold import Folding, scene
from archc.compiler.draw.scene import Box, Edge, Scene
from archc.compiler.elaborate.elaboration import Failure
from archc.compiler.graph import ArchGraph
from archc.compiler.shapes.dim import show_shape
from archc.dsl.diagnostics import Diagnostic


def partial(graph: ArchGraph, failures: Sequence[Failure], diagnostics: Iterable[Diagnostic], folding: Folding) -> Scene:
    """Return the part of a network that has shapes, with the failing items in red and their messages."""
    made = scene(graph, folding)
    made.graph = None
    shown = set()
    for failure in failures:
        shown.add((failure.span.source, failure.span.start))
        box = Box(f"failed/{failure.name}", "failed", "", failure.written, status="failed", note=failure.message, span=failure.span)
        made.boxes.append(box)
        made.edges += [
            Edge(made.shown_as[operand].id, box.id, show_shape(graph[operand].shape), status="failed")
            for operand in dict.fromkeys(failure.operands)
            if operand in made.shown_as
        ]
    for found in diagnostics:
        span = found.span
        if span is None or (span.source, span.start) in shown:
            continue
        blamed = [node for node in graph if node.span.source is span.source and node.span.start <= span.end and span.start <= node.span.end]
        if blamed:
            box = made.shown_as[blamed[-1].name]
            box.status, box.note = "failed", found.message
            for edge in made.edges:
                edge.status = "failed" if edge.source == box.id else edge.status
    return made
