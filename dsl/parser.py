"""Parse text to a tree: Lark does the parsing, this module builds the tree and words the syntax errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, cast

from lark import Lark, Token, UnexpectedInput
from lark.lark import PostLex
from platformdirs import user_cache_path

from archc.dsl import ast
from archc.dsl.brackets import CLOSERS, PAIRS, loose
from archc.dsl.build import Step, TreeBuilder, steps
from archc.dsl.characters import named
from archc.dsl.cutting import Cut
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.draft import Draft
from archc.dsl.errors import ArchError
from archc.dsl.explain import explain, show_character
from archc.dsl.formats import other_format
from archc.dsl.lalr import Parser
from archc.dsl.recovery import Recovery
from archc.dsl.source import Source, Span
from archc.dsl.vocabulary import files, syntax

MAX_NESTING = 200
_BEGINS = re.compile(r"(?:^|;)[ \t]*(?=[^\s#;])", re.MULTILINE)  # of statements, about
BRACKET = re.compile(r'#[^\n]*|"[^"\n]*"|=>|>=|<=|(?<=[\w)])<|[()\[\]{}>]')


@dataclass(frozen=True)
class Parsed:
    """A tree (None if nothing could be recovered) and the errors in the text.

    `whole` says that the tree is complete: it is the tree of the text after the first repair of each error.
    """

    file: ast.File | None
    diagnostics: tuple[Diagnostic, ...]
    whole: bool = True


class Trees:
    """Where a text can be cut, and Lark's trees and errors of these stretches, kept from one version of it to the next.

    What the last two versions did not contain is forgotten.
    """

    def __init__(self) -> None:
        self._before: dict[str, tuple[list[Step] | None, UnexpectedInput | None]] = {}
        self._now: dict[str, tuple[list[Step] | None, UnexpectedInput | None]] = {}
        self._cut = Cut("", [])

    def turn(self) -> None:
        """Begin a new version of the text."""
        self._before, self._now = self._now, {}

    def pieces(self, text: str) -> list[tuple[int, int]]:
        """Return the stretches of the text that can be parsed separately."""
        self._cut = self._cut.changed(text)
        return self._cut.pieces()

    def of(self, text: str) -> tuple[list[Step] | None, UnexpectedInput | None]:
        """Return Lark's tree of a stretch, leaves first, or its syntax error."""
        found = self._now.get(text) or self._before.get(text) or _tree(text)
        self._now[text] = found
        return found


def parse(source: Source, max_nesting: int = MAX_NESTING, max_statements: int | None = None, trees: Trees | None = None) -> Parsed:
    """Parse a whole file. Parsing continues after an error, with its repair if that is certain, so that all errors are found.

    `max_nesting` limits the nesting of brackets, `max_statements` the number of statements. Errors are returned, not raised. With the
    `trees` of an earlier version of the text, only stretches that have changed are parsed anew.
    """
    if trees is not None:
        trees.turn()
        if max_statements is not None and source.text.count("\n") + source.text.count(";") >= max_statements:
            trees = None  # the limit counts over the whole text
    problems = list(_bad_characters(source))
    deep = next(_too_deep(source, max_nesting), None)
    if not problems and deep is not None and not _lacks_brackets(source.text, max_nesting):
        problems = [deep]
    if problems:
        return Parsed(None, tuple(problems), whole=False)
    unlimited = _limit.set(max_statements)
    try:
        return _parsed(source, deep, trees if deep is None else None)
    except _TooMany as found:
        place = min(found.place, len(source.text))
        problem = files.too_many_statements(max_statements or 0).at(Span(source, place, place))
        return Parsed(None, (problem,), whole=False)
    finally:
        _limit.reset(unlimited)


def _parsed(source: Source, deep: Diagnostic | None, known: Trees | None) -> Parsed:
    if known is not None and (file := _of_pieces(source, known)) is not None:
        return Parsed(file, ())
    tree, first = _tree(source.text) if known is None else (None, None)  # a piece that cannot be parsed leaves the whole unparsable
    if tree is not None and deep is not None:
        return Parsed(None, (deep,), whole=False)
    if tree is None and (other := other_format(source.text)) is not None:
        name, begin, end = other
        return Parsed(None, (syntax.other_format(name).at(Span(source, begin, end)),), whole=False)
    if tree is not None:
        return Parsed(cast(ast.File, TreeBuilder(source).build(tree)), ())
    limit = _limit.get()
    if limit is not None and (over := next(islice(_BEGINS.finditer(source.text), limit, None), None)) is not None:
        raise _TooMany(over.start())
    trees: dict[str, list[Step]] = {}

    def failure(text: str) -> UnexpectedInput | None:
        tree, error = _tree(text) if known is None else known.of(text)
        if tree is not None:
            trees[text] = tree
        return error

    recovery = Recovery(source, failure) if known is None else Recovery(source, failure, at_once=1)  # where each is known, alone
    statements: list[ast.Statement] = []
    for draft in recovery.readable(first):
        part = trees.get(draft.text) or _tree(draft.text)[0]
        if part is None:
            recovery.whole = False
        else:
            statements.extend(TreeBuilder(source, draft.origin).build(part).statements)
    file = ast.File(Span(source, 0, len(source.text)), tuple(statements))
    return Parsed(file, tuple(recovery.problems), recovery.whole)


