"""Where text comes from: a source file and a span of it, from which line and column are derived."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import NamedTuple


class Source:
    """One text and what it is called. Line ends are `\\n` only; the loader has seen to that.

    Messages show `name`, a path that opens from the current folder. What is written into files shows `label`, which does not
    depend on where the source lies or on the current folder: `net.arch`, `std/residual.arch`.
    """

    def __init__(self, name: str, text: str, label: str = "") -> None:
        self.name = name
        self.text = text
        self.label = label or PurePath(name).name

    @cached_property
    def line_starts(self) -> list[int]:
        starts = [0]
        starts.extend(i + 1 for i, char in enumerate(self.text) if char == "\n")
        return starts

    def line_of(self, offset: int) -> int:
        """The line that holds this offset, counted from 1."""
        return bisect_right(self.line_starts, offset)

    def line_text(self, line: int) -> str:
        start = self.line_starts[line - 1]
        end = self.text.find("\n", start)
        return self.text[start:] if end < 0 else self.text[start:end]


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.line_of(self.start)

    @property
    def column(self) -> int:
        """Counted from 1, in characters."""
        return self.start - self.source.line_starts[self.line - 1] + 1

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The stretch from the start of this span to the end of another."""
        return Span(self.source, self.start, max(self.end, other.end))


class Decoded(NamedTuple):
    text: str
    bad_byte: int | None  # offset of the first byte that is not UTF-8


def decode(data: bytes) -> Decoded:
    """Bytes to text: drops a byte-order mark, turns CRLF and CR into LF, tells where UTF-8 ends."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode("utf-8")
        bad = None
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", errors="replace")
        bad = error.start
    return Decoded(text.replace("\r\n", "\n").replace("\r", "\n"), bad)
