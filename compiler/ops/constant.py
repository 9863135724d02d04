"""Fixed numbers, which no training changes."""

from __future__ import annotations

from math import prod

from archc.compiler.ops import receptive
from archc.compiler.ops.kinds import Numbers, Optional, Sizes, Whole, Word
from archc.compiler.ops.memory import Memory
from archc.compiler.ops.record import REQUIRED, Attr, Call, Operator
from archc.compiler.ops.targets import ModuleTarget
from archc.compiler.ops.tokens import stated_derivation, stated_shape
from archc.compiler.shapes.dim import Dim, Shape, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says


def constant_shape(call: Call) -> Shape:
    """Return the shape of the input, with the channels and sizes that the options state. Raises Fault where the numbers do not fill it."""
    shape = stated_shape(call, "fixed")
    values = call.attrs["values"]
    if len(values) not in (1, prod(shape)):
        needed = f"1, or {prod(shape)} for {show_shape(shape)}"
        raise Fault(says.out_of_range("the count of numbers", len(values), needed, "values"))
    return shape


def held(call: Call, out: Shape) -> Dim:
    """Count the numbers, which are held once."""
    return len(call.attrs["values"])


def lower_constant(call: Call) -> ModuleTarget:
    """Lower to archc.Constant."""
    return ModuleTarget("archc.Constant", {"values": call.attrs["values"], "shape": constant_shape(call)})


OPERATORS = (
    Operator(
        name="fixed",
        family="tokens",
        summary="Fixed numbers, the same for every sample.",
        doc="""
        One number everywhere, `fixed(0, channels=64)`, or a list with one for each position, channel by channel and row by row. Its
        shape is that of the input, except for `sizes` and `channels`, as for `learned`; it depends on the batch of the input, not on its
        values. No training changes it, and it is not stored with the weights. Positions that are not trained are made of it:
        `fixed([-1.0, 0.0, 1.0], sizes=3, channels=1)`.
        """,
        source="torch.tensor",
        example="input 16x3; fixed([-1.0, 0.0, 1.0], channels=1) => 1x3",
        attrs=(
            Attr("values", Numbers(), REQUIRED, "the numbers"),
            Attr("sizes", Optional(Sizes()), Word("none"), "its sizes, any number of them; `none`: those of the input"),
            Attr("channels", Optional(Whole(1)), Word("none"), "its channels; `none`: those of the input"),
        ),
        shape=constant_shape,
        receptive_field=receptive.nowhere,
        derivation=stated_derivation,
        detached=True,
        picture="learned",
        memory=Memory(stored=True, work_once=held),
        lower=lower_constant,
    ),
)
