"""Determine which scopes can be modules with their own forward.

A scope is the path of a label, a block call or a copy. It can be a module where its operators are consecutive in the order of
execution, all their weights are under one key, and the same tensors enter and leave it in training and in evaluation.
A `flatten` that the first operator of a scope implies runs before the scope, as in modules that are written by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from archc.compiler.graph import ArchGraph, Node

DEEPEST = 40  # scopes within scopes; a call of a module takes three frames of Python, which allows a thousand


@dataclass(frozen=True)
class Region:
    """A scope that can be a module. Every call of a shared part is a region, and all of them have its key.

    `call` is the name of the block that it is a call of, where it is one.
    """

    path: str
    key: str
    call: str = ""


@dataclass(frozen=True)
class Regions:
    """The scopes of a network: those that can be modules, by path, and why others cannot, by key.

    `before` maps the nodes that run before scopes that they are written in to these scopes.
    """

    found: dict[str, Region]
    reasons: dict[str, str]
    before: dict[str, set[str]]

    def around(self, name: str) -> list[str]:
        """Return the scopes in which a node runs, the outermost first."""
        return [path for path in scopes_of(name) if path not in self.before.get(name, ())]


def regions(graph: ArchGraph) -> Regions:
    """Examine every scope of a network as it is written."""
    nodes = list(graph)
    places = {node.name: place for place, node in enumerate(nodes)}
    scopes: dict[str, list[Node]] = {}
    before: dict[str, set[str]] = {}
    for node in nodes:
        for path in scopes_of(node.name):
            if path not in scopes and _is_implied(graph, node):
                before.setdefault(node.name, set()).add(path)
            else:
                scopes.setdefault(path, []).append(node)
    found: dict[str, Region] = {}
    reasons: dict[str, str] = {}
    owners: dict[str, str] = {}  # key -> the first region that has it
    for path, inside in scopes.items():
        region = Region(path, _key(path, inside), _block(path, inside[0]))
        key = region.key
        reason = _reason(graph, region, inside, places, nodes)
        if not reason and key in owners and _meaning(graph, region, inside) != _meaning(graph, found[owners[key]], scopes[owners[key]]):
            reason = "it is called again in another way"
        if reason:
            reasons.setdefault(key, reason)
        else:
            owners.setdefault(key, path)
            found[path] = region
    return Regions(found, {key: reason for key, reason in reasons.items() if key not in owners}, before)


def _is_implied(graph: ArchGraph, node: Node) -> bool:
    """Return whether a node is a `flatten` that is not written, but implied by an operator."""
    return node.operator.unrolls and any(graph[user].span == node.span for user in graph.users(node.name))


def scopes_of(name: str) -> list[str]:
    """Return the scopes around a node, the outermost first."""
    parts = name.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))]


def entering(graph: ArchGraph, inside: Sequence[Node]) -> list[str]:
    """Return the nodes outside a region whose values it takes, in the order of use."""
    names = {node.name for node in inside}
    return list(dict.fromkeys(operand.name for node in inside for operand in node.operands if operand.name not in names))


def leaving(graph: ArchGraph, inside: Sequence[Node]) -> list[str]:
    """Return the nodes of a region whose values are used outside, in order; the last node where there are none."""
    names = {node.name for node in inside}
    results = {output.node for output in graph.outputs.values()}
    left = [node.name for node in inside if node.name in results or any(user not in names for user in graph.users(node.name))]
    return left or [inside[-1].name]


def _key(path: str, inside: Sequence[Node]) -> str:
    """Return the key under which a scope has its weights: its path, except for calls of a shared part."""
    ends = ((node.key, node.name[len(path) :]) for node in inside)
    return next((key[: -len(end)] for key, end in ends if key.endswith(end)), path)


def _reason(graph: ArchGraph, region: Region, inside: Sequence[Node], places: dict[str, int], nodes: Sequence[Node]) -> str:
    """Return why a scope cannot be a module; empty where it can."""
    path = region.path
    if path.count(".") >= DEEPEST:
        return f"it is more than {DEEPEST} scopes deep"
    first, last = places[inside[0].name], places[inside[-1].name]
    if last - first + 1 != len(inside):
        stranger = next(node for node in nodes[first:last] if not node.name.startswith(path + "."))
        return f"{stranger.name} runs between its operators"
    for node in inside:
        if node.is_input:
            return f"it holds the input {node.name}"
        if not node.key.startswith(region.key + "."):
            return f"its {node.name[len(path) + 1 :]} uses the weights of {node.key}, which is outside of it"
    evaluated = {node.name for node in inside if not node.training_only}
    follows = len(evaluated) < len(inside) or not _same_users(graph, inside)
    if follows and _interface(graph, inside, evaluated) != (entering(graph, inside), leaving(graph, inside)):
        return "the tensors that enter or leave it in training are not those of evaluation"
    return ""


def _same_users(graph: ArchGraph, inside: Sequence[Node]) -> bool:
    """Return whether all users of a region's values, and all its outputs, exist in both modes."""
    only = {output.node for output in graph.outputs.values() if output.training_only}
    return not any(node.name in only or any(graph[user].training_only for user in graph.users(node.name)) for node in inside)


def _interface(graph: ArchGraph, inside: Sequence[Node], evaluated: Collection[str]) -> tuple[list[str], list[str]]:
    """Return what enters and leaves a region in evaluation; for a training-only region, what does in training."""
    if not evaluated:
        return entering(graph, inside), leaving(graph, inside)
    nodes = [node for node in inside if node.name in evaluated]
    results = {output.node for output in graph.outputs.values() if not output.training_only}
    left = [
        node.name
        for node in nodes
        if node.name in results or any(user not in evaluated and not graph[user].training_only for user in graph.users(node.name))
    ]
    return entering(graph, nodes), left or [nodes[-1].name]


def _meaning(graph: ArchGraph, region: Region, inside: Sequence[Node]) -> list[Any]:
    """Return a region without the names around it: calls of a shared part with equal values can be calls of one module."""
    start = len(region.path) + 1
    slots = {name: number for number, name in enumerate(entering(graph, inside))}
    rows: list[Any] = [
        (
            node.name[start:],
            node.key[len(region.key) + 1 :],
            node.op,
            node.operator.lower(node.call),
            node.training_only,
            [slots.get(operand.name, operand.name[start:]) for operand in node.operands],
        )
        for node in inside
    ]
    return [rows, [name[start:] for name in leaving(graph, inside)]]


def _block(path: str, node: Node) -> str:
    """Return the name of the block that a scope is a call of; empty where it is none."""
    frame = next((frame for frame in (node.frame.chain() if node.frame else []) if frame.scope == path), None)
    name = frame.text.partition("(")[0].strip() if frame else ""
    return name if name.isidentifier() else ""
