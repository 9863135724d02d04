"""The type of a rule, and rules of targets that are one operator of ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archc.compiler.backends.onnx.building import Building, Value

Rule = Callable[..., Value]


def one(kind: str, **attrs: Any) -> Rule:
    """Return the rule of a target that is one operator with fixed attributes."""

    def rule(b: Building, *operands: Value) -> Value:
        value: Value = b.op(kind, *operands, **attrs)
        return value

    return rule
