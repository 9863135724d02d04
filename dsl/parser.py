"""Text to tree: Lark does the parsing, this module builds the tree and words the syntax errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from lark import Lark, Token, UnexpectedInput
from lark.lark import PostLex
from platformdirs import user_cache_path

from dsl import ast
from dsl.build import TreeBuilder
from dsl.diagnostics import ArchError, Diagnostic
from dsl.explain import BRACKET, BRACKET_OR_LINE, CLOSERS, PAIRS, explain, show_character, unclosed
from dsl.hints import other_format
from dsl.source import Source, Span
from dsl.vocabulary import files, syntax

MAX_NESTING = 200
MOST_MISTAKES = 500  # of syntax in one file; with more of them, there is no use in reading on
EFFORT = 1_000_000  # characters that are read again in a stretch of the text, to find the mistakes after its first
BROKEN = "\0"  # stands in the text for a stretch that could not be read


@dataclass(frozen=True)
class Parsed:
    """A tree (None where nothing could be saved) and what was wrong with the text."""

    file: ast.File | None
    diagnostics: tuple[Diagnostic, ...]


def parse(source: Source, max_nesting: int = MAX_NESTING, max_statements: int | None = None) -> Parsed:
    """Read a whole file. Goes on after an error with the next statement, so that all are found."""
    problems = list(_bad_characters(source)) or list(_too_deep(source, max_nesting))
    if problems:
        return Parsed(None, tuple(problems))
    unlimited = _limit.set(max_statements)
    try:
        return _parsed(source, problems, max_statements)
    except _TooMany as found:
        place = min(found.place, len(source.text))
        return Parsed(None, (files.too_many_statements(max_statements or 0).at(Span(source, place, place)),))
    finally:
        _limit.reset(unlimited)


def _parsed(source: Source, problems: list[Diagnostic], max_statements: int | None) -> Parsed:
    tree = _tree(source.text)
    if tree is None and (other := other_format(source.text)) is not None:
        name, first, last = other
        return Parsed(None, (syntax.other_format(name).at(Span(source, first, last)),))
    if tree is None:
        text = ""
        for number, (begin, end) in enumerate(_pieces(source.text)):
            if max_statements is not None and number > max_statements:
                raise _TooMany(begin)
            text += _readable(source, begin, end, problems)
            if len(problems) >= MOST_MISTAKES:
                return Parsed(None, tuple(problems))
        tree = _tree(text)
    file = None if tree is None else cast(ast.File, TreeBuilder(source).build(tree))
    return Parsed(file, tuple(problems))


def _tree(text: str) -> Any:
    """Lark's tree, or None."""
    try:
        return _lark().parse(text + "\n", start="file")
    except UnexpectedInput:
        return None


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """The stretches of a text that can be read by themselves: lines, joined where a bracket is open at the end of one."""
    begin = 0
    unclosed: list[str] = []
    for match in BRACKET_OR_LINE.finditer(text):
        mark = match.group()
        if mark in PAIRS:
            unclosed.append(mark)
        elif mark in CLOSERS and unclosed and unclosed[-1] == CLOSERS[mark]:
            unclosed.pop()
        elif mark == "\n" and not unclosed:
            yield begin, match.end()
            begin = match.end()
    if begin < len(text):
        yield begin, len(text)


