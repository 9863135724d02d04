"""Activations."""

from __future__ import annotations

from archc.compiler.backends.onnx.rules.rule import Rule, one

RULES: dict[str, Rule] = {
    "nn.ReLU": one("Relu"),
}
