"""An operator applied to operands: what the rules of a record are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archc.compiler.ops.faults import OpenCount, ShapeFault
from archc.compiler.shapes.conditions import Condition
from archc.compiler.shapes.dim import Dim, Shape, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def axis_names(shape: Shape) -> tuple[str, ...]:
    """The names of all axes of a shape, the channels first; `size 4` where an axis has none of its own."""
    return ("channels", *AXES.get(len(shape) - 1, tuple(f"size {axis}" for axis in range(1, len(shape)))))


@dataclass
class Call:
    """Canonical options and the shapes of the operands. A call knows no names and no places.

    The conditions that open sizes must meet are collected in `conditions` by `at_least`, `equal` and `divisible`.
    """

    operator: str
    attrs: Mapping[str, Any]
    inputs: tuple[Shape, ...]
    conditions: list[Condition] = field(default_factory=list)

    @property
    def x(self) -> Shape:
        """The shape of the first operand."""
        return self.inputs[0]

    @property
    def axes(self) -> int:
        """The number of sizes after the channels."""
        return len(self.inputs[0]) - 1

    @property
    def channels(self) -> int:
        """The channels of the first operand. Raises Fault where their number is open."""
        first = self.x[0]
        if not isinstance(first, int):
            raise ShapeFault(OpenCount(self.operator, "the number of channels", first))
        return first

    def image(self) -> int:
        """Check that the first operand has one to three sizes after its channels, and return how many. Raises Fault."""
        if not 1 <= self.axes <= 3:
            raise Fault(says.wrong_rank(self.operator, "channels and one to three sizes, as in `3x224x224`", show_shape(self.x)))
        return self.axes

    def at_least(self, left: Dim, right: Dim) -> bool:
        """Whether left >= right. Of open sizes it becomes a condition, and the answer is yes."""
        if isinstance(left, int) and isinstance(right, int):
            return left >= right
        self.conditions.append(Condition(left, ">=", right))
        return True

    def equal(self, left: Dim, right: Dim) -> bool:
        """Whether two sizes are equal. Of open sizes that may be, it becomes a condition, and the answer is yes."""
        if left == right:
            return True
        if isinstance(left - right, int):
            return False
        self.conditions.append(Condition(left, "==", right))
        return True

    def divisible(self, size: Dim, by: int) -> bool:
        """Whether `by` divides a size. Of open sizes that it may divide, it becomes a condition, and the answer is yes."""
        return self.equal(size // by * by, size)
