"""Brackets: which are open at an offset, where a text splits into pieces, and which bracket is the unmatched one.

A text whose brackets do not match still shows its structure in other ways: a bracket at the start of a line has the
indentation of the line with its partner, a body is indented, and neither `;` nor a new statement can be inside `( )`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}
CLOSERS = {closer: opener for opener, closer in PAIRS.items()}
_MARK = re.compile(r'#[^\n]*|"[^"\n]*"|[=-]>|>=|<=|[()\[\]{}<>;\n]')
_CONDITION = re.compile(r"\s*(?:else\s+)?(?:if|expect|let|for)\b")
_CLOSES = re.compile(r"[ \t]*(?:$|[;|>})\n#]|=>|x[0-9{])")  # what can follow a `>` that compares nothing
_NAMED = re.compile(r"[\w)][ \t]*$")  # before a `<` that opens branches
_JOINS = "concat|add|sub|mul|div|mean|matmul|residual"
_MERGES = re.compile(rf"\b(?:{_JOINS})$")
_HEAD = re.compile(r"\s*(?:\}\s*)?(?:block|share|if|for|else)\b")

_STATEMENT = re.compile(r"\s*(?:input|block|arch|use|default|share|output|expect)\b")  # statements that are not part of a body of items
MOST_BELOW = 6  # lines after an open bracket that may still be inside it

BODY, MERGE, INNER, BRACES = "body", "merge", "inner", "braces"  # `{ }` and `[ ]` of items; `< >`; `( )` and lists; `{ }` of a number


@dataclass(frozen=True, slots=True)
class Mark:
    """A bracket, a `;` or a newline in a text, outside comments and strings."""

    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Open:
    """An open bracket: what it contains, and the start and indentation of its line."""

    bracket: str
    at: int
    holds: str
    line: int
    indent: int


@dataclass(frozen=True, slots=True)
class Loose:
    """An unmatched bracket.

    `places` are the offsets where the missing partner may go, each with the text to insert, likeliest first.
    `taken` is a closing bracket in the place of this one's partner that belongs to another bracket, `owner`.
    """

    bracket: str
    at: int
    places: tuple[tuple[int, str], ...] = ()
    taken: int = -1
    owner: int = -1
    instead: str = ""  # for a closing bracket of the wrong kind: the right one


class Scan:
    """Scan the brackets of a text and track the open ones. The comparison operators `<` and `>` do not count."""

    def __init__(self, text: str, begin: int = 0, end: int | None = None) -> None:
        self.text = text
        self.end = len(text) if end is None else end
        self.begin = begin
        self.line = text.rfind("\n", 0, begin) + 1
        self.statement = max(self.line, max(text.rfind(sign, self.line, begin) for sign in ";{}") + 1)  # where it begins, on its line
        self.indent = (-1, 0)  # of a line, by where that begins
        self.stack: list[Open] = []

    def marks(self) -> Iterator[Mark]:
        """Yield the marks of the text in order."""
        for match in _MARK.finditer(self.text, self.begin, self.end):
            mark = match.group()
            if len(mark) > 1 or mark == "#" or (mark in "<>" and self._compares(mark, match.start())):
                continue  # a string, a comment (an empty one too), a comparison
            yield Mark(mark, match.start())
            if mark in ";{}\n":
                self.statement = match.end()
            if mark == "\n":
                self.line = match.end()

    def push(self, mark: Mark) -> None:
        """Add an opening bracket to the open ones."""
        if self.indent[0] != self.line:
            self.indent = (self.line, indent_at(self.text, self.line))
        self.stack.append(Open(mark.text, mark.at, self._holds(mark), *self.indent))

    def _compares(self, mark: str, at: int) -> bool:
        top = self.stack[-1] if self.stack else None
        if top is not None and top.holds in (INNER, BRACES):
            if mark == "<":
                return _MERGES.search(self.text, max(self.line, at - 10), at) is None
            return _CLOSES.match(self.text, at + 1) is None
        if mark == "<" and (self.text[at - 1 : at] in "<>|;" or not _NAMED.search(self.text, max(self.line, at - 40), at)):
            return True
        return _CONDITION.match(self.text, self.statement, at) is not None

    def _holds(self, mark: Mark) -> str:
        before = self.text[max(self.line, mark.at - 40) : mark.at]
        inner = bool(self.stack) and self.stack[-1].holds in (INNER, BRACES)
        if mark.text == "<":
            return MERGE
        if mark.text == "(":
            return INNER
        if mark.text == "{":
            touches = re.search(r"[\w/-]$", before) is not None
            return BRACES if touches and not _HEAD.match(self.text, self.statement, mark.at) else BODY
        listed = inner or re.search(r"[\w\]=,+(]\s*$", before) or _CONDITION.match(self.text, self.statement, mark.at)
        return INNER if listed else BODY


def unclosed(text: str, end: int) -> list[tuple[str, int]]:
    """Return the brackets open at an offset, outermost first."""
    scan = Scan(text, 0, end)
    for mark in scan.marks():
        if mark.text in PAIRS:
            scan.push(mark)
        elif mark.text in CLOSERS and scan.stack and scan.stack[-1].bracket == CLOSERS[mark.text]:
            scan.stack.pop()
    return [(opened.bracket, opened.at) for opened in scan.stack]


def ends(text: str, sign: str, begin: int = 0, end: int | None = None) -> Iterator[int]:
    """Yield the offsets after a sign, a newline or a `;`, outside brackets."""
    scan = Scan(text, begin, end)
    for mark in scan.marks():
        if mark.text in PAIRS:
            scan.push(mark)
        elif mark.text in CLOSERS:
            if scan.stack and scan.stack[-1].bracket == CLOSERS[mark.text]:
                scan.stack.pop()
        elif mark.text == sign and not scan.stack:
            yield mark.at + 1


def loose(text: str) -> list[Loose]:
    """Return the unmatched brackets of a text in order; an empty list if all match."""
    begin = _first_mismatch(text)
    return [] if begin is None else sorted(_by_indent(text, begin), key=lambda found: found.at)


def _first_mismatch(text: str) -> int | None:
    """Return the start of the last stretch before a mismatch that begins with no bracket open."""
    begin = 0
    scan = Scan(text)
    for mark in scan.marks():
        if mark.text in PAIRS:
            scan.push(mark)
        elif mark.text in CLOSERS:
            if not scan.stack or scan.stack[-1].bracket != CLOSERS[mark.text]:
                return begin
            scan.stack.pop()
        elif mark.text == "\n" and not scan.stack:
            begin = mark.at + 1
    return begin if scan.stack else None


_BLANK_LINES = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*")


def _by_indent(text: str, begin: int) -> Iterator[Loose]:
    scan = Scan(text, begin)
    stack = scan.stack
    following = begin  # start of the next line that is neither blank nor a comment
    for mark in scan.marks():
        if mark.text == "\n":
            if following <= mark.at:
                following = _BLANK_LINES.match(text, mark.at + 1).end()  # type: ignore[union-attr]
            while stack and (
                stack[-1].holds == BRACES or (stack[-1].holds == INNER and _statement_follows(text, stack[-1], mark.at, following))
            ):
                yield _missing(text, stack.pop(), mark.at)
        elif mark.text == ";":
            while stack and stack[-1].holds in (INNER, BRACES):
                yield _missing(text, stack.pop(), mark.at)
        elif mark.text in PAIRS:
            scan.push(mark)
        else:
            index = _partner(text, stack, mark, scan.line)
            if index is None:
                yield _stray(text, stack, mark, scan.line)
                continue
            owner = stack[index]
            while len(stack) > index + 1:
                yield _missing(text, stack.pop(), mark.at, mark, owner)
            stack.pop()
    while stack:
        yield _missing(text, stack.pop(), len(text))


def _stray(text: str, stack: list[Open], mark: Mark, line: int) -> Loose:
    """Describe a closing bracket that matches no opening one: of the wrong kind, of a list without a start, or surplus."""
    top = stack[-1] if stack else None
    if mark.text == ">" and (top is None or top.holds == BODY):
        places = _merge_begins(text, max(line, top.at + 1 if top else 0), mark.at)
        if places:
            return Loose(mark.text, mark.at, places)
    if top is None and mark.text == "]" and (sign := text.find("=", line, mark.at)) >= 0:
        begin = sign + 1 + len(text[sign + 1 :]) - len(text[sign + 1 :].lstrip(" "))
        return Loose(mark.text, mark.at, ((begin, "["),))
    if top is None or top.line != line or top.holds not in (INNER, MERGE):
        return Loose(mark.text, mark.at)
    end = text.find("\n", mark.at)
    rest = Scan(text, mark.at + 1, end if end >= 0 else len(text))
    depth = 0
    for other in rest.marks():
        depth += {top.bracket: 1, PAIRS[top.bracket]: -1}.get(other.text, 0)
        if depth < 0:  # the open bracket is matched
            begin = max(text.rfind(sign, top.at, mark.at) for sign in "=(")
            return Loose(mark.text, mark.at, ((begin + 1, CLOSERS[mark.text]),) if mark.text == "]" else ())
    stack.pop()
    return Loose(mark.text, mark.at, instead=PAIRS[top.bracket])


def _merge_begins(text: str, line: int, at: int) -> tuple[tuple[int, str], ...]:
    """Return where a merge with only its `>`, and its `|` or name, may start: after the name, else before its first branch."""
    begin = line
    ends, bars, depth = [line], False, 0
    for found in re.finditer(r"[()\[\]{}<>;|]", text[line:at]):
        depth += {"(": 1, "[": 1, "{": 1, "<": 1, ")": -1, "]": -1, "}": -1, ">": -1}.get(found.group(), 0)
        if depth == 0 and found.group() == "|" and not bars:
            bars, begin = True, ends[-1]
        elif depth == 0 and found.group() == ";":
            ends.append(line + found.end())
    if named := re.compile(rf"\s*(?:\w+:\s*)?(?:{_JOINS})(?=[ \t]+[^\s<(|])").match(text, begin if bars else ends[-1], at):
        return ((named.end(), "<"),)
    begin += len(text[begin:at]) - len(text[begin:at].lstrip())
    return ((begin, "concat<"), (begin, "add<")) if bars else ()


def _partner(text: str, stack: list[Open], mark: Mark, line: int) -> int | None:
    """Return the open bracket that a closing one matches: at line start the one of equal indentation, else the innermost of its kind."""
    same = [index for index, opened in enumerate(stack) if opened.bracket == CLOSERS[mark.text]]
    if not same:
        return None
    before = text[line : mark.at]
    if not before.strip(" \t)]}>"):
        indent = indent_at(text, line)
        under = [index for index in same if stack[index].line < line and stack[index].indent == indent]
        if under and not before.strip():
            return under[-1]
    return same[-1]


def _statement_follows(text: str, opened: Open, newline: int, following: int) -> bool:
    """Return whether the next line is a statement of its own, although a bracket is open that allows line breaks."""
    if re.search(r"[,(\[{=+*/-][ \t]*$", text[text.rfind("\n", 0, newline) + 1 : newline].split("#")[0]):
        return False
    row = re.compile(r"[ \t]*(?=(\S))").match(text, following)
    if row is None or row[1] in "()]},=+*/-":
        return False
    return len(row.group().expandtabs()) <= opened.indent


def indent_at(text: str, line: int) -> int:
    """Return the indentation, in columns, of the line that starts at an offset."""
    found = re.compile(r"[ \t]*").match(text, line)
    assert found is not None
    return len(found.group().expandtabs())


# ---- places for the missing bracket


def _missing(text: str, opened: Open, limit: int, taken: Mark | None = None, owner: Open | None = None) -> Loose:
    finder: Callable[[str, Open, int], list[tuple[int, str]]] = {BRACES: _after_number, INNER: _in_line}.get(opened.holds, _below)
    closer = PAIRS[opened.bracket]
    places = tuple((at, new.replace("?", closer)) for at, new in dict.fromkeys(finder(text, opened, limit)))
    if taken is None or owner is None:
        return Loose(opened.bracket, opened.at, places)
    return Loose(opened.bracket, opened.at, places, taken.at, owner.at)


def _line_end(text: str, begin: int, limit: int) -> int:
    """Return the end of the code on the line of an offset, before its comment."""
    stop = text.find("\n", begin, limit)
    line = text[begin : limit if stop < 0 else stop]
    return begin + len(line.split("#")[0].rstrip(" \t;"))


def _after_number(text: str, opened: Open, limit: int) -> list[tuple[int, str]]:
    """Return the place after the number or name, or sum or product of these, that a brace was opened for."""
    ends = [opened.at + 1]
    atom, sign = re.compile(r"[ \t]*-?[\w.]+"), re.compile(r"[ \t]*(?://|\*\*|[-+*/%])")
    found = atom.match(text, opened.at + 1, limit)
    while found is not None:
        ends.insert(0, found.end())
        joined = sign.match(text, found.end(), limit)
        found = atom.match(text, joined.end(), limit) if joined else None
    return [(end, "?") for end in ends if end > opened.at + 1] or [(_line_end(text, opened.at, limit), "?")]


def _in_line(text: str, opened: Open, limit: int) -> list[tuple[int, str]]:
    """Return the end of what can be an argument or an element, else the end of the line."""
    stop = _line_end(text, text.rfind("\n", 0, limit) + 1 if limit < len(text) else opened.at, limit)
    stop = stop if stop > opened.at else _line_end(text, opened.at, limit)
    cut = re.compile(r"[ \t]+(?:=>|x[0-9{])|[ \t]*[|>{]").search(text, opened.at + 1, stop)
    return ([(cut.start(), "?")] if cut else []) + [(stop, "?")]


def _below(text: str, opened: Open, limit: int) -> list[tuple[int, str]]:
    """Return the end of the lines indented under it; before a repeat or a claim on its own line, or at the end of that line."""
    first = _line_end(text, opened.at, limit)
    last, at = first, text.find("\n", opened.at, limit)
    while at >= 0:
        line = at + 1
        at = text.find("\n", line, limit)
        row = text[line : limit if at < 0 else at].split("#")[0]
        if not row.strip():
            continue
        if indent_at(text, line) <= opened.indent and not (opened.holds == MERGE and row.lstrip().startswith("|")):
            break
        last = _line_end(text, line, limit)
    begins_below = first == opened.at + 1 and last > first
    if begins_below:
        return [(last, "\n" + re.match(r"[ \t]*", text[opened.line :]).group() + "?")]  # type: ignore[union-attr]
    if last == opened.at + 1:
        return _without_indent(text, opened, limit)
    space = " " if opened.holds == BODY and opened.bracket == "{" else ""
    if last > first:
        return [(last, space + "?")]
    below = [(end, space + "?") for end in _unindented(text, opened, limit)]
    inner = [found.start() for found in re.compile(r"[ \t]+(?:=>|x[0-9{])|[ \t]*[;)}>]").finditer(text, opened.at + 1, first)]
    return [(first, space + "?"), *((at, space + "?") for at in inner if at > opened.at + 1), *below]


def _without_indent(text: str, opened: Open, limit: int) -> list[tuple[int, str]]:
    """Return the place after the next line or, for a block, before the blank line that its first call follows; else none."""
    rows = [(found.start(), found.end()) for found in re.compile(r"[^\n]+").finditer(text, opened.at + 1, limit)]
    rows = [(begin, end) for begin, end in rows if text[begin:end].split("#")[0].strip()]
    block = re.search(r"\bblock\s+(\w+)\s*\([^\n]*$", text[opened.line : opened.at])
    if block is not None:
        calls = (index for index, (begin, end) in enumerate(rows) if re.search(rf"\b{block[1]}\s*[(<]", text[begin:end]))
        first = next(calls, 0)
        rows = rows[:first] if first and "\n\n" in text[rows[first - 1][1] : rows[first][0]] else []
        gaps = sum("\n\n" in text[before[1] : after[0]] for before, after in pairwise(rows))
        rows = rows[-1:] if not gaps else []
    if len(rows) != 1:
        return []
    return [(_line_end(text, rows[0][0], limit), f"\n{' ' * opened.indent}?")]


def _unindented(text: str, opened: Open, limit: int) -> list[int]:
    """Return the ends of the next lines of equal indentation, up to a blank line: indentation does not tell which are inside."""
    ends: list[int] = []
    at = text.find("\n", opened.at, limit)
    while at >= 0 and len(ends) < MOST_BELOW:
        line = at + 1
        at = text.find("\n", line, limit)
        row = text[line : limit if at < 0 else at].split("#")[0]
        if not row.strip() or indent_at(text, line) != opened.indent or _STATEMENT.match(row):
            break
        ends.append(_line_end(text, line, limit))
    return ends
