"""The contents of a picture: boxes, nested boxes, and edges, independent of the output format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from archc.compiler.analysis.skips import Skips
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.dsl.source import Span

# Control characters, which XML cannot represent; lone surrogates, from file names that are not UTF-8; and characters that
# break a line or reverse the direction of text (Unicode's "bidi" controls).
_UNFIT = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff]")


def clean(text: str) -> str:
    """Replace characters that do not belong in a picture by U+FFFD."""
    return _UNFIT.sub("\ufffd", text)


@dataclass
class Box:
    """An operator with what is attached to it, a merge, an input or output, or a block, closed or opened.

    `nodes` are those of one copy, in order; `inside` contains the boxes of an opened block. `family` selects color and shape.
    """

    id: str
    family: str
    name: str  # the last step of its path
    title: str  # the operator as written, the sign of a merge, or the call of a block, abbreviated
    details: list[str] = field(default_factory=list)  # further lines: attached operators, or a summary of the contents
    nodes: list[Node] = field(default_factory=list)
    shape: Shape = ()
    copies: int = 1
    last: str = ""  # the path of the last copy
    training_only: bool = False
    opened: bool = False
    inside: list[Box] = field(default_factory=list)
    status: str = ""  # of a difference: added, removed, changed; of a wrong file: failed
    note: str = ""  # what the status is about
    changes: list[str] = field(default_factory=list)  # of a difference: old and new values, in lines
    params: int = 0
    macs: Dim = 0
    nanoseconds: int = 0  # as measured, of all copies
    call: str = ""  # of a block: its call with all arguments
    span: Span | None = None  # its source: of a block the call, of an operator the item
    skips: Skips = field(default_factory=Skips)  # of a closed block: the shortcuts in it
    numbers: list[str] = field(default_factory=list)  # counts that are written on it
    leaves: str = ""  # the shape that it says itself, where its edges do not

    @property
    def values(self) -> int:
        """Return the number of activation values of its nodes for one sample, where all sizes are known."""
        return sum(size for node in self.nodes if isinstance(size := product(node.shape), int))

    @property
    def times(self) -> str:
        """Return `x35` for a box of several copies; "" for others."""
        return f"x{self.copies}" if self.copies > 1 else ""

    @property
    def source(self) -> str:
        """Return `std/resnet.arch:12`."""
        return clean(f"{self.span.source.label}:{self.span.line}") if self.span else ""

    @property
    def tooltip(self) -> str:
        """Return its full name, shape and counts, in lines."""
        if not self.nodes:
            return self.note or self.name
        lines = [f"{self.id} .. {self.last}, {self.copies} copies" if self.copies > 1 else self.id]
        lines += [self.call] if self.call not in ("", self.title) else []
        lines.append(show_shape(self.shape))
        each = " each" if self.copies > 1 else ""
        if self.family != "input":
            lines.append(f"{self.params:,} parameters{each}")
            lines.append(f"{self.macs:,} MACs{each}" if isinstance(self.macs, int) else f"{self.macs} MACs{each}")
        lines += [str(self.skips)] if self.skips else []
        lines += [self.source] if self.source else []
        lines += [self.note] if self.note else []
        return "\n".join(lines)


def every(boxes: Sequence[Box]) -> Iterator[Box]:
    """Yield boxes with those inside them, an opened one before its contents."""
    waiting = list(reversed(boxes))
    while waiting:
        box = waiting.pop()
        yield box
        waiting.extend(reversed(box.inside))


@dataclass
class Edge:
    """An edge between boxes. `shape` is shown where it changes; `spine` marks the main path, which is drawn straight."""

    source: str
    target: str
    shape: str = ""
    spine: bool = False
    training_only: bool = False
    status: str = ""


@dataclass
class Scene:
    """A picture: boxes, edges, caption, and the box of every node."""

    name: str
    title: str
    boxes: list[Box]
    edges: list[Edge]
    shown_as: dict[str, Box] = field(default_factory=dict)  # node name -> the box that shows it
    caption: list[str] = field(default_factory=list)  # lines under the picture
    heading: list[str] = field(default_factory=list)  # lines above it
    level: list[tuple[str, str]] = field(default_factory=list)  # pairs of boxes that lie on one line
    graph: ArchGraph | None = None  # the graph, if the scene shows all of it
    opened: list[str] = field(default_factory=list)  # the blocks that are open at first on a page

    def clean(self) -> None:
        """Replace characters that no format can represent, or that change how the text around them is displayed."""
        self.name, self.title, self.caption = clean(self.name), clean(self.title), [clean(line) for line in self.caption]
        self.heading = [clean(line) for line in self.heading]
        for box in self.every():
            box.name, box.title, box.note, box.call = clean(box.name), clean(box.title), clean(box.note), clean(box.call)
            box.details, box.changes = [clean(line) for line in box.details], [clean(line) for line in box.changes]

    def every(self) -> Iterator[Box]:
        """Yield all boxes, an opened one before its contents."""
        return every(self.boxes)

    def shown(self) -> Iterator[Box]:
        """Yield the boxes that edges may connect: all but opened ones."""
        return (box for box in self.every() if not box.opened)
