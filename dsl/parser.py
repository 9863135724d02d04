"""Text to tree: Lark does the parsing, this module builds the tree and words the syntax errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
from dsl.vocabulary import syntax

MAX_NESTING = 200
BROKEN = "\0"  # stands in the text for a stretch that could not be read


@dataclass(frozen=True)
class Parsed:
    """A tree (None where nothing could be saved) and what was wrong with the text."""

    file: ast.File | None
    diagnostics: tuple[Diagnostic, ...]


def parse(source: Source, max_nesting: int = MAX_NESTING) -> Parsed:
    """Read a whole file. Goes on behind an error with the next statement, so that all are found."""
    problems = list(_bad_characters(source)) or list(_too_deep(source, max_nesting))
    if problems:
        return Parsed(None, tuple(problems))
    tree = _tree(source.text)
    if tree is None and (other := other_format(source.text)) is not None:
        name, first, last = other
        return Parsed(None, (syntax.other_format(name).at(Span(source, first, last)),))
    if tree is None:
        text = "".join(_readable(source, begin, end, problems) for begin, end in _pieces(source.text))
        tree = _tree(text)
    file = None if tree is None else cast(ast.File, TreeBuilder(source).transform(tree))
    return Parsed(file, tuple(problems))


def _tree(text: str) -> Any:
    """Lark's tree, or None."""
    try:
        return _lark().parse(text + "\n", start="file")
    except UnexpectedInput:
        return None


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """The stretches of a text that can be read by themselves: lines, with the lines below that go on with them."""
    begin = end = 0
    for first, last in _closed_lines(text):
        if end and not GOES_ON.match(text, first):
            yield begin, end
            begin = first
        end = last
    if end:
        yield begin, end


GOES_ON = re.compile(r"[ \t]*(?:=>|else\b|#|$)", re.M)  # a blank line or a comment may stand before one that goes on


def _closed_lines(text: str) -> Iterator[tuple[int, int]]:
    """The lines of a text, joined where a bracket is open at the end of one."""
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
            if mended is None:
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
    return TreeBuilder(source).transform(tree)


class _NewlinesInBrackets(PostLex):
    """Drops newlines inside `( )` and list brackets, where a line may be broken freely."""

    always_accept = ("_NEWLINE",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        open_brackets: list[bool] = []
        for token in stream:
            if token.type in ("LPAR", "_LIST_OPEN"):
                open_brackets.append(True)
            elif token.type in ("LBRACE", "_BRACE_OPEN", "_GROUP_OPEN"):
                open_brackets.append(False)
            elif token.type in ("RPAR", "RSQB", "RBRACE") and open_brackets:
                open_brackets.pop()
            elif token.type == "_NEWLINE" and open_brackets and open_brackets[-1]:
                continue
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


def _bad_characters(source: Source) -> Iterator[Diagnostic]:
    for match in re.finditer(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", source.text):
        yield syntax.unreadable(show_character(match.group())).at(Span(source, match.start(), match.end()))


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
