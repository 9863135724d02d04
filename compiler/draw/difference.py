"""A picture of the difference between two networks: the second one, with additions in green, changes in amber, and in red what
only the first one has. Blocks that differ are opened, and a changed box shows its old and new values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from archc.compiler.analysis.diff import Difference
from archc.compiler.analysis.notation import UNSEEN, notation, option_change
from archc.compiler.analysis.parts import Part, parts
from archc.compiler.draw.fold import PAGE, Folding, operator_box, scene
from archc.compiler.draw.scene import Box, Edge, Scene
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.shapes.dim import show_shape

MOST = 3 * PAGE  # most boxes with which all blocks that differ are opened
FOLLOWERS = {"activation": "act", "normalization": "norm"}  # by family: the option that adds such an operator


def difference(a: ArchGraph, b: ArchGraph, found: Difference, folding: Folding, names: tuple[str, str] = ("", "")) -> Scene:
    """Return the picture of a difference as a scene.

    `found` is the difference from `a` to `b`; `names` are the captions of the networks with their settings, by default their
    own names.
    """
    both = Both(a, b, found)
    marks = both.marks()
    result = opened(b, marks, replace(folding, apart=both.apart))
    first, second = names[0] or a.name, names[1] or b.name
    result.graph = None
    result.name = f"{a.name} to {b.name}"
    result.caption = [f"{first} -> {second}", *(f"{name}: {graph.title}" for name, graph in ((first, a), (second, b)) if graph.title)]
    mark_boxes(result, both)
    _edges(result, both, _removed(result, both))
    return result


class Both:
    """Two networks with their correspondence: notes on the nodes of the second, and the nodes that are only in the first."""

    def __init__(self, a: ArchGraph, b: ArchGraph, found: Difference) -> None:
        self.a, self.b = a, b
        followers = {node.name for node in a if node.operator.is_attached}
        moved = {name for change in found.changes if change.kind == "moved" for name in change.before} & followers
        self.there = {x: y for x, y in found.counterparts.items() if x not in moved}  # name in the first network -> name in the second
        self.here = {after: before for before, after in self.there.items()}
        self.added = {node.name for node in b if node.name not in self.here}
        self.gone = [node for node in a if node.name not in self.there]
        self._other = {name: change.kind for change in found.changes if change.kind in ("moved", "renamed") for name in change.after}
        self.notes = {node.name: notes for node in b if (notes := list(self._changes_of(node)))}
        self._follow()

    def _changes_of(self, node: Node) -> Iterator[str]:
        """Yield the changes of a node that is in both networks."""
        if node.name not in self.here:
            return
        before = self.a[self.here[node.name]]
        if node.is_input:
            if before.shape != node.shape:
                yield f"{show_shape(before.shape)} -> {show_shape(node.shape)}"
            return
        yield from option_change(before, node)
        if self._other.get(node.name) == "moved":
            yield "moved"
        elif self._other.get(node.name) == "renamed":
            yield f"weights: {before.key} -> {node.key}"

    def _follow(self) -> None:
        """Report an activation or normalization that was added, removed or changed as an option of the operator it follows."""
        self.followed: dict[str, str] = {}  # removed node -> the node of the second network that it followed
        self.following: set[str] = set()  # nodes added after an operator they follow
        options: dict[tuple[str, str], list[str]] = {}
        for graph, mine, side in ((self.a, {node.name for node in self.gone}, 0), (self.b, self.added, 1)):
            for node in graph:
                option = FOLLOWERS.get(node.operator.family) if node.operator.is_attached else None
                if node.name not in mine or option is None:
                    continue
                before = node.operands[0].name
                while before in mine and graph[before].operator.is_attached:
                    before = graph[before].operands[0].name
                owner = (self.there.get(before) if side == 0 else before if before in self.here else None) or ""
                if owner and not self.b[owner].operator.is_attached and len(self.b[owner].operands) == 1:
                    options.setdefault((owner, option), ["none", "none"])[side] = notation(node)
                    if side == 0:
                        self.followed[node.name] = owner
                    else:
                        self.following.add(node.name)
        for (owner, option), (old, new) in options.items():
            self.notes.setdefault(owner, []).append(f"{option}: {old} -> {new}")

    @cached_property
    def place(self) -> dict[str, str]:
        """Map every removed node to a node of the second network that it was adjacent to, in the same block if possible."""
        gone = {node.name for node in self.gone}
        found: dict[str, str] = {}
        for node in self.gone:
            if node.name in found:
                continue
            group, neighbors = [node.name], dict[str, None]()
            for name in group:  # grows during the loop: all connected removed nodes
                for other in (*self.a.operands(name), *self.a.users(name)):
                    if other not in gone:
                        neighbors[other] = None
                    elif other not in found:
                        found[other] = ""
                        group.append(other)
            for name in group:
                nearest = max(neighbors, key=lambda other: _together(name, other), default="")
                found[name] = self.there.get(nearest, "")
        return found

    @property
    def apart(self) -> frozenset[str]:
        """Nodes with an operand other than before. They get a box of their own, so that the edge is visible."""
        gone = {node.name for node in self.gone} - set(self.followed)
        cut = {after for before, after in self.there.items() if any(name in gone for name in self.a.operands(before))}
        return frozenset(cut | {target for _, target in self.new if target not in self.added})

    def marks(self) -> dict[str, str]:
        """Map every node of the second network that differs to a description; equal differences have equal descriptions."""
        found = {name: "; ".join(notes) for name, notes in self.notes.items()}
        found |= dict.fromkeys(self.added, "added")
        for node in self.gone:
            place = self.place[node.name]
            if place and node.name not in self.followed:
                found[place] = f"{found.get(place, '')}; without {notation(node)}"
        for source, target in self.new:
            if source not in self.added and target not in self.added:
                found[target] = f"{found.get(target, '')}; on another operand"
        for _, target in self.lost:
            found[target] = f"{found.get(target, '')}; without an operand"
        return found

    @cached_property
    def new(self) -> set[tuple[str, str]]:
        """Operand pairs of the second network that the first lacks, ignoring nodes removed in between."""
        past = _past(self.a, {node.name for node in self.gone})

        def is_new(name: str, target: str) -> bool:
            while name in self.following:  # that is a change of the operator it follows
                name = self.b.operands(name)[0]
            return name in self.added or target in self.added or self.here[name] not in past[self.here[target]]

        pairs = ((name, node.name) for node in self.b if node.name not in self.following for name in self.b.operands(node.name))
        return {(name, target) for name, target in pairs if is_new(name, target)}

    @cached_property
    def lost(self) -> set[tuple[str, str]]:
        """Operand pairs of the first network that the second lacks, ignoring nodes added in between; by the names in the second."""
        past = _past(self.b, self.added)
        return {
            (self.there[name], self.there[node.name])
            for node in self.a
            for name in self.a.operands(node.name)
            if name in self.there and node.name in self.there and self.there[name] not in past[self.there[node.name]]
        }


def _past(graph: ArchGraph, skipped: set[str]) -> dict[str, set[str]]:
    """Return the operands of every node, with skipped nodes replaced by their operands."""
    found: dict[str, set[str]] = {}
    for node in graph:
        found[node.name] = set()
        for name in graph.operands(node.name):
            found[node.name] |= found[name] if name in skipped else {name}
    return found


def _together(first: str, second: str) -> int:
    """Return how many enclosing blocks two nodes share."""
    count = 0
    for x, y in zip(first.split(".")[:-1], second.split(".")[:-1], strict=False):
        if x != y:
            break
        count += 1
    return count


def opened(b: ArchGraph, marks: Mapping[str, str], folding: Folding) -> Scene:
    """Return the scene. If no depth is given, the blocks with a difference are opened as far as the result stays readable."""
    folding = replace(folding, marks=marks)
    if folding.depth is not None or folding.flat or not marks:
        return scene(b, folding)
    differ = frozenset(_differing(parts(b), marks))
    for depth in range(max((name.count(".") for name in differ), default=0), -1, -1):
        shown = frozenset(name for name in differ if name.count(".") <= depth)
        result = scene(b, replace(folding, depth=0, opened=shown))
        if sum(1 for _ in result.shown()) <= MOST:
            return result
    return scene(b, replace(folding, depth=0))


def _differing(part: Part, marks: Mapping[str, str]) -> Iterator[str]:
    """Yield the blocks that contain a difference and are not entirely new."""
    for inner in part.parts.values():
        nodes = inner.nodes()
        if inner.parts and any(node.name in marks for node in nodes) and not all(marks.get(node.name) == "added" for node in nodes):
            yield inner.name
            yield from _differing(inner, marks)


def mark_boxes(result: Scene, both: Both) -> None:
    """Say of every box what was added and changed in it."""
    inside: dict[str, list[str]] = {}
    for name, box in result.shown_as.items():
        inside.setdefault(box.id, []).append(name)
    for box in result.shown():
        names = inside.get(box.id, [])
        new = [name for name in names if name in both.added]
        if names and len(new) == len(names):
            box.status, box.note = "added", "added"
            continue
        notes = list(dict.fromkeys(text for name in names if name not in both.added for text in both.notes.get(name, [])))
        if box.family == "block" and new:
            notes.insert(0, f"{len(new)} of {len(names)} operators added")
        if notes:
            box.status, box.note = "changed", "\n".join(notes)
            notes = [text for text in notes if text.partition(":")[0] not in UNSEEN] or notes
            box.changes += notes if len(notes) <= MOST_NOTES else [*notes[: MOST_NOTES - 1], f"and {len(notes) - MOST_NOTES + 1} more"]


MOST_NOTES = 4  # lines of changes in one box


@dataclass
class _Levels:
    """Finds the level of the picture that contains a box, to add others next to it."""

    boxes: list[Box]

    def holding(self, box: Box) -> list[Box] | None:
        for level in (self.boxes, *(outer.inside for outer in self.opened())):
            if any(each is box for each in level):
                return level
        return None

    def opened(self) -> Iterator[Box]:
        waiting = [box for box in self.boxes if box.opened]
        while waiting:
            box = waiting.pop()
            yield box
            waiting.extend(inner for inner in box.inside if inner.opened)


def _removed(result: Scene, both: Both) -> dict[str, Box]:
    """Add boxes for what only the first network has, next to its former neighbors; a closed block gets a note instead."""
    shown: dict[str, Box] = {}
    levels = _Levels(result.boxes)
    first = {box.id: {node.name for node in box.nodes} for box in result.shown()}
    lost: dict[str, list[str]] = {}
    for part, nodes in _gone_together(both):
        anchor = both.place[nodes[0].name]
        neighbor = result.shown_as.get(anchor)
        if neighbor is not None and neighbor.family == "block":
            lost.setdefault(neighbor.id, []).extend(notation(node) for node in nodes)
            shown.update((node.name, neighbor) for node in nodes)
            continue
        if neighbor is not None and anchor not in first[neighbor.id]:
            continue  # in a copy that is folded into the first one, which lacks the same
        box = _box(part, nodes)
        level = levels.holding(neighbor) if neighbor is not None else None
        (result.boxes if level is None else level).append(box)
        shown.update((node.name, box) for node in nodes)
    for box in result.shown():
        if box.id in lost:
            names = lost[box.id]
            box.status = "changed"
            box.changes.append(f"without {names[0]}" if len(names) == 1 else f"without {len(names)} operators")
            box.note = "\n".join(filter(None, [box.note, *(f"{name} removed" for name in dict.fromkeys(names))]))
    return shown


def _gone_together(both: Both) -> Iterator[tuple[Part, list[Node]]]:
    """Yield the removed nodes by boxes: whole blocks, and operators with what is attached to them."""
    gone = {node.name for node in both.gone if node.name not in both.followed}

    def walk(part: Part) -> Iterator[tuple[Part, list[Node]]]:
        for inner in part.parts.values():
            nodes = inner.nodes()
            if all(node.name in gone for node in nodes):
                yield inner, nodes
            elif inner.parts:
                yield from walk(inner)

    boxes: list[tuple[Part, list[Node]]] = []
    for part, nodes in walk(parts(both.a)):
        node = nodes[0]
        if part.node is not None and node.operator.is_attached and boxes and both.a.operands(node.name) == [boxes[-1][1][-1].name]:
            boxes[-1][1].append(node)
        else:
            boxes.append((part, nodes))
    yield from boxes


def _box(part: Part, nodes: Sequence[Node]) -> Box:
    if part.node is not None:
        box = operator_box(part.node)
        box.details = [" · ".join(notation(other) for other in nodes[1:])] if len(nodes) > 1 else []
        if box.family == "merge":  # a circle has no room for the old value
            box.family, box.title = "shape", notation(part.node)
    else:
        box = Box(part.name, "block", part.label, part.call.brief if part.call else "", [] if part.call else [f"{len(nodes)} operators"])
    box.id, box.status, box.note, box.span = f"removed/{part.name}", "removed", "removed", None  # it is in the other file
    box.nodes, box.shape = [], nodes[-1].shape
    return box


def _edges(result: Scene, both: Both, removed: Mapping[str, Box]) -> None:
    """Mark edges that are new green, and add edges that are gone in red."""
    come = {(result.shown_as[source].id, result.shown_as[target].id) for source, target in both.new}
    for edge in result.edges:
        if (edge.source, edge.target) in come:
            edge.status = "added"
    known = {(edge.source, edge.target) for edge in result.edges}

    def connect(source: Box | None, target: Box | None) -> None:
        if source is not None and target is not None and source is not target and (source.id, target.id) not in known:
            known.add((source.id, target.id))
            result.edges.append(Edge(source.id, target.id, status="removed"))

    def shown(name: str) -> Box | None:
        name = both.followed.get(name, name)
        return removed.get(name) or result.shown_as.get(both.there.get(name, name if name in both.here else ""))

    for source, target in sorted(both.lost):
        connect(result.shown_as[source], result.shown_as[target])
    for node in both.gone:
        if node.name in removed:
            for name in both.a.operands(node.name):
                connect(shown(name), removed[node.name])
            for name in both.a.users(node.name):
                connect(removed[node.name], shown(name))
