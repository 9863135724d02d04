"""What somebody is writing at a place: read from the text before it, since an unfinished line has no tree."""

from __future__ import annotations

import re
from dataclasses import dataclass

from archc.dsl.brackets import unclosed

BEGINS = "\n;{|<["  # what a statement or an item may begin after
_LABEL = re.compile(r"\s*(?:[A-Za-z_0-9][\w-]*(?:\{[^{}\n]*\}(?:-\{[^{}\n]*\})?)?\s*:)?\s*")


@dataclass(frozen=True)
class Cursor:
    """The place of a cursor: its statement up to there, and the call whose parentheses are open around it.

    `word` is the unfinished name before the cursor, `start` where it begins. `callee` is the word before the innermost open parenthesis,
    `argument` the text of the unfinished argument, `given` the names of those before, and `position` how many those are.
    """

    line: str
    statement: str
    word: str
    start: int
    callee: str = ""
    argument: str = ""
    given: tuple[str, ...] = ()
    position: int = 0
    braced: bool = False
    comment: bool = False
    quoted: str | None = None  # the text since an opening quote

    @property
    def option(self) -> str:
        """The name before the `=` of the unfinished argument, or ""."""
        found = re.match(r"\s*([A-Za-z_]\w*)\s*=(?!=)", self.argument)
        return found[1] if found else ""

    @property
    def begins(self) -> bool:
        """Whether an item or a statement begins here."""
        return not self.callee and not self.braced and _LABEL.fullmatch(self.statement[: len(self.statement) - len(self.word)]) is not None


def cursor_at(text: str, offset: int) -> Cursor:
    """Return the place of an offset of a text."""
    begin = text.rfind("\n", 0, offset) + 1
    line = text[begin:offset]
    found = re.search(r"[A-Za-z_]\w*$", line)
    word = found.group() if found else ""
    comment, quoted = _comment_or_text(line)
    if comment or quoted is not None:
        return Cursor(line, line, word, offset - len(word), comment=comment, quoted=quoted)
    around = _enclosing(text, max(0, begin - 2_000), offset)
    callee, argument, position, braced = "", "", 0, False
    given: tuple[str, ...] = ()
    begin_statement = max([begin, *(text.rfind(mark, begin, offset) + 1 for mark in BEGINS)])
    if around is not None and around[0] == "(":
        before = re.search(
            r"([A-Za-z_]\w*)(?:\{[^{}\n]*\})*(?:[-/x]?(?:[0-9x]+|\{[^{}\n]*\}))*\s*$", text[max(0, around[1] - 200) : around[1]]
        )
        if before is not None:
            callee = before[1]
            parts = _arguments(text[around[1] + 1 : offset])
            argument, position = parts[-1], len(parts) - 1
            given = tuple(found[1] for part in parts[:-1] if (found := re.match(r"\s*([A-Za-z_]\w*)\s*=(?!=)", part)))
    elif around is not None and around[0] == "{":
        braced = re.search(r"[\w/x-]$", text[max(0, around[1] - 1) : around[1]]) is not None
    return Cursor(line, text[begin_statement:offset], word, offset - len(word), callee, argument, given, position, braced)


def _comment_or_text(line: str) -> tuple[bool, str | None]:
    """Return whether the end of a line is in a comment, and the text since a quote that is open there."""
    quote: int | None = None
    for at, char in enumerate(line):
        if char == '"':
            quote = None if quote is not None else at
        elif char == "#" and quote is None:
            return True, None
    return False, line[quote + 1 :] if quote is not None else None


def _enclosing(text: str, begin: int, offset: int) -> tuple[str, int] | None:
    """Return the innermost bracket that is open at an offset, lists left out, and its place."""
    stretch = text[begin:offset]
    found = unclosed(stretch, len(stretch))
    while found and found[-1][0] == "[" and any(bracket == "(" for bracket, _ in found[:-1]):
        found.pop()
    return (found[-1][0], begin + found[-1][1]) if found else None


def _arguments(text: str) -> list[str]:
    """Split the text of arguments at the commas outside of brackets."""
    parts, depth, begin = [], 0, 0
    for at, char in enumerate(text):
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "," and depth <= 0:
            parts.append(text[begin:at])
            begin = at + 1
    return [*parts, text[begin:]]
