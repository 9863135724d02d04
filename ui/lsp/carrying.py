"""Carry what was known of an earlier text over to the text at hand: lines that did not change keep it."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

MOST = 400  # changed lines that are compared one by one


class Carried:
    """Maps the lines of an earlier text to those of a later one. Lines count from 0."""

    def __init__(self, before: str, after: str) -> None:
        self.before, self.after = before, after
        self._to: dict[int, int] = {}
        self._from: dict[int, int] = {}
        for old, new in _equal_lines(before.split("\n"), after.split("\n")):
            self._to[old] = new
            self._from[new] = old

    def line(self, before: int) -> int | None:
        """Return the line that an earlier line has become; None where it was changed."""
        return self._to.get(before)

    def earlier(self, after: int) -> int | None:
        """Return the earlier line of a line; None for one that is new or changed."""
        return self._from.get(after)


def _equal_lines(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    first = 0
    while first < min(len(a), len(b)) and a[first] == b[first]:
        first += 1
    last = 0
    while last < min(len(a), len(b)) - first and a[-1 - last] == b[-1 - last]:
        last += 1
    pairs = [(line, line) for line in range(first)]
    if first + last < min(len(a), len(b)) and len(a) + len(b) - 2 * (first + last) <= MOST:
        matcher = SequenceMatcher(None, a[first : len(a) - last], b[first : len(b) - last], autojunk=False)
        for old, new, size in matcher.get_matching_blocks():
            pairs += [(first + old + step, first + new + step) for step in range(size)]
    pairs += [(len(a) - step, len(b) - step) for step in range(last, 0, -1)]
    return pairs
