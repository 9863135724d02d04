"""Max pooling along one axis at a time: the maximum over a window is that of the maxima of its rows. It is exact: values are only compared.

A tap is one call over whole maps, which torch runs with the processor's vectors, and a window of 3x3 takes 4 comparisons for 8. Whether
that pays depends on sizes and precision, so a lowering times both.
"""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor, nn


def suits(layer: nn.Module) -> TypeGuard[nn.MaxPool2d]:
    """May a layer be run so: without dilation, and with one tap at least that lies within the map for every window?"""
    if not isinstance(layer, nn.MaxPool2d) or _pair(layer.dilation) != (1, 1) or layer.return_indices:
        return False
    sizes = zip(_pair(layer.kernel_size), _pair(layer.padding), strict=True)
    return all(kernel > 2 * pad and not (pad and layer.ceil_mode) for kernel, pad in sizes)


class SeparableMaxPool(nn.Module):
    """As nn.MaxPool2d, for `(N, C, H, W)`; fast with the channels last in memory."""

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.axes = list(zip(_pair(pool.kernel_size), _pair(pool.stride), _pair(pool.padding), strict=True))
        self.ceil = pool.ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        for axis, (kernel, stride, pad) in enumerate(self.axes, start=2):
            x = _along(x, axis, kernel, stride, pad, self.ceil)
        return x


def _along(x: Tensor, axis: int, kernel: int, stride: int, pad: int, ceil: bool) -> Tensor:
    """The maximum over windows of one axis. A tap is the map shifted; windows at the ends lack some."""
    size = x.shape[axis]
    windows = (size + 2 * pad - kernel + (stride - 1) * ceil) // stride + 1
    windows -= ceil and (windows - 1) * stride >= size + pad  # one that would begin behind the map is left out
    taps = []
    for tap in range(kernel):
        first = max(0, -((tap - pad) // stride))  # the first and the last window that see something there
        last = min(windows - 1, (size - 1 - tap + pad) // stride)
        if first <= last:
            at = slice(first * stride + tap - pad, last * stride + tap - pad + 1, stride)
            taps.append((first, last - first + 1, x[(slice(None),) * axis + (at,)]))
    taps.sort(key=lambda tap: tap[1], reverse=True)
    result, others = taps[0][2], taps[1:]
    if others and others[0][1] == windows:
        result, others = torch.maximum(result, others[0][2]), others[1:]
    else:
        result = result.clone()
    for first, count, seen in others:
        part = result.narrow(axis, first, count)
        torch.maximum(part, seen, out=part)
    return result


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
