"""Random numbers in the shape of an operand: zeros in inference, unless they are drawn always."""

from __future__ import annotations

import numpy as np

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.rule import Rule


def normal_noise(b: Building, x: Value, when: str) -> Value:
    """Write standard normal numbers, or zeros."""
    if when != "always":
        return zeros(b, x)
    value: Value = b.op("RandomNormalLike", x, mean=0.0, scale=1.0, shape=x.shape)
    return value


def bernoulli_noise(b: Building, x: Value, p: float, when: str) -> Value:
    """Write numbers that are 1 with probability `p` and 0 otherwise, or zeros."""
    if when != "always":
        return zeros(b, x)
    drawn = b.op("RandomUniformLike", x, low=0.0, high=1.0, shape=x.shape)
    return b.cast(b.op("Less", drawn, b.const(float(p))), x.dtype)


def zeros(b: Building, x: Value) -> Value:
    """Write zeros in the shape of a value."""
    value: Value = b.op("Expand", b.const(np.zeros((1,) * x.rank)), b.op("Shape", x, shape=(x.rank,)), shape=x.shape)
    return value


RULES: dict[str, Rule] = {
    "archc.NormalNoise": normal_noise,
    "archc.BernoulliNoise": bernoulli_noise,
}
