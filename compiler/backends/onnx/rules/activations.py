"""Activations: those of `torch.nn`, and GELU."""

from __future__ import annotations

from math import pi, sqrt

from archc.compiler.backends.onnx import schemas
from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.rule import Rule, one


def gelu(b: Building, x: Value, approximate: str = "none") -> Value:
    """Write `x*P(X <= x)` as one operator, or, before opset 20, as its formula."""
    if schemas.schema("Gelu", b.opset) is not None:
        value: Value = b.op("Gelu", x, approximate=approximate)
        return value
    if approximate == "tanh":
        inner = (x + (x * x * x) * 0.044715) * sqrt(2 / pi)
        return x * 0.5 * (b.op("Tanh", inner) + 1.0)
    return x * 0.5 * (b.op("Erf", x / sqrt(2)) + 1.0)


def silu(b: Building, x: Value) -> Value:
    """Write `x*sigmoid(x)`."""
    return x * b.op("Sigmoid", x)


def mish(b: Building, x: Value) -> Value:
    """Write `x*tanh(softplus(x))`, which onnxruntime computes so, too."""
    return x * b.op("Tanh", b.op("Softplus", x))


def clip(b: Building, x: Value, min_val: float | None = None, max_val: float | None = None) -> Value:
    """Write `min(max(x, min_val), max_val)`; a bound that is None is left out."""
    low, high = (None if bound is None else b.const(float(bound)) for bound in (min_val, max_val))
    value: Value = b.op("Clip", x, low, high)
    return value


def relu6(b: Building, x: Value) -> Value:
    """Write `min(max(x, 0), 6)`."""
    return clip(b, x, 0, 6)


def softmin(b: Building, x: Value, dim: int) -> Value:
    """Write the softmax of the negated values."""
    return b.softmax(-x, dim)


def log_sigmoid(b: Building, x: Value) -> Value:
    """Write `-softplus(-x)`, which is exact for large negative values."""
    return -b.op("Softplus", -x)


def celu(b: Building, x: Value, alpha: float) -> Value:
    """Write `max(x, 0) + min(alpha*(exp(x/alpha) - 1), 0)`: ONNX has CELU in float32 only."""
    zero = b.const(0.0)
    below: Value = b.op("Min", (b.op("Exp", x / alpha) - 1.0) * alpha, zero)
    return b.op("Relu", x) + below


def prelu(b: Building, x: Value, num_parameters: int, init: float) -> Value:
    """Write a leaky ReLU whose slopes are a weight, one or one per channel."""
    slope = b.per_channel(b.need("weight"), x) if num_parameters > 1 else b.need("weight")
    value: Value = b.op("PRelu", x, slope)
    return value


def threshold(b: Building, x: Value, threshold: float, value: float) -> Value:
    """Write `x` where it is larger than the threshold, `value` elsewhere."""
    larger = b.op("Greater", x, b.const(float(threshold)))
    result: Value = b.op("Where", larger, x, b.const(float(value)), dtype=x.dtype)
    return result


def glu(b: Building, x: Value, dim: int) -> Value:
    """Write the first half, times the sigmoid of the second."""
    axis = dim % x.rank
    half = (*x.shape[:axis], x.shape[axis] // 2, *x.shape[axis + 1 :])
    count = 2 if schemas.takes("Split", b.opset, "num_outputs") else None
    first, second = b.several("Split", x, axis=axis, num_outputs=count, shape=[half, half])
    return first * b.op("Sigmoid", second)


RULES: dict[str, Rule] = {
    "nn.ReLU": one("Relu"),
    "nn.ReLU6": relu6,
    "nn.Sigmoid": one("Sigmoid"),
    "nn.Tanh": one("Tanh"),
    "nn.SiLU": silu,
    "nn.Hardswish": lambda b, x: b.op("HardSwish", x),
    "nn.Hardsigmoid": one("HardSigmoid", alpha=1 / 6, beta=0.5),
    "nn.Softplus": one("Softplus"),
    "nn.Softmax": lambda b, x, dim: b.softmax(x, dim),
    "nn.LogSoftmax": lambda b, x, dim: b.op("LogSoftmax", x, axis=dim),
    "nn.Softmin": softmin,
    "nn.Mish": mish,
    "nn.SELU": one("Selu"),
    "nn.Softsign": one("Softsign"),
    "nn.Tanhshrink": lambda b, x: x - b.op("Tanh", x),
    "nn.LogSigmoid": log_sigmoid,
    "archc.Gelu": gelu,
    "nn.LeakyReLU": lambda b, x, negative_slope: b.op("LeakyRelu", x, alpha=float(negative_slope)),
    "nn.ELU": lambda b, x, alpha: b.op("Elu", x, alpha=float(alpha)),
    "nn.PReLU": prelu,
    "nn.CELU": celu,
    "nn.Softshrink": lambda b, x, lambd: b.op("Shrink", x, bias=float(lambd), lambd=float(lambd)),
    "nn.Hardshrink": lambda b, x, lambd: b.op("Shrink", x, bias=0.0, lambd=float(lambd)),
    "nn.Hardtanh": clip,
    "nn.Threshold": threshold,
    "nn.GLU": glu,
    "nn.RReLU": lambda b, x, lower, upper: b.op("LeakyRelu", x, alpha=(lower + upper) / 2),
}
