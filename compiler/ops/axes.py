"""What operators share that work along one axis, or several, which the option `axis` names by their words."""

from __future__ import annotations

from archc.compiler.ops.kinds import Axes, Choice, Word
from archc.compiler.ops.receptive import EACH, ReceptiveFields
from archc.compiler.ops.record import Attr, Call
from archc.compiler.ops.targets import CallTarget, Operand
from archc.compiler.shapes.dim import Shape, product

AXIS_WORD = Choice(("c", "d", "h", "w"))
AXIS = Attr("axis", AXIS_WORD, Word("c"), "the axis: channels, depth, height or width")
AXES = Attr("axis", Axes(bare=True), Word("c"), "the axis, or several: channels, depth, height or width")


def axes_of(call: Call) -> list[int]:
    """Return the numbers of the axes that `axis` names, in order, from 0 for the channels. Raises Fault for one that is not there."""
    words = call.attrs["axis"]
    return [call.axis(word) for word in ((words,) if isinstance(words, str) else words)]


def along_axes(call: Call) -> Shape:
    """Return the shape of the input. Raises Fault where it has no such axis."""
    axes_of(call)
    return call.x


def along_axes_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return the whole of these axes, one position of the others."""
    return [None if axis in axes_of(call) else EACH for axis in range(1, len(call.x))]


def over_axes(call: Call, target: str) -> CallTarget:
    """Lower to a function of one axis, such as `F.softmax`, applied to several axes as one: to their positions in a row."""
    axes = axes_of(call)
    kept = [axis for axis in range(len(call.x)) if axis not in axes]
    first, last = axes[0], axes[-1]
    x: CallTarget | Operand = Operand()
    if last - first + 1 == len(axes):  # they are adjacent
        rows = (*call.x[:first], product(call.x[first : last + 1]), *call.x[last + 1 :])
        row = CallTarget(target, (CallTarget("torch.reshape", (x, (-1, *rows))),), {"dim": 1 + first})
        return CallTarget("torch.reshape", (row, (-1, *call.x)))
    order = [*kept, *axes]
    sizes = tuple(call.x[axis] for axis in order)
    x = CallTarget("torch.permute", (x, (0, *(1 + axis for axis in order))))
    rows = (*sizes[: len(kept)], product(sizes[len(kept) :]))
    row = CallTarget(target, (CallTarget("torch.reshape", (x, (-1, *rows))),), {"dim": len(rows)})
    whole = CallTarget("torch.reshape", (row, (-1, *sizes)))
    return CallTarget("torch.permute", (whole, (0, *(1 + order.index(axis) for axis in range(len(order))))))
