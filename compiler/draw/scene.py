"""What a picture shows: boxes, boxes within boxes, and edges, whatever it is drawn with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from archc.compiler.graph import ArchGraph, Node
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.dsl.source import Span

# Control characters, which XML has no way to write; lone surrogates, from names of files that are not UTF-8; and marks that
# break a line or reverse the direction of text (Unicode's "bidi" controls).
_UNFIT = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff]")


def clean(text: str) -> str:
    """A text with U+FFFD for characters that do not belong into a picture."""
    return _UNFIT.sub("\ufffd", text)


@dataclass
class Box:
    """An operator with what is attached to it, a merge, an end of the network, or a block, closed or opened.

    `nodes` are those of one copy, in order; `inside` holds what an opened block shows. `family` chooses colour and form.
    """

    id: str
    family: str
    name: str  # the last step of its path, as the network calls it
    title: str  # the operator as written, the sign of a merge, or the call of a block, in brief
    details: list[str] = field(default_factory=list)  # further lines: what is attached, or how much is within
    nodes: list[Node] = field(default_factory=list)
    shape: Shape = ()
    copies: int = 1
    last: str = ""  # the path of the last copy
    training_only: bool = False
    opened: bool = False
    inside: list[Box] = field(default_factory=list)
    status: str = ""  # of a difference: added, removed, changed; of a wrong file: failed
    note: str = ""  # what the status is about
    changes: list[str] = field(default_factory=list)  # of a difference: what it was and what it is, in lines
    params: int = 0
    macs: Dim = 0
    call: str = ""  # of a block: its call with all arguments
    span: Span | None = None  # where it is written: of a block its call, of an operator its item

    @property
    def values(self) -> int:
        """The values that its nodes give for one sample, where all sizes are known."""
        return sum(size for node in self.nodes if isinstance(size := product(node.shape), int))

    @property
    def times(self) -> str:
        """`x35`, of what stands for several copies."""
        return f"x{self.copies}" if self.copies > 1 else ""

    @property
    def source(self) -> str:
        """`std/resnet.arch:12`"""
        return clean(f"{self.span.source.label}:{self.span.line}") if self.span else ""

    @property
    def tooltip(self) -> str:
        """Its full name, shape and counts, in lines."""
        if not self.nodes:
            return self.note or self.name
        lines = [f"{self.id} .. {self.last}, {self.copies} copies" if self.copies > 1 else self.id]
        lines += [self.call] if self.call not in ("", self.title) else []
        lines.append(show_shape(self.shape))
        each = " each" if self.copies > 1 else ""
        if self.family != "input":
            lines.append(f"{self.params:,} parameters{each}")
            lines.append(f"{self.macs:,} MACs{each}" if isinstance(self.macs, int) else f"{self.macs} MACs{each}")
        lines += [self.source] if self.source else []
        lines += [self.note] if self.note else []
        return "\n".join(lines)


@dataclass
class Edge:
    """From box to box. `shape` is shown where it is new; `spine` is the main path, which is drawn straight."""

    source: str
    target: str
    shape: str = ""
    spine: bool = False
    training_only: bool = False
    status: str = ""


@dataclass
class Scene:
    name: str
    title: str
    boxes: list[Box]
    edges: list[Edge]
    shown_as: dict[str, Box] = field(default_factory=dict)  # where each node of the graph is shown
    caption: list[str] = field(default_factory=list)  # lines under the picture
    graph: ArchGraph | None = None  # of which it is the whole picture
    opened: list[str] = field(default_factory=list)  # the blocks that a page has open at first

    def clean(self) -> None:
        """Replace what no format can hold, or what would change how a reader sees the text around it."""
        self.name, self.title, self.caption = clean(self.name), clean(self.title), [clean(line) for line in self.caption]
        for box in self.every():
            box.name, box.title, box.note, box.call = clean(box.name), clean(box.title), clean(box.note), clean(box.call)
            box.details, box.changes = [clean(line) for line in box.details], [clean(line) for line in box.changes]

    def every(self) -> Iterator[Box]:
        """All boxes, an opened one before what it holds."""
        waiting = list(reversed(self.boxes))
        while waiting:
            box = waiting.pop()
            yield box
            waiting.extend(reversed(box.inside))

    def shown(self) -> Iterator[Box]:
        """The boxes that edges may meet: all but opened ones."""
        return (box for box in self.every() if not box.opened)