def _of_pieces(source: Source, trees: Trees) -> ast.File | None:
    """Return the tree of a text from those of its pieces; None if one of them cannot be parsed."""
    parsed: list[tuple[list[Step], int, int]] = []
    for begin, end in trees.pieces(source.text):
        tree, _ = trees.of(source.text[begin:end])
        if tree is None:
            return None
        parsed.append((tree, begin, end))
    statements: list[ast.Statement] = []
    builder = TreeBuilder(source)
    for tree, begin, end in parsed:
        statements.extend(builder.build_at(tree, begin, end).statements)
    return ast.File(Span(source, 0, len(source.text)), tuple(statements))


def _tree(text: str) -> tuple[list[Step] | None, UnexpectedInput | None]:
    """Return Lark's parse tree, leaves first, or its syntax error."""
    try:
        return steps(_lark().parse(text + "\n", start="file")), None
    except UnexpectedInput as error:
        return None, error


def parse_value(name: str, text: str) -> ast.Expr:
    """Parse one expression, such as the value of `--set NAME=...`; `name` is used in messages. Raises ArchError."""
    return cast(ast.Expr, _parse_part(Source(name, text), "value"))


def parse_size(name: str, text: str) -> ast.Dims:
    """Parse one shape, such as that of `--input`; `name` is used in messages. Raises ArchError."""
    return cast(ast.Dims, _parse_part(Source(name, text), "size"))


def _parse_part(source: Source, start: str) -> Any:
    problems = [*_bad_characters(source), *_too_deep(source, MAX_NESTING)]
    if problems:
        raise ArchError(problems)
    try:
        tree = _lark().parse(source.text, start=start)
    except UnexpectedInput as error:
        raise ArchError([explain(source, Draft.of(source.text), error).diagnostic]) from None
    return TreeBuilder(source).build(steps(tree))


class _TooMany(Exception):
    """A text has more statements than allowed, from this offset on."""

    def __init__(self, place: int) -> None:
        self.place = place


_limit: ContextVar[int | None] = ContextVar("limit", default=None)  # on the statements of the text being parsed
_read: ContextVar[list[Token] | None] = ContextVar("read", default=None)  # takes the tokens of the text being parsed


class _NewlinesInBrackets(PostLex):
    """Drops newlines inside `( )` and list brackets, where lines may be broken freely, and counts statements."""

    always_accept = ("_NEWLINE",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        open_brackets: list[bool] = []
        limit, separators, read = _limit.get(), 0, _read.get()
        for token in stream:
            if token.type in ("LPAR", "_LIST_OPEN"):
                open_brackets.append(True)
            elif token.type in ("LBRACE", "_BRACE_OPEN", "_NUMERAL_OPEN", "_GROUP_OPEN"):
                open_brackets.append(False)
            elif token.type in ("RPAR", "RSQB", "RBRACE") and open_brackets:
                open_brackets.pop()
            elif token.type == "_NEWLINE" and open_brackets and open_brackets[-1]:
                continue
            if token.type in ("_NEWLINE", "_SEMI"):
                separators += 1
                if limit is not None and separators > limit:
                    raise _TooMany(token.end_pos or 0)
            if read is not None:
                read.append(token)
            yield token


@cache
def _lark() -> Lark:
    """Return the parser; its tables are cached in the user's cache folder, since building them is slow."""
    folder = user_cache_path("archc")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tables: str | bool = str(folder / "grammar.pickle")
    except OSError:
        tables = False
    return Parser(
        (Path(__file__).parent / "grammar.lark").read_text(encoding="utf-8"),
        parser="lalr",
        start=["file", "value", "size"],
        postlex=_NewlinesInBrackets(),
        propagate_positions=True,
        maybe_placeholders=True,
        cache=tables,
    )


def parse_with_tokens(source: Source, max_nesting: int = MAX_NESTING) -> tuple[Parsed, list[Token]]:
    """Parse a whole file as `parse` does; return also the significant tokens of a text without errors, in order.

    Between tokens are only blanks and comments. What a text with errors returns for them is of no use.
    """
    read: list[Token] = []
    kept = _read.set(read)
    try:
        parsed = parse(source, max_nesting)
    finally:
        _read.reset(kept)
    return parsed, [token for token in read if token.type not in ("_NEWLINE", "_SEMI")]


# ---- text that cannot be parsed at all

# Control characters, and those that change the direction of text, which would be displayed in another order than parsed.
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def _bad_characters(source: Source) -> Iterator[Diagnostic]:
    for match in _INVISIBLE.finditer(source.text):
        character = match.group()
        advice = "delete it; no file may contain it, not even in a comment"
        is_control = character < "\x80"
        problem = (
            syntax.unreadable(f"the character {show_character(character)}", advice)
            if is_control
            else syntax.turns_the_text(named(character))
        )
        yield problem.at(Span(source, match.start(), match.end()))


MOST_OPEN = 20_000  # most brackets that are open at once
MOST_WORK = 2_000_000  # most open brackets times characters of the longest line


def _lacks_brackets(text: str, limit: int) -> bool:
    """Return whether a text is too deep only because brackets are missing. Not examined for very large texts."""
    deepest, longest = max(_depths(text)), max(map(len, text.split("\n")))
    if deepest > MOST_OPEN or deepest * longest > MOST_WORK:
        return False
    closers = [(*found.places[0],) for found in loose(text) if found.bracket in PAIRS and found.places]
    closed = Draft.of(text).changed([(at, 0, closer) for at, closer in closers])
    return bool(closers) and max(_depths(closed.text)) <= limit


def _depths(text: str) -> Iterator[int]:
    """Yield the number of open brackets after each bracket."""
    depth = 0
    yield depth
    for match in BRACKET.finditer(text):
        bracket = match.group()
        if bracket in PAIRS or bracket in CLOSERS:
            depth = depth + 1 if bracket in PAIRS else max(0, depth - 1)
            yield depth


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
