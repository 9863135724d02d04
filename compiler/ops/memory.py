"""What an operator needs of memory as it is lowered: what it gives anew, what it needs while it runs, what backward keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compiler.shapes.dim import Dim, Shape

if TYPE_CHECKING:
    from compiler.ops.record import Call

Values = Callable[["Call", Shape], Dim]


def none(call: Call, out: Shape) -> Dim:
    return 0


@dataclass(frozen=True)
class Memory:
    """`view`: the output is its input, seen otherwise; `idle`: in evaluation it gives its input back as it is.

    `saves` names what automatic differentiation keeps: the input, the output, `noise` (a value for each value), `indices`
    (8 bytes for each output). `work` is the number of values that it needs beside its output while it runs, and
    `work_saved` how many values of its own it keeps for backward.
    """

    view: bool = False
    idle: bool = False
    saves: tuple[str, ...] = ()
    work: Values = none
    work_saved: Values = none


FRESH = Memory()
VIEW = Memory(view=True)
KEEPS_INPUT = Memory(saves=("input",))
KEEPS_OUTPUT = Memory(saves=("output",))
