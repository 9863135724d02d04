"""Reductions over axes, products of matrices, and vectors of length 1."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.rule import Rule, one


def _over(kind: str) -> Rule:
    """Return the rule of a reduction."""

    def rule(b: Building, x: Value, dim: Sequence[int], keepdim: bool) -> Value:
        return b.reduce(kind, x, dim, keepdim)

    return rule


def norm(b: Building, x: Value, p: float, dim: Sequence[int], keepdim: bool) -> Value:
    """Write the square root of the sum of squares."""
    assert p == 2
    return b.reduce("ReduceL2", x, dim, keepdim)


def variance(b: Building, x: Value, dim: Sequence[int], unbiased: bool, keepdim: bool) -> Value:
    """Write the mean of the squared deviations from the mean, or their sum divided by one less than their number."""
    wide = b.wide(x)
    away = wide - b.reduce("ReduceMean", wide, dim)
    mean = b.reduce("ReduceMean", away * away, dim, keepdim)
    if unbiased:
        count = prod(b.numbers([x.shape[axis] for axis in dim]))
        mean = mean * (count / (count - 1) if count > 1 else float("nan"))
    return b.cast(mean, x.dtype)


def normalize(b: Building, x: Value, p: float, dim: int | Sequence[int], eps: float) -> Value:
    """Write vectors along one axis or several, divided by their lengths, which are `eps` at least."""
    length = b.reduce("ReduceL2", x, [dim] if isinstance(dim, int) else dim)
    return x / b.op("Max", length, b.const(float(eps)))


RULES: dict[str, Rule] = {
    "torch.mean": _over("ReduceMean"),
    "torch.sum": _over("ReduceSum"),
    "torch.amax": _over("ReduceMax"),
    "torch.amin": _over("ReduceMin"),
    "torch.norm": norm,
    "torch.var": variance,
    "torch.matmul": one("MatMul"),
    "F.normalize": normalize,
}
