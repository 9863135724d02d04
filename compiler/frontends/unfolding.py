"""Write a convolution with a bias as one without, and a batch norm after it, where exporters fold batch norms away.

The network computes the same: the batch norm has a mean of 0, a weight of 1, the bias of the convolution, and a variance by which it
divides by 1. It is put where networks have one: between a convolution and its activation, the next convolution, or the sum of a residual,
or both, as where inverted residuals follow each other.
Where a convolution sees one position, as in a gate of channels, and where its result is used otherwise, as in a head, its bias stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from archc.compiler.frontends.flat import FlatNetwork, options
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.computed import is_plain

NORM = "bn"


def unfolded(flat: FlatNetwork) -> FlatNetwork:
    """Return the same network with batch norms, and its tensors to match."""
    graph = flat.graph
    pairs = _pairs(graph, flat.folded)
    made = ArchGraph(graph.name, graph.title, conditions=graph.conditions, preprocess=graph.preprocess)
    for node in graph:
        operands = [pairs.get(operand, operand) for operand in graph.operands(node.name)]
        if node.name not in pairs:
            made.add(replace(node), operands)
            continue
        norm = pairs[node.name]
        made.add(replace(node, attrs={**node.attrs, "bias": False}), operands)
        attrs = options(OPERATORS[NORM], {}, len(node.shape) - 1)
        made.add(Node(norm, NORM, attrs, node.shape, node.span, key=norm, training_only=node.training_only), [node.name])
    made.outputs.update(graph.outputs)
    unfold, before = partial(changed, pairs), flat.change
    weights = None if flat.weights is None else lambda: unfold(flat.weights())  # type: ignore[misc]
    change = unfold if before is None else lambda tensors: unfold(before(tensors))
    return replace(flat, graph=made, weights=weights, unfolded=tuple(pairs.values()), change=change)


def changed(pairs: Mapping[str, str], tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return numpy arrays by key with those of batch norms, by the keys of convolutions, in place of biases."""
    import numpy as np

    found = dict(tensors)
    eps = options(OPERATORS[NORM], {}, 2)["eps"]
    for conv, norm in pairs.items():
        bias = found.pop(f"{conv}.bias")
        found |= {
            f"{norm}.weight": np.ones_like(bias),
            f"{norm}.bias": bias,
            f"{norm}.running_mean": np.zeros_like(bias),
            f"{norm}.running_var": np.full_like(bias, 1 - eps),
            f"{norm}.num_batches_tracked": np.zeros((), np.int64),
        }
    return found


def _pairs(graph: ArchGraph, folded: Mapping[str, str]) -> dict[str, str]:
    """Return the name of a batch norm for each convolution that gets one: where a source says which had one, these and no others."""
    taken = {path for node in graph for path in _paths(node.name)}
    uses = Counter(node.key for node in graph)
    pairs: dict[str, str] = {}
    for node in graph:
        had_one = folded.get(node.name, "") and _may_have(node) if folded else _had_one(graph, node)
        if uses[node.key] == 1 and node.key == node.name and had_one:
            own = [folded[node.name]] if folded else []
            pairs[node.name] = next(name for name in (*own, *_names(node.name)) if name not in taken)
            taken.add(pairs[node.name])
    return pairs


def _may_have(node: Node) -> bool:
    """Return whether a batch norm could have been folded into an operator: a convolution whose kernels are as they are stored."""
    is_convolution = node.operator.linear and node.operator.window is not None and node.attrs.get("bias") is True
    return is_convolution and node.attrs.get("from") is None and is_plain(node.attrs) and not node.training_only


def _had_one(graph: ArchGraph, node: Node) -> bool:
    """Return whether networks have a batch norm after such an operator in such a place."""
    if not _may_have(node) or all(size == 1 for size in node.shape[1:]):
        return False
    if (user := graph.only_user(node)) is not None:
        return user.operator.family == "activation" or _continues(user)
    users = [graph[name] for name in graph.users(node.name)]
    is_output = any(output.node == node.name for output in graph.outputs.values())
    return {user.op for user in users} == {"conv", "add"} and not is_output


def _continues(user: Node) -> bool:
    """Return whether an operator is the next convolution, or the sum of a residual."""
    return user.op == "add" or (user.operator.linear and user.operator.window is not None)


def _names(name: str) -> Iterator[str]:
    """Yield names for the batch norm of a convolution: `bn1` of `conv1`, the next number of a number, and others."""
    scope, _, label = name.rpartition(".")
    head = f"{scope}." if scope else ""
    if "conv" in label:
        before, _, behind = label.rpartition("conv")
        yield f"{head}{before}bn{behind}"
    if label.isdigit():
        yield f"{head}{int(label) + 1}"
    stem = f"bn{label}" if label.isdigit() else f"{label}_bn"
    yield head + stem
    for number in range(2, 10**6):
        yield f"{head}{stem}_{number}"


def _paths(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
