"""Make the operators that arrange the axes of a tensor in another way: `flatten`, `tokens`, `map`, `transpose`, shuffles, `rearrange`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archc.compiler.frontends.flat import CannotRead, quoted
from archc.compiler.frontends.item import MOST_AXES
from archc.compiler.frontends.views import Atom, Axes, Axis, atoms_of, runs, size
from archc.compiler.ops.call import AXIS_NUMBERS
from archc.compiler.ops.kinds import Word

Add = Callable[[str, int, dict[str, Any]], int]


def words(axes: Axes) -> dict[int, str]:
    """Return the words for the axes of a tensor by their numbers: 0 is `c`."""
    return {number: word for word, number in AXIS_NUMBERS.get(len(axes) - 1, {"c": 0}).items()}


def arrange(add: Add, item: int, have: Axes, want: Axes, stated: bool = False) -> int:
    """Append what makes the axes `want` of an operator with the axes `have`, and return its number. `add` appends an operator to one.

    Where it is `stated` that a `rearrange` makes them, no other operator does. Raises CannotRead where no operator does.
    """
    if have == want:
        return item
    repeated = set(atoms_of(want)) - set(atoms_of(have))
    if repeated:
        if any(0 < sum(atom in repeated for atom in axis) < len(axis) for axis in want):
            return _partly_repeated(add, item, have, want, repeated)
        if len(want) > MOST_AXES:
            raise CannotRead("it repeats values in a way that `expand` does not")
        plain = tuple(() if set(axis) & repeated else axis for axis in want)
        known = words(want)
        grown = {known[number]: size(axis) for number, (axis, less) in enumerate(zip(want, plain, strict=True)) if axis != less}
        return add("expand", arrange(add, item, have, plain), grown)
    if set(atoms_of(have)) != set(atoms_of(want)):
        raise CannotRead("its values are not those of the tensor that it is made from")
    if len(want) > MOST_AXES:
        shape = "x".join(str(size(axis)) for axis in want)
        raise CannotRead(f"it needs a tensor of {len(want)} axes for each sample, {shape}; here there are at most {MOST_AXES}")
    op, given = ("rearrange", _pattern(have, want)) if stated else _operator(have, want)
    return add(op, item, given)


def _partly_repeated(add: Add, item: int, have: Axes, want: Axes, repeated: set[Atom]) -> int:
    """Append what repeats parts of an axis: each part is an axis of its own before."""
    apart: list[Axis] = []
    for axis in want:
        for place, atom in enumerate(axis):
            if place and (atom in repeated) == (axis[place - 1] in repeated):
                apart[-1] += (atom,)
            else:
                apart.append((atom,))
        if not axis:
            apart.append(())
    if len(apart) > MOST_AXES:
        apart = [axis for axis in apart if axis]
    if len(apart) > MOST_AXES:
        raise CannotRead("it repeats values in a way that `expand` does not")
    return arrange(add, arrange(add, item, have, tuple(apart)), tuple(apart), want)


def _operator(have: Axes, want: Axes) -> tuple[str, dict[str, Any]]:
    if len(want) == 1 and want[0] == tuple(atoms_of(have)):
        return "flatten", {}
    if have[0] == want[0] and len(have) > 2 and len(want) == 2 and want[1] == tuple(atoms_of(have[1:])):
        return "tokens", {}
    if have[0] == want[0] and len(have) == 2 and len(want) > 2 and have[1] == tuple(atoms_of(want[1:])):
        return "map", {"sizes": tuple(size(axis) for axis in want[1:])}
    if len(have) == len(want):
        moved = [number for number, (a, b) in enumerate(zip(have, want, strict=True)) if a != b]
        if len(moved) == 2 and have[moved[0]] == want[moved[1]] and have[moved[1]] == want[moved[0]] and len(have) <= MOST_AXES:
            known = words(have)
            return "transpose", {"first": known[moved[0]], "second": known[moved[1]]}
        if moved == [0] and len(have) > 1 and (groups := _shuffled(have[0], want[0])):
            return "channel_shuffle", {"groups": groups}
        if len(have) == 3:
            if block := _blocks(have, want):
                return "space_to_depth", {"block": block}
            if block := _blocks(want, have):
                return "pixel_shuffle", {"block": block}
    return "rearrange", _pattern(have, want)


def _shuffled(have: Axis, want: Axis) -> int:
    """Return the number of groups whose channels `want` interleaves; 0 where it is no shuffle."""
    for at in range(1, len(have)):
        if want == have[at:] + have[:at]:
            return size(have[:at])
    return 0


def _blocks(maps: Axes, deep: Axes) -> int:
    """Return the size of the blocks that are channels in `deep` and positions in `maps`, 0 where they are not."""
    for rows in range(1, len(maps[1])):
        for columns in range(1, len(maps[2])):
            (high, i), (wide, j) = (maps[1][:rows], maps[1][rows:]), (maps[2][:columns], maps[2][columns:])
            if deep == (maps[0] + i + j, high, wide) and size(i) == size(j):
                return size(i)
    return 0


def _pattern(have: Axes, want: Axes) -> dict[str, Any]:
    """Return the options of `rearrange`: the pattern in the notation of einops, and sizes of parts."""
    found = runs(have, want)
    pool = list("ijkmnopqrstuvxyzabefg")
    base = {1: "c", 2: "cl", 3: "chw", 4: "cdhw"}[len(have)]
    names: dict[Axis, str] = {}
    sizes: list[tuple[str, int]] = []
    left = []
    for letter, axis in zip(base, have, strict=True):
        parts = [run for run in found if run[0] in axis]
        parts.sort(key=lambda run: axis.index(run[0]))
        for place, part in enumerate(parts):
            names[part] = letter if place == 0 else pool.pop(0)
            if place:
                sizes.append((names[part], size(part)))
        left.append(_side([names[part] for part in parts]))
    right = []
    for axis in want:
        parts = sorted((run for run in found if run[0] in axis), key=lambda run: axis.index(run[0]))
        right.append(_side([names[part] for part in parts]))
    return {"pattern": quoted(f"{' '.join(left)} -> {' '.join(right)}"), "sizes": Word("", tuple(sizes))}


def _side(parts: list[str]) -> str:
    return "1" if not parts else parts[0] if len(parts) == 1 else f"({' '.join(parts)})"
