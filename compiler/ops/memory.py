"""The memory that a lowered operator needs: for its output, for temporary values, and for what the backward pass saves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from archc.compiler.ops.call import Call
from archc.compiler.shapes.dim import Dim, Shape, product

Values = Callable[[Call, Shape], Dim]
Saves = Callable[[Call], Sequence[str]]
Order = Callable[[Call, Sequence[bool]], bool]
Cuts = Callable[[Call], str]


def none(call: Call, out: Shape) -> Dim:
    """Count no values."""
    return 0


def one_each(call: Call, out: Shape) -> Dim:
    """Count one value per output value."""
    return product(out)


def never(call: Call) -> bool:
    """Return False."""
    return False


def nothing(call: Call) -> Sequence[str]:
    """Save nothing."""
    return ()


def always(*names: str) -> Saves:
    """Return a rule that saves the same for every call."""
    return lambda call: names


# ---- memory format rules: whether the channels are the last axis of an output in memory, given the same for each operand


def as_input(call: Call, last: Sequence[bool]) -> bool:
    """Follow the first operand that is not repeated: one with several positions, and of these one with several channels."""
    shapes = [(any(size != 1 for size in shape[1:]), shape[0] != 1) for shape in call.inputs]
    return last[shapes.index(max(shapes))]


def as_maps(call: Call, last: Sequence[bool]) -> bool:
    """Return whether all operands have the channels last, for maps with two or three sizes; torch has no such format for sequences."""
    return all(last) and call.axes > 1


def channels_first(call: Call, last: Sequence[bool]) -> bool:
    """Return a contiguous tensor, with the channels first."""
    return False


def channels_last(call: Call, last: Sequence[bool]) -> bool:
    """Return a tensor with the channels last in memory."""
    return True


@dataclass(frozen=True)
class Memory:
    """The memory that an operator needs.

    `view`: the output shares the memory of the input, except for calls that are `copies`; `cuts` names the axes of which it is only a
    part: `channels`, or `positions` where it cannot be read in either format without a copy. It is a word for calls that change the
    shape, or a rule for all calls.
    `stored`: the output is a view of a trained tensor, and takes no memory of its own.

    `saves` names what automatic differentiation saves: the `input`; the inputs that are `differentiated` themselves; the `factors`
    of products that are; the `divisors` of quotients, and what they divide; the `output`. `saved` is the number of further values saved
    per sample, `saved_once` per batch; `indices`: 8 bytes are saved per output value. `work` is the number of temporary values needed per
    sample in addition to the output, `work_once` per batch.

    `padded` returns which calls keep more for the backward pass than is counted here, since a library pads what it keeps.

    `reads` is the memory format that the input must have to be used without a copy: the channels `first` or `last`, or the `whole` of
    a tensor in any order. `order` is the memory format of the output.
    """

    view: bool = False
    copies: Callable[[Call], bool] = never
    stored: bool = False
    cuts: str | Cuts = ""
    saves: Saves = nothing
    saved: Values = none
    saved_once: Values = none
    indices: bool = False
    work: Values = none
    work_once: Values = none
    padded: Callable[[Call], bool] = never
    reads: str = ""
    order: Order = as_input

    def cut(self, call: Call, out: Shape) -> str:
        """Return what `cuts` says of a call with the output shape `out`."""
        if not isinstance(self.cuts, str):
            return self.cuts(call)
        return self.cuts if out != call.x else ""


FRESH = Memory()
KEEPS_INPUT = Memory(saves=always("input"))
KEEPS_OUTPUT = Memory(saves=always("output"))
