"""How far what was written is from the network: the largest difference of their outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from archc.compiler.backends.errors import CannotVerify

EPSILON = {"float32": 2.0**-23, "bfloat16": 2.0**-7, "float16": 2.0**-10}
HALF = 6  # times the last bit of 1, of the spread of an output: three times what was found between runtimes in half precision
LAST = 3  # units in the last place of the largest value: what rounding the output alone may make
FLAT = 1e-3  # of the largest value: a spread below that is rounding itself, and no measure of it


@dataclass(frozen=True)
class Difference:
    """The largest difference of an output: `absolute`, and `relative` to the spread of the output, largest minus smallest value.

    `tolerance` is the relative difference that the format is allowed; 0 for one whose values are the same to the last bit. Of several
    outputs it is the one that comes closest to what it is allowed, or exceeds it most. `constant`: all values of an output are the same, as
    behind a layer of zeros, so that the comparison says little. `how` the file was run, where that is not in its own dtype.
    """

    absolute: float
    relative: float
    tolerance: float
    constant: str = ""  # the name of the output
    how: str = ""

    @property
    def within(self) -> bool:
        """Return whether the difference is allowed."""
        return self.relative <= self.tolerance

    @property
    def part(self) -> float:
        """Return the difference as a part of what is allowed; as it is, where none is."""
        return self.relative / (self.tolerance or 1.0)

    def __str__(self) -> str:
        text = (
            f"largest difference {self.absolute:.2g}, {self.relative:.2g} of the spread of the output" if self.absolute else "no difference"
        )
        text += f" ({self.how})" * bool(self.how)
        if not self.within:
            return f"{text}, above {self.tolerance:.2g}" if self.tolerance else f"{text}, where there should be none"
        return text + f"; all values of {self.constant} are the same, so give trained weights" * bool(self.constant)


def rounded(tolerance: float, dtype: str) -> float:
    """Return a tolerance for float32 as one for a dtype; 0 stays so."""
    return max(tolerance, HALF * EPSILON[dtype]) if tolerance and dtype != "float32" else tolerance


def difference(theirs: Mapping[str, Any], ours: Mapping[str, Any], tolerance: float, dtype: str) -> Difference:
    """Compare arrays by output; `tolerance` is for float32, and not less than some last bits of a `dtype`, except where it is 0.

    Raises CannotVerify for other outputs or shapes, and where the network computes no finite value.
    """
    import numpy as np

    if list(theirs) != list(ours):
        raise CannotVerify(f"its outputs are {', '.join(theirs)}, and those of the network {', '.join(ours)}")
    found: list[Difference] = []
    constant = ""
    for name, own in ours.items():
        other = np.asarray(theirs[name], np.float64)
        if other.shape != own.shape:
            raise CannotVerify(f"its output {name} is {_size(other)}, and that of the network {_size(own)}")
        finite = np.isfinite(own)
        if not finite.any():
            raise CannotVerify(f"the network computes no finite value in {name}, so nothing can be compared")
        if (other[~finite] == own[~finite]).sum() + (np.isnan(other) & np.isnan(own)).sum() < (~finite).sum() or not np.isfinite(
            other[finite]
        ).all():
            return Difference(inf, inf, rounded(tolerance, dtype))
        apart, largest = float(np.abs(other[finite] - own[finite]).max()), float(np.abs(own[finite]).max())
        if own.size > 1 and not np.ptp(own[finite]):
            constant = constant or name
        spread = max(float(np.ptp(own[finite])), FLAT * largest)
        rounding = LAST * EPSILON[dtype] * largest / spread if spread else 0.0
        allowed = max(rounded(tolerance, dtype), rounding) if tolerance else 0.0
        found.append(Difference(apart, apart / spread if spread else inf if apart else 0.0, allowed))
    return replace(max(found, key=lambda one: one.part), constant=constant)


def _size(array: Any) -> str:
    return "x".join(map(str, array.shape)) or "a scalar"
