"""Layers for oneDNN on a CPU: weights in its own layout, with addition and activation in the same call.

`conv`, `add` and `relu` in sequence read and write memory three times; fused into one call they do so once. These operators of torch
(`torch.ops.mkldnn`) are the ones that its own compiler uses.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from archc.compiler.analysis.fusion import Fusion
from archc.compiler.backends.torch.modules import ChannelLinear

Act = tuple[str, list[float], str]  # an activation as these operators take it: name, numbers, algorithm


def available(dtype: torch.dtype) -> bool:
    """Return whether this build of torch has these operators of oneDNN, and the processor supports them in a dtype."""
    ops = torch.ops.mkldnn
    if not torch.backends.mkldnn.is_available() or not hasattr(ops, "_convolution_pointwise"):  # type: ignore[no-untyped-call]
        return False
    if dtype == torch.bfloat16:
        return bool(ops._is_mkldnn_bf16_supported())
    return dtype == torch.float32 or (dtype == torch.float16 and bool(ops._is_mkldnn_fp16_supported()))


def packed(layer: nn.Module, fusion: Fusion, size: list[int]) -> nn.Module | None:
    """Return a layer fused with the operators after it, for inputs of a size, batch included; None where that is no faster.

    oneDNN gains nothing on the product of a matrix and one vector in float32, whose time is that of reading the matrix.
    """
    if isinstance(layer, nn.Conv2d):
        return PackedConv(layer, fusion, size)
    if isinstance(layer, ChannelLinear):
        return PackedChannelLinear(layer, fusion, prod(size) // size[1])
    if isinstance(layer, nn.Linear) and (size[0] > 1 or layer.weight.dtype != torch.float32):
        return PackedLinear(layer, fusion, size[0])
    return None


def _activation(fusion: Fusion) -> Act:
    match fusion.activation:
        case "":
            return "none", [], ""
        case "relu6":
            return "hardtanh", [0.0, 6.0], ""
        case "leaky_relu":
            return "leaky_relu", [float(fusion.options["slope"])], ""
        case "gelu":
            return "gelu", [], str(fusion.options["approximate"])
        case "silu":
            return "swish", [], ""
        case same:
            return same, [], ""


class PackedConv(nn.Module):
    """`activation(conv(x) [+ other])` for `(N, C, H, W)`; weights are constants, so it cannot be trained.

    `size` is the shape of an input, batch included, for which the layout of the weights is chosen; other shapes work, but are slower.
    """

    def __init__(self, conv: nn.Conv2d, fusion: Fusion, size: list[int]) -> None:
        super().__init__()
        self.places = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        self.activation = _activation(fusion)
        self.overwrites = fusion.overwrites
        weight = conv.weight.detach().contiguous(memory_format=torch.channels_last)
        self.register_buffer("weight", torch.ops.mkldnn._reorder_convolution_weight(weight, *self.places, size), persistent=False)
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach().clone(), persistent=False)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        ops = torch.ops.mkldnn
        result: Tensor
        if other is None:
            result = ops._convolution_pointwise(x, self.weight, self.bias, *self.places, *self.activation)
        else:
            after = "relu" if self.activation[0] == "relu" else None
            run = ops._convolution_pointwise_.binary if self.overwrites else ops._convolution_pointwise.binary
            operands = (other, x) if self.overwrites else (x, other)
            result = run(*operands, self.weight, self.bias, *self.places, "add", 1.0, after, [], "")
        return result


class PackedLinear(nn.Module):
    """`activation(W*x + b)` for `(N, features)`; weights are constants in a layout for a batch of N."""

    def __init__(self, linear: nn.Linear, fusion: Fusion, batch: int) -> None:
        super().__init__()
        self.activation = _activation(fusion)
        self.register_buffer("weight", torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), batch), persistent=False)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, *self.activation)
        return result


class PackedChannelLinear(PackedLinear):
    """`activation(W*x + b)`, or `W*x + b + other`, at every position of `(N, C, *sizes)`.

    Weights are constants in a layout for `batch` positions in all.
    """

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        last = x.movedim(1, -1)
        if other is None:
            return super().forward(last).movedim(-1, 1)
        added: Tensor = torch.ops.mkldnn._linear_pointwise.binary(last, other.movedim(1, -1), self.weight, self.bias, "add")
        return added.movedim(-1, 1)
