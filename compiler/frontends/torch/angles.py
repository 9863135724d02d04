"""The settings of a table of rotary positions, from its sines and cosines."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import pi
from typing import Any

import numpy as np
import torch

from archc.compiler.backends.torch.modules.rotary import rotary_positions

Array = np.ndarray[Any, Any]

CLOSE = 1e-5  # how far sines may be from those of a source, whose angles may be rounded otherwise
TEMPERATURE = 10000.0  # where nothing tells it: of a single angle


@lru_cache(64)
def settings(sines: bytes, cosines: bytes, pairs: int) -> dict[str, Any] | None:
    """Return the options of the `rotary_positions` that has these sines and cosines, `(positions, pairs)`; None where none has."""
    sin, cos = (np.frombuffer(held, np.float32).reshape(-1, pairs) for held in (sines, cosines))
    count = sin.shape[0]
    shapes = [(count // wide, wide) for wide in range(1, count + 1) if count % wide == 0 and pairs % 2 == 0]
    shapes.sort(key=lambda sizes: abs(sizes[0] - sizes[1]))
    for sizes in [*shapes, (count,)]:
        for swap in (False, True)[: len(sizes)]:
            angles = _angles(sin, cos, sizes, swap)
            for given in _guesses(angles, sizes) if angles else ():
                given |= {"channels": 2 * pairs // len(sizes), "swap": swap, "sizes": sizes}
                names = ("channels", "temperature", "centered", "offset", "reference", "swap", "sizes")
                made = rotary_positions(torch.empty(1, 1, 1), *(given[name] for name in names))[0].reshape(2, pairs, count).numpy()
                if np.allclose(made[0].T, sin, rtol=0, atol=CLOSE) and np.allclose(made[1].T, cos, rtol=0, atol=CLOSE):
                    return given
    return None


def _angles(sin: Array, cos: Array, sizes: tuple[int, ...], swap: bool) -> list[Array] | None:
    """Return the angles along each axis, `(positions, pairs)`, up to full turns; None where they depend on other axes."""
    turns = np.arctan2(sin.astype(np.float64), cos.astype(np.float64)).reshape(*sizes, len(sizes), -1)
    found = []
    for axis in range(len(sizes)):
        own = np.moveaxis(turns[..., len(sizes) - 1 - axis if swap else axis, :], axis, 0).reshape(sizes[axis], -1, turns.shape[-1])
        if np.abs(_wrapped(own - own[:, :1])).max() > CLOSE:
            return None
        found.append(own[:, 0])
    return found


def _wrapped(angle: Any) -> Any:
    """Return angles from -pi to pi."""
    return (angle + pi) % (2 * pi) - pi


def _guesses(angles: list[Array], sizes: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """Yield settings that angles may have, by how fast the first and the last of them grow, and by where they begin."""
    for centered in (False, True) if min(sizes) > 1 else ():
        steps, starts, temperature = [], [], TEMPERATURE
        for axis in angles:
            length, count = axis.shape
            step, slow = (float(_wrapped(axis[1, place] - axis[0, place])) for place in (0, -1))
            step = 4 * pi / length if centered else step
            if slow * (length - 1) < pi:
                slow = float(_wrapped(axis[-1, -1] - axis[0, -1])) / (length - 1)
            if step <= 0 or slow <= 0:
                break
            if count > 1:
                temperature = (step / slow) ** (count / (count - 1))
            start = axis[0, -1] * temperature ** ((count - 1) / count)
            steps.append(step)
            starts.append(start + float(_wrapped(axis[0, 0] - start)))
        if len(steps) < len(sizes):
            continue
        from_center = ((starts[0] / (2 * pi) + 1) * sizes[0] - 1) / 2
        counted = centered or all(abs(step - 1) < 1e-3 for step in steps)
        given = {
            "centered": centered,
            "offset": round(from_center if centered else starts[0] / steps[0], 3) + 0.0,
            "reference": None if counted else tuple(max(1, round(step * size)) for step, size in zip(steps, sizes, strict=True)),
        }
        for digits in (1, 2, 3):
            yield given | {"temperature": float(f"{temperature:.{digits}g}")}
