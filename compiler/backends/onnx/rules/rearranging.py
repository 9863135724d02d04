"""Changes of shape, and what exchanges channels and positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.rule import Rule
from archc.compiler.shapes.dim import Dim, product


def flatten(b: Building, x: Value, start: int) -> Value:
    """Write all axes from one on as one."""
    if start == 1:
        value: Value = b.op("Flatten", x, axis=1, shape=(x.shape[0], product(x.shape[1:])))
        return value
    return b.reshape(x, (*x.shape[:start], product(x.shape[start:])))


def unflatten(b: Building, x: Value, axis: int, sizes: Sequence[int]) -> Value:
    """Write an axis as several."""
    return b.reshape(x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))


def reshape(b: Building, x: Value, sizes: Sequence[int]) -> Value:
    """Write the values in another shape; -1 is the batch."""
    return b.reshape(x, [b.batch if size == -1 else size for size in sizes])


def transpose(b: Building, x: Value, first: int, second: int) -> Value:
    """Write two axes exchanged."""
    return b.swap(x, first, second)


def permute(b: Building, x: Value, axes: Sequence[int]) -> Value:
    """Write the axes in another order."""
    return b.transpose(x, axes)


def channel_shuffle(b: Building, x: Value, groups: int) -> Value:
    """Write the channels of groups interleaved."""
    batch, channels, *sizes = x.shape
    rows = b.reshape(x, (batch, groups, channels // groups, *sizes), like=x)
    return b.reshape(b.swap(rows, 1, 2), x.shape, like=x)


def pixel_shuffle(b: Building, x: Value, upscale_factor: int) -> Value:
    """Write blocks of channels as positions."""
    value: Value = b.op("DepthToSpace", x, blocksize=upscale_factor, mode="CRD", shape=b.out)
    return value


def pixel_unshuffle(b: Building, x: Value, downscale_factor: int) -> Value:
    """Write blocks of positions as channels. ONNX's SpaceToDepth has another order of channels."""
    batch, channels, *sizes = x.shape
    if not all(isinstance(size, int) for size in sizes):
        number, places = b.numbers([channels])[0], downscale_factor**2
        value: Value = b.op("SpaceToDepth", x, blocksize=downscale_factor, shape=b.out)
        return b.gather(value, 1, np.arange(places * number).reshape(places, number).T.reshape(-1))
    parts: list[Dim] = [part for size in sizes for part in (size // downscale_factor, downscale_factor)]
    blocks = b.reshape(x, (batch, channels, *parts))
    return b.reshape(b.transpose(blocks, (0, 1, 3, 5, 2, 4)), b.out)


RULES: dict[str, Rule] = {
    "torch.flatten": flatten,
    "torch.unflatten": unflatten,
    "torch.reshape": reshape,
    "torch.transpose": transpose,
    "torch.permute": permute,
    "nn.ChannelShuffle": channel_shuffle,
    "nn.PixelShuffle": pixel_shuffle,
    "nn.PixelUnshuffle": pixel_unshuffle,
}
