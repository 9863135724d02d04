"""What is laid over a picture: what differs between two networks, and where a wrong file fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from compiler.analysis.diff import Difference
from compiler.analysis.notation import notation
from compiler.draw.fold import PAGE, Folding, blocks, operator_box, scene
from compiler.draw.scene import Box, Edge, Scene
from compiler.expand.builder import Failure
from compiler.graph import ArchGraph, Node
from compiler.shapes.dim import show_shape
from dsl.diagnostics import Diagnostic

CHANGED = ("changed", "moved", "rewired", "renamed")


def difference(a: ArchGraph, b: ArchGraph, found: Difference, folding: Folding) -> Scene:
    """The second network; green what it has more, amber what is otherwise, and red what only the first has."""
    made = _opened_where_it_differs(b, found, folding)
    made.name = f"{a.name} to {b.name}"
    added = {name for change in found.changes if change.kind == "added" for name in change.after}
    removed = [name for change in found.changes if change.kind == "removed" for name in change.before]
    changed = {name: change.what for change in found.changes if change.kind in CHANGED for name in change.after}
    nodes = Counter(box.id for box in made.shown_as.values())
    new = Counter(made.shown_as[name].id for name in added if name in made.shown_as)
    for box in made.shown():
        told = list(dict.fromkeys(changed[node.name] for node in box.nodes if node.name in changed))
        if new[box.id] and new[box.id] == nodes[box.id]:
            box.status = "added"
        elif new[box.id]:
            told.insert(0, f"{new[box.id]} of {nodes[box.id]} operators added")
        if told and not box.status:
            box.status = "changed"
        box.note = "\n".join([box.note, *told] if box.note else told)
    come = {box.id for box in made.shown() if box.status == "added"}
    for edge in made.edges:
        edge.status = "added" if edge.source in come or edge.target in come else ""
    _removed(made, a, removed, found.counterparts)
    return made


def _opened_where_it_differs(b: ArchGraph, found: Difference, folding: Folding) -> Scene:
    """Where nothing else is asked for, the blocks that differ are opened, if that is not too much to look at."""
    if folding.depth is None and not folding.flat:
        names = {name for change in found.changes for name in (*change.after, *change.before) if change.kind != "follows"}
        differ = {name.rpartition(".")[0] for name in names} & set(blocks(b))
        opened = scene(b, replace(folding, expand=(*folding.expand, *sorted(differ))))
        if sum(1 for _ in opened.shown()) <= 2 * PAGE:
            return opened
    return scene(b, folding)


def _removed(made: Scene, a: ArchGraph, removed: Sequence[str], there: dict[str, str]) -> None:
    """Boxes for what is only in the first network, within the blocks that are shown; a closed block is told of it."""
    closed = {box.id: box for box in made.shown() if box.family == "block"}
    opened = {box.id: box for box in made.every() if box.opened}
    mine: dict[str, Box] = {}
    for name in removed:
        outer = [name[:stop] for stop, sign in enumerate(name) if sign == "."]
        within = next((closed[scope] for scope in outer if scope in closed), None)
        if within is not None:
            within.status = within.status or "changed"
            within.note = f"{within.note}\n{name} removed".strip()
            mine[name] = within
            continue
        mine[name] = box = _box(a[name])
        room = next((opened[scope].inside for scope in reversed(outer) if scope in opened), made.boxes)
        room.append(box)

    def shown(name: str) -> Box | None:
        return mine.get(name) or made.shown_as.get(there.get(name, ""))

    known = {(edge.source, edge.target) for edge in made.edges}
    for name in removed:
        pairs = [(operand, name) for operand in a.operands(name)] + [(name, user) for user in a.users(name)]
        for first, second in pairs:
            source, target = shown(first), shown(second)
            if source and target and source is not target and (source.id, target.id) not in known:
                known.add((source.id, target.id))
                made.edges.append(Edge(source.id, target.id, status="removed"))


def _box(node: Node) -> Box:
    box = operator_box(node)
    box.id, box.status, box.note, box.span = f"removed/{node.name}", "removed", "removed", None  # it stands in the other file
    if box.family == "merge":  # a circle has no room for what it was
        box.family, box.title = "shape", notation(node)
    return box


def partial(graph: ArchGraph, failures: Sequence[Failure], diagnostics: Iterable[Diagnostic], folding: Folding) -> Scene:
    """As much of a wrong network as has shapes; red where it fails, with what is wrong."""
    made = scene(graph, folding)
    told = set()
    for failure in failures:
        told.add((failure.span.source, failure.span.start))
        box = Box(f"failed/{failure.name}", "failed", "", failure.written, status="failed", note=failure.message, span=failure.span)
        made.boxes.append(box)
        made.edges += [
            Edge(made.shown_as[operand].id, box.id, show_shape(graph[operand].shape), status="failed")
            for operand in dict.fromkeys(failure.operands)
            if operand in made.shown_as
        ]
    for found in diagnostics:
        span = found.span
        if span is None or (span.source, span.start) in told:
            continue
        blamed = [node for node in graph if node.span.source is span.source and node.span.start <= span.end and span.start <= node.span.end]
        if blamed:
            box = made.shown_as[blamed[-1].name]
            box.status, box.note = "failed", found.message
            for edge in made.edges:
                edge.status = "failed" if edge.source == box.id else edge.status
    return made
