"""Convert a graph to a scene: choose which blocks are opened, fold equal copies, and attach operators to others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from archc.compiler.analysis.cost import Counted
from archc.compiler.analysis.notation import notation
from archc.compiler.analysis.parts import Part, parts
from archc.compiler.analysis.skips import skips
from archc.compiler.draw.scene import Box, Edge, Scene, every
from archc.compiler.draw.spine import mark_spine
from archc.compiler.errors import UnknownName
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.record import no_weights
from archc.compiler.shapes.dim import show_shape

PAGE = 25  # boxes that a reader can take in: blocks are opened, level by level, up to this number


@dataclass(frozen=True)
class Folding:
    """How much a picture shows.

    `depth` is the number of levels of blocks to open, by default as many as fit a page; `expand` and `collapse` name blocks, by
    patterns such as `layer3*`; `flat` shows every operator alone, and no blocks.
    """

    depth: int | None = None
    expand: tuple[str, ...] = ()
    collapse: tuple[str, ...] = ()
    flat: bool = False
    opened: frozenset[str] = frozenset()  # blocks to open by name, keeping copies folded
    marks: Mapping[str, str] = field(default_factory=dict)  # copies are folded only if the marks of their nodes are equal
    apart: frozenset[str] = frozenset()  # nodes that are not attached to the one they follow


def scene(graph: ArchGraph, folding: Folding = Folding()) -> Scene:
    """Return the picture of a network. Raises UnknownName for a pattern that matches no block."""
    made = _scene(graph, folding)
    made.graph = graph
    made.opened = blocks(graph) if folding.flat else [box.id for box in made.every() if box.opened]
    return made


def _scene(graph: ArchGraph, folding: Folding) -> Scene:
    root = parts(graph)
    if folding.flat:
        return _Folder(graph, _flat(graph), folding).scene()
    if folding.depth is not None:
        return _Folder(graph, root, folding, folding.depth).scene()
    counted = Counted(graph)
    shown = _Folder(graph, root, folding, counted=counted)
    for depth in range(1, _height(root)):
        deeper = _Folder(graph, root, folding, depth, counted, spare=True)
        if deeper.count() > PAGE:
            break
        shown = deeper
    return shown.scene()


def body(graph: ArchGraph, part: Part) -> Scene:
    """Return the picture of the inside of one block, with its own blocks closed, and ends where tensors enter and leave."""
    return _Folder(graph, part, Folding()).scene()


def height(graph: ArchGraph) -> int:
    """Return how many levels of blocks there are, with the operators as the last."""
    return _height(parts(graph))


def blocks(graph: ArchGraph) -> list[str]:
    """Return the names of all blocks."""
    return [part.name for part in _walk(parts(graph)) if part.parts]


def patterns_of(patterns: Sequence[str], known: Sequence[str], elsewhere: Sequence[str]) -> tuple[str, ...]:
    """Return the patterns without those that name blocks of another network alone."""

    def fits(pattern: str, names: Sequence[str]) -> bool:
        return any(fnmatchcase(name, pattern) for name in names)

    return tuple(pattern for pattern in patterns if fits(pattern, known) or not fits(pattern, elsewhere))


def _flat(graph: ArchGraph) -> Part:
    return Part("", parts={node.name: Part(node.name, node) for node in graph})


def _height(part: Part) -> int:
    return 1 + max((_height(inner) for inner in part.parts.values()), default=0)


class _Folder:
    """Builds the scene of one part. `box_of` maps nodes to boxes; `turns` records which copy of which fold a node is in."""

    def __init__(
        self, graph: ArchGraph, root: Part, folding: Folding, depth: int = 0, counted: Counted | None = None, spare: bool = False
    ) -> None:
        self.graph, self.root, self.folding = graph, root, folding
        self.counted = counted or Counted(graph)
        self.spare = spare  # whether frames that say nothing are left out
        self.box_of: dict[str, Box] = {}
        self.turns: dict[str, tuple[tuple[str, int], ...]] = defaultdict(tuple)
        self.ends = {output.node for output in graph.outputs.values()}
        self._exact = {name for name in folding.expand if not any(sign in name for sign in "*?[")}
        self._opened = self._matching(folding.expand, with_outer=True) | folding.opened
        self._closed = self._matching(folding.collapse, with_outer=False)
        self._made = self._boxes(root, depth)

    def count(self) -> int:
        """Count the boxes that a picture shows, with those of the outputs."""
        return sum(not box.opened for box in every(self._made)) + len(self.graph.outputs)

    def scene(self) -> Scene:
        """Return the picture. It is asked for once."""
        edges = self._edges({node.name: node for node in self.root.nodes()}, self._made)
        made = Scene(self.graph.name, self.graph.title, self._made, edges, self.box_of)
        _show_shapes(made)
        mark_spine(made)
        return made

    # ---- which blocks are opened

    def _matching(self, patterns: Sequence[str], with_outer: bool) -> set[str]:
        """Return the blocks that patterns name, optionally with the blocks around them."""
        found: set[str] = set()
        for pattern in patterns:
            hits = [part.name for part in _walk(self.root) if part.parts and fnmatchcase(part.name, pattern)]
            if not hits and not self.folding.flat:
                hint = "a picture of depth 1 shows which blocks there are"
                raise UnknownName(f"there is no block {pattern}", given=pattern, known=blocks(self.graph), hint=hint)
            for name in hits:
                found.add(name)
                while with_outer and "." in name:
                    name = name.rpartition(".")[0]
                    found.add(name)
        return found

    def _is_open(self, copies: list[Part], depth: int) -> bool:
        names = [part.name for part in copies]
        if any(name in self._closed for name in names):
            return False
        return any(name in self._opened for name in names) or (depth > 0 and not (self.spare and _wraps_a_block(copies[0])))

    def _apart(self, part: Part) -> bool:
        """Return whether this very copy, or something inside it, is expanded by name."""
        return any(name == part.name or name.startswith(part.name + ".") for name in self._exact)

    # ---- boxes

    def _boxes(self, part: Part, depth: int) -> list[Box]:
        boxes: list[Box] = []
        for copies in self._groups(part):
            first = copies[0]
            if first.parts:
                boxes.append(self._block(copies, depth))
            else:
                assert first.node is not None
                self._leaf(first.node, boxes)
        return boxes

    def _groups(self, part: Part) -> list[list[Part]]:
        """Group consecutive blocks that are equal except for their place; everything else is alone."""
        groups: list[list[Part]] = []
        before: Any = None
        for inner in part.parts.values():
            mark = [*inner.mark, *self._marks(inner)] if inner.parts and not self._apart(inner) else None
            if mark is not None and mark == before:
                groups[-1].append(inner)
            else:
                groups.append([inner])
            before = mark
        return groups

    def _marks(self, part: Part) -> list[str]:
        return [self.folding.marks.get(node.name, "") for node in part.nodes()] if self.folding.marks else []

    def _leaf(self, node: Node, boxes: list[Box]) -> None:
        """Add a box, or a line in the box of the operator that the node follows."""
        operands = self.graph.operands(node.name)
        before = boxes[-1] if boxes else None
        if (
            node.operator.is_attached
            and not self.folding.flat
            and node.name not in self.folding.apart
            and before is not None
            and before.nodes
            and before.family not in ("merge", "block", "input")
            and operands == [before.nodes[-1].name]
            and self.graph.users(operands[0]) == [node.name]
            and operands[0] not in self.ends
            and node.training_only == before.training_only
        ):
            before.nodes.append(node)
            before.details = [f"{before.details[0]} · {notation(node)}" if before.details else notation(node)]
            before.params += self.counted.params([node])
            before.macs = before.macs + self.counted.macs([node])
            self.box_of[node.name] = before
            return
        box = operator_box(node)
        box.name = "" if _implied(node, box.name) else box.name
        box.params, box.macs = self.counted.params([node]), self.counted.macs([node])
        box.training_only = node.training_only
        self.box_of[node.name] = box
        boxes.append(box)

    def _block(self, copies: list[Part], depth: int) -> Box:
        first = copies[0]
        nodes = first.nodes()
        call = first.call
        box = Box(first.name, "block", first.label, call.brief if call else "", nodes=nodes, shape=nodes[-1].shape)
        box.call = call.text if call else ""
        box.span = call.span if call else nodes[0].span
        box.copies, box.last = len(copies), copies[-1].name
        box.params, box.macs = self.counted.params(nodes), self.counted.macs(nodes)
        box.training_only = all(node.training_only for node in nodes)
        if self._is_open(copies, depth):
            box.opened = True
            box.inside = self._boxes(first, depth - 1)
            if self.spare and first.name not in self._opened and call is None and len(copies) == 1 and _is_alone(box.inside):
                only = box.inside[0]  # it stands for itself
                only.name = box.name if only.name.isdigit() or not only.name else f"{box.name}.{only.name}"
                return only
        else:
            box.details = [_contents(first)] if not call else []
            box.skips = skips(self.graph, nodes)
            self.box_of.update((node.name, box) for node in nodes)
        if len(copies) > 1:
            within = {node.name: self.turns[node.name] for node in nodes}
            for turn, part in enumerate(copies):
                for node, same in zip(part.nodes(), nodes, strict=True):
                    self.box_of[node.name] = self.box_of[same.name]
                    self.turns[node.name] = (*within[same.name], (first.name, turn))
        return box

    def _output(self, name: str, node: str, training_only: bool) -> Box:
        shape = self.graph[node].shape
        span = self.graph[node].span
        return Box(f"output/{name}", "output", name, show_shape(shape), shape=shape, training_only=training_only, span=span)

    # ---- edges

    def _edges(self, inside: dict[str, Node], boxes: list[Box]) -> list[Edge]:
        """Return an edge for every operand, except those within a box, those from one copy to the next, and those of trained tensors.

        In the picture of a single block, there are also edges to its ends.
        """
        edges: dict[tuple[str, str, int], Edge] = {}

        def connect(operand: Node, source: Box, target: Box, slot: int, training_only: bool) -> None:
            key = (source.id, target.id, slot if target.family == "merge" else 0)
            if source is not target:
                edges.setdefault(key, Edge(source.id, target.id, training_only=training_only or operand.training_only))

        for node in inside.values():
            for slot, name in enumerate(self.graph.operands(node.name) if not node.operator.memory.stored else ()):
                operand = self.graph[name]
                if name not in inside:
                    connect(operand, self._end(operand, "input", boxes), self.box_of[node.name], slot, node.training_only)
                elif not self._between_copies(name, node.name):
                    connect(operand, self.box_of[name], self.box_of[node.name], slot, node.training_only)
        if self.root.name:
            for node in inside.values():
                if node.name in self.ends or any(user not in inside for user in self.graph.users(node.name)):
                    connect(node, self.box_of[node.name], self._end(node, "output", boxes), 0, node.training_only)
        else:
            for name, out in self.graph.outputs.items():
                box = self._output(name, out.node, out.training_only)
                boxes.append(box)
                connect(self.graph[out.node], self.box_of[out.node], box, 0, out.training_only)
        return list(edges.values())

    def _end(self, node: Node, family: str, boxes: list[Box]) -> Box:
        """Return the box where a tensor enters or leaves a block."""
        name = f"{family}/{node.name}"
        if name not in self.box_of:
            box = Box(name, family, "in" if family == "input" else "out", show_shape(node.shape), shape=node.shape, span=node.span)
            box.note = f"{'from' if family == 'input' else 'produces'} {node.name}"
            self.box_of[name] = box
            boxes.insert(0 if family == "input" else len(boxes), box)
        return self.box_of[name]

    def _between_copies(self, operand: str, user: str) -> bool:
        mine = dict(self.turns.get(operand, ()))
        return any(mine.get(fold, turn) != turn for fold, turn in self.turns.get(user, ()))


def operator_box(node: Node) -> Box:
    """Return the box of one operator, without its counts."""
    family = node.operator.picture_family
    title = show_shape(node.shape) if node.is_input else node.operator.merge_sign[0] if family == "merge" else notation(node)
    return Box(node.name, family, node.name.rpartition(".")[2], title, nodes=[node], shape=node.shape, span=node.span)


def _implied(node: Node, label: str) -> bool:
    """Return whether a node has a default name that is not part of a weight key, and so needs no display."""
    return not node.is_input and node.operator.weights is no_weights and label.rstrip("0123456789") == node.op


def _is_alone(boxes: list[Box]) -> bool:
    return len(boxes) == 1 and not boxes[0].opened and boxes[0].family != "block"


def _wraps_a_block(part: Part) -> bool:
    """Return whether a call holds one block and besides it only merges, so that it says the same opened as closed."""
    blocks = sum(1 for inner in part.parts.values() if inner.parts)
    merges = sum(1 for inner in part.parts.values() if inner.node is not None and inner.node.operator.picture_family == "merge")
    return part.call is not None and blocks == 1 and blocks + merges == len(part.parts)


def _walk(part: Part) -> Iterable[Part]:
    waiting = list(part.parts.values())
    while waiting:
        inner = waiting.pop()
        yield inner
        waiting.extend(inner.parts.values())


def _contents(part: Part) -> str:
    """Summarize the contents of a block without a call: `bottleneck x3`, or the number of operators."""
    calls = [inner.call for inner in part.parts.values() if inner.parts]
    names = {call.text.partition("(")[0] for call in calls if call}
    if calls and len(names) == 1 and len(calls) == len(part.parts) and None not in calls:
        return f"{names.pop()} x{len(calls)}"
    count = len(part.nodes())
    return f"{count} operator{'s' * (count > 1)}"


def _show_shapes(made: Scene) -> None:
    """Write the shape on the first edge out of every box that changes it."""
    boxes = {box.id: box for box in made.shown()}
    into: dict[str, tuple[Any, ...]] = {}
    for edge in made.edges:
        into.setdefault(edge.target, boxes[edge.source].shape)
    shown: set[str] = set()
    for edge in made.edges:
        source = boxes[edge.source]
        if edge.source not in shown and source.family != "input" and into.get(source.id) != source.shape:
            target = boxes[edge.target]
            if target.family != "output":  # it shows its own shape
                edge.shape = show_shape(source.shape)
                shown.add(edge.source)
