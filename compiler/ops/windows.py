"""The options and the shape rule of sliding windows over one to three axes, shared by convolution and pooling."""

from __future__ import annotations

from typing import Any

from archc.compiler.ops.call import AXES, Call
from archc.compiler.ops.faults import Oversized, ShapeFault
from archc.compiler.ops.kinds import PerAxis
from archc.compiler.ops.record import Attr
from archc.compiler.shapes.dim import Dim, Shape
from archc.compiler.shapes.window import Transposed, Window
from archc.compiler.shapes.window import arithmetic as arithmetic
from archc.compiler.shapes.window import transposed_arithmetic as transposed_arithmetic
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says
from archc.dsl.vocabulary import values

STRIDE = Attr("stride", PerAxis(1), 1, "the step of the window")
PAD = Attr(
    "pad",
    PerAxis(0, words=("same",)),
    0,
    "the positions added at both ends of each axis; `same` is `dilation*(kernel-1)/2`, which keeps the size at stride 1",
)
DILATION = Attr("dilation", PerAxis(1), 1, "the distance between the elements of the kernel")


def same_padding(attrs: dict[str, Any]) -> None:
    """Replace `pad=same` by numbers, in place. Raises Fault where the padding would not be a whole number."""
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
    """Return the sizes, without the channels, after a sliding window. Raises Fault where the window is larger than its padded input."""
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


def spread(call: Call) -> Shape:
    """Return the sizes, without the channels, after a transposed window. Raises Fault for a size less than 1, or too large an `out_pad`."""
    window = Transposed.of(call.attrs)
    sizes: list[Dim] = []
    for axis in range(call.image()):
        (_, stride, _, dilation), extra = window.options(axis), window.out_pad[axis]
        if extra >= max(stride, dilation):
            raise Fault(
                says.out_of_range("`out_pad`", extra, f"smaller than the stride or the dilation, {max(stride, dilation)}", "out_pad")
            )
        size = window.size(axis, call.x[1 + axis])
        if not call.at_least(size, 1):
            raise Fault(says.out_of_range("the output size", size, "at least 1", "pad"))
        sizes.append(size)
    return tuple(sizes)
