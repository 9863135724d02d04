"""Word Lark's syntax errors: what was found, what was expected, what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lark import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.exceptions import UnexpectedEOF

from archc.dsl.brackets import PAIRS, unclosed
from archc.dsl.characters import alike, in_latin, named
from archc.dsl.diagnostics import Diagnostic, Related
from archc.dsl.draft import Change, Draft
from archc.dsl.hints import Spot, hint, misspelt_keyword
from archc.dsl.source import Source, Span
from archc.dsl.vocabulary import syntax

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
    "STRING": 'a string in "quotes"',
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
    "_NUMERAL_OPEN": "`{`",
    "RBRACE": "`}`",
    "_LIST_OPEN": "`[`",
    "_GROUP_OPEN": "`[`",
    "RSQB": "`]`",
    "PERCENT": "`%`",
    "MODULO": "`%`",
}
_OPERATORS = {"PLUS", "MINUS", "TIMES", "DIVIDE", "FLOORDIV", "MODULO", "_POWER", "AND", "OR", "NOT", "NE", "LE", "GE"}
_WORD = re.compile(r'#[^\n]*|"[^"\n]*"|\w+')
NEXT = "a name keeps its value; in a loop, `next {} = ...` gives another one to the next turn"
MOST_USES = 8  # most occurrences of a name that are shown
_KEYWORDS = ("ARCH", "BLOCK", "DEFAULT", "EXPECT", "FOR", "IF", "INPUT", "LET", "OUTPUT", "SHARE", "USE")


@dataclass(frozen=True)
class Explained:
    """A worded error, the stretch of the draft that it is about, and the changes that may repair it, in offsets of the draft."""

    diagnostic: Diagnostic
    start: int
    stop: int
    changes: tuple[Change, ...] = ()
    is_guess: bool = False


def explain(source: Source, draft: Draft, error: UnexpectedInput) -> Explained:
    """Word a syntax error of a draft, with its place in the source."""
    text = draft.text
    size = len(text)
    start = size if error.pos_in_stream is None else min(error.pos_in_stream, size)
    at_end = start == size or isinstance(error, UnexpectedEOF)
    end = start + 1
    if isinstance(error, UnexpectedToken):
        if error.token.type == "$END":  # Lark reports the place of the last token for it
            at_end, start = True, size
        end = start + max(1, len(error.token))
    end = min(start + 2 if text.startswith("->", start) else end, size)

    def at(first: int, last: int) -> Span:
        return Span(source, draft.origin[first], draft.origin[last])

    found = "" if at_end else text[start:end].strip()
    opener = next(reversed(unclosed(text, start)), None)
    if (at_end or found == "") and opener is not None and (not_closed := _not_closed(source, text, opener)):
        return Explained(not_closed, start, end)
    line = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", start)
    before, rest = text[line:start], text[start : stop if stop >= 0 else size]
    ends_item = bool(before.strip()) and before.rstrip()[-1] not in ";|<{([:=,"
    if re.match(r"x\s*($|[;|>})\]#])", rest) and ends_item and not re.match(r"\s*return\b", before):
        return Explained(syntax.repeat_without_count().at(at(start, start + 1)), start, start + 1)
    if (keyword := misspelt_keyword(before)) is not None:
        word, meant, first = keyword
        changes: tuple[Change, ...] = ((line + first, len(word), meant),)
        problem = syntax.unknown_statement(word, meant, draft.in_source(changes))
        return Explained(problem.at(at(line + first, line + first + len(word))), start, end, changes, is_guess=True)
    if (other := alike(text[start : start + 1])) is not None:
        shown, help_text, meant = other
        last = rest.rfind(text[start]) + 1  # all of them on this line
        if meant == "x" and ends_item and (blank := re.match(r".[ \t]+(?=[0-9{])", rest)):  # a repeat, whose count follows without a space
            last = blank.end()
            meant = "x" if before[-1:].isspace() else " x"
            changes = ((start, last, meant),)
            problem = syntax.unreadable(f"the character {shown}", "a repeat is written `x2`", draft.in_source(changes))
            return Explained(problem.at(at(start, start + 1)), start, end, changes)
        changes = ((start, last, rest[:last].replace(text[start], meant)),)
        again = [Related(at(start + index, start + index + 1), "") for index in range(1, last) if rest[index] == text[start]]
        problem = syntax.unreadable(f"the character {shown}", help_text, draft.in_source(changes))
        return Explained(problem.at(at(start, start + 1), related=again), start, end, changes)
    if (assigned := re.search(r"(?:^|[;{])\s*([A-Za-z_]\w*)\s*$", before)) is not None and (explained := _assigned(rest, assigned[1])):
        first = line + assigned.start(1)
        changes = ((first, start + explained[0] - first, f"next {assigned[1]} = {explained[1]}"),)
        problem = syntax.unexpected(f"`{explained[2]}`", "", NEXT.format(assigned[1]), draft.in_source(changes), is_guess=True)
        return Explained(problem.at(at(start, start + len(explained[2]))), start, end, changes, is_guess=True)
    advice = hint(Spot(before, rest, opener[0] if opener else "", ends_item))
    changes = tuple((start + first, length, new) for first, length, new in advice.changes)
    absolute = draft.in_source((*changes, *((start + first, length, new) for first, length, new in advice.others)))
    marked = max(end, min(start + advice.stop, size))
    if isinstance(error, UnexpectedCharacters) and not re.match(r"[\w\s.,:;|<>(){}\[\]@#=+*/%\"!&-]", text[start : start + 1], re.ASCII):
        if text[start].isalpha():
            first, last = line + re.search(r"\w*$", before).start(), start + re.match(r"\w*", rest).end()  # type: ignore[union-attr]
            return _name_in_another_script(source, at(first, last), first, last)
        what = f"the character {show_character(text[start])}"
        problem = syntax.unreadable(what, advice.help, absolute)
        return Explained(problem.at(at(start, marked)), start, end, changes, advice.is_guess)
    if found == "=" and before.endswith("="):  # the second half of a `==`
        found, advice = "==", replace(advice, start=-1)
    what = f"`{found}`" if found else "the end of the line" if not at_end else "the end of the file"
    expected = "" if advice.help else _words(_expected(error))
    problem = syntax.unexpected(what, expected, advice.help, absolute, advice.is_guess, advice.unsure)
    if advice.start is not None:
        return Explained(problem.at(at(start + advice.start, marked)), start, end, changes, advice.is_guess)
    return Explained(problem.at(at(start, marked)), start, end, changes, advice.is_guess)


def _assigned(rest: str, name: str) -> tuple[int, str, str] | None:
    """Return the length of the sign of an assignment that reads its own name, `n = 2*n` or `n += 1`, what stands for it, and the sign."""
    if found := re.match(r"([+*/-]|//)=(?!=)\s*", rest):
        return found.end(), f"{name} {found[1]} ", found[0].strip()
    if found := re.match(rf"=(?![=>])\s*(?=[^;#]*\b{name}\b)", rest):
        return found.end(), "", "="
    return None


def _name_in_another_script(source: Source, span: Span, first: int, last: int) -> Explained:
    """Report a name with letters other than a to z. Parsing continues with its usual Latin form, if there is one."""
    name = span.text
    uses = [Span(source, *found.span()) for found in _WORD.finditer(source.text) if found.group() == name]
    uses = [use for use in uses if use.start != span.start]
    latin = in_latin(name)
    where = f", at all {len(uses) + 1} places" if uses else ""
    example = f", such as `{latin}`" if latin else ""
    help_text = f"names become weight keys: write it in the letters a to z{where}{example}"
    places = [span.start, *(use.start for use in uses)]
    problem = syntax.unreadable(f"the name `{name}`", f"{help_text}; comments and titles may be in any script", name=name, places=places)
    related = [Related(use, "") for use in uses[:MOST_USES]]
    changes = ((first, last - first, latin),) if latin else ()
    return Explained(problem.at(span, related=related), first, last, changes)


def _not_closed(source: Source, text: str, opener: tuple[str, int]) -> Diagnostic | None:
    """Report an unclosed bracket in a text that is not a file, such as a value on the command line."""
    if text != source.text:
        return None
    bracket, place = opener
    closer = PAIRS[bracket]
    return syntax.never_closed(bracket, closer, f"write `{closer}` where it ends").at(Span(source, place, place + 1))


def _expected(error: UnexpectedInput) -> set[str]:
    """Return the terminals that were possible there. Finding them takes longer than parsing a line."""
    if isinstance(error, UnexpectedToken):
        return set(error.accepts or error.expected)
    return set(error.allowed or ()) if isinstance(error, UnexpectedCharacters) else set()


def _words(expected: set[str]) -> str:
    """List the expected terminals in the words of the language, likeliest first."""
    names: list[str] = []
    for terminal, words in _NAMES.items():
        if terminal in expected and words not in names:
            names.append(words)
    if expected & _OPERATORS:
        names.append("an operator")
    if expected.issuperset(_KEYWORDS):
        names.append("a statement")
    else:
        within = {"IF", "FOR"} if expected & _OPERATORS else set()  # those of `a if b else c` and `[a for b in c]`
        names.extend(f"`{word.lower()}`" for word in (*_KEYWORDS, "WITHIN", "ELSE", "IN") if word in expected - within)
    if len(names) > 6:
        names = [*names[:6], "..."]
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def show_character(char: str) -> str:
    """Return a character as messages show it, with its number and name if it is not ASCII."""
    if not char.isprintable():
        return f"U+{ord(char):04X}"
    return f"`{char}`" if char.isascii() else f"`{char}`, {named(char)}"
