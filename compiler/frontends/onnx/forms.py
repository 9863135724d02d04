"""Forms of values: numbers that are equal where two groups of nodes compute the same of the same operands.

The order of axes is no part of a form: earlier versions of archc wrote no transposes that cancel, and elementwise nodes before transposes.
So a value is a form and an order of its axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from onnx import TensorProto

from archc.compiler.frontends.onnx.model import Node

Order = tuple[int, ...]  # of axes, as Transpose takes it
ELEMENTWISE = frozenset({
    "Abs", "Add", "Celu", "Clip", "Cos", "Div", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu",
    "Log", "Max", "Min", "Mish", "Mul", "Neg", "Pow", "Reciprocal", "Relu", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Softplus",
    "Softsign", "Sqrt", "Sub", "Tanh", "ThresholdedRelu",
})  # fmt: skip


@dataclass(frozen=True)
class Form:
    """A value: the number of its form, and for each axis that of the form which it is; None where they are in the same order."""

    number: int
    order: Order | None = None


@dataclass
class Forms:
    """All forms of a file by what makes them."""

    numbers: dict[Any, int] = field(default_factory=dict)
    single: set[int] = field(default_factory=set)  # those of one value, which has no order of axes

    def leaf(self, *what: Any, order: Order | None = None) -> Form:
        """Return an operand, or a weight."""
        return Form(self.numbers.setdefault(what, len(self.numbers)), ordered(order))

    def constant(self, array: Any) -> Form:
        """Return a constant."""
        held = np.ascontiguousarray(array)
        form = self.leaf("constant", held.dtype.name, np.shape(array), held.tobytes())
        if held.size == 1:
            self.single.add(form.number)
        return form

    def made(self, node: Node, operands: Sequence[Form | None]) -> list[Form]:
        """Return what a node makes of its operands."""
        if node.op == "Transpose" and operands[0] is not None:
            held = operands[0].order or tuple(range(len(node.attrs["perm"])))
            return [replace(operands[0], order=ordered(tuple(held[axis] for axis in node.attrs["perm"])))]
        order = None
        if node.op in ELEMENTWISE:
            orders = {form.order for form in operands if form is not None and form.number not in self.single}
            if len(orders) == 1 and (order := orders.pop()) is not None:
                operands = [None if form is None else replace(form, order=None) for form in operands]
        attrs = tuple(sorted((name, _plain(value)) for name, value in node.attrs.items()))
        taken = tuple(None if form is None else (form.number, form.order) for form in operands)
        return [self.leaf(node.op, attrs, taken, place, order=order) for place in range(len(node.outputs))]


def ordered(order: Order | None) -> Order | None:
    """Return an order of axes; None for the one that changes nothing."""
    return None if order is None or order == tuple(range(len(order))) else order


def _plain(value: Any) -> Any:
    if isinstance(value, TensorProto):
        return value.SerializeToString(deterministic=True)
    return tuple(value) if isinstance(value, list) else value
