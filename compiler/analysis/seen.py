"""The positions of the input that one unit depends on, exactly: what is in the padding is no position of the input.

`receptive` computes fields for all outputs at once, as if maps had no ends. Here a single unit is followed back, operator by operator,
with the set of positions along each axis that are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.receptive import ReceptiveField
from archc.compiler.shapes.dim import Shape

Needed = list[set[int]]  # along each axis after the channels


def seen(graph: ArchGraph, name: str, unit: Sequence[int]) -> dict[str, Needed]:
    """Return, for each input that a unit of a node depends on, the positions along each axis after the channels.

    All sizes must be known. Each axis is followed by itself: where branches meet, the positions are those of all of them. An operator that
    changes the number of axes is taken to depend on all positions.
    """
    needed: dict[str, Needed] = {name: [{at} for at in unit]}
    found: dict[str, Needed] = {}
    for node in reversed(list(graph)):
        if node.name not in needed:
            continue
        if node.is_input:
            found[node.name] = needed[node.name]
        elif not node.operator.memory.stored:  # a trained tensor depends on no position
            _follow(node, needed)
    return found


def _follow(node: Node, needed: dict[str, Needed]) -> None:
    """Add what a node needs of its operands."""
    here = needed[node.name]
    own = node.operator.receptive_field(node.call, node.shape)
    joined = node.operator.joined_axis(node.call) or 0
    before = 0  # positions of the operands before, where they are joined
    for operand in node.operands:
        sizes = _sizes(operand.shape)
        if len(sizes) == len(here) == len(own):
            positions = []
            for axis, (wanted, field, size, count) in enumerate(zip(here, own, sizes, _sizes(node.shape), strict=True), start=1):
                if axis == joined:
                    wanted = {at - before for at in wanted if 0 <= at - before < size}
                    before += size
                elif size == 1 != count and len(node.operands) > 1:
                    wanted = {0} if wanted else set()
                positions.append(_through(field, wanted, size))
        else:
            positions = [set(range(size)) for size in sizes]
        known = needed.setdefault(operand.name, [set() for _ in sizes])
        for held, more in zip(known, positions, strict=True):
            held |= more


def _through(field: ReceptiveField | None, outputs: set[int], size: int) -> set[int]:
    """Return the inputs among `size` that some outputs depend on."""
    if field is None:
        return set(range(size)) if outputs else set()
    inputs: set[int] = set()
    for output in outputs:
        turn, phase = divmod(output, len(field.windows))
        window = field.windows[phase]
        if window is not None:
            first, last = ceil(window.first + turn * field.advance), floor(window.last + turn * field.advance)
            inputs.update(at for at in range(first, last + 1, window.step) if 0 <= at < size)
    return inputs


def _sizes(shape: Shape) -> list[int]:
    return [size for size in shape[1:] if isinstance(size, int)]
