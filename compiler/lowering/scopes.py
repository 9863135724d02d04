"""The scopes of a lowered program, as a tree; and what every scope holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from archc.compiler.analysis.regions import Region, Regions, entering, leaving, scopes_of
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.lowering.program import Scope, Step

ELSEWHERE = "its operators are parts of other scopes"


def tree(graph: ArchGraph, found: Regions, steps: Mapping[str, Step]) -> Scope:
    """The whole program as a scope. `found` may be the regions of the graph before passes that move nothing out of its scope."""
    results = tuple(dict.fromkeys(output.node for output in graph.outputs.values()))
    return Scope("", "", "", (), results, _body(graph, found, steps, Region("", ""), list(graph)))


def _body(graph: ArchGraph, found: Regions, steps: Mapping[str, Step], within: Region, nodes: Sequence[Node]) -> tuple[Step | Scope, ...]:
    body: list[Step | Scope] = []
    for region, inside in _runs(found, within, nodes):
        if region is None:
            body.append(steps[inside[0].name])
        else:
            ends = tuple(entering(graph, inside)), tuple(leaving(graph, inside))
            body.append(Scope(region.path, region.key, region.call, *ends, _body(graph, found, steps, region, inside)))
    return tuple(body)


def _runs(found: Regions, within: Region, nodes: Sequence[Node]) -> Iterator[tuple[Region | None, Sequence[Node]]]:
    """A scope in order: the largest regions in it with their nodes, and each node that is in none."""
    start = 0
    while start < len(nodes):
        paths = (path for path in found.around(nodes[start].name) if len(path) > len(within.path))
        region = next((found.found[path] for path in paths if path in found.found), None)
        end = start + 1
        while region is not None and end < len(nodes) and region.path in found.around(nodes[end].name):
            end += 1
        yield region, nodes[start:end]
        start = end


def members(nodes: Sequence[Node], parts: Collection[str], scopes: Collection[str]) -> dict[str, dict[str, str]]:
    """What is held under the key of every scope, in the order of the nodes: the name there -> the key of the part or scope."""
    held: dict[str, dict[str, str]] = {"": {}, **{key: {} for key in scopes}}
    for node in nodes:
        keys = [*scopes_of(node.key), node.key]
        while keys and keys[-1] not in parts and keys[-1] not in scopes:
            keys.pop()
        for key in keys:
            around, _, name = key.rpartition(".")
            held.setdefault(around, {})[name] = key
    return held
