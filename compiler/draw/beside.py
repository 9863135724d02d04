"""A difference as two pictures side by side: what corresponds lies on one line, with what was removed in red on the left, what was
added in green on the right, and what changed in amber on both sides.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace

from archc.compiler.analysis.diff import Difference
from archc.compiler.draw.difference import Both, mark_boxes, opened
from archc.compiler.draw.fold import Folding, blocks, patterns_of
from archc.compiler.draw.scene import Box, Edge, Scene
from archc.compiler.draw.spine import main_paths
from archc.compiler.graph import ArchGraph

FIRST, SECOND = "first", "second"


def side_by_side(a: ArchGraph, b: ArchGraph, found: Difference, folding: Folding, names: tuple[str, str] = ("", "")) -> Scene:
    """Return two networks as one scene, each in a frame with its name.

    `found` is the difference from `a` to `b`; `names` are what the networks are called, by default their own names. Patterns of blocks
    may name those of either network; raises UnknownName for one of neither.
    """
    back = replace(
        found,
        changes=[replace(change, before=change.after, after=change.before) for change in found.changes],
        counterparts={after: before for before, after in found.counterparts.items()},
    )
    left = _side(b, a, back, folding, FIRST)
    right = _side(a, b, found, folding, SECOND)
    called = names[0] or a.name, names[1] or b.name
    pairs = _level(left, right, found.counterparts)
    frames = []
    for scene, graph, side, name in ((left, a, FIRST, called[0]), (right, b, SECOND, called[1])):
        _prefix(scene, side)
        frames.append(Box(side, "block", name, "", opened=True, inside=scene.boxes, note=graph.title or name))
    caption = [" -> ".join(called), *(f"{name}: {graph.title}" for name, graph in zip(called, (a, b), strict=True) if graph.title)]
    made = Scene(f"{a.name} to {b.name}", "", frames, [*left.edges, *right.edges], caption=caption)
    made.level = [(f"{FIRST}/{x}", f"{SECOND}/{y}") for x, y in pairs]
    return made


def _side(other: ArchGraph, graph: ArchGraph, found: Difference, folding: Folding, side: str) -> Scene:
    """Return the picture of one network, with what the other one lacks."""
    known = blocks(graph)
    elsewhere = blocks(other)
    own = replace(
        folding,
        expand=patterns_of(folding.expand, known, elsewhere),
        collapse=patterns_of(folding.collapse, known, elsewhere),
    )
    both = Both(other, graph, found)
    made = opened(graph, both.marks(), replace(own, apart=both.apart))
    mark_boxes(made, both)
    new = {(made.shown_as[source].id, made.shown_as[target].id) for source, target in both.new}
    only = "removed" if side == FIRST else "added"
    for edge in made.edges:
        edge.status = only if (edge.source, edge.target) in new else edge.status
    for box in made.shown():
        if side == FIRST:  # the box shows the old values, its counterpart the new ones beside them
            box.changes = []
            box.status, box.note = ("removed", "removed") if box.status == "added" else (box.status, box.note and "changed")
    return made


def _level(left: Scene, right: Scene, counterparts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return pairs of boxes on the main paths that show the same, as many as can lie on one line each without a crossing."""
    first, second = _spine(left), _spine(right)
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for before, after in counterparts.items():
        x, y = (
            place.get(scene.shown_as[name].id, -1) if name in scene.shown_as else -1
            for place, scene, name in ((first, left, before), (second, right, after))
        )
        if x >= 0 and y >= 0 and x not in pairs and y not in taken:
            pairs[x] = y
            taken.add(y)
    names = [*first], [*second]
    return [(names[0][x], names[1][y]) for x, y in _rising(sorted(pairs.items()))]


def _spine(scene: Scene) -> dict[str, int]:
    """Return the boxes of the main path with their places in it."""
    path = next(iter(main_paths(scene)), [])
    return {name: number for number, name in enumerate(path)}


def _rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest part of pairs, sorted by the first, in which the second rises as well."""
    ends: list[int] = []  # the smallest last value of a rising part of each length, by its place
    before: list[int] = []
    values: list[int] = []
    for place, (_, value) in enumerate(pairs):
        at = bisect_left(values, value)
        before.append(ends[at - 1] if at else -1)
        values[at : at + 1] = [value]
        ends[at : at + 1] = [place]
    place, found = (ends[-1] if ends else -1), []
    while place >= 0:
        found.append(pairs[place])
        place = before[place]
    return found[::-1]


def _prefix(scene: Scene, side: str) -> None:
    """Give boxes ids that no box of the other network has."""
    for box in scene.every():
        box.id = f"{side}/{box.id}"
    scene.edges = [
        Edge(f"{side}/{edge.source}", f"{side}/{edge.target}", edge.shape, edge.spine, edge.training_only, edge.status)
        for edge in scene.edges
    ]
