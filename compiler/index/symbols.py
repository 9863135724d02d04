"""Symbols: what a text defines, where its names occur, and which names are visible at a place."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from archc.dsl import ast
from archc.dsl.source import Source, Span

BLOCK, SHARED, ARCH, LABEL, INPUT, OUTPUT = "block", "shared part", "network", "label", "input", "output"
VARIABLE, PARAMETER, LOOP_NAME, STATE, OPEN_SIZE = "variable", "parameter", "name of a loop", "state", "open size"
OPERATOR, OPTION, WORD, FUNCTION = "operator", "option", "word", "function"  # of the language: they have no definition in a text

CALLABLE = (BLOCK, SHARED)


@dataclass(eq=False)
class Symbol:
    """One thing that a text defines: its name there, and the whole of its definition."""

    kind: str
    name: str
    span: Span  # of the name
    whole: Span
    node: ast.Node
    container: Symbol | None = None  # the block around it
    parameters: dict[str, Symbol] = field(default_factory=dict)  # of a block, a shared part or a network
    labels: Labels | None = None  # of a block: those in its body

    @property
    def signature(self) -> str:
        """How it is defined, on one line: `block basic(w, s=1)`."""
        if isinstance(self.node, (ast.Block, ast.Share, ast.Arch)):
            word = {BLOCK: "block", SHARED: "share", ARCH: "arch"}[self.kind]
            given = ", ".join(f"{p.name}={' '.join(p.default.span.text.split())}" if p.default else p.name for p in self.node.params)
            return f"{word} {self.name}({given})" if given or self.kind == BLOCK else f"{word} {self.name}"
        text = " ".join(self.whole.text.split())
        return text if len(text) <= 100 else f"{text[:97]}..."


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A name in a text, and what it means. `path` is the place of a label in its reference, from 0."""

    span: Span
    symbol: Symbol
    defines: bool = False


@dataclass(frozen=True, slots=True)
class Mention:
    """A name of the language in a text: an operator, an option or a word of one, a function."""

    span: Span
    kind: str
    name: str
    of: str = ""  # the operator of an option or a word


@dataclass(frozen=True, slots=True)
class Called:
    """A call of a block: where it is, and the block whose body holds it, if any."""

    span: Span
    symbol: Symbol
    caller: Symbol | None


@dataclass
class Entry:
    """One label of a scope: its text, whether a number follows it, and the labels inside of what it names."""

    text: str
    symbol: Symbol | None
    numbered: bool = False
    copies: bool = False
    inside: Labels | None = None
    callee: Symbol | None = None  # the block whose labels are inside

    def fits(self, part: str) -> bool:
        """Return whether a step of a reference may name it; `{}` stands for a number that is computed."""
        if not self.numbered:
            return part == self.text or ("{}" in part and part.partition("{}")[0] == self.text.rstrip("0123456789"))
        rest = part[len(self.text) :] if part.startswith(self.text) else None
        return rest is not None and (rest == "" or rest.replace("{}", "0").replace("-", "0").isdigit())

    def within(self) -> Labels | None:
        """Return the labels inside it."""
        return self.callee.labels if self.callee is not None else self.inside


@dataclass(eq=False)
class Labels:
    """The labels of one scope; those of a block are not seen from inside another."""

    parent: Labels | None = None
    boundary: bool = False
    entries: list[Entry] = field(default_factory=list)

    def visible(self) -> Iterator[Entry]:
        """Yield the labels that a reference can begin with, the innermost first."""
        scope: Labels | None = self
        while scope is not None:
            yield from scope.entries
            scope = None if scope.boundary else scope.parent

    def find(self, steps: list[str]) -> list[Entry | None]:
        """Return what each step of a reference names; None for a step that is a number of a copy, or unknown. Empty if nothing fits."""
        scope: Labels | None = self
        while scope is not None:
            for entry in scope.entries:
                if entry.fits(steps[0]):
                    return [entry, *_inside(entry, steps[1:])]
            scope = None if scope.boundary else scope.parent
        return []


