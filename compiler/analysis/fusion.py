"""Find fusion candidates: what a convolution or fully-connected layer may compute in one call with the operators after it.

`relu(W*x + b + y)` is one call where nothing else reads the intermediate values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.computed import is_plain


@dataclass(frozen=True)
class Fusion:
    """What a layer computes in addition: it adds a tensor (perhaps in place), then applies an activation."""

    add: str = ""  # the node whose value is added
    overwrites: bool = False
    activation: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)  # of the activation
    result: str = ""  # the node whose value it returns
    hidden: tuple[str, ...] = ()  # the nodes whose values are not computed


def fusions(graph: ArchGraph) -> dict[str, Fusion]:
    """Return the fusion of every 2-d convolution and fully-connected layer, per position or not, by name.

    A convolution takes a sum and a rectifier after it, or any activation; a layer per position takes a sum or an activation.
    """
    order = {node.name: number for number, node in enumerate(graph)}
    fused: dict[str, Fusion] = {}
    taken: set[str] = set()
    for node in reversed(list(graph)):
        if not (node.op in ("fc", "channel_fc") or _is_plain_convolution(node)) or not is_plain(node.attrs):
            continue
        chain, add, overwrites = [node], "", False
        user = graph.only_user(node)
        if (
            node.op in ("conv", "channel_fc")
            and user is not None
            and user.op == "add"
            and user.name not in taken
            and len(user.operands) == 2
        ):
            other = next(operand for operand in user.operands if operand is not node)
            if order[other.name] < order[node.name] and other.shape == node.shape:
                add = other.name
                chain.append(user)
                overwrites = node.op == "conv" and _free(graph, other, user, order[node.name], order)
                taken.add(user.name)
                user = graph.only_user(user)
        fits = not add or (node.op == "conv" and user is not None and user.op == "relu")
        act = user if user is not None and user.operator.fusable and fits else None
        chain += [act] if act is not None else []
        *hidden, result = (link.name for link in chain)
        activation, options = (act.op, act.attrs) if act is not None else ("", {})
        fused[node.name] = Fusion(add, overwrites, activation, options, result, tuple(hidden))
    return fused


def _is_plain_convolution(node: Node) -> bool:
    return (
        node.op == "conv" and len(node.attrs["kernel"]) == 2 and node.attrs.get("from") is None and str(node.attrs["pad_mode"]) == "zeros"
    )


def _free(graph: ArchGraph, node: Node, user: Node, at: int, order: dict[str, int]) -> bool:
    """Return whether a value may be overwritten: it is no input, output or alias, and all its readers have run."""
    if node.is_input or _is_alias(node) or any(output.node == node.name for output in graph.outputs.values()):
        return False
    others = [graph[other] for other in graph.users(node.name) if other != user.name]
    return all(order[other.name] < at and not _is_alias(other) for other in others)


def _is_alias(node: Node) -> bool:
    """Return whether its value shares the memory of its input in evaluation."""
    return node.operator.memory.view or node.operator.memory.stored or node.operator.identity_in_eval
