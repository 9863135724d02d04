"""What lies beside the main path of a figure: branches that come back to it, or begin beside it, and boxes that hang on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from archc.compiler.draw.layout import Point
from archc.compiler.draw.plan import GAP, MARGIN, STEP, TITLE, WAY, Plan, Spot
from archc.compiler.draw.strokes import curve

TURN = 8.0  # from a volume to where a branch leaves the path, or meets it again


@dataclass(frozen=True)
class Branch:
    """A chain of boxes that ends on the main path, and where on it that begins; None for one that begins with a source of its own."""

    names: tuple[str, ...]
    start: str | None
    end: str

    def wide(self, plan: Plan, share: float) -> float:
        """Return the width that it needs between its ends."""
        spots = [_spot(plan, name) for name in self.names]
        return sum(spot.right - spot.left for spot in spots) + share * (WAY * (len(spots) + 1)) + 2 * TURN


@dataclass(frozen=True)
class Aside:
    """All that is not on the main path: branches, and what hangs on which box."""

    branches: tuple[Branch, ...] = ()
    hanging: tuple[tuple[str, str], ...] = ()


def _spot(plan: Plan, name: str) -> Spot:
    return plan.spots[plan.parts[name][0]]


def aside(plan: Plan, path: Sequence[str]) -> Aside | None:
    """Return what lies beside a path, or None where that is more than chains and single boxes."""
    order = {name: number for number, name in enumerate(path)}
    off = [box.id for box in plan.scene.shown() if box.id not in order]
    into: dict[str, list[str]] = {name: [] for name in off}
    out: dict[str, list[str]] = {name: [] for name in off}
    for edge in plan.scene.edges:
        into.get(edge.target, []).append(edge.source)
        out.get(edge.source, []).append(edge.target)
    single = {name for name, parts in plan.parts.items() if len(parts) == 1}
    hanging = tuple((name, into[name][0]) for name in off if not out[name] and len(into[name]) == 1 and into[name][0] in order)
    hangs = {name for name, _ in hanging}
    chains = []
    for name in off:
        if name not in hangs and (not into[name] or into[name][0] in order):
            names = [name]
            while len(out[names[-1]]) == 1 and out[names[-1]][0] in out and len(names) <= len(off):
                names.append(out[names[-1]][0])
            chains.append(names)
    found = [Branch(tuple(names), next(iter(into[names[0]]), None), out[names[-1]][0]) for names in chains if len(out[names[-1]]) == 1]
    ends = [name for branch in found for name in (branch.start, *branch.names, branch.end) if name]
    ends += [name for pair in hanging for name in pair]
    covered = sum(len(branch.names) for branch in found) + len(hanging)
    whole = covered == len(off) and all(len(into[name]) <= 1 for name in off) and single.issuperset(ends)
    forward = all(branch.end in order and (branch.start is None or order[branch.start] < order[branch.end]) for branch in found)
    return Aside(tuple(found), tuple(sorted(hanging))) if whole and forward else None


def needed(plan: Plan, found: Aside, path: Sequence[str], name: str, enclosing: Mapping[str, Sequence[str]], share: float) -> float:
    """Return where the middle of a box of the path may be at the left, for the branches that end there; 0 where none does."""
    at = 0.0
    for branch in found.branches:
        if branch.end == name:
            start, inside = branch.start, branch
            if start is None:  # it must not widen a frame around its end over what is before the frame
                own = set(enclosing[name]) & set(enclosing[branch.names[-1]])
                outside = [each for each in path[: path.index(name)] if own - set(enclosing[each])]
                start = outside[-1] if outside else None
                inside = replace(branch, names=tuple(each for each in branch.names if own <= set(enclosing[each])))
            if start is not None:
                at = max(at, _spot(plan, start).right + inside.wide(plan, share) + _spot(plan, name).half[0])
    return at


def place(plan: Plan, path: Sequence[str], found: Aside, enclosing: Mapping[str, Sequence[str]], share: float) -> None:
    """Place everything beside a path that is placed: below it, what is short above what is long."""
    placed = [(_spot(plan, name) if len(plan.parts[name]) == 1 else plan.spots[plan.parts[name][-1]], name) for name in path]

    def lowest(names: Sequence[str], left: float, right: float) -> float:
        """Return the lower end of all that is placed between two abscissas, with the frames around it that are not around these."""
        own = set.intersection(*(set(enclosing[name]) for name in names))
        there = [(spot, other) for spot, other in placed if spot.left < right + GAP and spot.right > left - GAP]
        return min(spot.low - MARGIN * len(set(enclosing[other]) - own) for spot, other in there)

    for name, source in found.hanging:
        spot, above = _spot(plan, name), _spot(plan, source)
        spot.x = above.x
        spot.y = lowest([name], spot.left, spot.right) - STEP - spot.half[1]
        placed.append((spot, name))
    for branch in sorted(found.branches, key=lambda branch: _span(plan, branch, share)):
        spots = [_spot(plan, name) for name in branch.names]
        end = _spot(plan, branch.end).x - _spot(plan, branch.end).half[0]
        start = end - branch.wide(plan, share) if branch.start is None else _spot(plan, branch.start).right
        gap = (end - start - sum(spot.right - spot.left for spot in spots)) / (len(spots) + 1)
        at = start
        for spot in spots:
            wide = spot.right - spot.left
            at += gap + wide
            spot.x = at - wide / 2
        if branch.start is None:
            _outside(branch, spots, placed, enclosing)
            start = min(start, spots[0].left)
        own = max(len(set(enclosing[name]) - set(enclosing[branch.end])) for name in branch.names)
        low = lowest(branch.names, start, end)
        top = max(spot.crown - spot.y for spot in spots)
        for spot in spots:
            spot.y = low - GAP - TITLE * own - top
        placed += zip(spots, branch.names, strict=True)


def _outside(branch: Branch, spots: Sequence[Spot], placed: Sequence[tuple[Spot, str]], enclosing: Mapping[str, Sequence[str]]) -> None:
    """Move the boxes of a branch that are in fewer frames than those after them to the left of these frames."""
    for number in range(len(spots) - 2, -1, -1):
        left = set(enclosing[branch.names[number + 1]]) - set(enclosing[branch.names[number]])
        if left:
            inside = [spot for spot, name in placed if left & set(enclosing[name])] + [spots[number + 1]]
            dx = min(0.0, min(spot.left for spot in inside) - MARGIN * len(left) - GAP - spots[number].right)
            for spot in spots[: number + 1]:
                spot.x += dx


def _span(plan: Plan, branch: Branch, share: float) -> float:
    end = _spot(plan, branch.end).x
    return branch.wide(plan, share) if branch.start is None else end - _spot(plan, branch.start).x


def connect(plan: Plan, found: Aside) -> None:
    """Draw the arrows from the path to what is beside it, and back."""
    for name, source in found.hanging:
        start, end = _spot(plan, source), _spot(plan, name)
        for wire in plan.wires:
            if (wire.source, wire.target) == (start.part, end.part):
                wire.run(curve([(start.x, start.low - 2), (start.x, (start.low + end.crown) / 2), (end.x, end.crown + 1)], 0))
    for branch in found.branches:
        for wire in plan.wires:
            start, end = plan.spots[wire.source], plan.spots[wire.target]
            if wire.edge.target == branch.names[0] and wire.edge.source == branch.start:
                wire.run(curve(list(_away(start, end, any(other.end == branch.start for other in found.branches)))))
            elif wire.edge.source == branch.names[-1] and wire.edge.target == branch.end:
                wire.run(curve(list(_back(start, end))))


def _away(start: Spot, end: Spot, met: bool) -> Iterator[Point]:
    """Yield the corners of the way from the path down to a branch; `met`: another branch comes up there."""
    (x, y), (bx, by) = start.exit, end.mouth
    if start.volume is None and not met:  # from the base of the sign of a merge
        yield from ((start.x, start.y - start.half[1]), (start.x, by), (bx - 1, by))
        return
    turn = max(x + TURN, start.right + 3) if start.volume else x + MARGIN + 4.5  # beside the frame around the merge
    yield from ((x + 1, y), (turn, y), (turn, by), (bx - 1, by))


def _back(start: Spot, end: Spot) -> Iterator[Point]:
    """Yield the corners of the way from a branch up to the path."""
    (x, y), (bx, by) = start.exit, end.mouth
    if end.volume is None:  # to the base of the sign of a merge
        yield from ((x + 1, y), (end.x, y), (end.x, end.y - end.half[1] - 1))
        return
    turn = min(bx - TURN - 6, end.left - 3)
    yield from ((x + 1, y), (turn, y), (turn, by), (bx - 1, by))
