"""A text under repair, which maps every character to its offset in the source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

Change = tuple[int, int, str]  # offset, number of characters removed, text inserted
BROKEN = "\0"  # placeholder in the text for a stretch that could not be parsed
LONGEST = 500  # most characters of a change that are compared one by one


@dataclass(frozen=True)
class Draft:
    """A text, with the offset in the source of each of its characters and of its end."""

    text: str
    origin: Sequence[int]

    @classmethod
    def of(cls, text: str) -> Draft:
        """Return the draft of an unchanged source text."""
        return cls(text, range(len(text) + 1))

    def __getitem__(self, stretch: slice) -> Draft:
        begin, end, _ = stretch.indices(len(self.text))
        return Draft(self.text[begin:end], self.origin[begin : end + 1])

    def changed(self, changes: Sequence[Change]) -> Draft:
        """Return the draft after non-overlapping changes, with offsets in this draft."""
        texts: list[str] = []
        origin: list[int] = []
        last = 0
        for begin, length, new in sorted(changes):
            texts += [self.text[last:begin], new]
            origin += self.origin[last:begin]
            last = begin + length
            origin += _aligned(self.text[begin:last], new, self.origin[begin : last + 1])
        return Draft("".join(texts) + self.text[last:], [*origin, *self.origin[last:]])

    def in_source(self, changes: Sequence[Change]) -> tuple[Change, ...]:
        """Convert changes of this draft to changes of the source."""
        return tuple((self.origin[at], self.origin[at + length] - self.origin[at], new) for at, length, new in changes)


def joined(drafts: Sequence[Draft]) -> Draft:
    """Concatenate drafts of consecutive stretches."""
    origin: list[int] = []
    for draft in drafts:
        origin.extend(draft.origin[:-1])
    origin.extend(drafts[-1].origin[-1:] if drafts else (0,))
    return Draft("".join(draft.text for draft in drafts), origin)


def _aligned(old: str, new: str, origin: Sequence[int]) -> list[int]:
    """Return the source offset of each character of a new text: that of the old character it keeps or replaces."""
    there = [min(origin[0] + index, origin[-1]) for index in range(len(new))]
    if len(old) <= LONGEST >= len(new):
        for tag, first, last, begin, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            for index in range(begin, end):
                there[index] = origin[first + index - begin] if tag == "equal" else origin[min(first + index - begin, last)]
    return there


def blanked(draft: Draft) -> Draft:
    """Replace a whole stretch by one broken statement, keeping its lines."""
    if not draft.text.strip():
        return draft
    kept = re.sub(r"[^\n]", " ", draft.text)
    first = 0 if not draft.text[:1].isspace() else len(draft.text) - len(draft.text.lstrip())
    return Draft(kept[:first] + BROKEN + kept[first + 1 :], draft.origin)
