"""Patches of a map as channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Patches(nn.Module):
    """torch.nn.Unfold of `(N, C, *sizes)` with one or two sizes, whose positions remain a map: `(N, C*kernel, *sizes after the window)`."""

    def __init__(
        self, kernel_size: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = tuple(kernel_size), tuple(stride)
        self.padding, self.dilation = tuple(padding), tuple(dilation)

    def forward(self, x: Tensor) -> Tensor:
        axes = len(self.kernel_size)
        window = zip(x.shape[2:], self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        sizes = [
            (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for size, kernel, stride, pad, dilation in window
        ]
        if axes == 1:  # torch unfolds maps only
            kernel, dilation = (1, *self.kernel_size), (1, *self.dilation)
            rows = nn.functional.unfold(x.unsqueeze(2), kernel, dilation, (0, *self.padding), (1, *self.stride))
        else:
            rows = nn.functional.unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)
        return torch.unflatten(rows, 2, sizes)


class PatchSum(nn.Module):
    """torch.nn.Fold of positions that are a map: `(N, C*kernel, *sizes)` with one or two sizes becomes `(N, C, *sizes of the map)`."""

    def __init__(
        self,
        kernel_size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        output_padding: Sequence[int],
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = tuple(kernel_size), tuple(stride)
        self.padding, self.dilation = tuple(padding), tuple(dilation)
        self.output_padding = tuple(output_padding)

    def forward(self, x: Tensor) -> Tensor:
        window = zip(
            x.shape[2:],
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.output_padding,
            strict=True,
        )
        sizes = tuple(
            (size - 1) * stride - 2 * pad + dilation * (kernel - 1) + 1 + extra
            for size, kernel, stride, pad, dilation, extra in window
        )
        rows = x.flatten(2)
        if len(sizes) == 1:  # torch folds maps only
            kernel, dilation = (1, *self.kernel_size), (1, *self.dilation)
            return nn.functional.fold(
                rows, (1, *sizes), kernel, dilation, (0, *self.padding), (1, *self.stride)
            ).squeeze(2)
        return nn.functional.fold(rows, sizes, self.kernel_size, self.dilation, self.padding, self.stride)
