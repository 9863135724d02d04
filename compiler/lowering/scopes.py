"""The scopes of a lowered program as a tree, and the members of each scope."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from archc.compiler.analysis.regions import Region, Regions, entering, leaving, scopes_of
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.lowering.program import Scope, Step

ELSEWHERE = "its operators are parts of other scopes"


def tree(graph: ArchGraph, known: Regions, steps: Mapping[str, Step]) -> Scope:
    """Return the whole program as a scope.

    `known` are the regions of the graph, or of the graph before passes that move no operator out of its scope. `steps` are by name.
    """
    results = tuple(dict.fromkeys(output.node for output in graph.outputs.values()))
    return Scope("", "", "", (), results, _body(graph, known, steps, Region("", ""), list(graph)))


def _body(graph: ArchGraph, known: Regions, steps: Mapping[str, Step], within: Region, nodes: Sequence[Node]) -> tuple[Step | Scope, ...]:
    body: list[Step | Scope] = []
    for region, inside in _runs(known, within, nodes):
        if region is None:
            body.append(steps[inside[0].name])
        else:
            ends = tuple(entering(graph, inside)), tuple(leaving(graph, inside))
            body.append(Scope(region.path, region.key, region.call, *ends, _body(graph, known, steps, region, inside)))
    return tuple(body)


def _runs(known: Regions, within: Region, nodes: Sequence[Node]) -> Iterator[tuple[Region | None, Sequence[Node]]]:
    """Yield the contents of a region in order: the largest regions in it with their nodes, and None with each node outside of them."""
    start = 0
    while start < len(nodes):
        paths = (path for path in known.around(nodes[start].name) if len(path) > len(within.path))
        region = next((known.found[path] for path in paths if path in known.found), None)
        end = start + 1
        while region is not None and end < len(nodes) and region.path in known.around(nodes[end].name):
            end += 1
        yield region, nodes[start:end]
        start = end


def members(nodes: Sequence[Node], parts: Collection[str], scopes: Collection[str]) -> dict[str, dict[str, str]]:
    """Return the members under the key of each scope, in the order of the nodes: name -> key of the part or scope."""
    held: dict[str, dict[str, str]] = {"": {}, **{key: {} for key in scopes}}
    for node in nodes:
        keys = [*scopes_of(node.key), node.key]
        while keys and keys[-1] not in parts and keys[-1] not in scopes:
            keys.pop()
        for key in keys:
            around, _, name = key.rpartition(".")
            held.setdefault(around, {})[name] = key
    return held
