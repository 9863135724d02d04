"""What convolution and pooling share: the options of a sliding window and the shape rule over one to three axes."""

from __future__ import annotations

from typing import Any

from archc.compiler.ops.faults import Oversized, ShapeFault
from archc.compiler.ops.kinds import PerAxis
from archc.compiler.ops.record import AXES, Attr, Call
from archc.compiler.shapes.dim import Dim, Shape
from archc.compiler.shapes.window import reach, transposed, window
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


def settle_same(attrs: dict[str, Any]) -> None:
    """`pad=same` as numbers."""
    if attrs["pad"] != "same":
        return
    dilations = attrs.get("dilation") or (1,) * len(attrs["kernel"])
    twice = [reach(k, d) - 1 for k, d in zip(attrs["kernel"], dilations, strict=True)]
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


def slide(call: Call, ceil: bool = False) -> Shape:
    """The sizes after a window has slid over every axis behind the channels."""
    axes = call.image()
    attrs = call.attrs
    dilations = attrs.get("dilation") or (1,) * axes
    sizes: list[Dim] = []
    for axis, size, kernel, stride, pad, dilation in zip(
        AXES[axes], call.x[1:], attrs["kernel"], attrs["stride"], attrs["pad"], dilations, strict=True
    ):
        out = window(size, kernel, stride, pad, dilation, ceil)
        if not call.at_least(out, 1):
            raise ShapeFault(Oversized(axis, size, kernel, pad, dilation))
        sizes.append(out)
    return tuple(sizes)


def transposed_arithmetic(name: str, size: Dim, kernel: int, stride: int, pad: int, dilation: int, out_pad: int) -> str:
    """The formula of a transposed convolution with its numbers in it: `(7 - 1)*2 - 2*1 + 3 = 13`."""
    reached = f"{dilation}*({kernel} - 1) + 1" if dilation > 1 else str(kernel)
    more = f" + {out_pad}" if out_pad else ""
    return f"{name}: ({size} - 1)*{stride} - 2*{pad} + {reached}{more} = {transposed(size, kernel, stride, pad, dilation, out_pad)}"


def arithmetic(name: str, size: Dim, kernel: int, stride: int, pad: int, dilation: int, ceil: bool) -> str:
    """The window formula with its numbers in it: `(224 + 2*0 - 11)/4 + 1 = 54.25, rounded down to 54`."""
    reached = f"{dilation}*({kernel} - 1) - 1" if dilation > 1 else str(kernel)
    out = window(size, kernel, stride, pad, dilation, ceil)
    text = f"{name}: ({size} + 2*{pad} - {reached})/{stride} + 1 = "
    if not isinstance(size, int):
        return text + str(out)
    total = size + 2 * pad - reach(kernel, dilation)
    if total % stride == 0:
        return text + str(out)
    return text + f"{total / stride + 1:g}, rounded {'up' if ceil else 'down'} to {out}"
