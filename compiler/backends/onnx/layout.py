"""Transposes of a body, remembered: those that cancel are not written, and elementwise operators move before them.

A layer over the channels works on `(N, *sizes, C)`, and its result is written as `(N, C, *sizes)`. The next one asks for the
first form again, and gets it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnx import NodeProto

if TYPE_CHECKING:
    from archc.compiler.backends.onnx.building import Value

Order = tuple[int, ...]  # of axes, as Transpose takes it

ELEMENTWISE = frozenset({
    "Abs", "Add", "Celu", "Clip", "Cos", "Div", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu",
    "Log", "Max", "Min", "Mish", "Mul", "Neg", "Pow", "Reciprocal", "Relu", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Softplus",
    "Softsign", "Sqrt", "Sub", "Tanh", "ThresholdedRelu",
})  # fmt: skip


@dataclass
class Layouts:
    """The transposes of a body: of each its origin, which is none, and the order of axes; and the transpose of each origin and order."""

    views: dict[str, tuple[Value, Order]] = field(default_factory=dict)
    made: dict[tuple[str, Order], Value] = field(default_factory=dict)

    def origin(self, x: Value) -> tuple[Value, Order]:
        """Return the value that `x` is a transpose of, and the order of axes; itself where it is none."""
        return self.views.get(x.name) or (x, tuple(range(x.rank)))

    def note(self, origin: Value, order: Order, value: Value) -> None:
        """Remember a transpose."""
        self.views[value.name] = origin, order
        self.made[origin.name, order] = value

    def rename(self, old: str, value: Value) -> None:
        """Replace a value by one with another name."""
        if old in self.views:
            self.note(*self.views.pop(old), value)
        for (name, order), transposed in list(self.made.items()):
            if name == old:
                del self.made[name, order]
                self.note(value, order, transposed)

    def common(self, operands: Collection[Value | None]) -> Order | None:
        """Return the order of axes of the first operand that is a transpose; None where there is none, or it has no sizes."""
        found = (self.views[x.name][1] for x in operands if x is not None and x.name in self.views)
        order = next(found, None)
        return None if order is None or len(order) < 3 else order

    def pruned(self, nodes: list[NodeProto], used: Collection[str]) -> list[NodeProto]:
        """Return the nodes without transposes that nothing reads; `used` are the values that the body returns.

        The label of one that is left out goes to the node of the same step before it, whose result is the same in another order of axes.
        """
        read = {*used, *(name for node in nodes for name in node.input)}
        makers = {name: node for node in nodes for name in node.output}
        kept = []
        for node in reversed(nodes):
            if node.op_type != "Transpose" or node.output[0] in read or not node.name:
                kept.append(node)
                continue
            before = makers.get(node.input[0])
            if "/" not in node.name.rpartition(".")[2]:
                if before is None or not before.name.startswith(f"{node.name}/"):
                    kept.append(node)  # its step has no other node
                    continue
                before.name = node.name
        return kept[::-1]


def inverse(order: Order) -> Order:
    """Return the order of axes that undoes another."""
    return tuple(order.index(axis) for axis in range(len(order)))
