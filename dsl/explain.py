"""Words Lark's syntax errors: what stands there, what was expected, what to do."""

from __future__ import annotations

import re

from lark import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.exceptions import UnexpectedEOF

from dsl.diagnostics import Diagnostic
from dsl.hints import Spot, alike, hint
from dsl.source import Source, Span
from dsl.vocabulary import syntax
from dsl.vocabulary.syntax import Change

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


def explain(source: Source, begin: int, piece: str, error: UnexpectedInput) -> tuple[Diagnostic, int, int]:
    """The diagnostic of a syntax error in a piece of the text that begins at an offset; and the stretch of the piece to pass over."""
    size = len(piece)
    start = size if error.pos_in_stream is None else min(error.pos_in_stream, size)
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
    end = min(start + 2 if piece.startswith("->", start) else end, size)

    def at(first: int, last: int) -> Span:
        return Span(source, begin + first, begin + last)

    found = "" if at_end else piece[start:end].strip()
    opener = next(reversed(unclosed(piece, start)), None)
    if found[:1] in CLOSERS and not (opener and PAIRS[opener[0]] == found[:1]):
        if opener is None:
            return syntax.closes_nothing(found[0], CLOSERS[found[0]]).at(at(start, start + 1)), start, end
        return _never_closed(opener).at(at(opener[1], opener[1] + 1)), start, end
    if opener is not None and _stays_open(piece, start, found, at_end, opener, expected):
        return _never_closed(opener).at(at(opener[1], opener[1] + 1)), start, end
    line = piece.rfind("\n", 0, start) + 1
    stop = piece.find("\n", start)
    before, rest = piece[line:start], piece[start : stop if stop >= 0 else size]
    ends_item = bool(before.strip()) and before.rstrip()[-1] not in ";|<{([:=,"
    if re.match(r"x\s*($|[;|>})\]#])", rest) and ends_item and not re.match(r"\s*return\b", before):
        return syntax.repeat_without_count().at(at(start, start + 1)), start, start + 1
    help_text, changes = hint(Spot(before, rest, opener[0] if opener else "", ends_item))
    absolute = _absolute(changes, begin + start)
    if (other := alike(piece[start : start + 1])) is not None:
        shown, help_text, meant = other
        last = rest.rfind(piece[start]) + 1  # all of them in this line
        changes = ((0, last, rest[:last].replace(piece[start], meant)),)
        return syntax.unreadable(shown, help_text, _absolute(changes, begin + start)).at(at(start, start + 1)), start, end
    if isinstance(error, UnexpectedCharacters) and not re.match(r"[\w\s.,:;|<>(){}\[\]@#=+*/%\"!&-]", piece[start : start + 1]):
        return syntax.unreadable(show_character(piece[start]), help_text, absolute).at(at(start, end)), start, end
    what = f"`{found}`" if found else "the end of the line" if not at_end else "the end of the file"
    return syntax.unexpected(what, _words(expected), help_text, absolute).at(at(start, end)), start, end


def _absolute(changes: tuple[Change, ...], offset: int) -> tuple[Change, ...]:
    return tuple((offset + first, length, text) for first, length, text in changes)


def _stays_open(piece: str, start: int, found: str, at_end: bool, opener: tuple[str, int], expected: set[str]) -> bool:
    """Is it an open bracket that makes the text unreadable?"""
    if at_end or (opener[0] == "<" and found == "" and expected & {"GT", "VBAR"}):
        return True
    below = "\n" in piece[opener[1] : start]
    return opener[0] in "([" and below and opener in unclosed(piece, len(piece))


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


def show_character(char: str) -> str:
    return f"`{char}`" if char.isprintable() else f"U+{ord(char):04X}"


# ---- brackets

PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}
CLOSERS = {closer: opener for opener, closer in PAIRS.items()}
BRACKET = re.compile(r'#[^\n]*|"[^"\n]*"|=>|>=|<=|(?<=[\w)])<|[()\[\]{}>]')
BRACKET_OR_LINE = re.compile(BRACKET.pattern + r"|\n")


def unclosed(text: str, end: int) -> list[tuple[str, int]]:
    """The brackets open at an offset, outermost first. `<` opens a merge where it touches a name."""
    stack: list[tuple[str, int]] = []
    for match in BRACKET.finditer(text, 0, end):
        bracket = match.group()
        if bracket in PAIRS:
            stack.append((bracket, match.start()))
        elif bracket in CLOSERS and stack and stack[-1][0] == CLOSERS[bracket]:
            stack.pop()
    return stack


def _never_closed(opener: tuple[str, int]) -> Diagnostic:
    return syntax.never_closed(opener[0], PAIRS[opener[0]])
