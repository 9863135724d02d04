"""Sliding windows and their output sizes: one rule for convolution and pooling, in 1, 2 and 3 dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from archc.compiler.shapes.dim import Dim, Shape


def reach(kernel: int, dilation: int) -> int:
    """Return the extent of a dilated kernel: `dilation*(kernel-1) + 1`."""
    return dilation * (kernel - 1) + 1


def unseen(size: int, kernel: int, stride: int, pad: int, dilation: int) -> int:
    """Return how many positions at the end of an axis no window covers when sizes are floored; below one if all are covered."""
    return (size + 2 * pad - reach(kernel, dilation)) % stride - pad


def transposed(size: Dim, kernel: int, stride: int, pad: int, dilation: int = 1, out_pad: int = 0) -> Dim:
    """Return the output size of a transposed convolution: the size for which a window of these options has size `size`.

    It is `(size - 1)*stride - 2*pad + dilation*(kernel-1) + out_pad + 1`.
    """
    return (size - 1) * stride - 2 * pad + reach(kernel, dilation) + out_pad


def window(size: Dim, kernel: int, stride: int, pad: int, dilation: int = 1, ceil: bool = False) -> Dim:
    """Return the output size of a window: `floor((size + 2*pad - dilation*(kernel-1) - 1) / stride) + 1`.

    With `ceil`, a last window that only partly covers the input counts too, unless it would start in the padding on the right:
    PyTorch's rule (torch.nn.MaxPool2d, `ceil_mode`). Caffe keeps that window if there is no padding. The two bounds differ by a
    constant, so the smaller one is known without the size.
    """
    spread = 2 * pad - reach(kernel, dilation)
    if not ceil:
        return (size + spread) // stride + 1
    return (size + min(spread + stride, pad) + stride - 1) // stride


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


def transposed_arithmetic(name: str, size: Dim, kernel: int, stride: int, pad: int, dilation: int, out_pad: int) -> str:
    """The formula of a transposed convolution with its numbers in it: `(7 - 1)*2 - 2*1 + 3 = 13`."""
    reached = f"{dilation}*({kernel} - 1) + 1" if dilation > 1 else str(kernel)
    more = f" + {out_pad}" if out_pad else ""
    return f"{name}: ({size} - 1)*{stride} - 2*{pad} + {reached}{more} = {transposed(size, kernel, stride, pad, dilation, out_pad)}"


@dataclass(frozen=True)
class Window:
    """A window that slides over the axes after the channels. `kernel`, `stride`, `pad` and `dilation` have a number for each axis.

    Axes are counted from 0, without the channels.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil: bool = False
    transposed: ClassVar[bool] = False

    @classmethod
    def of(cls, attrs: Mapping[str, Any]) -> Self:
        """The window of canonical options: `kernel` and `stride`, and `pad`, `dilation` and `ceil` where an operator has them."""
        kernel = attrs["kernel"]
        pad, dilation = attrs.get("pad") or (0,) * len(kernel), attrs.get("dilation") or (1,) * len(kernel)
        return cls(kernel, attrs["stride"], pad, dilation, bool(attrs.get("ceil")))

    @property
    def axes(self) -> range:
        return range(len(self.kernel))

    def options(self, axis: int) -> tuple[int, int, int, int]:
        """Kernel, stride, padding and dilation along one axis."""
        return self.kernel[axis], self.stride[axis], self.pad[axis], self.dilation[axis]

    def reach(self, axis: int) -> int:
        """How many positions the window stretches over."""
        return reach(self.kernel[axis], self.dilation[axis])

    def size(self, axis: int, before: Dim) -> Dim:
        """The output size along one axis, for an input size."""
        return window(before, *self.options(axis), self.ceil)

    def unseen(self, axis: int, before: Dim) -> int:
        """How many positions at the end of an axis no window reaches; 0 where all are seen, or where the size is open."""
        return max(0, unseen(before, *self.options(axis))) if isinstance(before, int) and not self.ceil else 0

    def positions(self, before: Shape, after: Shape) -> Shape:
        """The sizes over which the kernel is laid: those of the output."""
        return after[1:]

    def arithmetic(self, axis: int, name: str, before: Dim) -> str:
        """The formula of an output size with its numbers in it; `name` is that of the axis."""
        return arithmetic(name, before, *self.options(axis), self.ceil)

    def derivation(self, names: Iterable[str], before: Shape) -> list[str]:
        """A line of arithmetic for each axis of an input shape; names are those of the axes."""
        lines = []
        for axis, name in enumerate(names):
            size = before[axis + 1]
            lost = self.unseen(axis, size)
            lines.append(self.arithmetic(axis, name, size) + (f"; the last {lost} of {size} positions are never seen" if lost else ""))
        return lines


@dataclass(frozen=True)
class Transposed(Window):
    """The window of a transposed convolution: every position of the *input* is spread over a kernel of the output."""

    out_pad: tuple[int, ...] = ()
    transposed: ClassVar[bool] = True

    @classmethod
    def of(cls, attrs: Mapping[str, Any]) -> Self:
        return cls(attrs["kernel"], attrs["stride"], attrs["pad"], attrs["dilation"], out_pad=attrs["out_pad"])

    def size(self, axis: int, before: Dim) -> Dim:
        return transposed(before, *self.options(axis), self.out_pad[axis])

    def unseen(self, axis: int, before: Dim) -> int:
        return 0

    def positions(self, before: Shape, after: Shape) -> Shape:
        return before[1:]

    def arithmetic(self, axis: int, name: str, before: Dim) -> str:
        return transposed_arithmetic(name, before, *self.options(axis), self.out_pad[axis])
