"""LeNet-5's layers: convolution by a connection table, subsampling, its squashing function, and radial basis functions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.convolution import convolved
from archc.compiler.backends.onnx.rules.rule import Rule


def table_conv(b: Building, x: Value, in_channels: int, table: Sequence[Sequence[int]], **settings: Any) -> Value:
    """Write a dense convolution whose kernels are those of the connections, and zeros where the table has none."""
    weight = b.need("weight")
    count = sum(map(len, table))
    index = np.full((len(table), in_channels), count)
    index[[out for out, row in enumerate(table) for _ in row], [channel for row in table for channel in row]] = np.arange(count)
    kernels = b.concat([weight, b.const(np.zeros((1, *weight.shape[1:])))], 0)
    return convolved(b, x, b.gather(kernels, 0, index), b.weight("bias"), **settings)


def subsample(b: Building, x: Value, channels: int, kernel_size: Sequence[int], stride: Sequence[int]) -> Value:
    """Write the sum of each window, as its mean times its area, times a coefficient, plus a bias."""
    means: Value = b.op("AveragePool", x, kernel_shape=list(kernel_size), strides=list(stride), shape=b.out)
    shape = (channels, 1, 1)
    factors = b.reshape(b.need("weight"), shape) * float(prod(kernel_size))
    return means * factors + b.reshape(b.need("bias"), shape)


def scaled_tanh(b: Building, x: Value, amplitude: float, slope: float) -> Value:
    """Write `amplitude*tanh(slope*x)`."""
    value: Value = b.op("Tanh", x * float(slope))
    return value * float(amplitude)


def rbf(b: Building, x: Value, **settings: Any) -> Value:
    """Write the squared distance to each code."""
    difference = b.unsqueeze(x, 1) - b.need("codes")
    return b.reduce("ReduceSumSquare", difference, [2], keep=False)


RULES: dict[str, Rule] = {
    "archc.TableConv": table_conv,
    "archc.Subsample": subsample,
    "archc.ScaledTanh": scaled_tanh,
    "archc.RBF": rbf,
}
