"""Layers whose weights are computed from trained ones: the file computes them, and runtimes do so once, when they load it."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.convolution import convolved, dense, transposed
from archc.compiler.backends.onnx.rules.rule import Rule

ORIGINAL = "parametrizations.weight.original"
VECTORS = "parametrizations.weight.0"


def numbers(x: Value) -> list[int]:
    """Return the shape of a weight."""
    return [size for size in x.shape if isinstance(size, int)]


def standardized(b: Building, weight: Value, eps: float, gain: Value | None = None) -> Value:
    """Write kernels minus their mean, over their deviation, times a gain for each."""
    shape = numbers(weight)
    kernels = b.reshape(weight, (1, shape[0], prod(shape[1:])))
    scale = b.const(np.ones(shape[0])) if gain is None else gain
    normal = b.op("InstanceNormalization", kernels, scale, b.const(np.zeros(shape[0])), epsilon=float(eps))
    return b.reshape(normal, shape)


def standardized_conv(b: Building, x: Value, eps: float, **settings: Any) -> Value:
    """Write a convolution with standardized kernels."""
    return convolved(b, x, standardized(b, b.need("weight"), eps), b.weight("bias"), **settings)


def scaled_conv(b: Building, x: Value, gamma: float, eps: float, **settings: Any) -> Value:
    """Write a convolution with standardized kernels, scaled for unit variance and by a trained gain."""
    weight = b.need("weight")
    shape = numbers(weight)
    gain = b.reshape(b.need("gain"), shape[:1]) * (gamma * prod(shape[1:]) ** -0.5)
    return convolved(b, x, standardized(b, weight, eps, gain), b.weight("bias"), **settings)


def divided(b: Building, axis: int = 0) -> Value:
    """Write a weight divided by its largest singular value, from its singular vectors; `axis` is that of the output channels."""
    weight = b.need(ORIGINAL)
    shape = numbers(weight)
    rows = b.transpose(weight, [axis, *(other for other in range(weight.rank) if other != axis)])
    matrix = b.reshape(rows, (shape[axis], prod(shape) // shape[axis]))
    left, right = b.need(f"{VECTORS}._u"), b.need(f"{VECTORS}._v")
    product = b.op("MatMul", matrix, right, shape=(shape[axis],))
    value: Value = b.op("Div", weight, b.op("MatMul", left, product, shape=()))
    return value


def spectral_linear(b: Building, x: Value, **settings: Any) -> Value:
    """Write a fully-connected layer with spectral normalization."""
    return dense(b, x, divided(b), b.weight("bias"))


def spectral_conv(b: Building, x: Value, **settings: Any) -> Value:
    """Write a convolution with spectral normalization."""
    return convolved(b, x, divided(b), b.weight("bias"), **settings)


def spectral_transposed(b: Building, x: Value, **settings: Any) -> Value:
    """Write a transposed convolution with spectral normalization."""
    return transposed(b, x, divided(b, 1), b.weight("bias"), **settings)


AXES = (1, 2, 3)
RULES: dict[str, Rule] = {
    **{f"archc.StandardizedConv{axes}d": standardized_conv for axes in AXES},
    **{f"archc.ScaledConv{axes}d": scaled_conv for axes in AXES},
    **{f"archc.SpectralConv{axes}d": spectral_conv for axes in AXES},
    **{f"archc.SpectralConvTranspose{axes}d": spectral_transposed for axes in AXES},
    "archc.SpectralLinear": spectral_linear,
}
