"""Flame graphs of a network in the format of speedscope: blocks are the callers of what is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archc.compiler.analysis.notation import notation
from archc.compiler.analysis.parts import Part, parts
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.version import __version__

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def flames(graph: ArchGraph, title: str, seconds: Mapping[str, float], allocated: Mapping[str, int]) -> dict[str, Any]:
    """Return a file of speedscope with two profiles, of time and of allocated memory, as plain data.

    Every node is one sample in the order of the network, whose stack are the blocks around it; its weight is what was measured. Frames
    have the place in the `.arch` file.
    """
    frames: dict[str, int] = {}
    facts: list[dict[str, Any]] = []
    tree = _by_name(graph)

    def frame(name: str) -> int:
        if name not in frames:
            frames[name] = len(facts)
            facts.append(_frame(name, tree[name]))
        return frames[name]

    def stack(node: Node) -> list[int]:
        steps = node.name.split(".")
        return [frame(".".join(steps[:count])) for count in range(1, len(steps) + 1)]

    nodes = [node for node in graph if node.name in seconds or node.name in allocated]
    stacks = {node.name: stack(node) for node in nodes}
    profiles = [
        _profile(name, unit, [(stacks[node.name], weights[node.name]) for node in nodes if node.name in weights])
        for name, unit, weights in ((f"time: {title}", "seconds", seconds), (f"memory: {title}", "bytes", allocated))
    ]
    return {
        "$schema": SCHEMA,
        "exporter": f"archc {__version__}",
        "name": graph.name,
        "activeProfileIndex": 0,
        "shared": {"frames": facts},
        "profiles": profiles,
    }


def _by_name(graph: ArchGraph) -> dict[str, Part]:
    found: dict[str, Part] = {}
    waiting = [parts(graph)]
    while waiting:
        part = waiting.pop()
        found[part.name] = part
        waiting.extend(part.parts.values())
    return found


def _frame(name: str, part: Part) -> dict[str, Any]:
    """Describe a block or a node: its name with what it calls, and where that is written."""
    node, call = part.node, part.call
    span = node.span if node is not None and not part.parts else call.span if call is not None else None
    written = notation(node) if node is not None and not part.parts else call.brief if call is not None else ""
    place = {"file": span.source.label, "line": span.line, "col": span.column} if span is not None else {}
    return {"name": f"{name}  {written}".rstrip(), **place}


def _profile(name: str, unit: str, samples: Sequence[tuple[list[int], float]]) -> dict[str, Any]:
    weights = [weight for _, weight in samples]
    return {
        "type": "sampled",
        "name": name,
        "unit": unit,
        "startValue": 0,
        "endValue": sum(weights),
        "samples": [stack for stack, _ in samples],
        "weights": weights,
    }
