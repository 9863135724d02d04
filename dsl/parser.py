"""Text to tree: Lark does the parsing, this module builds the tree and words the syntax errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from lark import Lark, Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.exceptions import UnexpectedEOF
from lark.lark import PostLex
from platformdirs import user_cache_path

from dsl import ast
from dsl.build import TreeBuilder
from dsl.diagnostics import ArchError, Diagnostic
from dsl.source import Source, Span
from dsl.vocabulary import foreign, syntax
from dsl.vocabulary.syntax import Insertion

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
    """The stretches of a text that can be read by themselves: lines, joined where a bracket is open at the end of one."""
    begin = 0
    unclosed: list[str] = []
    for match in _BRACKET_OR_LINE.finditer(text):
        mark = match.group()
        if mark in _PAIRS:
            unclosed.append(mark)
        elif mark in _CLOSERS and unclosed and unclosed[-1] == _CLOSERS[mark]:
            unclosed.pop()
        elif mark == "\n" and not unclosed:
            yield begin, match.end()
            begin = match.end()
    if begin < len(text):
        yield begin, len(text)


def _readable(source: Source, begin: int, end: int, problems: list[Diagnostic]) -> str:
    """A stretch of the text, its unreadable statements replaced by `BROKEN`; what is wrong with them is entered."""
    text = source.text[begin:end]
    while True:
        try:
            _lark().parse(text + "\n", start="file")
        except UnexpectedInput as error:
            problem, start, stop = _explain(source, begin, text, error)
            again = BROKEN in text[max(0, start - begin - 1) : stop - begin + 1]  # it comes of an error before
            if problem not in problems and not (again and problems):
                problems.append(problem)
            at = start - begin
            if problem.code == "E0103":
                mended: str | None = text[:at] + " " + text[at + 1 :]
            else:
                mended = None if again else _blank(text, at, stop - begin)
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
        raise ArchError([_explain(source, 0, source.text, error)[0]]) from None
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


# ---- what is wrong with a text

_NAMES = {
    "_NEWLINE": "the end of the line",
    "_SEMI": "`;`",
    "$END": "the end of the file",
    "NAME": "a name",
    "INPUT_NAME": "a name",
    "PATH": "a label",
    "DIM": "a number",
    "INT": "a number",
    "FLOAT": "a number",
    "SCALED": "a number",
    "SHAPE": "a shape",
    "SYMBOL": "a size such as `H`",
    "REF": "a reference such as `@conv1`",
    "STRING": 'a text in "quotes"',
    "_REPEAT": "a repeat such as `x2`",
    "_ARROW": "`=>`",
    "_DASH": "`-` with a number",
    "_SLASH": "`/` with a number",
    "_GLUE": "`x` with a number",
    "LT": "`<`",
    "GT": "`>`",
    "EQ": "`==`",
    "EQUAL": "`=`",
    "VBAR": "`|`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "DOT": "`.`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LBRACE": "`{`",
    "_BRACE_OPEN": "`{`",
    "RBRACE": "`}`",
    "_LIST_OPEN": "`[`",
    "_GROUP_OPEN": "`[`",
    "RSQB": "`]`",
    "PERCENT": "`%`",
    "MODULO": "`%`",
}
_OPERATORS = {"PLUS", "MINUS", "TIMES", "DIVIDE", "FLOORDIV", "MODULO", "_POWER", "AND", "OR", "NOT", "NE", "LE", "GE"}
_KEYWORDS = ("ARCH", "BLOCK", "DEFAULT", "EXPECT", "FOR", "IF", "INPUT", "LET", "OUTPUT", "SHARE", "USE")


def _explain(source: Source, begin: int, piece: str, error: UnexpectedInput) -> tuple[Diagnostic, int, int]:
    """The diagnostic of a syntax error in a piece of the text, and the stretch to pass over. Offsets count in the whole text."""
    size = len(source.text)
    text = " " * begin + piece + " " * (size - begin - len(piece))
    start = size if error.pos_in_stream is None else min(begin + error.pos_in_stream, size)
    at_end = start == size or isinstance(error, UnexpectedEOF)
    end = start + 1
    expected: set[str] = set()
    if isinstance(error, UnexpectedToken):
        expected = set(error.accepts or error.expected)
        if error.token.type == "$END":  # Lark gives it the place of the last token
            at_end, start = True, size
        end = start + max(1, len(error.token))
    elif isinstance(error, UnexpectedCharacters):
        expected = set(error.allowed or ())
    here = Span(source, min(start, size), min(end, size))
    if text.startswith("->", start):
        end = start + 2
        here = Span(source, start, end)
    found = "" if at_end else text[here.start : here.end].strip()

    unclosed = _unclosed(text, here.start)
    opener = unclosed[-1] if unclosed else None
    if found[:1] in _CLOSERS and not (opener and _PAIRS[opener[0]] == found[:1]):
        if opener is None:
            closer = found[0]
            return syntax.closes_nothing(closer, _CLOSERS[closer]).at(Span(source, start, start + 1)), start, end
        return _never_closed(source, opener), start, end
    if opener is not None and (at_end or (opener[0] == "<" and found == "" and expected & {"GT", "VBAR"})):
        return _never_closed(source, opener), start, end
    if opener is not None and opener[0] in "([" and opener in _unclosed(text, len(text)) and "\n" in text[opener[1] : here.end] + found:
        return _never_closed(source, opener), start, end
    if re.match(r"x\s*($|[;\n|>})\]#])", text[start:]) and "_REPEAT" in expected | {"_REPEAT"} and _after_item(text, start):
        return syntax.repeat_without_count().at(Span(source, start, start + 1)), start, start + 1
    if isinstance(error, UnexpectedCharacters) and not re.match(r"[\w\s.,:;|<>(){}\[\]@#=+*/%\"!-]", text[start]):
        hint, changes = _hint(text, start, expected)
        return syntax.unreadable(_show_character(text[start]), hint, changes).at(here), start, end
    what = f"`{found}`" if found else "the end of the line" if not at_end else "the end of the file"
    hint, changes = _hint(text, start, expected)
    return syntax.unexpected(what, _words(expected), hint, changes).at(here), start, end


def _hint(text: str, start: int, expected: set[str]) -> tuple[str, tuple[Insertion, ...]]:
    """What to do about an unexpected text, and the changes that may do it: (offset, characters replaced, text)."""
    rest = text[start : text.find("\n", start) if "\n" in text[start:] else len(text)]
    before = text[text.rfind("\n", 0, start) + 1 : start]
    inside = _unclosed(text, start)
    quoted = re.match(r"[\"']([A-Za-z_]+)[\"']", rest)
    if quoted:
        option = re.search(r"([A-Za-z_]+)[ ]*=[ ]*$", before)
        name = foreign.OPTIONS.get(option[1].lower(), (option[1],))[0] if option else ""
        word = foreign.PADDING.get(quoted[1], quoted[1]) if name == "pad" else quoted[1]
        if option is None:
            return f"words stand without quotes: `{word}`", ((start, len(quoted[0]), word),)
        begin = start - len(option[0])
        return f"it is `{name}={word}` here, without quotes", ((begin, len(option[0]) + len(quoted[0]), f"{name}={word}"),)
    if re.match(r"x[0-9{]", rest) and start and not text[start - 1].isspace():
        return "write a space before a repeat: ` x2`", ((start, 0, " "),)
    if (spaced := re.match(r"x\s+(\d+)", rest)) and _after_item(text, start):
        return f"a repeat has no space within: `x{spaced[1]}`", ((start, len(spaced[0]), f"x{spaced[1]}"),)
    if (times := re.match(r"\*\s*(\d+)", rest)) and not inside:
        return f"a repeat is written `x{times[1]}`", ((start, len(times[0]), f"x{times[1]}"),)
    if (named := re.match(r":\s*(?=\S)", rest)) and inside and inside[-1][0] == "(":
        return "an option is written with `=`: `stride=2`", ((start, len(named[0]), "="),)
    if rest.startswith("else"):
        return "`else` stands on the line of the `}` before it", ()
    space = len(before) - len(before.rstrip())
    if (sign := re.match(r"->|→|\||,|\.(?=\s)", rest)) and _after_item(text, start) and not inside:
        chain = re.split(r"[()\[\]{}#]", rest)[0].rstrip()
        others = re.sub(rf"\s*{re.escape(sign[0])}\s*", "; ", chain)
        return "items follow each other with `;` or on a new line", ((start - space, space + len(chain), others),)
    if re.match(r"[0-9]", rest) and re.search(r"[A-Za-z_] +$", before):
        return "the kernel touches the name, and the channels follow a `-`: `conv3-64`", ((start - space, space, ""),)
    if (dash := re.match(r"-\s*(?=[0-9{])", rest)) and re.search(r"[A-Za-z_0-9)] *$", before):
        return "the channels touch their `-`: `conv3-64`", ((start - space, space + len(dash[0]), "-"),)
    if "_SEMI" in expected and re.match(r"[A-Za-z_@.\[{]", rest) and _after_item(text, start):
        return "two items need a `;` or a new line between them", ((start - space, space, "; "),)
    if rest.startswith("=") and "COLON" in expected:
        return "a label is followed by `:`", ((start - space, space + 1, ":"),)
    return "", ()


def _after_item(text: str, start: int) -> bool:
    """Is there an item on this line before the offset?"""
    line_start = text.rfind("\n", 0, start) + 1
    before = text[line_start:start].rstrip()
    return bool(before) and before[-1] not in ";|<{([:=,"


def _words(expected: set[str]) -> str:
    """What could have stood there, in the words of the language, the likeliest first."""
    names: list[str] = []
    for terminal, words in _NAMES.items():
        if terminal in expected and words not in names:
            names.append(words)
    if expected & _OPERATORS:
        names.append("an operator")
    if expected.issuperset(_KEYWORDS):
        names.append("a statement")
    else:
        names.extend(f"`{word.lower()}`" for word in (*_KEYWORDS, "WITHIN", "ELSE", "IN") if word in expected)
    if len(names) > 6:
        names = [*names[:6], "..."]
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _show_character(char: str) -> str:
    return f"`{char}`" if char.isprintable() else f"U+{ord(char):04X}"


def _bad_characters(source: Source) -> Iterator[Diagnostic]:
    for match in re.finditer(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", source.text):
        yield syntax.unreadable(_show_character(match.group())).at(Span(source, match.start(), match.end()))


# ---- brackets

_PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}
_CLOSERS = {closer: opener for opener, closer in _PAIRS.items()}
_BRACKET = re.compile(r'#[^\n]*|"[^"\n]*"|=>|>=|<=|(?<=[\w)])<|[()\[\]{}>]')
_BRACKET_OR_LINE = re.compile(_BRACKET.pattern + r"|\n")


def _unclosed(text: str, end: int) -> list[tuple[str, int]]:
    """The brackets open at an offset, outermost first. `<` opens a merge where it touches a name."""
    stack: list[tuple[str, int]] = []
    for match in _BRACKET.finditer(text, 0, end):
        bracket = match.group()
        if bracket in _PAIRS:
            stack.append((bracket, match.start()))
        elif bracket in _CLOSERS and stack and stack[-1][0] == _CLOSERS[bracket]:
            stack.pop()
    return stack


def _never_closed(source: Source, opener: tuple[str, int]) -> Diagnostic:
    bracket, offset = opener
    return syntax.never_closed(bracket, _PAIRS[bracket]).at(Span(source, offset, offset + 1))


def _too_deep(source: Source, limit: int) -> Iterator[Diagnostic]:
    depth = 0
    for match in _BRACKET.finditer(source.text):
        bracket = match.group()
        if bracket in _PAIRS:
            depth += 1
            if depth > limit:
                yield syntax.too_deep_brackets(limit).at(Span(source, match.start(), match.end()))
                return
        elif bracket in _CLOSERS:
            depth = max(0, depth - 1)


def _blank(text: str, start: int, end: int) -> str | None:
    """The text with the statement around an error replaced by a broken item; None where brackets forbid it."""
    begin = max(text.rfind(mark, 0, start) for mark in ";\n|<{") + 1
    ends = re.compile(r"[;\n|}]|(?<!=)>(?!=)")
    at_end = text[start : start + 1] in (">", "}", "|") and text[begin:start].strip()
    found = ends.search(text, start if at_end else min(end, len(text)))
    stop = found.start() if found else len(text)
    stretch = text[begin:stop]
    if not stretch.strip() or BROKEN in stretch or _unclosed(stretch, len(stretch)) or _closes_more(stretch):
        return None
    return text[:begin] + BROKEN + " " * (len(stretch) - 1) + text[stop:]


def _closes_more(text: str) -> bool:
    opened = sum(text.count(bracket) for bracket in "([{")
    return sum(text.count(bracket) for bracket in ")]}") > opened
