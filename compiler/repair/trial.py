"""The trials of changed texts: what comes of each, and how many the effort allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from archc.compiler.graph import ArchGraph
from archc.compiler.shapes.conditions import Legal
from archc.compiler.shapes.dim import Dim
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Edit
from archc.dsl.rendering import edited
from archc.dsl.source import Source

EFFORT = 14_000  # nodes that all trials together may expand to, and lines that they may read
LINE = 10  # characters of a short line
TRIAL = 60  # what a trial costs beside these


@dataclass(frozen=True)
class Tried:
    """What came of a changed file: what is wrong with it now, its network, and how to count that: parameters and MACs."""

    found: Sequence[Diagnostic]
    graph: ArchGraph
    tree: ast.File | None
    count: Callable[[], tuple[int, Dim]]
    legal: Sequence[Legal] = ()


class Attempts(Protocol):
    """How a changed text is tried, and how the file itself is with its input sizes left open."""

    def text(self, text: str) -> Tried: ...

    def opened(self, sizes: str) -> Tried: ...


class Trials:
    """The trials for one file: each text is tried once, and all together cost no more than the effort."""

    def __init__(self, source: Source, tree: ast.File, there: Tried, attempts: Attempts, effort: int = EFFORT) -> None:
        self.source = source
        self.tree = tree
        self.there = there  # the file as it is
        self.effort = effort
        self.cause: Diagnostic | None = None  # a mistake that others come of, which are not told
        self.knock_ons: Sequence[Diagnostic] = ()
        self.reserved = 0  # for the mistakes that come after
        self._attempts = attempts
        self._tried: dict[str, Tried] = {source.text: there}
        self._lines = max(len(source.line_starts), len(source.text) // LINE)
        self._merges = _empty_merges(tree)

    def of(self, edits: Sequence[Edit]) -> Tried | None:
        """What comes of some edits; None where the effort is spent, or where they would empty a merge."""
        return self.of_text(edited(self.source, edits))

    def of_text(self, text: str) -> Tried | None:
        if text not in self._tried:
            if self.spent:
                return None
            tried = self._attempts.text(text)
            self.effort -= len(tried.graph) + TRIAL + self._lines
            self._tried[text] = tried
        tried = self._tried[text]
        return tried if tried.tree is not None and _empty_merges(tried.tree) <= self._merges else None

    def mends(self, d: Diagnostic, tried: Tried) -> bool:
        """Whether a mistake is gone and no other has come."""
        along = self.knock_ons if d is not self.cause else ()
        rest = Counter(kind_of(other) for other in (*self.there.found, *along) if other is not d)
        return Counter(kind_of(left) for left in tried.found) <= rest

    @property
    def each(self) -> int:
        """What one more trial costs, about."""
        return len(self.there.graph) + TRIAL + self._lines

    @property
    def spent(self) -> bool:
        return self.effort < self.reserved + TRIAL + self._lines

    def opened(self, sizes: str) -> Tried | None:
        """The file with an input of these open sizes, its claims waived."""
        if self.spent:
            return None
        self.effort -= self.each
        return self._attempts.opened(sizes)


def kind_of(d: Diagnostic) -> tuple[str, str]:
    return d.code, d.message


def _empty_merges(tree: ast.File) -> int:
    return sum(isinstance(node, ast.Merge) and not any(node.branches) for node in ast.walk(tree))