def _inside(entry: Entry, steps: list[str]) -> list[Entry | None]:
    found: list[Entry | None] = []
    if entry.copies and steps:
        found.append(None)
        steps = steps[1:]
    current: Entry | None = entry
    for number, step in enumerate(steps):
        labels = current.within() if current is not None else None
        current = next((each for each in labels.entries if each.fits(step)), None) if labels is not None else None
        if current is None:
            return [*found, *[None] * (len(steps) - number)]
        found.append(current)
        if current.copies and number + 1 < len(steps):
            return [*found, *_inside(current, steps[number + 1 :])]
    return found


@dataclass(eq=False)
class Body:
    """A stretch of a text with names of its own: the file, a block, a loop, a group, a branch."""

    start: int
    end: int
    parent: Body | None
    labels: Labels
    block: Symbol | None
    symbols: list[Symbol] = field(default_factory=list)


@dataclass(eq=False)
class Index:
    """The names of one text: definitions and occurrences, calls and scopes, each in the order of the text."""

    source: Source
    tree: ast.File
    symbols: list[Symbol] = field(default_factory=list)
    occurrences: list[Occurrence] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    calls: list[Called] = field(default_factory=list)
    uses: list[tuple[ast.Use, str]] = field(default_factory=list)  # with the real path of the file, "" where there is none
    bodies: list[Body] = field(default_factory=list)
    top: Labels = field(default_factory=Labels)
    imported: dict[str, Symbol] = field(default_factory=dict)
    _starts: list[int] = field(default_factory=list)

    def finish(self) -> None:
        """Sort what was found by its place."""
        own = {(o.span.start, o.span.end): o for o in self.occurrences if o.span.source is self.source}
        self.occurrences = sorted(own.values(), key=lambda o: o.span.start)
        self._starts = [o.span.start for o in self.occurrences]
        self.mentions.sort(key=lambda m: m.span.start)

    def at(self, offset: int) -> Occurrence | None:
        """Return the name at an offset; the end of a name belongs to it."""
        place = bisect_right(self._starts, offset) - 1
        for found in reversed(self.occurrences[max(place - 1, 0) : place + 1]):
            if found.span.start <= offset <= found.span.end:
                return found
        return None

    def mention_at(self, offset: int) -> Mention | None:
        """Return the name of the language at an offset."""
        return next((m for m in self.mentions if m.span.start <= offset <= m.span.end), None)

    def of(self, symbol: Symbol) -> list[Occurrence]:
        """Return the occurrences of what a symbol stands for; one of another reading of the same file is the same symbol."""
        return [o for o in self.occurrences if same_symbol(o.symbol, symbol)]

    def body_at(self, offset: int) -> Body:
        """Return the innermost body around an offset."""
        return min((b for b in self.bodies if b.start <= offset <= b.end), key=lambda b: b.end - b.start, default=self.bodies[0])

    def visible(self, offset: int) -> dict[str, Symbol]:
        """Return what names mean at an offset, the innermost first."""
        found: dict[str, Symbol] = {}
        body: Body | None = self.body_at(offset)
        while body is not None:
            for symbol in reversed(body.symbols):
                own = symbol.node is not None and symbol.kind in CALLABLE and symbol.whole.start <= offset
                if symbol.span.end < offset and (own or symbol.kind in (PARAMETER, LOOP_NAME, STATE) or symbol.whole.end <= offset):
                    found.setdefault(symbol.name, symbol)
            body = body.parent
        for name, symbol in self.imported.items():
            found.setdefault(name, symbol)
        return found


def same_symbol(a: Symbol, b: Symbol) -> bool:
    """Return whether two symbols are the same definition, perhaps of two readings of a file."""
    return a is b or (a.kind == b.kind and a.span.start == b.span.start and a.name == b.name and a.span.source.name == b.span.source.name)
