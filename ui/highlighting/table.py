"""The one table of highlighting: which words there are, and how the parts of a line are told apart.

The words come from the grammar and from the records of the operators. Editors have no parser, so what a name means is read from the
characters around it: a name before `:` is a label, one before `=` an option. `RULES` says so once; `editors/build.py` writes it in the
notation of each editor, and `lexer` is the same rules for Pygments.

The expressions use only what Python, JavaScript and Oniguruma share.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import words_of

# What the words of the grammar do; a test compares them with the grammar.
STRUCTURE = ("use", "arch", "input", "output", "default", "block", "share", "let", "next", "expect")
CONTROL = ("for", "in", "with", "if", "else", "within")
LOGIC = ("and", "or", "not")
DECLARING = ("arch", "block", "share", "let", "next")  # the next word is a name

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_LABEL = r"[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*"
_SIZES = r"[0-9][0-9_]*(?:x(?:[0-9][0-9_]*|[A-Z][a-wyzA-Z0-9_]*))*"
_BEFORE = r"(?<![A-Za-z0-9_.@])"  # not within a word, nor after a field or reference
_AFTER = r"(?![A-Za-z0-9_])"


@dataclass(frozen=True)
class Rule:
    """A regular expression, and the meaning of its whole match, or of each of its groups, which then cover the match."""

    pattern: str
    kinds: tuple[str, ...]


@cache
def keywords() -> tuple[str, ...]:
    """Return the words that the grammar itself contains."""
    grammar = files("archc.dsl").joinpath("grammar.lark").read_text(encoding="utf-8")
    rules = "\n".join(line for line in grammar.splitlines() if not line.startswith("//"))
    return tuple(sorted({*re.findall(r'"([a-z]+)"', rules), *re.findall(r"^NEXT[^/]*/(next)", rules, re.MULTILINE)} - {"x"}))


def operators() -> tuple[str, ...]:
    """Return the names of the operators."""
    return tuple(sorted(OPERATORS))


def merges() -> tuple[str, ...]:
    """Return the names of the operators that take branches."""
    return tuple(name for name in operators() if OPERATORS[name].is_merge)


@cache
def options() -> tuple[str, ...]:
    """Return the names of all options."""
    return tuple(sorted({name for operator in OPERATORS.values() for name in operator.option_names}))


@cache
def values() -> tuple[str, ...]:
    """Return the words that options take as values, without those of a single letter, which name variables as well as axes."""
    words = {word for operator in OPERATORS.values() for attr in operator.attrs for word in words_of(attr.kind)}
    return tuple(sorted(word for word in words if len(word) > 1))


def any_of(words: tuple[str, ...]) -> str:
    """Return an expression that matches each of the words, the longest first."""
    return "(?:" + "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word))) + ")"


@cache
def rules() -> tuple[Rule, ...]:
    """Return the rules in the order in which they are tried, at each place of a line."""
    return (
        Rule(r"#.*", ("comment",)),
        Rule(r'"[^"\n]*"', ("string",)),
        Rule(r"@\.?[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*", ("reference",)),
        # `block:` is a label, whatever the word; of a slice, `[a:b]`, the first number or name is none.
        Rule(rf"{_BEFORE}(?<!\[){_LABEL}(?=(?:\{{[^{{}}\n]*\}}(?:-\{{[^{{}}\n]*\}})?)?[ \t]*:)", ("label",)),
        Rule(r"(?<![A-Za-z0-9_.@\[x/-])[0-9]+(?=[ \t]*:)", ("label",)),
        Rule(rf"{_BEFORE}({any_of(DECLARING)})([ \t]+)({NAME})", ("structure", "", "definition")),
        Rule(rf"{_BEFORE}{any_of(STRUCTURE)}{_AFTER}(?![ \t]*=)", ("structure",)),
        Rule(rf"{_BEFORE}in(?=\.[cdhw])", ("variable",)),
        Rule(rf"{_BEFORE}{any_of(CONTROL)}{_AFTER}(?![ \t]*=)", ("control",)),
        Rule(rf"{_BEFORE}{any_of(LOGIC)}{_AFTER}(?![ \t]*=)", ("logic",)),
        Rule(rf"{_BEFORE}{NAME}(?=[ \t]*=(?![=>]))", ("option",)),
        Rule(rf"{_BEFORE}((?i:{any_of(operators())}))({_SIZES})?(-{_SIZES})?(/{_SIZES})?{_AFTER}", ("operator", *("number",) * 3)),
        Rule(rf"{_BEFORE}{any_of(values())}{_AFTER}", ("value",)),
        Rule(rf"(?<=[ \t])(x)([0-9]+){_AFTER}", ("symbol", "number")),
        Rule(r"(?<=[ \t])x(?=\{)", ("symbol",)),
        Rule(rf"{_BEFORE}{NAME}(?=[(<])", ("call",)),
        Rule(rf"{_BEFORE}[0-9][0-9_]*(?:\.[0-9]+)?[eE][+-]?[0-9]+", ("number",)),
        Rule(rf"{_BEFORE}[0-9][0-9_]*(?:\.[0-9]+)?[KMG]?{_AFTER}", ("number",)),
        Rule(rf"{_SIZES}", ("number",)),
        Rule(rf"{NAME}", ("name",)),
        Rule(r"=>|==|!=|<=|>=|\*\*|//|[-+*/%=<>|.:@]", ("symbol",)),
        Rule(r"[\[\]{}(),;]", ("bracket",)),
    )
