"""A value of a network that is being written: its name, its type and its shape, and arithmetic with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archc.compiler.backends.onnx.body import FLOATS
from archc.compiler.shapes.dim import Shape

if TYPE_CHECKING:
    from archc.compiler.backends.onnx.building import Building

Number = int | float


@dataclass(frozen=True)
class Value:
    """A value of the network: its name, its element type as ONNX numbers them, and its shape: the batch, then sizes or formulas.

    Arithmetic with values and numbers adds nodes to the step that is being written.
    """

    name: str
    dtype: int
    known: Shape | None
    b: Building = field(repr=False, compare=False)

    @property
    def shape(self) -> Shape:
        """Return the shape. Raises LookupError for a helper value whose rule has not stated it."""
        if self.known is None:
            raise LookupError(f"the shape of {self.name} is not known; give `shape=` to the operator that computes it")
        return self.known

    @property
    def rank(self) -> int:
        """Return the number of axes, the batch included."""
        return len(self.shape)

    @property
    def is_float(self) -> bool:
        """Return whether its elements are floating-point numbers."""
        return self.dtype in FLOATS.values()

    def __add__(self, other: Value | Number) -> Value:
        return self.b.op("Add", self, self._like(other))

    def __radd__(self, other: Number) -> Value:
        return self.b.op("Add", self._like(other), self)

    def __sub__(self, other: Value | Number) -> Value:
        return self.b.op("Sub", self, self._like(other))

    def __rsub__(self, other: Number) -> Value:
        return self.b.op("Sub", self._like(other), self)

    def __mul__(self, other: Value | Number) -> Value:
        return self.b.op("Mul", self, self._like(other))

    def __rmul__(self, other: Number) -> Value:
        return self.b.op("Mul", self._like(other), self)

    def __truediv__(self, other: Value | Number) -> Value:
        return self.b.op("Div", self, self._like(other))

    def __rtruediv__(self, other: Number) -> Value:
        return self.b.op("Div", self._like(other), self)

    def __pow__(self, other: Value | Number) -> Value:
        return self.b.op("Pow", self, self._like(other))

    def __neg__(self) -> Value:
        return self.b.op("Neg", self)

    def __matmul__(self, other: Value) -> Value:
        return self.b.op("MatMul", self, other)

    def _like(self, other: Value | Number) -> Value:
        if isinstance(other, Value):
            return other
        return self.b.const(float(other) if self.is_float else int(other))
