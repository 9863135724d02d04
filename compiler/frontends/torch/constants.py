"""Values that an exported program computes of sizes alone: what they are, and the operators that have them."""

from __future__ import annotations

from math import pi
from typing import Any

import torch
from torch import Tensor, fx

from archc.compiler.backends.torch.modules.tokens import sine_positions
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.torch.nodes import operator
from archc.compiler.frontends.views import View
from archc.compiler.frontends.walk import Walk

MOST = 2**24  # values of a tensor that is computed here
CLOSE = 1e-5  # how far sines may be from those of the source, whose arguments are rounded in another order
SCALES = (2 * pi, None)
PLACES = frozenset({"device", "layout", "pin_memory"})


def folded(node: fx.Node, known: dict[fx.Node, Tensor | None]) -> Tensor | None:
    """Return what a node computes of numbers, on the CPU; None where it depends on an input or on a stored tensor.

    `known` are the nodes that have been computed before.
    """
    order, stack = list[fx.Node](), [node]
    seen: set[fx.Node] = set()
    while stack:
        each = stack.pop()
        if each not in seen:
            seen.add(each)
            order.append(each)
            stack.extend(each.all_input_nodes)
    for each in sorted(order):
        if each not in known:
            known[each] = _computed(each, known)
    return known[node]


def _computed(node: fx.Node, known: dict[fx.Node, Tensor | None]) -> Tensor | None:
    made = node.meta.get("val")
    if node.op != "call_function" or not isinstance(made, Tensor) or made.numel() > MOST or not hasattr(node.target, "_schema"):
        return None
    if any(known[each] is None for each in node.all_input_nodes) or "rand" in operator(node) or operator(node).startswith("empty"):
        return None

    def here(value: Any) -> Any:
        return torch.device("cpu") if isinstance(value, torch.device) else value

    arguments = fx.node.map_aggregate(fx.node.map_arg(node.args, known.__getitem__), here)
    options = {name: held for name, held in node.kwargs.items() if name not in PLACES}
    result = node.target(*arguments, **fx.node.map_aggregate(fx.node.map_arg(options, known.__getitem__), here))  # type: ignore[operator,arg-type,misc]
    return result if isinstance(result, Tensor) and result.shape == made.shape else None


def constant(reader: Walk, name: str, values: Tensor, item: int) -> View:
    """Append the operator that has these values for each sample, beside an operator that has its sizes. Raises CannotRead."""
    if values.dim() in (3, 4) and (values == values[:1]).all():
        grid = values[:1]
        axes = grid.dim() - 2
        sizes, channels = tuple(grid.shape[2:]), grid.shape[1] // axes
        for scale in SCALES:
            if channels % 2 or channels * axes != grid.shape[1]:
                break
            made = sine_positions(torch.empty(1, 1, *sizes), channels, 10000.0, scale, None)
            if made.shape == grid.shape and torch.allclose(made, grid, rtol=0, atol=CLOSE):
                given: dict[str, Any] = {"channels": channels, "scale": scale}
                if tuple(reader.flat.items[item].shape[1:]) != sizes:
                    given["sizes"] = sizes
                return reader.mapped(reader.add("sine_positions", [item], given), batched=values.shape[0] > 1)
    shape = "x".join(map(str, values.shape)) or "one value"
    raise CannotRead(f"it takes a constant that {name} computes, {shape}, and no operator here has these values")
