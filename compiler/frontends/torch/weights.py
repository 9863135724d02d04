"""Weights that are computed from trained ones: standardized kernels, and kernels scaled by a trained gain."""

from __future__ import annotations

from math import prod
from typing import Any

from torch import fx

from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.torch.nodes import Fixed, operator
from archc.compiler.frontends.torch.reader import Reader
from archc.compiler.ops.kinds import Word

RESHAPES = frozenset({"view", "reshape", "reshape_as", "view_as", "flatten"})


def kernels(reader: Reader, weight: Any) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Return the options that say how a kernel is computed, and the weights that it is computed from. Raises CannotRead."""
    if not isinstance(weight, Fixed) or weight.node in reader.keys:
        return {}, reader.weights(weight)
    norm = _unreshaped(weight.node)
    if operator(norm) != "batch_norm":
        raise CannotRead("its kernel is computed in the network")
    given = reader.arguments(norm).given
    stored = _unreshaped(given["input"].node)
    is_fresh = given["running_mean"] is None and given["bias"] is None and given["training"]
    if not is_fresh or stored not in reader.keys or tuple(norm.meta["val"].shape[:2]) != (1, weight.shape[0]):
        raise CannotRead("its kernel is computed in the network")
    held = reader.weights(Fixed(stored))
    if given["weight"] is None:
        return {"weight": Word("standardized", (("eps", given["eps"]),))}, held
    gain, factor = _factors(_unreshaped(given["weight"].node))
    if gain not in reader.keys:
        raise CannotRead("the gain of its kernel is computed in the network")
    gamma = factor * prod(weight.shape[1:]) ** 0.5
    return {"weight": Word("scaled", (("gamma", gamma), ("eps", given["eps"])))}, {**held, **reader.weights(Fixed(gain))}


def _unreshaped(node: fx.Node) -> fx.Node:
    while operator(node) in RESHAPES:
        node = node.all_input_nodes[0]
    return node


def _factors(node: fx.Node) -> tuple[fx.Node, float]:
    """Return the tensor that is multiplied by a number, and the number."""
    if operator(node) == "mul" and isinstance(node.args[1], int | float):
        return _unreshaped(node.all_input_nodes[0]), float(node.args[1])
    return node, 1.0
