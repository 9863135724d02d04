"""What a layer of another framework states about its input, by its arguments or by its name."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from archc.dsl.transcribe.layers import KERAS, PYTORCH, Arguments, Formula


@dataclass(frozen=True)
class Incoming:
    """The number of input channels, and how many axes follow them; None if any."""

    call: str
    channels: int | None = None
    axes: tuple[int, ...] | None = None
    on_last: bool = False  # it acts on the last axis, but an item takes all values
    open: bool = False  # the channels are stated, by names that are not known here
    why: str = ""  # why another number of axes is not translated

    def differs(self, shape: Sequence[Any]) -> str:
        """Describe in one sentence how an incoming shape differs from the stated one; "" if it agrees."""
        channels, axes = shape[0], len(shape) - 1
        known = all(isinstance(size, int) for size in shape)
        if self.on_last and axes:
            flat = prod(shape) if known else None
            if self.open:
                return f"how many values `{self.call}` takes is not known here"
            if self.channels is None or shape[-1] == self.channels or not known:
                return f"`{self.call}` acts on the last axis of a map; an item takes all of its values, so a flatten is missing before it"
            return "" if flat == self.channels else f"`{self.call}` gets {flat:,} values here"
        if self.axes is not None and axes not in self.axes:
            what = "a vector" if axes == 0 else f"a map with {axes} {'axis' if axes == 1 else 'axes'}"
            wanted = " or ".join("a vector" if n == 0 else f"a map with {n} {'axis' if n == 1 else 'axes'}" for n in self.axes)
            return f"`{self.call}` gets {what} here{'; ' + self.why if self.why else f', and takes {wanted}'}"
        if self.channels is not None and isinstance(channels, int) and channels != self.channels:
            return f"`{self.call}` gets {channels:,} {'channels' if axes else 'values'} here"
        return ""

    def refuses(self, shape: Sequence[Any]) -> bool:
        """Return whether the item would be another function for this shape, whatever its sizes."""
        axes = len(shape) - 1
        if self.on_last and axes:
            return "acts on" in self.differs(shape)
        return self.axes is not None and axes not in self.axes


def incoming(framework: str, name: str, shown: str, a: Arguments) -> Incoming | None:
    """Return what a call states about its input; None if it states nothing."""

    def number(*names: str) -> int | None:
        found = next((a.values[key] for key in names if key in a.values), None)
        found = _counted(found.text) if isinstance(found, Formula) else found
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    if name in ("Linear", "LazyLinear"):
        both = a.values.get("out_features") is not None
        features = number("in_features") if both else None
        return Incoming(shown, features, on_last=True, open=both and features is None)
    if name == "Dense":
        given = a.extra.get("input_dim")
        return Incoming(shown, given if isinstance(given, int) else None, on_last=True)
    if name in ("Softmax", "LogSoftmax") and framework == PYTORCH:
        why = "it then runs over an axis other than the channels"
        axes = {-1: (0,), None: (0, 2)}.get(a["dim"])
        return Incoming(shown, axes=axes, why=why) if axes is not None else None
    if name == "BatchNormalization" and framework == KERAS and a["axis"] != -1:
        return Incoming(shown, axes=(a["axis"] - 1,), why="its `axis` is then not the channel axis")
    if name == "Embedding" and framework == PYTORCH:
        return Incoming(shown, axes=(0,))
    if name == "MultiheadAttention" and framework == PYTORCH:
        return Incoming(shown, number("embed_dim"), axes=(1, 2, 3))
    channels = number("in_channels", "num_features", "num_channels")
    digit = re.search(r"([123])[dD](?:Transpose)?$", name)
    axes = None if digit is None else (0, 1) if name == "BatchNorm1d" else (int(digit[1]),)
    return Incoming(shown, channels, axes) if channels is not None or axes is not None else None


_FEW = 10**9


def _counted(text: str) -> int | None:
    """Return the value of `32 * 7 * 7`; None for text that is not made of whole numbers."""

    def count(node: ast.expr) -> int:
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value < _FEW:
            return node.value
        if isinstance(node, ast.BinOp):
            a, b = count(node.left), count(node.right)
            match node.op:
                case ast.Mult():
                    return a * b
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.FloorDiv() if b:
                    return a // b
        raise ValueError(text)

    try:
        return count(ast.parse(text, mode="eval").body)
    except ValueError:
        return None
