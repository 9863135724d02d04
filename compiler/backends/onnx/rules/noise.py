"""Random numbers in the shape of an operand: zeros in inference, unless they are drawn always."""

from __future__ import annotations

import numpy as np

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.rule import Rule

DRAWN = 21  # the last opset whose random numbers onnxruntime 1.32 draws


def normal_noise(b: Building, x: Value, when: str) -> Value:
    """Write standard normal numbers, or zeros."""
    if when != "always":
        return zeros(b, x)
    _check(b, "RandomNormalLike")
    value: Value = b.op("RandomNormalLike", x, mean=0.0, scale=1.0, shape=x.shape)
    return value


def bernoulli_noise(b: Building, x: Value, p: float, when: str) -> Value:
    """Write numbers that are 1 with probability `p` and 0 otherwise, or zeros."""
    if when != "always":
        return zeros(b, x)
    _check(b, "RandomUniformLike")
    drawn = b.op("RandomUniformLike", x, low=0.0, high=1.0, shape=x.shape)
    return b.cast(b.op("Less", drawn, b.const(float(p))), x.dtype)


def _check(b: Building, kind: str) -> None:
    """Raise ArchError at an opset whose random numbers onnxruntime does not draw, which says so only when it loads the file."""
    if b.opset > DRAWN:
        b.refuse(f"{b.step.op}(when=always) cannot be written: onnxruntime has no {kind} of opset {b.opset}", f"give `--opset {DRAWN}`")


def zeros(b: Building, x: Value) -> Value:
    """Write zeros in the shape of a value."""
    value: Value = b.op("Expand", b.const(np.zeros((1,) * x.rank)), b.op("Shape", x, shape=(x.rank,)), shape=x.shape)
    return value


RULES: dict[str, Rule] = {
    "archc.NormalNoise": normal_noise,
    "archc.BernoulliNoise": bernoulli_noise,
}
