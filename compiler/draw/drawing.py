"""A drawing as Graphviz writes it: its clusters, nodes and edges with their attributes, which can be changed and written again.

It offers what pictures need of pygraphviz's graphs, where there is no pygraphviz. It reads DOT in the canonical form of Graphviz alone
(`canon`, `dot`), and keeps its statements in order, so that what is not changed is written as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|->|[\[\]{};=,:]|[^\s"<>\[\]{};=,:-]+(?:-[^\s"<>\[\]{};=,:>-]+)*|-?[\d.]+|<)', re.DOTALL)
_DEFAULTS = ("graph", "node", "edge")


class Attributes:
    """The attributes of one thing, as plain values. One that it lacks is that of what it is in; the last of these has ""."""

    def __init__(self, around: Attributes | None = None) -> None:
        self.written: dict[str, str] = {}  # as in DOT: quoted, or as HTML
        self._around = around

    def __getitem__(self, name: str) -> str:
        if name in self.written:
            return _plain(self.written[name])
        return self._around[name] if self._around is not None else ""

    def __setitem__(self, name: str, value: str) -> None:
        is_html = value.startswith("<") and value.endswith(">")
        self.written[name] = value if is_html else '"' + value.replace('"', '\\"') + '"'

    def dot(self) -> str:
        """Return the list of attributes in DOT."""
        return f"[{', '.join(f'{name}={value}' for name, value in self.written.items())}]"


@dataclass
class Named:
    """A node, or an edge, and its statement without the attributes."""

    name: str
    written: str
    attr: Attributes

    def __str__(self) -> str:
        return self.name

    def to_string(self) -> str:
        """Return the statement."""
        return f"{self.written} {self.attr.dot()};"


@dataclass
class Drawing:
    """A graph, or a cluster in one."""

    name: str
    head: str
    graph_attr: Attributes
    _statements: list[tuple[str, Any]] = field(default_factory=list)  # kind, and the drawing, the thing, or the defaults

    def subgraphs(self) -> list[Drawing]:
        """Return the subgraphs, without those inside them."""
        return [held for kind, held in self._statements if kind == "subgraph"]

    def nodes(self) -> Iterator[Named]:
        """Yield the nodes, those of subgraphs too."""
        return self._all("vertex")

    def edges(self) -> Iterator[Named]:
        """Yield the edges, those of subgraphs too."""
        return self._all("arc")

    def to_string(self) -> str:
        """Return the DOT text."""
        lines = [f"{self.head} {{", f"graph {self.graph_attr.dot()};"]
        for kind, held in self._statements:
            lines.append(f"{kind} {held.dot()};" if kind in _DEFAULTS else held.to_string())
        return "\n".join([*lines, "}"]) + "\n"

    def _all(self, wanted: str) -> Iterator[Any]:
        for kind, held in self._statements:
            if kind == wanted:
                yield held
            elif kind == "subgraph":
                yield from held._all(wanted)


def read(dot: str) -> Drawing:
    """Read DOT in the canonical form. Raises ValueError for any other."""
    reader = _Reader(dot)
    head = []
    while (word := reader.next()) != "{":
        head.append(word)
    made = Drawing(_plain(head[-1]), " ".join(head), Attributes())
    reader.body(made)
    return made


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._ahead: str | None = None

    def next(self) -> str:
        """Return the next token. Raises ValueError at the end, and at what is none."""
        if self._ahead is not None:
            word, self._ahead = self._ahead, None
            return word
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise ValueError(f"no token of DOT: {self._text[self._at : self._at + 40]!r}")
        self._at = found.end()
        return self._html(found.start(1)) if found[1] == "<" else found[1].replace("\\\n", "")

    def peek(self) -> str:
        self._ahead = self.next()
        return self._ahead

    def _html(self, start: int) -> str:
        depth = 0
        for mark in re.compile("[<>]").finditer(self._text, start):
            depth += 1 if mark[0] == "<" else -1
            if depth == 0:
                self._at = mark.end()
                return self._text[start : self._at]
        raise ValueError("a label of HTML does not end")

    def body(self, into: Drawing) -> None:
        """Read statements up to the closing brace into a drawing."""
        while (word := self.next()) != "}":
            if word == ";":
                continue
            if word == "graph":
                self._attributes(into.graph_attr)
            elif word in _DEFAULTS:
                into._statements.append((word, self._attributes(Attributes())))
            elif word in ("subgraph", "{"):
                self._subgraph(word, into)
            elif self.peek() == "=":
                self.next()
                into.graph_attr.written[word] = self.next()
            else:
                into._statements.append(self._thing(word))

    def _subgraph(self, word: str, into: Drawing) -> None:
        name = self.next() if word == "subgraph" else ""
        if name:
            self.next()
        inner = Drawing(_plain(name), f"subgraph {name}" if name else "subgraph", Attributes(into.graph_attr))
        into._statements.append(("subgraph", inner))
        self.body(inner)

    def _thing(self, word: str) -> tuple[str, Named]:
        name, written, kind = _plain(word), [word], "vertex"
        while self.peek() in ("->", ":"):
            sign = self.next()
            end = self.next()
            kind = "arc" if sign == "->" else kind
            name += f"->{_plain(end)}" if sign == "->" else ""
            written += [sign, end]
        attributes = Attributes()
        if self.peek() == "[":
            self._attributes(attributes)
        return kind, Named(name, "".join(written), attributes)

    def _attributes(self, into: Attributes) -> Attributes:
        if self.next() != "[":
            raise ValueError("a list of attributes was expected")
        while (name := self.next()) != "]":
            if name not in ",;":
                self.next()
                into.written[name] = self.next()
        return into


def _plain(written: str) -> str:
    """Return a value without its quotes, or HTML without its brackets, as pygraphviz does."""
    if written.startswith("<"):
        return written[1:-1]
    return written[1:-1].replace('\\"', '"') if written.startswith('"') else written
