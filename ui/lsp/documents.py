"""Open texts, their versions, and the positions that a client counts in UTF-8, UTF-16 or UTF-32 units of a line."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from lsprotocol import types

from archc.dsl.source import Span

_ENDS = re.compile(r"\r\n|\n|\r")
BOM = "\ufeff"


def path_of(uri: str) -> Path | None:
    """Return the path of a `file:` URI; None for a text that is in no file."""
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return None
    path = unquote(parts.path)
    if "\0" in path or not path:
        return None
    if os.name == "nt" and re.match(r"/[A-Za-z]:", path):
        path = path[1:]
    return Path(path)


def uri_of(path: Path | str) -> str:
    """Return the `file:` URI of a path."""
    text = os.path.abspath(path)
    if os.name == "nt":
        text = "/" + text.replace("\\", "/")
    return "file://" + quote(text, safe="/:@")


def _units(text: str, encoding: str) -> int:
    if text.isascii() or encoding == "utf-32":
        return len(text)
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text) + sum(char > "\uffff" for char in text)


def _characters(line: str, units: int, encoding: str) -> int:
    """Return how many characters of a line some units are; a position inside a character is before it."""
    if units <= 0:
        return 0
    if line.isascii() or encoding == "utf-32":
        return min(units, len(line))
    if encoding == "utf-8":
        return len(line.encode("utf-8", "surrogatepass")[:units].decode("utf-8", "ignore"))
    count = 0
    for index, char in enumerate(line):
        count += 1 + (char > "\uffff")
        if count > units:
            return index
    return len(line)


class Lines:
    """The lines of a text, and the positions in them as a client counts.

    Offsets are those of the compiler: in characters of the text with `\\n` at the end of every line, without a byte-order mark.
    """

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        self.encoding = encoding
        self.marked = text.startswith(BOM)
        self.text = text.removeprefix(BOM).replace("\r\n", "\n").replace("\r", "\n")
        self.starts = [0, *(match.end() for match in re.finditer("\n", self.text))]

    def line(self, number: int) -> str:
        """Return a line, counted from 0, without its end."""
        start = self.starts[number]
        end = self.text.find("\n", start)
        return self.text[start:] if end < 0 else self.text[start:end]

    def line_at(self, offset: int) -> int:
        """Return the number of the line of an offset, from 0."""
        return bisect_right(self.starts, offset) - 1

    def offset(self, position: types.Position) -> int:
        """Return the offset of a position; one outside of the text is moved to its nearest place."""
        if position.line < 0:
            return 0
        if position.line >= len(self.starts):
            return len(self.text)
        units = position.character - (self.marked and position.line == 0) * _units(BOM, self.encoding)
        return self.starts[position.line] + _characters(self.line(position.line), units, self.encoding)

    def position(self, offset: int) -> types.Position:
        """Return the position of an offset."""
        offset = min(max(offset, 0), len(self.text))
        line = self.line_at(offset)
        units = _units(self.text[self.starts[line] : offset], self.encoding)
        return types.Position(line, units + (self.marked and line == 0) * _units(BOM, self.encoding))

    def end_of(self, line: int) -> types.Position:
        """Return the position at the end of a line, counted from 0."""
        return self.position(self.starts[line] + len(self.line(line)))

    def range(self, start: int, end: int) -> types.Range:
        """Return the range between two offsets."""
        return types.Range(self.position(start), self.position(end))

    def of(self, span: Span) -> types.Range:
        """Return the range of a span of this text."""
        return self.range(span.start, span.end)


class Document:
    """An open text: what the client has in its editor, which its changes edit."""

    def __init__(self, uri: str, text: str, version: int | None, encoding: str) -> None:
        self.uri = uri
        self.path = path_of(uri)
        self.version = version
        self.encoding = encoding
        self.raw = text
        self.lines = Lines(text, encoding)

    @property
    def text(self) -> str:
        """The text as the compiler reads it."""
        return self.lines.text

    def change(self, changes: list[types.TextDocumentContentChangeEvent], version: int | None) -> None:
        """Apply the changes of a client, in order. A range outside of the text is moved to its nearest place."""
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                start, end = self._raw_offset(change.range.start), self._raw_offset(change.range.end)
                self.raw = self.raw[:start] + change.text + self.raw[max(start, end) :]
            else:
                self.raw = change.text
        self.version = version
        self.lines = Lines(self.raw, self.encoding)

    def _raw_offset(self, position: types.Position) -> int:
        begin = 0
        if position.line < 0:
            return 0
        if position.line:
            ends = _ENDS.finditer(self.raw)
            for _ in range(position.line):
                found = next(ends, None)
                if found is None:
                    return len(self.raw)
                begin = found.end()
        stop = _ENDS.search(self.raw, begin)
        return begin + _characters(self.raw[begin : stop.start() if stop else len(self.raw)], position.character, self.encoding)
