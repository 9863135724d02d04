"""Rotary positions: pairs of channels that are turned, and a table of sines and cosines."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi

import numpy as np

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.rule import Rule
from archc.compiler.backends.onnx.rules.tokens import repeated
from archc.compiler.shapes.dim import product


def rotary(b: Building, x: Value, table: Value, heads: int, halves: bool, skip: int) -> Value:
    """Write pairs of channels turned by angles, channels first as they are."""
    width = b.numbers(x.shape[1:2])[0] // heads
    own = b.numbers(table.shape[1:2])[0] // width  # heads of the table: 1 where it is the same for all
    length = product(x.shape[2:])
    flat = b.reshape(x, (x.shape[0], heads, width, length))
    turns = b.reshape(table, (table.shape[0], 2, own, width // 2, length - skip))
    sin, cos = (b.gather(turns, 1, index) for index in (0, 1))
    rest = b.slice(flat, 3, skip) if skip else flat
    if halves:
        one, two = b.split(rest, 2, [width // 2] * 2)
    else:
        one, two = (b.slice(rest, 2, start, None, 2) for start in (0, 1))
    first = b.op("Sub", b.op("Mul", one, cos), b.op("Mul", two, sin))
    second = b.op("Add", b.op("Mul", two, cos), b.op("Mul", one, sin))
    if halves:
        done = b.concat([first, second], 2)
    else:
        pairs = b.concat([b.unsqueeze(part, 3) for part in (first, second)], 3)
        done = b.reshape(pairs, (x.shape[0], heads, width, length - skip))
    whole = b.concat([b.slice(flat, 3, 0, skip), done], 3) if skip else done
    return b.reshape(whole, x.shape)


def rotary_positions(
    b: Building, x: Value, channels: int, temperature: float, centered: bool, offset: float,
    reference: Sequence[int] | None, swap: bool, sizes: Sequence[int] | None,
) -> Value:  # fmt: skip
    """Write the sines and cosines of angles as a constant, repeated for every sample of `x`."""
    held = [size for size in (x.shape[2:] if sizes is None else sizes) if isinstance(size, int)]
    if sizes is None and len(held) != x.rank - 2:
        b.refuse(f"{b.step.name} has open sizes", "give `sizes`, or those of the input with `--input`")
    count = channels // 2
    waves = np.float32(temperature) ** (np.arange(count, dtype=np.float32) / np.float32(count))
    parts = []
    for axis, size in enumerate(held):
        places = np.arange(size, dtype=np.float32) + np.float32((0.5 if centered else 0.0) + offset)
        if reference is not None:
            places = places / np.float32(size) * np.float32(reference[axis])
        if centered:
            angles = (2 * (places / np.float32(size)) - 1)[:, None] * np.float32(2 * pi) / waves
        else:
            angles = places[:, None] * (np.float32(1) / waves)
        apart = angles.T.reshape(count, *(size if other == axis else 1 for other in range(len(held))))
        parts.append(np.broadcast_to(apart, (count, *held)))
    whole = np.concatenate(parts[::-1] if swap else parts)
    return repeated(b, x, b.const(np.concatenate((np.sin(whole), np.cos(whole)))))


RULES: dict[str, Rule] = {"archc.rotary": rotary, "archc.rotary_positions": rotary_positions}
