"""What an operator is lowered to, as data: a module, a function call, or a function of the operand and a trained tensor.

Names are PyTorch's, under short namespaces that each backend resolves: an operator has the semantics of its PyTorch counterpart.

| namespace | contents |
|--|--|
| `nn` | modules of `torch.nn` |
| `F` | functions of `torch.nn.functional` |
| `torch` | functions of `torch` |
| `operator` | functions of Python's `operator`, applied to tensors |
| `archc` | modules that PyTorch lacks; the files of `compiler/backends/torch/modules/` define them |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archc.compiler.ops.kinds import Word

NAMESPACES = ("nn", "F", "torch", "operator", "archc")


@dataclass(frozen=True)
class Operand:
    """A placeholder for one operand."""

    index: int = 0


@dataclass(frozen=True)
class Operands:
    """A placeholder for all operands, as a list."""


@dataclass(frozen=True)
class ModuleTarget:
    """A module, called with the operands: its name, `nn.Conv2d`, and the arguments of its constructor."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CallTarget:
    """A call of a function, `torch.cat`. Its arguments hold `Operand`, `Operands` and further calls in place of tensors."""

    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TensorTarget:
    """A function `name` of the operands, a trained tensor, and the arguments `kwargs`.

    The tensor has the given shape and the initialization `start`, one of the words that `init` takes; its key is the label itself.
    """

    name: str
    shape: tuple[int, ...]
    start: Word
    kwargs: Mapping[str, Any] = field(default_factory=dict)


Target = ModuleTarget | CallTarget | TensorTarget
