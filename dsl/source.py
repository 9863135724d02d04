"""Source texts, and spans in them from which line and column are computed."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import NamedTuple


class Source:
    """One text and its name. Line ends are `\\n` only; the loader ensures this.

    Messages show `name`, a path relative to the current folder. Written files contain `label`, which depends neither on the
    location of the source nor on the current folder: `net.arch`, `std/residual.arch`.
    """

    def __init__(self, name: str, text: str, label: str = "") -> None:
        self.name = name
        self.text = text
        self.label = label or PurePath(name).name

    @cached_property
    def line_starts(self) -> list[int]:
        """Return the offset of the start of every line."""
        starts = [0]
        starts.extend(i + 1 for i, char in enumerate(self.text) if char == "\n")
        return starts

    def line_of(self, offset: int) -> int:
        """Return the line that contains this offset, counted from 1."""
        return bisect_right(self.line_starts, offset)

    def line_text(self, line: int) -> str:
        """Return the text of a line, counted from 1, without its newline."""
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
        """Return the line of the start, counted from 1."""
        return self.source.line_of(self.start)

    @property
    def column(self) -> int:
        """Return the column of the start, counted from 1, in characters."""
        return self.start - self.source.line_starts[self.line - 1] + 1

    @property
    def text(self) -> str:
        """Return the text that the span covers."""
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """Return the span from the start of this one to the end of another."""
        return Span(self.source, self.start, max(self.end, other.end))


class Decoded(NamedTuple):
    """A decoded text, and the offset of the first byte that is not UTF-8."""

    text: str
    bad_byte: int | None


def decode(data: bytes) -> Decoded:
    """Decode UTF-8: drop a byte-order mark, convert CRLF and CR to LF, and report the first invalid byte."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode("utf-8")
        bad = None
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", errors="replace")
        bad = error.start
    return Decoded(text.replace("\r\n", "\n").replace("\r", "\n"), bad)
