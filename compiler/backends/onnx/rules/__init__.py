"""How each target of a lowered program is written: RULES, assembled from a file for each family.

A rule is a function of a `Building`, the operands of the call, and by name the settings of the module or the arguments of the call. An
operand is a `Value`, a list of them, or a plain value of Python. It adds nodes with `b.op`, and returns the value that the step computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from archc.compiler.backends.onnx.rules import (
    activations,
    attention,
    classic,
    computed,
    convolution,
    elementwise,
    moving,
    noise,
    normalization,
    pooled,
    pooling,
    rearranging,
    recurrent,
    reduction,
    resizing,
    rotary,
    tokens,
    windowed,
)
from archc.compiler.backends.onnx.rules.rule import Rule as Rule

SIMPLE: tuple[ModuleType, ...] = (activations, convolution, elementwise, moving, normalization, pooling, rearranging, reduction, resizing)
COMPOSITE: tuple[ModuleType, ...] = (
    attention,
    classic,
    computed,
    noise,
    pooled,
    recurrent,
    rotary,
    tokens,
    windowed,
)  # of targets in the namespace `archc`

RULES: Mapping[str, Rule] = {target: rule for module in (*SIMPLE, *COMPOSITE) for target, rule in module.RULES.items()}
