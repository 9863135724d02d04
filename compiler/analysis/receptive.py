"""Receptive fields: what part of the input a value can depend on.

Exact, by rational arithmetic, through branches (the union at merges) and transposed convolutions. Normalisation counts as
seeing its own position only. Araujo, Norris & Sim 2019, "Computing receptive fields of convolutional neural networks", Distill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil

from compiler.graph import INPUT, ArchGraph
from compiler.ops.sight import EACH, Sight


@dataclass(frozen=True, slots=True)
class Axis:
    """Along one axis, in pixels of the input: output i sees `size` of them, around `start + i*jump`; pixel 0 is at 0.

    Behind an upsampling the jump may be a fraction. Then the place is that of the middle one of the outputs between two
    pixels, and the size, rounded up, that of the output that sees most.
    """

    size: Fraction = Fraction(1)
    jump: Fraction = Fraction(1)
    start: Fraction = Fraction(0)

    @property
    def reach(self) -> tuple[Fraction, Fraction]:
        """The first and the last pixel that output 0 sees; padding lies outside of the input."""
        half = (self.size - 1) / 2
        return self.start - half, self.start + half


@dataclass(frozen=True, slots=True)
class Field:
    """The receptive field of a node: an entry for each axis behind the channels. `whole`: it sees all of the input."""

    axes: tuple[Axis, ...]
    whole: bool = False
    misaligned: bool = False  # the branches that meet here look at different places

    def __str__(self) -> str:
        if self.whole:
            return "inf"
        sizes = [str(ceil(axis.size)) for axis in self.axes]
        return sizes[0] if len(set(sizes)) == 1 else "x".join(sizes)


def receptive_fields(graph: ArchGraph) -> dict[str, Field]:
    """The receptive field of every node, in one walk."""
    fields: dict[str, Field] = {}
    for node in graph:
        if node.op == INPUT:
            fields[node.name] = Field((Axis(),) * (len(node.shape) - 1), whole=len(node.shape) == 1)
            continue
        call = graph.call(node.name)
        field = _union([fields[name] for name in graph.operands(node.name)])
        sights = node.operator.sight(call, node.shape)
        if sights is None or field.whole:
            field = Field(field.axes, True, field.misaligned)
        elif any(sight is not EACH for sight in sights):
            field = Field(tuple(map(_through, field.axes, sights)), False, field.misaligned)
        fields[node.name] = field
    return fields


@lru_cache(4096)
def _through(axis: Axis, sight: Sight) -> Axis:
    return Axis(axis.size + (sight.reach - 1) * axis.jump, axis.jump * sight.step, axis.start + sight.offset * axis.jump)


def _union(fields: Sequence[Field]) -> Field:
    """What a merge sees: from the first pixel that a branch sees to the last."""
    first = fields[0]
    whole = any(field.whole for field in fields)
    if len(fields) == 1:
        return first if not first.misaligned else Field(first.axes, whole)
    if whole:
        return Field(first.axes, True)
    axes, misaligned = [], False
    for together in zip(*(field.axes for field in fields), strict=True):
        if len({(axis.jump, axis.start) for axis in together}) == 1:
            axes.append(max(together, key=lambda axis: axis.size))
        else:
            low, high = min(axis.reach[0] for axis in together), max(axis.reach[1] for axis in together)
            axes.append(Axis(high - low + 1, together[0].jump, (low + high) / 2))
            misaligned = True
    return Field(tuple(axes), misaligned=misaligned)
