"""Output sizes of sliding windows: one rule for convolution and pooling, in 1, 2 and 3 dimensions."""

from __future__ import annotations

from archc.compiler.shapes.dim import Dim


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
