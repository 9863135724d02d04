"""Faults of shape rules as facts. A rule does not know the histories of its operands, which explain such a fault best.

The caller of the rule knows the histories, and words the fault with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archc.compiler.shapes.dim import Dim, Shape, show_shape
from archc.compiler.shapes.window import reach
from archc.dsl.diagnostics import Diagnostic, Fault
from archc.dsl.vocabulary import shapes as says


@dataclass(frozen=True)
class Unequal:
    """Branches whose shapes must be equal are not."""

    operator: str
    shapes: tuple[Shape, ...]
    differs: tuple[str, ...]
    repeats: bool = False  # whether the shapes would fit if the smaller ones were repeated

    def worded(self, name: str = "", histories: Sequence[str] = ()) -> Diagnostic:
        """Return the diagnostic of a merge that the file calls `name`, with a line for each branch."""
        ranks, channels = [len(shape) for shape in self.shapes], [shape[0] for shape in self.shapes]
        return says.sides_differ(name or self.operator, histories or _plain(self.shapes), self.differs, ranks, channels, self.repeats)

    def concerns(self, axis: int) -> bool:
        """Return whether a difference along this axis is part of the fault."""
        return True


@dataclass(frozen=True)
class Unjoinable:
    """Branches of a concatenation differ along an axis other than the concatenated one."""

    shapes: tuple[Shape, ...]
    differs: tuple[str, ...]
    axis: int
    axis_name: str

    def worded(self, name: str = "", histories: Sequence[str] = ()) -> Diagnostic:
        """Return the diagnostic, with a line for each branch."""
        return says.concat_differs(histories or _plain(self.shapes), self.differs, self.axis_name)

    def concerns(self, axis: int) -> bool:
        """Return whether a difference along this axis is part of the fault."""
        return axis != self.axis


@dataclass(frozen=True)
class Unmatched:
    """The columns of the first matrix of a product are not the rows of the second."""

    shapes: tuple[Shape, ...]
    columns: Dim
    rows: Dim
    fitting: str  # how the operator is written so that they fit, if there is one way

    def worded(self, name: str = "", histories: Sequence[str] = ()) -> Diagnostic:
        """Return the diagnostic, with a line for each branch."""
        return says.matrices_do_not_fit(histories or _plain(self.shapes), self.columns, self.rows, self.fitting)

    def concerns(self, axis: int) -> bool:
        """Return whether a difference along this axis is part of the fault."""
        return True


@dataclass(frozen=True)
class Oversized:
    """A window is larger than the padded input along one axis."""

    axis_name: str
    size: Dim
    kernel: int
    pad: int
    dilation: int

    def worded(self, history: str = "") -> Diagnostic:
        """Return the diagnostic; `history` says how the input became so small."""
        reached = reach(self.kernel, self.dilation)
        return says.window_too_large(self.axis_name, self.size, self.kernel, self.pad, self.dilation, reached, history)


@dataclass(frozen=True)
class OpenCount:
    """The number of weights depends on a size that the file leaves open."""

    operator: str
    what: str
    value: object

    def worded(self, origin: str = "") -> Diagnostic:
        """Return the diagnostic; `origin` says what the number consists of."""
        return says.needs_numbers(self.operator, self.what, self.value, origin)


class ShapeFault(Fault):
    """Raised by a shape rule with the facts in `found`. Its own diagnostic is worded without histories."""

    def __init__(self, found: Unequal | Unjoinable | Unmatched | Oversized | OpenCount) -> None:
        super().__init__(found.worded())
        self.found = found


def _plain(shapes: Sequence[Shape]) -> list[str]:
    return [f"branch {number}: {show_shape(shape)}" for number, shape in enumerate(shapes, start=1)]
