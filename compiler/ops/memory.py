"""What an operator needs of memory as it is lowered: what it returns anew, what it needs while it runs, what backward keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from archc.compiler.ops.call import Call
from archc.compiler.shapes.dim import Dim, Shape, product

Values = Callable[[Call, Shape], Dim]
Saves = Callable[[Call], Sequence[str]]
Order = Callable[[Call, Sequence[bool]], bool]


def none(call: Call, out: Shape) -> Dim:
    return 0


def one_each(call: Call, out: Shape) -> Dim:
    return product(out)


def nothing(call: Call) -> Sequence[str]:
    return ()


def always(*names: str) -> Saves:
    return lambda call: names


# ---- how an output lies in memory: whether its channels are the last axis there, by whether those of the operands are


def as_input(call: Call, last: Sequence[bool]) -> bool:
    """As the first operand that is more than a gate."""
    maps = [here for shape, here in zip(call.inputs, last, strict=True) if any(size != 1 for size in shape[1:])]
    return maps[0] if maps else last[0]


def as_maps(call: Call, last: Sequence[bool]) -> bool:
    """As all operands, for maps with two or three sizes; torch knows no such order for sequences."""
    return all(last) and call.axes > 1


def channels_first(call: Call, last: Sequence[bool]) -> bool:
    return False


def channels_last(call: Call, last: Sequence[bool]) -> bool:
    return True


@dataclass(frozen=True)
class Memory:
    """`view`: the output is its input in another shape, in the same memory; `cuts`: the axes of which only a part is in it.

    `saves` names what automatic differentiation keeps: the `input`; the inputs that are `differentiated` themselves; the `factors`
    of products that are; the `output`. `saved` is the number of values of its own that it keeps for each sample, `saved_once` for
    a batch, `indices` whether it keeps 8 bytes for each output. `work` is the number of values for each sample that it needs
    beside its output while it runs, `work_once` for a batch.

    `reads` is how its input must lie in memory, or it works on a copy: with the channels `first` or `last`, or the `whole` of a tensor
    in any order. `order` is how its output lies there.
    """

    view: bool = False
    cuts: str = ""
    saves: Saves = nothing
    saved: Values = none
    saved_once: Values = none
    indices: bool = False
    work: Values = none
    work_once: Values = none
    reads: str = ""
    order: Order = as_input


FRESH = Memory()
KEEPS_INPUT = Memory(saves=always("input"))
KEEPS_OUTPUT = Memory(saves=always("output"))
