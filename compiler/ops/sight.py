"""What an output value of an operator sees of its input, along one axis: the arithmetic of receptive fields.

Araujo, Norris & Sim 2019, "Computing receptive fields of convolutional neural networks", Distill, sections 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

from compiler.shapes.dim import Shape
from compiler.shapes.window import reach

if TYPE_CHECKING:
    from compiler.ops.record import Call


@dataclass(frozen=True, slots=True)
class Sight:
    """Output position i sees `reach` neighbouring inputs, whose centre lies at `offset + i*step`, in input positions."""

    reach: int = 1
    step: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)


EACH = Sight()
Sights = list[Sight] | None  # one for each axis behind the channels; None: every output sees the whole input


def each(call: Call, out: Shape) -> Sights:
    """Position by position."""
    return [EACH] * call.axes


def window(call: Call, out: Shape) -> Sights:
    """A sliding window: its options are kernel, stride and, where it has them, pad and dilation."""
    attrs, axes = call.attrs, call.axes
    dilations = attrs.get("dilation") or (1,) * axes
    pads = attrs.get("pad") or (0,) * axes
    return [_through(*sizes) for sizes in zip(attrs["kernel"], attrs["stride"], pads, dilations, strict=True)]


@cache
def _through(kernel: int, stride: int, pad: int, dilation: int) -> Sight:
    wide = reach(kernel, dilation)
    return Sight(wide, Fraction(stride), Fraction(wide - 1, 2) - pad)


def transposed(call: Call, out: Shape) -> Sights:
    """The mirror image of a window: a stride makes steps smaller."""
    attrs = call.attrs
    found = []
    for kernel, stride, pad, dilation in zip(attrs["kernel"], attrs["stride"], attrs["pad"], attrs["dilation"], strict=True):
        wide = reach(kernel, dilation)
        found.append(Sight((wide - 1) // stride + 1, Fraction(1, stride), (pad - Fraction(wide - 1, 2)) / stride))
    return found


def divided(call: Call, out: Shape) -> Sights:
    """As many windows as there are outputs; one output sees all."""
    found = []
    for size, count in zip(call.x[1:], out[1:], strict=True):
        if not isinstance(size, int) or not isinstance(count, int):
            return None if count == 1 else [EACH] * call.axes
        if count == 1 and size > 1:
            return None
        wide = -(-size // count) + (size % count != 0)
        found.append(Sight(wide, Fraction(size, count), Fraction(size, 2 * count) - Fraction(1, 2)))
    return found


def resized(call: Call, out: Shape) -> Sights:
    """Values repeated (nearest) or taken between two neighbours (bilinear)."""
    found = []
    for size, count in zip(call.x[1:], out[1:], strict=True):
        if not isinstance(size, int) or not isinstance(count, int):
            return [EACH] * call.axes
        step = Fraction(size, count)
        found.append(Sight(1 if call.attrs["mode"] == "nearest" else 2, step, (step - 1) / 2))
    return found


def flattened(call: Call, out: Shape) -> Sights:
    """The values of all positions stand side by side, so what reads them sees all positions."""
    return None if any(size != 1 for size in call.x[1:]) else []
