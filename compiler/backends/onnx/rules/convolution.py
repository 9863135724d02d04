"""Convolution, transposed convolution and fully-connected layers whose weights are the trained ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.rule import Rule

EDGES = {"reflect": "reflect", "replicate": "edge"}


def conv(b: Building, x: Value, **settings: Any) -> Value:
    """Write a convolution with the weights of the part."""
    return convolved(b, x, b.need("weight"), b.weight("bias"), **settings)


def convolved(
    b: Building,
    x: Value,
    kernels: Value,
    offsets: Value | None,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
    padding_mode: str = "zeros",
    **unused: Any,
) -> Value:
    """Write a convolution with the given kernels and biases, as the settings of torch's module say."""
    if padding_mode != "zeros":
        x, padding = around(b, x, padding, padding_mode), (0,) * len(padding)
    value: Value = b.op(
        "Conv", x, kernels, offsets,
        kernel_shape=list(kernel_size), strides=list(stride), pads=[*padding, *padding], dilations=list(dilation),
        group=groups, shape=b.out,
    )  # fmt: skip
    return value


def around(b: Building, x: Value, padding: Sequence[int], mode: str) -> Value:
    """Write padding by values of the map itself on both sides of its sizes: `reflect`, `replicate` or `circular`."""
    if mode in EDGES:
        amounts = [0, 0, *padding]
        return b.pad(x, amounts, amounts, mode=EDGES[mode])
    for axis, amount in enumerate(padding, 2):
        if amount:
            x = b.concat([b.slice(x, axis, -amount), x, b.slice(x, axis, 0, amount)], axis)
    return x


def conv_transpose(b: Building, x: Value, **settings: Any) -> Value:
    """Write a transposed convolution with the weights of the part."""
    return transposed(b, x, b.need("weight"), b.weight("bias"), **settings)


def transposed(
    b: Building,
    x: Value,
    kernels: Value,
    offsets: Value | None,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
    groups: int = 1,
    **unused: Any,
) -> Value:
    """Write a transposed convolution with the given kernels and biases, as the settings of torch's module say."""
    value: Value = b.op(
        "ConvTranspose", x, kernels, offsets,
        kernel_shape=list(kernel_size), strides=list(stride), pads=[*padding, *padding], dilations=list(dilation),
        output_padding=list(output_padding), group=groups, shape=b.out,
    )  # fmt: skip
    return value


def linear(b: Building, x: Value, **settings: Any) -> Value:
    """Write a fully-connected layer of flat values."""
    return dense(b, x, b.need("weight"), b.weight("bias"))


def dense(b: Building, x: Value, weight: Value, bias: Value | None) -> Value:
    """Write the product of flat values with a weight `(out, in)`, and a bias."""
    value: Value = b.op("Gemm", x, weight, bias, transB=1)
    return value


def channel_linear(b: Building, x: Value, **settings: Any) -> Value:
    """Write a fully-connected layer over the channels, position by position."""
    return over_channels(b, x, b.need("weight"), b.weight("bias"))


def over_channels(b: Building, x: Value, weight: Value, bias: Value | None) -> Value:
    """Write the product of the channels at each position with a weight `(out, in)`, and a bias."""
    if x.rank == 2:
        return dense(b, x, weight, bias)
    result = b.channels_last(x) @ b.swap(weight, 0, 1)
    return b.channels_first(result if bias is None else result + bias)


AXES = (1, 2, 3)
RULES: dict[str, Rule] = {
    **{f"nn.Conv{axes}d": conv for axes in AXES},
    **{f"nn.ConvTranspose{axes}d": conv_transpose for axes in AXES},
    "nn.Linear": linear,
    "archc.ChannelLinear": channel_linear,
}
