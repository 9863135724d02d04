"""Rewrite a text in canonical form: spacing, indentation and alignment change; tokens, line breaks and comments stay.

Line breaks are the author's, except before a claim and before `else`. What becomes uniform: one statement separator
between items (`;` on a line), two spaces of indentation for every bracket, the branches of a merge aligned under its `<`,
the last claims of adjacent lines aligned, operator names in lower case, at most one blank line. The result is parsed again
before it is returned: its tree and its comments are those of the source.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from lark import Token

from archc.dsl import ast
from archc.dsl.errors import ArchError
from archc.dsl.parser import MAX_NESTING, parse, parse_with_tokens
from archc.dsl.source import Source
from archc.dsl.trees import same

INDENT = 2
ALIGN_WITHIN = 72  # claims are aligned up to this column

OPENERS = {"LPAR", "_LIST_OPEN", "_GROUP_OPEN", "_BRACE_OPEN", "_NUMERAL_OPEN", "LBRACE"}
CLOSERS = {"RPAR", "RSQB", "RBRACE"}
TIGHT = {"_DASH", "_SLASH", "_GLUE", "TIMES", "DIVIDE", "FLOORDIV", "_POWER", "MODULO"}
BEFORE_SIGN = {"PLUS", "MINUS", "EQUAL", "EQ", "NE", "LE", "GE", "LT", "GT", "COMMA", "LPAR", "_LIST_OPEN", "_BRACE_OPEN"}
BEFORE_SIGN |= TIGHT | {"AND", "OR", "NOT", "IN", "IF", "ELSE"}
COMMENT = re.compile(r'"[^"\n]*"|#([^\n]*)')  # or a string, which may contain a `#`
JOINED = {"_ARROW", "ELSE"}  # go on the line before them, unless a comment is in between
NUMBERED = {"NAME", "LABEL", "INDEXED", "MORE"}  # what a number in braces may follow
VALUE_ENDS = {"NAME", "IN", "RPAR", "RSQB", "INT", "FLOAT", "SCALED", "SHAPE", "REF", "REST"}


@dataclass
class _Line:
    """One output line, whose claim and comment are aligned with those of adjacent lines.

    The claim is the last one of the line, with what follows it; earlier ones are part of the code.
    """

    indent: int
    code: str = ""
    claim: str = ""
    comment: str = ""


@dataclass
class _Bracket:
    inside: int  # indentation of lines inside
    closing: int  # indentation of lines that begin with `|` or the closing bracket
    spaced: bool  # is there a space inside the brackets?
    part: bool = False  # are they the brackets of a list?
    arguments: bool = False  # are they the ( ) of arguments or parameters?


@dataclass
class _Layout:
    """The facts that the tree has and the tokens lack."""

    merges: dict[int, int] = field(default_factory=dict)  # offset of `<` -> offset of its `>`
    heads: set[int] = field(default_factory=set)  # offsets of operator words


class ChangedMeaningError(AssertionError):
    """The formatter produced a text with another meaning: a bug in archc."""


def format_text(source: Source, operators: Collection[str] = (), max_nesting: int = MAX_NESTING, hold: bool = True) -> str:
    """Return the canonical form of a text.

    `operators` are the names to write in lower case; names of blocks are kept. Unless `hold` is false, the result is parsed again and
    compared with the text: what a person wrote must not be lost, what a printer wrote can be printed again. Raises ArchError if the text
    does not parse, and ChangedMeaningError if the result does not have the same tree and comments.
    """
    parsed, stream = parse_with_tokens(source, max_nesting)
    if parsed.diagnostics or parsed.file is None:
        raise ArchError(parsed.diagnostics)
    writer = _Writer(source.text, stream, _layout(parsed.file), operators)
    text = "".join(f"{line}\n" for line in _render(writer.lines()))
    if hold:
        _hold(source, parsed.file, text, writer.lowered, max_nesting)
    return text


def _hold(source: Source, tree: ast.File, text: str, lowered: list[Token], max_nesting: int) -> None:
    """Raise ChangedMeaningError unless a formatted text equals its source, up to the case of the lowered operator names."""
    characters = list(source.text)
    for token in lowered:
        characters[token.start_pos : token.end_pos] = str(token).lower()
    before = "".join(characters)
    if before == text:
        return
    meant = parse(Source(source.name, before), max_nesting).file if lowered else tree
    if not same(meant, parse(Source(source.name, text), max_nesting).file) or _comments(before) != _comments(text):
        raise ChangedMeaningError(f"{source.name} would not be the same network after `fmt`; nothing was written")


def _comments(text: str) -> list[str]:
    return [found[1].strip() for found in COMMENT.finditer(text) if found[1] is not None]


class _Writer:
    def __init__(self, text: str, stream: list[Token], layout: _Layout, operators: Collection[str]) -> None:
        self.text = text
        self.stream = stream
        self.layout = layout
        self.operators = set(operators)
        self.stack: list[_Bracket] = []
        self.closing = set(layout.merges.values())
        self.fields = set(_fields(text, stream))
        self.lowered: list[Token] = []  # operator names that were not in lower case
        self.starts = [token.start_pos or 0 for before, token in pairwise(stream) if self._begins(before, token)]  # of lines
        self.done: list[_Line | None] = []  # None is a blank line
        self.line = _Line(0)

    def _begins(self, before: Token, token: Token) -> bool:
        """Return whether a token begins a line."""
        gap = self.text[before.end_pos : token.start_pos]
        return "\n" in gap and not (token.type in JOINED and "#" not in gap)

    def lines(self) -> list[_Line | None]:
        """Lay out the tokens as lines; None is a blank line."""
        previous: Token | None = None
        before_previous: Token | None = None
        for token in self.stream:
            start = token.start_pos or 0
            gap = self.text[previous.end_pos if previous else 0 : start]
            if previous is None or self._begins(previous, token):
                self._break(gap, token, first=previous is None)
                separator = ""
            elif ";" in re.sub(r"#.*", "", gap) and not self._opens(previous) and not self._closes(token):
                separator = "; "
            else:
                separator = " " if self._spaced(before_previous, previous, token) else ""
            self._write(separator, token)
            self._track(token)
            before_previous, previous = previous, token
        end = previous.end_pos if previous else 0
        self._break(self.text[end:] + "\n", None, first=previous is None)
        while self.done and self.done[-1] is None:
            self.done.pop()
        return self.done

    def _write(self, separator: str, token: Token) -> None:
        text = str(token).strip()
        if token.start_pos in self.layout.heads and {text.lower(), text.rstrip("0123456789x").lower()} & self.operators:
            if text != text.lower():
                self.lowered.append(token)
            text = text.lower()
        if token.type == "_ARROW":
            self.line.code += f" {self.line.claim}" if self.line.claim else ""
            self.line.claim = text
        elif self.line.claim:
            self.line.claim += separator + text
        else:
            self.line.code += separator + text

    def _break(self, gap: str, token: Token | None, first: bool) -> None:
        """End the line with its comment, write the comment lines in between, and begin the next line."""
        rows = gap.split("\n")
        trailing = _comment(rows[0])
        if not first:
            self.line.comment = trailing
            self.done.append(self.line)
        indent = self._indent(token)
        inner = self.stack[-1].inside if self.stack else 0
        for row in rows[:-1] if first else rows[1:-1]:
            if comment := _comment(row):
                self.done.append(_Line(inner, comment))
            elif self.done and self.done[-1] is not None and not row.strip(" \t;"):
                self.done.append(None)
        if token is not None and self.done and self.done[-1] is None and self._closes(token):
            self.done.pop()
        self.line = _Line(indent)

    def _indent(self, token: Token | None) -> int:
        if not self.stack or token is None:
            return 0
        bracket = self.stack[-1]
        return bracket.closing if self._closes(token) or token.type == "VBAR" else bracket.inside

    def _opens(self, token: Token) -> bool:
        return token.type in OPENERS or token.start_pos in self.layout.merges

    def _closes(self, token: Token) -> bool:
        return token.type in CLOSERS or token.start_pos in self.closing

    def _track(self, token: Token) -> None:
        if self._opens(token):
            indent = self.line.indent
            start = token.start_pos or 0
            if start in self.layout.merges:
                first = bisect_right(self.starts, start)  # the first line that begins after the `<`
                wide = first < len(self.starts) and self.starts[first] <= self.layout.merges[start]
                if wide and self._goes_on(token, self.starts[first]):
                    column = indent + len(self.line.code) - 1
                    self.stack.append(_Bracket(column + INDENT, column, True))
                else:
                    self.stack.append(_Bracket(indent + INDENT, indent, wide))
            else:
                wide, part = token.type in ("LBRACE", "_GROUP_OPEN"), token.type == "_LIST_OPEN"
                self.stack.append(_Bracket(indent + INDENT, indent, wide, part, token.type == "LPAR"))
        elif self._closes(token) and self.stack:
            self.stack.pop()

    def _goes_on(self, token: Token, following: int) -> bool:
        """Return whether another token follows on the line of a token."""
        return bool(re.sub(r"#[^\n]*", "", self.text[token.end_pos : following]).strip(" \t\n;"))

    def _spaced(self, earlier: Token | None, before: Token, token: Token) -> bool:
        """Return whether there is a space between two tokens of one line."""
        left, right = before.type, token.type
        if self._opens(before) or self._closes(token):
            return bool(self.stack) and self.stack[-1].spaced
        if token.start_pos in self.layout.merges or right in ("COMMA", "COLON", "MORE", "REST") or left in TIGHT or right in TIGHT:
            return False
        if left in NUMBERED and right == "_BRACE_OPEN":  # a kernel or the number of a label: `conv{k}`, `layer{i}:`, `@layer{i}`
            return False
        if left == "COLON" and self.stack and self.stack[-1].part:
            return False  # the part of a list, `depths[:2]`
        if left == "_REPEAT" or token.start_pos in self.fields or before.start_pos in self.fields:
            return False
        if "EQUAL" in (left, right):
            return not (self.stack and self.stack[-1].arguments)
        if left == "MINUS":
            return earlier is not None and earlier.type not in BEFORE_SIGN  # else it is a sign
        if right in ("LPAR", "_LIST_OPEN"):
            return left == "IN" or (left not in VALUE_ENDS | {"DIM", "RBRACE", "SYMBOL"} and not self._closes(before))
        return True


def _fields(text: str, stream: list[Token]) -> Iterator[int]:
    """Yield the offsets of the dots of field accesses, as in `in.c`; other dots are the current tensor."""
    for before, token in pairwise(stream):
        gap = text[before.end_pos : token.start_pos]
        if token.type == "DOT" and before.type in VALUE_ENDS and ";" not in gap and "\n" not in gap:
            yield token.start_pos or 0


def _comment(row: str) -> str:
    _, mark, text = row.partition("#")
    return f"# {text.strip()}".rstrip() if mark else ""


def _render(lines: list[_Line | None]) -> Iterator[str]:
    """Align the claims and the comments of adjacent lines."""
    index = 0
    while index < len(lines):
        if lines[index] is None:
            yield ""
            index += 1
            continue
        run: list[_Line] = []
        while index < len(lines) and (line := lines[index]) is not None and (not run or line.indent == run[0].indent):
            run.append(line)
            index += 1
        codes = [line.code for line in run]
        _align(codes, [line.claim for line in run])
        _align(codes, [f" {line.comment}" if line.comment and line.code else line.comment for line in run])
        for line, code in zip(run, codes, strict=True):
            yield (" " * line.indent + code).rstrip()


def _align(codes: list[str], parts: list[str]) -> None:
    """Append a part to every line that has one, aligned within each run of adjacent lines."""
    begin = 0
    while begin < len(codes):
        end = begin
        while end < len(codes) and parts[end] and codes[end]:
            end += 1
        width = max((len(code) for code in codes[begin:end] if len(code) <= ALIGN_WITHIN), default=0)
        for at in range(begin, end):
            codes[at] = f"{codes[at]:<{width}} {parts[at]}"
        if end == begin:
            codes[begin] += parts[begin]
            end += 1
        begin = end


def _layout(tree: ast.File) -> _Layout:
    """Find the merges and the operator words of a file."""
    layout = _Layout()
    for node in ast.walk(tree):
        if isinstance(node, ast.Op | ast.Merge | ast.Default):
            layout.heads.add(node.word_span.start)
        if isinstance(node, ast.Merge):
            layout.merges[node.opening.start] = node.span.end - 1
    return layout