def _readable(source: Source, begin: int, end: int, problems: list[Diagnostic]) -> str:
    """A stretch of the text, its unreadable statements replaced by `BROKEN`; what is wrong with them is entered."""
    text = source.text[begin:end]
    known = len(problems)
    attempts = max(5, EFFORT // (len(text) + 1))
    while True:
        try:
            _lark().parse(text + "\n", start="file")
        except UnexpectedInput as error:
            problem, start, stop = explain(source, begin, text, error)
            again = BROKEN in text[max(0, start - 1) : stop + 1]  # it comes of an error before
            if problem not in problems[known:] and not (again and problems):
                problems.append(problem)
            if problem.code == "E0103":
                mended: str | None = text[:start] + " " + text[start + 1 :]
            else:
                mended = None if again else _blank(text, start, stop)
            attempts -= 1
            if mended is None or not attempts:
                return _blanked(text)
            text = mended
            continue
        return text


def _blanked(text: str) -> str:
    """One broken statement in place of a whole stretch, its lines kept."""
    return BROKEN + re.sub(r"[^\n]", " ", text)[1:] if text.strip() else text


def parse_value(name: str, text: str) -> ast.Expr:
    """Read one expression, as `--set NAME=...` gives it. Raises ArchError."""
    return cast(ast.Expr, _parse_part(Source(name, text), "value"))


def parse_size(name: str, text: str) -> ast.Dims:
    """Read one shape, as `--input` gives it. Raises ArchError."""
    return cast(ast.Dims, _parse_part(Source(name, text), "size"))


def _parse_part(source: Source, start: str) -> Any:
    problems = [*_bad_characters(source), *_too_deep(source, MAX_NESTING)]
    if problems:
        raise ArchError(problems)
    try:
        tree = _lark().parse(source.text, start=start)
    except UnexpectedInput as error:
        raise ArchError([explain(source, 0, source.text, error)[0]]) from None
    return TreeBuilder(source).build(tree)


class _TooMany(Exception):
    """A text has more statements than are allowed, from this offset on."""

    def __init__(self, place: int) -> None:
        self.place = place


_limit: ContextVar[int | None] = ContextVar("limit", default=None)  # of statements in the text that is read


class _NewlinesInBrackets(PostLex):
    """Drops newlines inside `( )` and list brackets, where a line may be broken freely. Counts the statements."""

    always_accept = ("_NEWLINE",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        open_brackets: list[bool] = []
        limit, separators = _limit.get(), 0
        for token in stream:
            if token.type in ("LPAR", "_LIST_OPEN"):
                open_brackets.append(True)
            elif token.type in ("LBRACE", "_BRACE_OPEN", "_GROUP_OPEN"):
                open_brackets.append(False)
            elif token.type in ("RPAR", "RSQB", "RBRACE") and open_brackets:
                open_brackets.pop()
            elif token.type == "_NEWLINE" and open_brackets and open_brackets[-1]:
                continue
            if token.type in ("_NEWLINE", "_SEMI"):
                separators += 1
                if limit is not None and separators > limit:
                    raise _TooMany(token.end_pos or 0)
            yield token


@cache
def _lark() -> Lark:
    """The parser; its tables are kept in the user's cache folder, since building them takes a while."""
    folder = user_cache_path("archc")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tables: str | bool = str(folder / "grammar.pickle")
    except OSError:
        tables = False
    return Lark(
        (Path(__file__).parent / "grammar.lark").read_text(encoding="utf-8"),
        parser="lalr",
        start=["file", "value", "size"],
        postlex=_NewlinesInBrackets(),
        propagate_positions=True,
        maybe_placeholders=True,
        cache=tables,
    )


def tokens(source: Source) -> list[Token]:
    """The significant tokens of a text that parses, in order; what lies between them is space and comments."""
    interactive = _lark().parse_interactive(source.text + "\n", start="file")
    return [token for token in interactive.iter_parse() if token.type not in ("_NEWLINE", "_SEMI")]


# ---- what cannot be read at all

# Control characters, and those that turn the direction of the text around: what is shown would not be what is read.
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def _bad_characters(source: Source) -> Iterator[Diagnostic]:
    for match in _INVISIBLE.finditer(source.text):
        advice = (
            "delete it: it changes the order in which the text is shown"
            if match.group() > "\x7f"
            else "delete it; no file may hold it, not even in a comment"
        )
        yield syntax.unreadable(show_character(match.group()), advice).at(Span(source, match.start(), match.end()))


def _too_deep(source: Source, limit: int) -> Iterator[Diagnostic]:
    depth = 0
    for match in BRACKET.finditer(source.text):
        bracket = match.group()
        if bracket in PAIRS:
            depth += 1
            if depth > limit:
                yield syntax.too_deep_brackets(limit).at(Span(source, match.start(), match.end()))
                return
        elif bracket in CLOSERS:
            depth = max(0, depth - 1)


def _blank(text: str, start: int, end: int) -> str | None:
    """The text with the statement around an error replaced by a broken item; None where brackets forbid it."""
    begin = max(text.rfind(mark, 0, start) for mark in ";\n|<{") + 1
    ends = re.compile(r"[;\n|}]|(?<!=)>(?!=)")
    at_end = text[start : start + 1] in (">", "}", "|") and text[begin:start].strip()
    found = ends.search(text, start if at_end else min(end, len(text)))
    stop = found.start() if found else len(text)
    if _loose_angles(text[begin:stop]):  # from within a merge to behind it: all of the item
        begin = max(text.rfind(mark, 0, start) for mark in ";\n{") + 1
    stretch = text[begin:stop]
    if not stretch.strip() or BROKEN in stretch or unclosed(stretch, len(stretch)) or _closes_more(stretch):
        return None
    return text[:begin] + BROKEN + " " * (len(stretch) - 1) + text[stop:]


def _loose_angles(text: str) -> bool:
    """Does a `>` close what was opened before this stretch?"""
    opened = 0
    for match in BRACKET.finditer(text):
        opened += {"<": 1, ">": -1}.get(match.group(), 0)
        if opened < 0:
            return True
    return False


def _closes_more(text: str) -> bool:
    opened = sum(text.count(bracket) for bracket in "([{")
    return sum(text.count(bracket) for bracket in ")]}") > opened
