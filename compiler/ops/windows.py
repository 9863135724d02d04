"""What convolution and pooling share: the options of a sliding window and the shape rule over one to three axes."""

from __future__ import annotations

from typing import Any

from archc.compiler.ops.call import AXES, Call
from archc.compiler.ops.faults import Oversized, ShapeFault
from archc.compiler.ops.kinds import PerAxis
from archc.compiler.ops.record import Attr
from archc.compiler.shapes.dim import Dim, Shape
from archc.compiler.shapes.window import Window
from archc.compiler.shapes.window import arithmetic as arithmetic
from archc.compiler.shapes.window import transposed_arithmetic as transposed_arithmetic
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import values

STRIDE = Attr("stride", PerAxis(1), 1, "how far the window moves")
PAD = Attr(
    "pad",
    PerAxis(0, words=("same",)),
    0,
    "how much is added on both sides of each axis; `same` is `dilation*(kernel-1)/2`, which keeps the size at stride 1",
)
DILATION = Attr("dilation", PerAxis(1), 1, "the distance between the elements of the kernel")


def same_padding(attrs: dict[str, Any]) -> None:
    """Replace `pad=same` by numbers. Raises Fault for a kernel without a middle."""
    if attrs["pad"] != "same":
        return
    window = Window.of({**attrs, "pad": None})
    twice = [window.reach(axis) - 1 for axis in window.axes]
    if any(total % 2 for total in twice):
        raise Fault(
            values.wrong_kind(
                "`pad=same`",
                "used with a kernel that has a middle",
                f"{'x'.join(map(str, attrs['kernel']))} here",
                "write the padding as a number",
            )
        )
    attrs["pad"] = tuple(total // 2 for total in twice)


def slide(call: Call) -> Shape:
    """The sizes after a window has slid over every axis after the channels. Raises Fault where it does not fit in."""
    axes = call.image()
    window = Window.of(call.attrs)
    sizes: list[Dim] = []
    for axis, name in enumerate(AXES[axes]):
        size, (kernel, _, pad, dilation) = call.x[1 + axis], window.options(axis)
        out = window.size(axis, size)
        if not call.at_least(out, 1):
            raise ShapeFault(Oversized(name, size, kernel, pad, dilation))
        sizes.append(out)
    return tuple(sizes)
