"""Cut a text into stretches that can be parsed separately; after an edit, only around what has changed."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from archc.dsl.brackets import ends

LONG = 2_000  # characters; longer stretches are parsed in parts
_CONTINUES = re.compile(r"[ \t]*(?:=>|else\b|#|$)", re.M)  # blank lines and comments may precede a continuation line


def pieces(text: str) -> Iterator[tuple[int, int]]:
    """Yield the stretches of a text that can be parsed separately.

    They are lines, joined if a bracket is open at the end of a line; statements, if a line is very long.
    """
    return Cut("", []).changed(text)._parts()


@dataclass(frozen=True)
class Cut:
    """A text, and where its stretches of whole lines begin."""

    text: str
    begins: list[int]

    def pieces(self) -> list[tuple[int, int]]:
        """Return the stretches that can be parsed separately."""
        return list(self._parts())

    def changed(self, text: str) -> Cut:
        """Return the cut of another text. Where both begin alike or end alike it is taken over.

        Between two stretches no bracket is open, and whether one ends depends on the line after it alone. So what lies before a
        stretch that both texts have is the same in both, as is what lies behind a place where both begin a stretch.
        """
        if text == self.text:
            return self
        kept = self.begins[: max(0, bisect_right(self.begins, _alike(self.text, text)) - 2)]
        moved = len(text) - len(self.text)
        same_from = len(self.text) - _alike(self.text[::-1], text[::-1])  # in the text before; from there on both are alike
        behind = bisect_left(self.begins, same_from)
        begins = list(kept)
        for begin in _lines(text, self.begins[len(kept)] if kept else 0):
            while behind < len(self.begins) and self.begins[behind] + moved < begin:
                behind += 1
            if behind < len(self.begins) and self.begins[behind] + moved == begin:
                begins += [old + moved for old in self.begins[behind:]]
                break
            begins.append(begin)
        return Cut(text, begins)

    def _parts(self) -> Iterator[tuple[int, int]]:
        for begin, end in zip(self.begins, [*self.begins[1:], len(self.text)], strict=False):
            if end - begin <= LONG:
                yield begin, end
                continue
            start = begin
            for stop in [*ends(self.text, ";", begin, end), end]:
                if stop > start:
                    yield start, stop
                start = stop


def _lines(text: str, begin: int) -> Iterator[int]:
    """Yield where stretches of whole lines begin, from the begin of one on."""
    if begin < len(text):
        yield begin
    last = -1
    for stop in ends(text, "\n", begin):
        if last >= 0 and not _CONTINUES.match(text, last):
            yield last
        last = stop
    if 0 <= last < len(text) and not _CONTINUES.match(text, last):
        yield last


def _alike(one: str, other: str) -> int:
    """Return how many characters two texts begin with that are the same."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
