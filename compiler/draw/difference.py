"""A picture of what differs between two networks: the second one, green where it has more, amber where something is otherwise,
and red what only the first has. Blocks that differ are opened, and a box that changed says what it was and what it is."""

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

MOST = 3 * PAGE  # boxes up to which all blocks that differ are opened
FOLLOWERS = {"activation": "act", "normalisation": "norm"}  # by family: the option that brings such an operator


def difference(a: ArchGraph, b: ArchGraph, found: Difference, folding: Folding, names: tuple[str, str] = ("", "")) -> Scene:
    """The picture. `names` are what the networks are called, with their settings: their own names where not given."""
    both = _Both(a, b, found)
    marks = both.marks()
    made = _opened(b, marks, replace(folding, apart=both.apart))
    first, second = names[0] or a.name, names[1] or b.name
    made.graph = None
    made.name = f"{a.name} to {b.name}"
    made.caption = [f"{first} -> {second}", *(f"{name}: {graph.title}" for name, graph in ((first, a), (second, b)) if graph.title)]
    _added_and_changed(made, both)
    _edges(made, both, _removed(made, both))
    return made


class _Both:
    """Two networks with what is in both: of every node of the second what was said of it, of the first what is gone."""

    def __init__(self, a: ArchGraph, b: ArchGraph, found: Difference) -> None:
        self.a, self.b = a, b
        followers = {node.name for node in a if node.operator.is_attached}
        moved = {name for change in found.changes if change.kind == "moved" for name in change.before} & followers
        self.there = {x: y for x, y in found.counterparts.items() if x not in moved}  # by the name in the first: that in the second
        self.here = {after: before for before, after in self.there.items()}
        self.added = {node.name for node in b if node.name not in self.here}
        self.gone = [node for node in a if node.name not in self.there]
        self._other = {name: change.kind for change in found.changes if change.kind in ("moved", "renamed") for name in change.after}
        self.said = {node.name: said for node in b if (said := list(self._said(node)))}
        self._follow()

    def _said(self, node: Node) -> Iterator[str]:
        """What is otherwise of a node that is in both."""
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
        """An activation or normalisation that came, went or changed is said of the operator that it follows, as its option."""
        self.followed: dict[str, str] = {}  # by the name of what is gone: what it followed, in the second network
        self.following: set[str] = set()  # what was added to follow an operator
        told: dict[tuple[str, str], list[str]] = {}
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
                    told.setdefault((owner, option), ["none", "none"])[side] = notation(node)
                    if side == 0:
                        self.followed[node.name] = owner
                    else:
                        self.following.add(node.name)
        for (owner, option), (old, new) in told.items():
            self.said.setdefault(owner, []).append(f"{option}: {old} -> {new}")

    @cached_property
    def place(self) -> dict[str, str]:
        """For every node that is gone, a node of the second network that it stood next to, in the same block if there is one."""
        gone = {node.name for node in self.gone}
        found: dict[str, str] = {}
        for node in self.gone:
            if node.name in found:
                continue
            group, beside = [node.name], dict[str, None]()
            for name in group:  # it grows: all that is gone and hangs together
                for other in (*self.a.operands(name), *self.a.users(name)):
                    if other not in gone:
                        beside[other] = None
                    elif other not in found:
                        found[other] = ""
                        group.append(other)
            for name in group:
                nearest = max(beside, key=lambda other: _together(name, other), default="")
                found[name] = self.there.get(nearest, "")
        return found

    @property
    def apart(self) -> frozenset[str]:
        """What has another operand than before is not attached to it, so that the edge is seen."""
        gone = {node.name for node in self.gone} - set(self.followed)
        cut = {after for before, after in self.there.items() if any(name in gone for name in self.a.operands(before))}
        return frozenset(cut | {target for _, target in self.new if target not in self.added})

    def marks(self) -> dict[str, str]:
        """For every node of the second network that differs, how: equal texts for what differs alike."""
        found = {name: "; ".join(said) for name, said in self.said.items()}
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
        """Operands of the second network that the first does not have, past what is gone from it."""
        past = _past(self.a, {node.name for node in self.gone})

        def is_new(name: str, target: str) -> bool:
            while name in self.following:  # that is a change of what it follows
                name = self.b.operands(name)[0]
            return name in self.added or target in self.added or self.here[name] not in past[self.here[target]]

        pairs = ((name, node.name) for node in self.b if node.name not in self.following for name in self.b.operands(node.name))
        return {(name, target) for name, target in pairs if is_new(name, target)}

    @cached_property
    def lost(self) -> set[tuple[str, str]]:
        """Operands of the first network that the second does not have, past what was added to it; by the names in the second."""
        past = _past(self.b, self.added)
        return {
            (self.there[name], self.there[node.name])
            for node in self.a
            for name in self.a.operands(node.name)
            if name in self.there and node.name in self.there and self.there[name] not in past[self.there[node.name]]
        }


def _past(graph: ArchGraph, skipped: set[str]) -> dict[str, set[str]]:
    """The operands of every node, those of skipped nodes in their place."""
    found: dict[str, set[str]] = {}
    for node in graph:
        found[node.name] = set()
        for name in graph.operands(node.name):
            found[node.name] |= found[name] if name in skipped else {name}
    return found


