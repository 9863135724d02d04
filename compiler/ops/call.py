"""An operator applied to operands: the argument of the rules in a record."""

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
AXIS_NUMBERS = {1: {"c": 0, "w": 1}, 2: {"c": 0, "h": 1, "w": 2}, 3: {"c": 0, "d": 1, "h": 2, "w": 3}}  # of axes by their words


def axis_names(shape: Shape) -> tuple[str, ...]:
    """Return the names of all axes of a shape, the channels first; `size 4` for an axis without a name."""
    return ("channels", *AXES.get(len(shape) - 1, tuple(f"size {axis}" for axis in range(1, len(shape)))))


@dataclass
class Call:
    """The canonical options of an operator and the shapes of its operands, without names or source positions.

    `at_least`, `equal` and `divisible` collect in `conditions` the conditions that open sizes must meet.
    """

    operator: str
    attrs: Mapping[str, Any]
    inputs: tuple[Shape, ...]
    conditions: list[Condition] = field(default_factory=list)

    @property
    def x(self) -> Shape:
        """Return the shape of the first operand."""
        return self.inputs[0]

    @property
    def axes(self) -> int:
        """Return the number of axes after the channels."""
        return len(self.inputs[0]) - 1

    @property
    def channels(self) -> int:
        """Return the number of channels of the first operand. Raises Fault where it is open."""
        first = self.x[0]
        if not isinstance(first, int):
            raise ShapeFault(OpenCount(self.operator, "the number of channels", first))
        return first

    def image(self) -> int:
        """Return the number of axes after the channels of the first operand. Raises Fault unless it is 1, 2 or 3."""
        if not 1 <= self.axes <= 3:
            raise Fault(says.wrong_rank(self.operator, "channels and one to three sizes, as in `3x224x224`", show_shape(self.x)))
        return self.axes

    @property
    def axis_numbers(self) -> Mapping[str, int]:
        """Return the numbers of the axes of the first operand by their words, the channels first."""
        return AXIS_NUMBERS.get(self.axes, {"c": 0})

    def axis(self, word: str) -> int:
        """Return the number of an axis by its word, counted from the channels. Raises Fault where the first operand has no such axis."""
        numbers = self.axis_numbers
        if word not in numbers:
            expected = f"tensors that have that axis ({', '.join(numbers)})"
            raise Fault(says.wrong_rank(f"{self.operator}(axis={word})", expected, show_shape(self.x)))
        return numbers[word]

    def at_least(self, left: Dim, right: Dim) -> bool:
        """Return whether left >= right. For open sizes, record this as a condition and return True."""
        if isinstance(left, int) and isinstance(right, int):
            return left >= right
        self.conditions.append(Condition(left, ">=", right))
        return True

    def equal(self, left: Dim, right: Dim) -> bool:
        """Return whether two sizes are equal. For open sizes that may be equal, record this as a condition and return True."""
        if left == right:
            return True
        if isinstance(left - right, int):
            return False
        self.conditions.append(Condition(left, "==", right))
        return True

    def one_of(self, size: Dim, one: Dim, other: Dim) -> bool:
        """Return whether a size is one of two. For an open size that may be either, record this as a condition and return True."""
        possible = [value for value in (one, other) if size == value or not isinstance(size - value, int)]
        if len(possible) < 2 or size in possible:
            return bool(possible) and self.equal(size, size if size in possible else possible[0])
        self.conditions.append(Condition(size, "==", one, other))
        return True

    def divisible(self, size: Dim, by: int) -> bool:
        """Return whether `by` divides a size. For an open size that it may divide, record this as a condition and return True."""
        return self.equal(size // by * by, size)
