"""What to do about text that the grammar has no place for: a table of what people write, and how it is written here.

A rule looks at the line before the unexpected text and at what follows on it. Where it fits it has one sentence to say, and
perhaps a change that would mend it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from dsl.vocabulary import foreign
from dsl.vocabulary.syntax import Change

Rewrite = Callable[[re.Match[str], re.Match[str]], str]


@dataclass(frozen=True)
class Spot:
    """An unexpected text: its line before it, its line from it on, the innermost bracket that is open."""

    before: str
    rest: str
    bracket: str
    ends_item: bool  # does an item end right before it?


@dataclass(frozen=True)
class Rule:
    """`before` must match up to the spot, `rest` from it on; `replace` stands for both matches, with their groups in it.

    `line`, where it is given, must be found in the line before the spot.
    """

    before: str
    rest: str
    help: str
    replace: str | Rewrite | None = None
    bracket: str | None = None  # the innermost open bracket, "" for none; None where it does not matter
    ends_item: bool = False
    line: str = ""


def _joined_by_x(before: re.Match[str], rest: re.Match[str]) -> str:
    return re.sub(r"\s*[*X×]\s*", "x", before.group() + rest.group())


def _capitals(before: re.Match[str], rest: re.Match[str]) -> str:
    return before.group() + re.sub(r"[a-wyz]", lambda letter: letter.group().upper(), rest.group())


def _chain(before: re.Match[str], rest: re.Match[str]) -> str:
    return re.sub(rf"\s*{re.escape(rest[1])}\s*", "; ", rest.group()).rstrip()


BRANCHED = "concat|add|mul|residual"
RULES = (
    # other languages
    Rule(r"^\s*\}?\s*elif\b.*", r"", "it is `else if` here"),
    Rule(r"", r"elif\b", "it is `else if` here"),
    Rule(r"^\s*(?:def|function|fn|class|module)\s+.*", r"", "a block is written `block name(width) { ... }`"),
    Rule(r"^\s*(?:import|from|include)\s+.*", r"", 'another file is brought in by `use "std/resnet.arch"`'),
    Rule(r"return\s+", r"", "a block gives what its last item gives: leave `return` out", ""),
    Rule(r"\b(nn|F|torch|tf|keras|layers|self|M|L)", r"\.", "leave out `{0}.`", ""),
    Rule(r"^\s*(?:for|if|while|with)\b.*|else\s*", r":\s*$", "a body stands in braces: `{ ... }`"),
    Rule(
        r"for\s+(\w+)\s*",
        r",\s*(\w+(?:\s*,\s*\w+)*)\s+in\b",
        "several names stand in parentheses: `for ({0}, {1}) in`",
        "for ({0}, {1}) in",
    ),
    Rule(r"", r"=(?!=)", "`==` compares", "==", line=r"^\s*(?:expect|if)\b|else if\b"),
    Rule(r"", r"!(?!=)\s*", "it is `not` here", "not "),
    Rule(r"", r"&&?", "it is `and` here", "and"),
    Rule(r"", r"\|\|", "it is `or` here", "or"),
    Rule(r"", r"//|--", "a comment begins with `#`", "#", ends_item=True),
    Rule(r"\s*", r"//|--", "a comment begins with `#`", "#", bracket=""),
    Rule(r"", r"/\*|\"\"\"|'''", "a comment begins with `#`, on every line"),
    # heads of statements
    Rule(r"^\s*(?:INPUT|Input)\s+", r"(?=[0-9])", "`input` is written in small letters", "input "),
    Rule(r"input\s*", r"[=:]?\s*[(\[]\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*[)\]]", "a shape is written `{0}x{1}x{2}`", "input {0}x{1}x{2}"),
    Rule(r"input\s*", r"[=:]\s*(?=\d)", "an input is written `input 3x224x224`", "input "),
    Rule(r"input\s+\w+(?:x\w+)*\s*", r"(?:[*X×]\s*\w+\s*)+", "sizes are joined by a small `x`: `3x224x224`", _joined_by_x),
    Rule(r"input\s+\d+(?:x\w+)*", r"x[a-wyz]\w*", "sizes that are left open are capitals: `3xHxW`", _capitals),
    Rule(r"\barch\s+(\w+)", r"-(\w+)", "names are letters, digits and `_`: `{0}_{1}`", "arch {0}_{1}"),
    Rule(r"\b(?:arch|block|let|share|output|use)\s+", r"[0-9]", "a name begins with a letter"),
    Rule(r"\bblock\s+(\w+)\s*", r"(?=[{\[])", "a block has parentheses: `block {0}() {{ ... }}`", "block {0}() "),
    Rule(r"\bdefault\s+(\w+?)\d*", r"-", "`default` names an operator alone: `default {0}(pad=same)`"),
    Rule(r"\bdefault\s+(\w+)\s+", r"(?=\w+\s*=)", "options stand in parentheses: `default {0}(pad=same)`"),
    Rule(r"within\s+([0-9.]+)\s*", r"$", "a margin is in percent: `within {0}%`", "within {0}%"),
    # items
    Rule(r"\b(\w*pool)\s+", r"(\d+)\s+(\d+)", "kernel and stride touch the name: `{0}{1}/{2}`", "{0}{1}/{2}"),
    Rule(r"", r"-\s*\$?\{?([A-Za-z_]\w*)\}?", "a name stands in braces: `-{{{0}}}`", "-{{{0}}}", ends_item=True),
    Rule(r"\s*", r"/\s*([A-Za-z_]\w*)", "a name stands in braces: `/{{{0}}}`", "/{{{0}}}", bracket=""),
    Rule(r"\s*", r"/\s*(\d+)", "the stride touches its `/`: `/{0}`", "/{0}", ends_item=True),
    Rule(r"(?<=\S)", r"x(?=[0-9{])", "write a space before a repeat: ` x2`", " x"),
    Rule(r"", r"x\s+(\d+)", "a repeat has no space within: `x{0}`", "x{0}", ends_item=True),
    Rule(r"\s", r"x\s*([A-Za-z_]\w*)\b", "a name stands in braces: `x{{{0}}}`", " x{{{0}}}", ends_item=True),
    Rule(r"", r"\*\s*(\d+)", "a repeat is written `x{0}`", "x{0}", bracket="", ends_item=True),
    Rule(r"[.\w]\s*", r"\+", "tensors are added by `add<. | @name>`", bracket=""),
    Rule(
        r"\s*",
        r"(->|→|\||,|\.(?=\s))[^()\[\]{}#]*",
        "items follow each other with `;` or on a new line",
        _chain,
        bracket="",
        ends_item=True,
    ),
    Rule(r"(?<=[A-Za-z_]) +", r"(?=[0-9])", "the kernel touches the name, and the channels follow a `-`: `conv3-64`", ""),
    Rule(r"(?<=[A-Za-z_0-9)])\s*", r"-\s*(?=[0-9{])", "the channels touch their `-`: `conv3-64`", "-"),
    # merges
    Rule(rf"\b(?:{BRANCHED})\s*", r"[\[(]", "branches stand in `< >`: `concat<a | b>`"),
    Rule(rf"\b(?:{BRANCHED})\s*\(.*", r"", "branches stand in `< >`: `concat<a | b>`", bracket="("),
    Rule(r"", r",", "branches are separated by `|`", " |", bracket="<"),
    Rule(r">\s*", r"\(", "options stand before the branches: `concat(axis=c)<a | b>`"),
    # arguments
    Rule(r"\(\s*(\d+)\s*", r",\s*(\d+)\s*\)", "a number for each axis is written `{0}x{1}`", "{0}x{1}", bracket="("),
    Rule(r"", r":\s*(?=\S)", "an option is written with `=`: `stride=2`", "=", bracket="("),
    Rule(r"", r"else\b", "`else` follows the `}` of an `if`"),
    Rule(r"^\s*", r"(?==>)", "a claim follows an item; `.` is the current tensor: `. => 64x56x56`", ". "),
)
ALIKE = {  # characters that look like others: pasted from papers, or typed on another keyboard
    **dict.fromkeys("×х", "x"),
    **dict.fromkeys("–—−‐‑", "-"),
    **dict.fromkeys("“”„", '"'),
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("\u00a0\u2009\u202f\u3000", " "),
    **dict.fromkeys("\u200b\ufeff", ""),
    **dict(zip("асеорСАВЕМНОРТ", "aceopCABEMHOPT", strict=True)),
    **dict(zip("，；：（）［］｛｝＝｜＜＞", ",;:()[]{}=|<>", strict=True)),
}


def hint(spot: Spot) -> tuple[str, tuple[Change, ...]]:
    """One sentence on what to do, and the change that may do it, in offsets from the spot."""
    if quoted := re.match(r"[\"']([A-Za-z_]+)[\"']", spot.rest):
        return _without_quotes(spot, quoted)
    for rule in RULES:
        if (rule.bracket is not None and rule.bracket != spot.bracket) or (rule.ends_item and not spot.ends_item):
            continue
        if rule.line and not re.search(rule.line, spot.before):
            continue
        before, rest = re.search(f"(?:{rule.before})$", spot.before), re.match(rule.rest, spot.rest)
        if before and rest:
            groups = [*before.groups(), *rest.groups()]
            help_text = rule.help.format(*groups) if groups else rule.help
            if rule.replace is None:
                return help_text, ()
            new = rule.replace(before, rest) if callable(rule.replace) else rule.replace.format(*groups)
            return help_text, ((-len(before.group()), len(before.group()) + len(rest.group()), new),)
    space = len(spot.before) - len(spot.before.rstrip())
    if spot.ends_item and re.match(r"[A-Za-z_@.\[{]", spot.rest):
        return "two items need a `;` or a new line between them", ((-space, space, "; "),)
    if re.match(r"=(?!=)", spot.rest) and re.search(r"\w\s*$", spot.before):
        return "a label is followed by `:`", ((-space, space + 1, ":"),)
    return "", ()


def _without_quotes(spot: Spot, quoted: re.Match[str]) -> tuple[str, tuple[Change, ...]]:
    option = re.search(r"([A-Za-z_]+) *= *$", spot.before)
    if option is None:
        return f"words stand without quotes: `{quoted[1]}`", ((0, len(quoted[0]), quoted[1]),)
    name = foreign.OPTIONS.get(option[1].lower(), (option[1],))[0]
    word = foreign.PADDING.get(quoted[1], quoted[1]) if name == "pad" else quoted[1]
    return f"it is `{name}={word}` here, without quotes", ((-len(option[0]), len(option[0]) + len(quoted[0]), f"{name}={word}"),)


def alike(char: str) -> tuple[str, str, str] | None:
    """A character that looks like another: how it is shown, what to do, the one that is meant."""
    if char not in ALIKE:
        return None
    shown = f"U+{ord(char):04X} ({unicodedata.name(char, 'unnamed').lower()})"
    meant = ALIKE[char]
    what = "delete it" if not meant else "write a plain space" if meant == " " else f"write a plain `{meant}`"
    return (f"`{char}`, {shown}" if char.isprintable() and not char.isspace() else shown), what, meant


OTHER_FORMATS = (
    (re.compile(r"^\[(?:net|convolutional|maxpool|shortcut|route|yolo|upsample)\]", re.M), "a Darknet `.cfg` file"),
    (re.compile(r"^\s*layers?\s*\{|^\s*input_dim:", re.M), "a Caffe prototxt"),
    (re.compile(r"^(?:backbone|head|nc):|^\s*-\s*\[\s*-?\d+\s*,", re.M), "a YAML model of Ultralytics"),
    (
        re.compile(r"^\s*class \w+\(.*(?:Module|Model)\):|^\s*(?:from|import) (?:torch|tensorflow|keras|jax)|\bnn\.Sequential\(", re.M),
        "Python",
    ),
    (re.compile(r"^\s*[{\[]\s*\n?\s*\"", re.M), "JSON"),
)


def other_format(text: str) -> tuple[str, int, int] | None:
    """What kind of file a text is that is not one of ours, with where that shows."""
    for pattern, name in OTHER_FORMATS:
        if found := pattern.search(text):
            begin = found.start() + len(found.group()) - len(found.group().lstrip())
            return name, begin, found.end()
    return None
