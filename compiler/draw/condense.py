"""What a figure in a paper shows of a network: tensors, with equal neighbours as one, and a frame only around several of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from archc.compiler.draw.fold import Folding, height, operator_box, scene
from archc.compiler.draw.scene import Box, Edge, Scene, clean
from archc.compiler.graph import ArchGraph

VOLUMES = 20  # volumes that fit a slide: blocks are opened, level by level, up to this number
_PASSED = ("activation", "normalization", "regularization", "output")


@dataclass
class Run(Box):
    """Neighbours that produce equal tensors by equal operators or blocks; its nodes and counts are those of all of them together."""

    members: int = 1
    skipping: int = 0  # members with shortcuts

    @property
    def times(self) -> str:
        """Return `x3` for three neighbours."""
        return f"x{self.members}"

    @property
    def tooltip(self) -> str:
        """Return the first and the last name, the shape and the counts of all neighbours, in lines."""
        head, *rest = super().tooltip.split("\n")
        lines = [f"{head} .. {self.last}, {self.members} together", *rest]
        return "\n".join(f"{line}, in {self.skipping} of them" if line == str(self.skips) else line for line in lines)


def paper_scene(graph: ArchGraph, folding: Folding) -> Scene:
    """Return the scene of a figure. Without a depth, blocks are opened while what is drawn fits a slide. Raises as `fold.scene`."""
    if folding.flat or folding.depth is not None:
        return scene(graph, folding)
    shown = scene(graph, replace(folding, depth=0))
    for depth in range(1, height(graph)):
        deeper = scene(graph, replace(folding, depth=depth))
        if sum(1 for _ in condensed(deeper).shown()) > VOLUMES:
            break
        shown = deeper
    return shown


def condensed(made: Scene) -> Scene:
    """Remove what produces no tensor of its own, fold equal neighbours, and name what is left."""
    made = without_steps(made)
    made.boxes = _as_operators(made.boxes)
    edges = made.edges
    merged: dict[str, str] = {}
    boxes = _folded(made.boxes, edges, merged)
    moved = [replace(edge, source=merged.get(edge.source, edge.source), target=merged.get(edge.target, edge.target)) for edge in edges]
    kept = [edge for edge in moved if edge.source != edge.target]
    return replace(made, boxes=[_unframed(box) for box in boxes], edges=kept)


def without_steps(made: Scene) -> Scene:
    """Remove what only names, reshapes or acts elementwise: figures in papers draw tensors."""
    passed = {box.id for box in made.shown() if box.family in _PASSED or (box.nodes and box.nodes[0].operator.unrolls)}
    into = {edge.target: edge for edge in made.edges}

    def origin(name: str) -> str:
        while name in passed and name in into:
            name = into[name].source
        return name

    edges: dict[tuple[str, str, int], Edge] = {}
    for number, edge in enumerate(made.edges):
        if edge.target not in passed:
            moved = replace(edge, source=origin(edge.source))
            edges[moved.source, moved.target, number] = moved
    return Scene(made.name, made.title, _kept(made.boxes, passed), list(edges.values()), caption=made.caption)


def _kept(boxes: list[Box], passed: set[str]) -> list[Box]:
    kept = [replace(box, inside=_kept(box.inside, passed)) if box.opened else box for box in boxes if box.id not in passed]
    return [box for box in kept if box.inside or not box.opened]


def _as_operators(boxes: list[Box]) -> list[Box]:
    """Show a closed block as the one operator in it that produces a tensor of its own, as of a convolution with its normalization."""
    found = []
    for box in boxes:
        if box.opened:
            box = replace(box, inside=_as_operators(box.inside))
        elif box.family == "block" and box.copies == 1 and not box.status:
            own = [node for node in box.nodes if node.operator.picture_family not in _PASSED and not node.operator.unrolls]
            if len(own) == 1 and own[0].operator.picture_family != "merge" and own[0].shape == box.shape:
                shown = operator_box(own[0])
                box = replace(
                    box, family=shown.family, title=shown.title, nodes=[own[0], *(node for node in box.nodes if node is not own[0])]
                )
        found.append(box)
    return found


# ---- equal neighbours


def _folded(boxes: list[Box], edges: list[Edge], merged: dict[str, str]) -> list[Box]:
    """Fold runs of equal neighbours among boxes, and inside them; `merged` receives the box that each folded one is part of."""
    outs, ins = Counter(edge.source for edge in edges), Counter(edge.target for edge in edges)
    joined = {(edge.source, edge.target) for edge in edges if outs[edge.source] == ins[edge.target] == 1 and not edge.status}
    runs: list[list[Box]] = []
    for box in boxes:
        if runs and (runs[-1][-1].id, box.id) in joined and _alike(runs[-1][-1], box):
            runs[-1].append(box)
        else:
            runs.append([box])
    folded = []
    for run in runs:
        merged.update((box.id, run[0].id) for box in run[1:])
        box = _run(run) if len(run) > 1 else run[0]
        folded.append(replace(box, inside=_folded(box.inside, edges, merged)) if box.opened else box)
    return folded


def _alike(first: Box, second: Box) -> bool:
    """Return whether two boxes look the same in a figure, and have no names of their own."""
    if first.opened or second.opened or first.status or second.status or first.family != second.family or first.shape != second.shape:
        return False
    if named(first) or named(second) or not first.nodes or first.family in ("input", "merge", "unknown", "failed"):
        return False
    if first.nodes[0].place != second.nodes[0].place or first.training_only != second.training_only:
        return False
    if first.family == "block":
        return _callee(first) == _callee(second) != ""
    return first.title == second.title


def _callee(box: Box) -> str:
    return box.title.partition("(")[0]


def _run(run: list[Box]) -> Box:
    first, last = run[0], run[-1]
    made = Run(**{each.name: getattr(first, each.name) for each in fields(Box)}, members=sum(box.copies for box in run))
    made.copies, made.last = 1, last.last if last.copies > 1 else last.id
    made.nodes = [node for box in run for node in box.nodes]
    made.params = sum(box.params * box.copies for box in run)
    macs = [box.macs * box.copies for box in run]
    made.macs = sum(macs[1:], start=macs[0])
    made.title = _shared(run)
    skipping = [box for box in run if box.skips]
    if skipping:
        made.skips, made.skipping = skipping[-1].skips, sum(box.copies for box in skipping)
    made.call = clean(_callee(first)) if first.family == "block" else first.call
    return made


def _shared(run: list[Box]) -> str:
    """Return the title of a run: of a block, its call with the arguments that all have."""
    if run[0].family != "block":
        return run[0].title
    calls = [arguments(box.title) for box in run]
    same = {name: value for name, value in calls[0].items() if all(call.get(name) == value for call in calls)}
    return call_text(_callee(run[0]), same)


def arguments(call: str) -> dict[str, str]:
    """Return the arguments of a call as written, by name; those without one have a number."""
    _, _, text = call.removesuffix(")").partition("(")
    found: dict[str, str] = {}
    depth, start = 0, 0
    for at, sign in enumerate(text + ","):
        depth += (sign in "([{<") - (sign in ")]}>")
        if sign == "," and depth <= 0:
            written = text[start:at].strip()
            name, equals, value = written.partition("=")
            if written:
                found[name if equals else str(len(found))] = value if equals else written
            start = at + 1
    return found


def call_text(callee: str, given: dict[str, str]) -> str:
    """Write a call; a number as a name is left out."""
    listed = ", ".join(value if name.isdigit() else f"{name}={value}" for name, value in given.items())
    return f"{callee}({listed})" if listed else callee


# ---- names


def named(box: Box) -> bool:
    """Return whether a person gave the box its name: not a number, and not one that the operator has by default."""
    return bool(box.name) and not box.name.isdigit()


def _unframed(box: Box) -> Box:
    """Replace a frame around one box by the box, with the name of the frame."""
    if not box.opened:
        return box
    inside = [_unframed(inner) for inner in box.inside]
    only = inside[0]
    if len(inside) == 1 and only.opened and box.copies == 1 and not box.title:
        return replace(only, name=f"{box.name}.{only.name}" if only.name.isdigit() else only.name)
    if len(inside) == 1 and not only.opened and not named(only) and box.copies == 1 and only.family != "merge":
        return replace(only, name=box.name)
    return replace(box, inside=inside)


def paths(made: Scene) -> Iterator[tuple[Box, str]]:
    """Yield every box with its name in a figure: a number stands after the name of the block around it, as in `layer2.0`."""
    for box in made.every():
        yield box, _path(box)


def _path(box: Box) -> str:
    if not box.name.isdigit():
        return box.name
    if box.family != "block":  # an operator is told by what is written under it
        return ""
    steps = box.id.split(".")
    while len(steps) > 1 and steps[-1] != box.name:  # the name is that of a frame that was left out
        steps.pop()
    tail = [steps.pop()]
    while steps and tail[0].isdigit():
        tail.insert(0, steps.pop())
    name = ".".join(tail)
    end = box.last.split(".")
    last = end[len(box.id.split(".")) - 1] if len(end) >= len(box.id.split(".")) else ""
    several = isinstance(box, Run) or box.copies > 1
    return f"{name}\u2013{last}" if several and last.isdigit() and last != box.name and steps + tail == box.id.split(".") else name
