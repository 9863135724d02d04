"""A lexer for Pygments: with this package installed, Pygments, Sphinx and MkDocs highlight `arch` code."""

from __future__ import annotations

from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text, Whitespace

from archc.ui.highlighting.table import rules

TOKENS = {
    "": Text,
    "comment": Comment.Single,
    "string": String,
    "reference": Name.Variable.Instance,
    "label": Name.Label,
    "structure": Keyword.Declaration,
    "definition": Name.Class,
    "control": Keyword,
    "logic": Operator.Word,
    "option": Name.Attribute,
    "operator": Name.Builtin,
    "value": Keyword.Constant,
    "call": Name.Function,
    "number": Number,
    "variable": Name.Variable,
    "name": Name,
    "symbol": Operator,
    "bracket": Punctuation,
}


def _tokens(kinds: tuple[str, ...]) -> Any:
    """Return what Pygments takes for the match of a rule: a token, or one for each group."""
    tokens = [TOKENS[kind] for kind in kinds]
    return tokens[0] if len(tokens) == 1 else bygroups(*tokens)  # type: ignore[no-untyped-call]


class ArchLexer(RegexLexer):
    """The language of `.arch` files."""

    name = "archc"
    aliases: ClassVar = ["arch", "archc"]
    filenames: ClassVar = ["*.arch"]
    url = "https://pypi.org/project/archc/"

    tokens: ClassVar = {
        "root": [(r"\s+", Whitespace), *((rule.pattern, _tokens(rule.kinds)) for rule in rules())],
    }
