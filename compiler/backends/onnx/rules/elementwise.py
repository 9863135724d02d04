"""Arithmetic value by value: functions of `operator` and `torch` on tensors and numbers."""

from __future__ import annotations

from typing import Any

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.activations import clip
from archc.compiler.backends.onnx.rules.rule import Rule, one


def _two(kind: str) -> Rule:
    """Return the rule of an operator of two operands, each a value or a number."""

    def rule(b: Building, left: Any, right: Any) -> Value:
        left, right = (other if isinstance(other, Value) else b.const(float(other)) for other in (left, right))
        value: Value = b.op(kind, left, right)
        return value

    return rule


def clamp(b: Building, x: Value, min: float | None = None, max: float | None = None) -> Value:
    """Write the values within the bounds."""
    return clip(b, x, min, max)


RULES: dict[str, Rule] = {
    "operator.add": _two("Add"),
    "operator.sub": _two("Sub"),
    "operator.mul": _two("Mul"),
    "operator.truediv": _two("Div"),
    "torch.pow": _two("Pow"),
    "torch.maximum": one("Max"),
    "torch.minimum": one("Min"),
    "operator.neg": one("Neg"),
    "torch.abs": one("Abs"),
    "torch.exp": one("Exp"),
    "torch.log": one("Log"),
    "torch.sqrt": one("Sqrt"),
    "torch.square": lambda b, x: x * x,
    "torch.sin": one("Sin"),
    "torch.cos": one("Cos"),
    "torch.clamp": clamp,
}