def _together(first: str, second: str) -> int:
    """How many blocks are around both."""
    count = 0
    for x, y in zip(first.split(".")[:-1], second.split(".")[:-1], strict=False):
        if x != y:
            break
        count += 1
    return count


def _opened(b: ArchGraph, marks: Mapping[str, str], folding: Folding) -> Scene:
    """Where no depth is asked for, the blocks that hold a difference are opened, down to where there is too much to look at."""
    folding = replace(folding, marks=marks)
    if folding.depth is not None or folding.flat or not marks:
        return scene(b, folding)
    differ = frozenset(_differing(parts(b), marks))
    for depth in range(max((name.count(".") for name in differ), default=0), -1, -1):
        shown = frozenset(name for name in differ if name.count(".") <= depth)
        made = scene(b, replace(folding, depth=0, opened=shown))
        if sum(1 for _ in made.shown()) <= MOST:
            return made
    return scene(b, replace(folding, depth=0))


def _differing(part: Part, marks: Mapping[str, str]) -> Iterator[str]:
    """The blocks that hold a difference and are not new as a whole."""
    for inner in part.parts.values():
        nodes = inner.nodes()
        if inner.parts and any(node.name in marks for node in nodes) and not all(marks.get(node.name) == "added" for node in nodes):
            yield inner.name
            yield from _differing(inner, marks)


def _added_and_changed(made: Scene, both: _Both) -> None:
    inside: dict[str, list[str]] = {}
    for name, box in made.shown_as.items():
        inside.setdefault(box.id, []).append(name)
    for box in made.shown():
        names = inside.get(box.id, [])
        new = [name for name in names if name in both.added]
        if names and len(new) == len(names):
            box.status, box.note = "added", "added"
            continue
        said = list(dict.fromkeys(text for name in names if name not in both.added for text in both.said.get(name, [])))
        if box.family == "block" and new:
            said.insert(0, f"{len(new)} of {len(names)} operators added")
        if said:
            box.status, box.note = "changed", "\n".join(said)
            said = [text for text in said if text.partition(":")[0] not in UNSEEN] or said
            box.changes += said if len(said) <= SAID else [*said[: SAID - 1], f"and {len(said) - SAID + 1} more"]


SAID = 4  # lines of changes in one box


@dataclass
class _Room:
    """Where boxes of the picture stand, to set others beside them."""

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


def _removed(made: Scene, both: _Both) -> dict[str, Box]:
    """Boxes for what only the first network has, beside what they stood next to; a closed block is told of them."""
    shown: dict[str, Box] = {}
    room = _Room(made.boxes)
    first = {box.id: {node.name for node in box.nodes} for box in made.shown()}
    lost: dict[str, list[str]] = {}
    for part, nodes in _gone_together(both):
        anchor = both.place[nodes[0].name]
        beside = made.shown_as.get(anchor)
        if beside is not None and beside.family == "block":
            lost.setdefault(beside.id, []).extend(notation(node) for node in nodes)
            shown.update((node.name, beside) for node in nodes)
            continue
        if beside is not None and anchor not in first[beside.id]:
            continue  # of a copy that is folded into the first one, where the same is gone
        box = _box(part, nodes)
        level = room.holding(beside) if beside is not None else None
        (made.boxes if level is None else level).append(box)
        shown.update((node.name, box) for node in nodes)
    for box in made.shown():
        if box.id in lost:
            names = lost[box.id]
            box.status = "changed"
            box.changes.append(f"without {names[0]}" if len(names) == 1 else f"without {len(names)} operators")
            box.note = "\n".join(filter(None, [box.note, *(f"{name} removed" for name in dict.fromkeys(names))]))
    return shown


def _gone_together(both: _Both) -> Iterator[tuple[Part, list[Node]]]:
    """What is gone, by boxes: whole blocks, and operators with what is attached to them."""
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
        if box.family == "merge":  # a circle has no room for what it was
            box.family, box.title = "shape", notation(part.node)
    else:
        box = Box(part.name, "block", part.label, part.call.brief if part.call else "", [] if part.call else [f"{len(nodes)} operators"])
    box.id, box.status, box.note, box.span = f"removed/{part.name}", "removed", "removed", None  # it stands in the other file
    box.nodes, box.shape = [], nodes[-1].shape
    return box


def _edges(made: Scene, both: _Both, removed: Mapping[str, Box]) -> None:
    """Green what leads elsewhere than before, red what is gone."""
    come = {(made.shown_as[source].id, made.shown_as[target].id) for source, target in both.new}
    for edge in made.edges:
        if (edge.source, edge.target) in come:
            edge.status = "added"
    known = {(edge.source, edge.target) for edge in made.edges}

    def connect(source: Box | None, target: Box | None) -> None:
        if source is not None and target is not None and source is not target and (source.id, target.id) not in known:
            known.add((source.id, target.id))
            made.edges.append(Edge(source.id, target.id, status="removed"))

    def shown(name: str) -> Box | None:
        name = both.followed.get(name, name)
        return removed.get(name) or made.shown_as.get(both.there.get(name, name if name in both.here else ""))

    for source, target in sorted(both.lost):
        connect(made.shown_as[source], made.shown_as[target])
    for node in both.gone:
        if node.name in removed:
            for name in both.a.operands(node.name):
                connect(shown(name), removed[node.name])
            for name in both.a.users(node.name):
                connect(removed[node.name], shown(name))
