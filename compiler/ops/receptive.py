"""The receptive field of an output value in the input of its operator, along one axis.

Araujo, Norris & Sim 2019, "Computing receptive fields of convolutional neural networks", Distill, sections 2 and 3. They treat
windows, where all outputs have receptive fields of the same size. Upsampling, transposed convolution and adaptive pooling repeat a
pattern of several windows instead, which is represented here window by window.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, floor, gcd
from typing import NamedTuple

from archc.compiler.ops.call import Call
from archc.compiler.shapes.dim import Dim, Shape
from archc.compiler.shapes.window import Transposed, Window

MAX_PHASES = 4096  # a longer pattern is replaced by one window that holds all of its windows
Position = int | Fraction


class Positions(NamedTuple):
    """Input positions `first`, `first + step`, ..., `last`."""

    first: Position = 0
    last: Position = 0
    step: int = 1


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """Output `n*len(windows) + phase` depends on `windows[phase]`, shifted by `n*advance` positions; None is an empty window.

    Windows with fractional positions are bounds: the inputs that an output depends on lie within them.
    """

    windows: tuple[Positions | None, ...] = (Positions(),)
    advance: Position = 1

    @property
    def reach(self) -> int:
        """Return the size of the largest window, from its first to its last input."""
        return ceil(max((window.last - window.first + 1 for window in self.windows if window is not None), default=0))

    @property
    def step(self) -> Fraction:
        """Return the number of input positions from one output to the next; 0 where all outputs have the same window."""
        return Fraction(self.advance) / len(self.windows)

    @property
    def offset(self) -> Fraction:
        """Return the input position at the center of the window of output 0, averaged over all phases of the pattern."""
        middles = [Fraction(w.first + w.last) / 2 - phase * self.step for phase, w in enumerate(self.windows) if w is not None]
        return sum(middles, Fraction(0)) / max(len(middles), 1)


EACH = ReceptiveField()
ONCE = ReceptiveField(advance=0)  # every output depends on the first input
NOWHERE = ReceptiveField((None,))  # no output depends on any input
ReceptiveFields = list[ReceptiveField | None]  # for each axis after the channels; None: the whole of the axis


def each(call: Call, out: Shape) -> ReceptiveFields:
    """Return the fields of an operator that works position by position; the whole of an axis whose size a single operand does not keep."""
    if len(call.inputs) > 1:
        return [EACH] * call.axes
    kept = out[1:] if len(out) == len(call.x) else (1,) * call.axes
    return [EACH if size == count else None for size, count in zip(call.x[1:], kept, strict=True)]


def whole(call: Call, out: Shape) -> ReceptiveFields:
    """Return the fields of an operator whose every output depends on every position."""
    return [None] * call.axes


def nowhere(call: Call, out: Shape) -> ReceptiveFields:
    """Return the fields of an operator whose outputs depend on no input."""
    return [NOWHERE] * call.axes


def window(call: Call, out: Shape) -> ReceptiveFields:
    """Return the fields of a sliding window with the options kernel, stride and, if present, pad and dilation."""
    slid = Window.of(call.attrs)
    return [sliding(*slid.options(axis)) for axis in slid.axes]


@cache
def sliding(kernel: int, stride: int = 1, pad: int = 0, dilation: int = 1) -> ReceptiveField:
    """Return the field of a window that slides along one axis."""
    return ReceptiveField((Positions(-pad, dilation * (kernel - 1) - pad, dilation),), stride)


def moved(by: Dim) -> ReceptiveField:
    """Return the field of a shift: output i depends on input `i + by`."""
    return ReceptiveField((Positions(by, by),)) if isinstance(by, int) else EACH


def transposed(call: Call, out: Shape) -> ReceptiveFields:
    """Return the fields of a transposed window: input i contributes to output `i*stride - pad + k*dilation` for each k of the kernel."""
    slid = Transposed.of(call.attrs)
    return [_mirrored(*slid.options(axis)) for axis in slid.axes]


@cache
def _mirrored(kernel: int, stride: int, pad: int, dilation: int) -> ReceptiveField:
    if stride > MAX_PHASES:
        return ReceptiveField((Positions(Fraction(pad - dilation * (kernel - 1), stride), Fraction(pad, stride)),), Fraction(1, stride))
    period = stride // gcd(stride, dilation)  # elements of the kernel that are so far apart contribute to the same output
    windows: list[Positions | None] = []
    for phase in range(stride):
        reaching = [k for k in range(min(kernel, period)) if (phase + pad - k * dilation) % stride == 0]
        if not reaching:
            windows.append(None)
            continue
        nearest = reaching[0]
        furthest = nearest + (kernel - 1 - nearest) // period * period
        first, last = ((phase + pad - k * dilation) // stride for k in (furthest, nearest))
        windows.append(Positions(first, last, dilation * period // stride))
    return ReceptiveField(tuple(windows), 1)


def divided(call: Call, out: Shape) -> ReceptiveFields:
    """Return the fields of adaptive pooling, one window per output; None, the whole axis, for a single output or an open size."""
    return [_divided(size, count) for size, count in zip(call.x[1:], out[1:], strict=True)]


@cache
def _divided(size: Dim, count: Dim) -> ReceptiveField | None:
    if size == count:
        return EACH
    if not isinstance(size, int) or not isinstance(count, int) or count == 1:
        return None
    step = Fraction(size, count)
    if step.denominator > MAX_PHASES:
        return ReceptiveField((Positions(Fraction(0), step),), step)
    phases = range(step.denominator)
    return ReceptiveField(tuple(Positions(floor(i * step), ceil((i + 1) * step) - 1) for i in phases), step.numerator)


def resized(call: Call, out: Shape) -> ReceptiveFields:
    """Return the fields of resizing: each output is one input (nearest), or between neighbors: two (bilinear, linear) or four (bicubic).

    They are approximate for open sizes.
    """
    attrs = call.attrs
    around, corners = {"nearest": 0, "bicubic": 2}.get(attrs["mode"], 1), attrs["align_corners"]
    scales = attrs["scale"] or (None,) * call.axes
    if attrs["antialias"]:
        return [_filtered(*sizes, around) for sizes in zip(call.x[1:], out[1:], strict=True)]
    return [_resized(*sizes, around, corners) for sizes in zip(call.x[1:], out[1:], scales, strict=True)]


@cache
def _resized(size: Dim, count: Dim, scale: int | None, around: int, corners: bool) -> ReceptiveField:
    """Return the field along one axis; `around` is the number of neighbors on each side that values are interpolated from."""
    more = max(around - 1, 0)
    if size == 1:
        return ONCE
    if isinstance(size, int) and isinstance(count, int):
        step = Fraction(size - 1, max(count - 1, 1)) if corners else Fraction(size, count)
        step = Fraction(0) if corners and count == 1 else step
    elif scale is not None and not corners:
        step = Fraction(1, scale)
    else:
        return ReceptiveField((Positions(-more, 1 + more),)) if around else EACH
    shift = (step - 1) / 2 if around and not corners else Fraction(0)
    if step.denominator > MAX_PHASES:
        return ReceptiveField((Positions(shift - 1 - more, shift + around),), step)
    places = [shift + i * step for i in range(step.denominator)]
    return ReceptiveField(tuple(_near(place, around) for place in places), step.numerator)


@cache
def _filtered(size: Dim, count: Dim, around: int) -> ReceptiveField | None:
    """Return the field of a filter along one axis: as wide as `around` positions of the input, or of the output where these are larger."""
    if not isinstance(size, int) or not isinstance(count, int):
        return None
    step = Fraction(size, count)
    wide, first = max(step, Fraction(1)), (step - 1) / 2
    if step.denominator > MAX_PHASES:
        return ReceptiveField((Positions(first - around * wide, first + around * wide),), step)
    windows = []
    for center in (first + i * step for i in range(step.denominator)):
        near = range(ceil(center - around * wide), floor(center + around * wide) + 1)
        away = {position: abs(position - center) / wide for position in near}
        seen = [position for position, distance in away.items() if distance < around and (around == 1 or distance != 1)]
        windows.append(Positions(seen[0], seen[-1]))
    return ReceptiveField(tuple(windows), step.numerator)


def _near(place: Fraction, around: int) -> Positions:
    """Return the positions that a value between positions is interpolated from; at a position itself, that position alone."""
    if not around or place.denominator == 1:
        return Positions(floor(place), floor(place))
    return Positions(floor(place) - around + 1, ceil(place) + around - 1)
