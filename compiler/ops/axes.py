"""What operators share that work along one axis, which the option `axis` names by its word."""

from __future__ import annotations

from archc.compiler.ops.kinds import Choice, Word
from archc.compiler.ops.receptive import EACH, ReceptiveFields
from archc.compiler.ops.record import Attr, Call
from archc.compiler.shapes.dim import Shape

AXIS_WORD = Choice(("c", "d", "h", "w"))
AXIS = Attr("axis", AXIS_WORD, Word("c"), "the axis: channels, depth, height or width")


def along_axis(call: Call) -> Shape:
    """Return the shape of the input. Raises Fault where it has no such axis."""
    call.axis(call.attrs["axis"])
    return call.x


def along_axis_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return the whole of the axis, one position of the others."""
    return [None if axis == call.axis(call.attrs["axis"]) else EACH for axis in range(1, len(call.x))]
