"""3x3 convolutions with 2.25 times fewer multiplications: F(2x2, 3x3) of Lavin & Gray 2016, arXiv:1509.09308, section 4.1.

Each tile of 2x2 outputs depends on 4x4 inputs `d`: `y = A'[(G*g*G') . (B'*d*B)]A`, where `.` is the elementwise product; over all tiles
and channels it becomes 16 matrix products. The transforms of inputs and outputs only add, so the result is as exact as the direct sum.
Whether this is faster depends on channels, sizes and machine, since moving the tiles costs memory traffic; so `cpu` times both.
"""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor, nn

from archc.compiler.analysis.fusion import Fusion

KERNEL = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=torch.float64)  # G
LEAST = 128  # input and output channels, below which moving the tiles always costs more than it saves


def suits(layer: nn.Module, fusion: Fusion) -> TypeGuard[nn.Conv2d]:
    """Return whether a layer is a float32 3x3 convolution with stride 1, one group, many channels, and at most a ReLU fused after it."""
    return (
        isinstance(layer, nn.Conv2d)
        and (layer.kernel_size, layer.stride, layer.dilation, layer.groups) == ((3, 3), (1, 1), (1, 1), 1)
        and min(layer.in_channels, layer.out_channels) >= LEAST
        and layer.weight.dtype == torch.float32
        and not fusion.add
        and fusion.activation in ("", "relu")
    )


class WinogradConv(nn.Module):
    """`activation(conv(x))` for `(N, C, H, W)` with the channels last in memory; weights are constants.

    Samples are processed one at a time, so that their tiles stay in the caches.
    """

    weight: Tensor  # (16, C, K)
    bias: Tensor

    def __init__(self, conv: nn.Conv2d, fusion: Fusion) -> None:
        super().__init__()
        self.padding = conv.padding
        self.relu = fusion.activation == "relu"
        tiles = torch.einsum("ia,kcab,jb->ijck", KERNEL, conv.weight.detach().double(), KERNEL)
        self.register_buffer("weight", tiles.flatten(0, 1).to(conv.weight.dtype).contiguous(), persistent=False)
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().clone()
        self.register_buffer("bias", bias, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        above, left = int(self.padding[0]), int(self.padding[1])
        height, width = x.shape[2] + 2 * above - 2, x.shape[3] + 2 * left - 2
        rows, columns, channels = (height + 1) // 2, (width + 1) // 2, self.weight.shape[2]
        below, right = above + 2 * rows - height, left + 2 * columns - width
        result = x.new_empty(len(x), 2 * rows, 2 * columns, channels)
        across = x.new_empty(4, rows, 2 * columns + 2, x.shape[1])
        tiles = x.new_empty(4, 4, rows, columns, x.shape[1])
        products = x.new_empty(16, rows * columns, channels)
        for sample, out in zip(x.permute(0, 2, 3, 1), result, strict=True):
            padded = nn.functional.pad(sample, (0, 0, left, right, above, below))
            _into([padded[at : at + 2 * rows - 1 : 2] for at in range(4)], across)
            _into([across[:, :, at : at + 2 * columns - 1 : 2] for at in range(4)], tiles.transpose(0, 1))
            torch.bmm(tiles.view(16, rows * columns, -1), self.weight, out=products)
            upper, lower = _out_of(products.view(4, 4, rows, columns, channels))
            halves = out.view(rows, 2, columns, 2, channels)
            for row, half in enumerate((upper, lower)):
                for column, part in enumerate(_out_of(half)):
                    torch.add(part, self.bias, out=halves[:, row, :, column])
        result = result[:, :height, :width].permute(0, 3, 1, 2)
        return result.relu_() if self.relu else result


def _into(d: list[Tensor], out: Tensor) -> None:
    """`B'*d` along one axis."""
    torch.sub(d[0], d[2], out=out[0])
    torch.add(d[1], d[2], out=out[1])
    torch.sub(d[2], d[1], out=out[2])
    torch.sub(d[1], d[3], out=out[3])


def _out_of(m: Tensor) -> tuple[Tensor, Tensor]:
    """`A'*m` along one axis."""
    return (m[1] + m[2]).add_(m[0]), (m[1] - m[2]).sub_(m[3])
