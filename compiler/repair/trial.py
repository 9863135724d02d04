"""Trials of changed texts: the result of each, within a budget."""

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

EFFORT = 14_000  # most nodes and lines that all trials together may elaborate and parse
LINE = 10  # characters of a short line
TRIAL = 60  # fixed cost of a trial


@dataclass(frozen=True)
class Tried:
    """The result of a changed file: its errors, its network, and how to count the network's parameters and MACs."""

    found: Sequence[Diagnostic]
    graph: ArchGraph
    tree: ast.File | None
    count: Callable[[], tuple[int, Dim]]
    legal: Sequence[Legal] = ()


class Attempts(Protocol):
    """How to try a changed text, and the file itself with its input sizes left open."""

    def text(self, text: str) -> Tried: ...

    def opened(self, sizes: str) -> Tried: ...


class Trials:
    """The trials for one file: each text is tried once, and all together cost no more than the effort."""

    def __init__(self, source: Source, tree: ast.File, there: Tried, attempts: Attempts, effort: int = EFFORT) -> None:
        self.source = source
        self.tree = tree
        self.there = there  # the result of the unchanged file
        self.effort = effort
        self.cause: Diagnostic | None = None  # an error that causes others, which are not reported
        self.knock_ons: Sequence[Diagnostic] = ()
        self.reserved = 0  # effort kept for later errors
        self._attempts = attempts
        self._tried: dict[str, Tried] = {source.text: there}
        self._lines = max(len(source.line_starts), len(source.text) // LINE)
        self._merges = _empty_merges(tree)

    def of(self, edits: Sequence[Edit]) -> Tried | None:
        """Return the result of some edits; None if the effort is spent, or if they would leave a merge empty."""
        return self.of_text(edited(self.source, edits))

    def of_text(self, text: str) -> Tried | None:
        """Return the result of a changed text; None if the effort is spent."""
        if text not in self._tried:
            if self.spent:
                return None
            tried = self._attempts.text(text)
            self.effort -= len(tried.graph) + TRIAL + self._lines
            self._tried[text] = tried
        tried = self._tried[text]
        return tried if tried.tree is not None and _empty_merges(tried.tree) <= self._merges else None

    def fixes(self, d: Diagnostic, tried: Tried) -> bool:
        """Return whether an error is gone and no new one has appeared."""
        along = self.knock_ons if d is not self.cause else ()
        rest = Counter(kind_of(other) for other in (*self.there.found, *along) if other is not d)
        return Counter(kind_of(left) for left in tried.found) <= rest

    @property
    def each(self) -> int:
        """Return the approximate cost of one more trial."""
        return len(self.there.graph) + TRIAL + self._lines

    @property
    def spent(self) -> bool:
        """Return whether the effort is spent."""
        return self.effort < self.reserved + TRIAL + self._lines

    def opened(self, sizes: str) -> Tried | None:
        """Return the file with an input of these open sizes, ignoring its claims; None if the effort is spent."""
        if self.spent:
            return None
        self.effort -= self.each
        return self._attempts.opened(sizes)


def kind_of(d: Diagnostic) -> tuple[str, str]:
    """Return what identifies an error: two with the same result are the same error."""
    return d.code, d.message


def _empty_merges(tree: ast.File) -> int:
    return sum(isinstance(node, ast.Merge) and not any(node.branches) for node in ast.walk(tree))
