"""A lowered program in pieces that run one after another: the steps of each, and the values that go from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archc.compiler.lowering.program import LoweredProgram, Step


@dataclass(frozen=True)
class Piece:
    """Consecutive steps of a program.

    `takes` are the names of the steps before it whose values are needed in it or later, in their order; the first piece takes nothing, as
    the inputs are steps of it. `returns` is what the next piece takes; of the last, the steps of the outputs in the order of the outputs.
    """

    steps: tuple[Step, ...]
    takes: tuple[str, ...]
    returns: tuple[str, ...]


def pieces(program: LoweredProgram, names: Sequence[str], starts: Sequence[str]) -> list[Piece]:
    """Return a program in pieces.

    `names` are those of all nodes in the order of the file, of which a program may lack some; `starts` are those that pieces after the
    first begin with, in order. So the programs of both modes are cut at the same places.
    """
    number, piece_of = 0, {}
    for name in names:
        number += number < len(starts) and name == starts[number]
        piece_of[name] = number
    results = tuple(program.outputs.values())
    last_use = dict.fromkeys(results, len(starts))
    for step in program.steps:
        for operand in step.operands:
            last_use[operand] = max(last_use.get(operand, 0), piece_of[step.name])
    made = []
    for piece in range(len(starts) + 1):
        takes = tuple(s.name for s in program.steps if piece_of[s.name] < piece <= last_use.get(s.name, -1))
        after = tuple(s.name for s in program.steps if piece_of[s.name] <= piece < last_use.get(s.name, -1))
        steps = tuple(step for step in program.steps if piece_of[step.name] == piece)
        made.append(Piece(steps, takes, results if piece == len(starts) else after))
    return made
