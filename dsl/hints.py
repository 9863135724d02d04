"""Advice on text that the grammar rejects: a table of what people write, and the equivalent in the language.

A rule matches the line before the unexpected text and the rest of the line after it. If it matches, it returns one sentence
of advice and possibly a change that repairs the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from archc.dsl.draft import Change
from archc.dsl.vocabulary import foreign
from archc.dsl.vocabulary.spelling import distance

Rewrite = Callable[[re.Match[str], re.Match[str]], str]


@dataclass(frozen=True)
class Spot:
    """An unexpected text: its line before it, its line from it on, and the innermost open bracket."""

    before: str
    rest: str
    bracket: str
    ends_item: bool  # whether an item ends right before it


@dataclass(frozen=True)
class Advice:
    """One sentence of advice, and the change that may follow it, in offsets from the spot.

    A guess is one of several readings; an `unsure` change states something that the text does not.
    """

    help: str = ""
    changes: tuple[Change, ...] = ()
    is_guess: bool = False
    start: int | None = None  # start of the wrong text, if before the spot
    unsure: bool = False
    stop: int = 0  # end of the wrong text, if known
    others: tuple[Change, ...] = ()  # other readings, each an alternative to the changes


@dataclass(frozen=True)
class Rule:
    """`before` must match up to the spot, `rest` from it on; `replace` replaces both matches and may refer to their groups.

    `line`, if given, must occur in the line before the spot.
    """

    before: str
    rest: str
    help: str
    replace: str | Rewrite | None = None
    bracket: str | None = None  # the innermost open bracket, "" for none; None if irrelevant
    ends_item: bool = False
    line: str = ""
    outside: str = ""  # a bracket that must not be the innermost open one
    is_guess: bool = False
    unsure: bool = False
    another: Rewrite | None = None  # another reading; "" if there is none


def _joined_by_x(before: re.Match[str], rest: re.Match[str]) -> str:
    return re.sub(r"\s*[*X×]\s*", "x", before.group() + rest.group())


def _capitals(before: re.Match[str], rest: re.Match[str]) -> str:
    return before.group() + re.sub(r"[a-wyz]", lambda letter: letter.group().upper(), rest.group())


def _chain(before: re.Match[str], rest: re.Match[str]) -> str:
    return re.sub(rf"\s*{re.escape(rest[1])}\s*", "; ", rest.group()).rstrip()


def _claim(before: re.Match[str], rest: re.Match[str]) -> str:
    """Return ` => 8x30x30` for any spelling of an arrow and a shape. Blanks before it stay, since claims are often aligned."""
    numbers = re.findall(r"[0-9]+|[A-Z]", (before.group() + rest.group()).replace("=>", ""))
    blanks = re.match(r"\s*", before.group()).group() or " "  # type: ignore[union-attr]
    return f"{blanks}=> {'x'.join(numbers)}"


def _claimed_after_label(before: re.Match[str], rest: re.Match[str]) -> str:
    return f"{before[1]} => {rest.group().strip()}"


def _options(before: re.Match[str], rest: re.Match[str]) -> str:
    """Put options in parentheses, with commas: `(pad=1, act=relu)`; or append them to existing parentheses."""
    listed = _with_commas(re.sub(r"\s*[:=]\s*", "=", rest.group().strip(" \t,:{}[]")))
    return f", {listed})" if before.group().strip() == ")" else f"({listed})"


def _labelled_options(before: re.Match[str], rest: re.Match[str]) -> str:
    return f"{before[1]}({_with_commas(before[2] + rest.group())})"


def _separated(before: re.Match[str], rest: re.Match[str]) -> str:
    return f"{before[1]}, {_with_commas(rest.group())}"


def _with_commas(options: str) -> str:
    """Return `pad=1 act=relu` as `pad=1, act=relu`."""
    tight = re.sub(r"\s*=\s*", "=", options)
    return re.sub(r"(?<=[\w.\])}\"'])(?:[ \t]*,[ \t]*|[ \t]+)(?=\w+=)", ", ", tight)


def _braced(before: re.Match[str], rest: re.Match[str]) -> str:
    return f"{before.group()}{{ {rest[1].strip()} }}"


def _kernel_by_axis(before: re.Match[str], rest: re.Match[str]) -> str:
    return before.group() + re.sub(r"\s*[,x]\s*", "x", rest[1].strip())


LARGEST_KERNEL = 11  # of one side, in published networks


def _in_order(before: re.Match[str], rest: re.Match[str]) -> tuple[str, str, str]:
    name, *numbers = *before.groups(), *rest.groups()
    return name, numbers[0], numbers[1]


def _kernel_first(before: re.Match[str], rest: re.Match[str]) -> str:
    """Return `conv 3, 64`, and also `conv 64, 3`, as `conv3-64`."""
    name, one, other = _in_order(before, rest)
    kernel, out = (other, one) if one.isdigit() and int(one) > LARGEST_KERNEL >= int(other) else (one, other)
    return f"{name}{kernel}-{out}"


def _channels_first(before: re.Match[str], rest: re.Match[str]) -> str:
    """Return the other reading of two numbers if neither order nor size tells which one is the kernel."""
    name, one, other = _in_order(before, rest)
    touches = re.search(r"[A-Za-z]\d+\W*$", before.group()) is not None  # like a kernel, and unlike channels
    small = one.isdigit() and int(one) <= LARGEST_KERNEL
    if not one.isdigit() or one == other or (small and (touches or int(other) > LARGEST_KERNEL or int(other) % 2 == 0)):
        return ""
    first = _kernel_first(before, rest)
    return next(text for text in (f"{name}{one}-{other}", f"{name}{other}-{one}") if text != first)


def _of_a_paper(before: re.Match[str], rest: re.Match[str]) -> str:
    """Return `3x3 conv, 64, /2` as `conv3-64/2`."""
    kernel = before[2] if before[2] == rest[1] else f"{before[2]}x{rest[1]}"
    return f"{before[1]}{rest[2]}{kernel}-{rest[3]}" + (f"/{rest[4]}" if rest[4] else "")


_UNITS = {"k": ("thousand", "K"), "m": ("million", "M"), "g": ("billion", "G"), "b": ("billion", "G")}


def _unit(before: re.Match[str], rest: re.Match[str]) -> str:
    return before[1] + _UNITS[rest[1].lower()][1]


_SHAPE = r"[(\[]?\s*(?:\d+|[A-Z]\b)(?:\s*[x×*,]\s*(?:\d+|[A-Z]\b))*\s*[)\]]?"
_ARROWS = r"(?:=+>?|>=|-+>|→|⇒|⟶|⟹|↦)"
_WHOLE_SHAPE = rf"{_SHAPE}(?=\s*(?:$|[;|>}})#\]]))"
_OPTION = r"\w+\s*=(?![=>])\s*[^\s;,#|(){}\[\]]+(?:\([^()]*\)|\[[^\[\]]*\])?"
_SEVERAL = rf"{_OPTION}(?:(?:\s*,\s*|\s+){_OPTION})*"
_BY_COLON = r"\w+\s*:\s*[^\s;,#|(){}\[\]]+"
_END = r"(?=\s*(?:$|[;|>}(#/]))"
_NAMED = "kernel|out|pad|stride|groups|dilation|bias|norm|act"
_OF_YAML = rf"(?:{_NAMED})\s*:\s*[^\s;,#|(){{}}\[\]]+"
CLAIM = "a claim is written `=> 8x30x30`"


def _slash_padding(before: re.Match[str], rest: re.Match[str]) -> str:
    return f"{before.group()}(pad={rest[1]})"


ONE_OF_TWO = "one of two values is written `2 if i == 0 else 1`, with both of them"
ALL_SETTINGS = "as a value, an operator has all its settings in parentheses: `{0}({1}, {2}, ...)`"
BRANCHED = "concat|stack|add|sub|mul|div|mean|matmul|residual"
RULES = (
    # arguments
    Rule(r"\b[Ss]lice\s*\([^()]*", r":", "the last four positions are `slice(in.w - 4, in.w, axis=w)`", bracket="("),
    Rule(r"[A-Za-z_]+\s*=\s*", r'("[^"]*->[^"]*")', "a text stands first, without a name: `{0}`", "{0}", bracket="("),
    Rule(r"", r"'([^'\"]*->[^'\"]*)'", 'a text has double quotes: `"{0}"`', '"{0}"', bracket="("),
    Rule(r"", r";", "options are separated by `,`", ",", bracket="("),
    Rule(r"([(,]\s*[A-Za-z_]\w*)\s+", r"(?=[0-9])", "an option is written with `=`: `stride=2`", "{0}=", bracket="("),
    Rule(r"([\w.)\]}\"'])\s+", _SEVERAL, "a comma is missing between options: `{result}`", _separated, bracket="("),
    Rule(r"([\w.)\]}])\s+", r"(?!(?:if|else|for|in|x)\b)(?=[\w\[.-])", "a comma is missing between arguments", "{0}, ", bracket="("),
    Rule(r"([\w.)\]}])\s+", r"(?!(?:if|else|for|in)\b)(?=[\w\[.-])", "a comma is missing between elements", "{0}, ", bracket="["),
    # values
    Rule(r"[\w)\]}][ \t]+if\b[^;]*", r"(?:[)\]},;]|$)", ONE_OF_TWO),
    Rule(r"", r"\?", ONE_OF_TWO),
    Rule(r"\b([A-Za-z_]+)([0-9]+)-([0-9]+)", r"\(\s*(?=\w)", ALL_SETTINGS, "{0}({1}, {2}, ", bracket="("),
    Rule(r"[=({\[,]\s*if\s+", r"(?=[\w(])", ONE_OF_TWO),
    Rule(r"\bfor\b.*\bin\b.*", r"if\b", "a list in brackets takes every element; a loop with a state can collect some", bracket="["),
    Rule(r"@[\w.]*\.[cdhw]", r"\{", "`.c`, `.d`, `.h` and `.w` are sizes, and a label after a dot with a number needs another name"),
    # other languages
    Rule(r"\}\s*", r"(?:elif|elsif|elseif)\b", "it is `else if` here", "}} else if"),
    Rule(r"\}\s*", r"(?:esle|els|elsee|eles|lese|otherwise)\b(?=\s*(?:\{|if\b))", "it is `else` here", "}} else"),
    Rule(r"^\s*\}?\s*elif\b.*", r"", "it is `else if` here"),
    Rule(r"", r"elif\b", "it is `else if` here"),
    Rule(r"^\s*(?:def|function|fn|class|module)\s+.*", r"", "a block is written `block name(width) { ... }`"),
    Rule(r"^\s*(?:import|from|include)\s+.*", r"", 'another file is imported by `use "std/resnet.arch"`'),
    Rule(r"return\s+", r"", "a block returns the result of its last item: leave out `return`", ""),
    Rule(r"\b(nn|F|torch|tf|keras|layers|self|M|L)", r"\.", "leave out `{0}.`", ""),
    Rule(r"^\s*(?:for|if|while|with)\b.*|else\s*", r":\s*$", "a body goes in braces: `{ ... }`"),
    Rule(
        r"for\s+(\w+)\s*",
        r",\s*(\w+(?:\s*,\s*\w+)*)\s+in\b",
        "several names go in parentheses: `for ({0}, {1}) in`",
        "for ({0}, {1}) in",
    ),
    Rule(
        r"\}\s*",
        r"=>",
        "a claim follows an item: `. =>` claims the shape that the body ends with",
        "}}; . =>",
        bracket="",
        line=r"^(?!\s*(?:block|share)\b)",
    ),
    Rule(r"", r"=(?![=>])", "`==` compares", "==", line=r"^\s*(?:expect|if)\b|else if\b"),
    Rule(r"", r"!(?!=)\s*", "it is `not` here", "not "),
    Rule(r"", r"&&?", "it is `and` here", "and"),
    Rule(r"", r"\|\|", "it is `or` here", "or"),
    Rule(r"", r"//|--", "a comment begins with `#`", "#", ends_item=True),
    Rule(r"\s*", r"//|--", "a comment begins with `#`", "#", bracket=""),
    Rule(r"", r"/\*|\"\"\"|'''", "a comment begins with `#`, on every line"),
    Rule(r"", r'"([^"]*?)\s*$', 'a string ends on its line, with `"`', '"{0}"'),
    # heads of statements
    Rule(r"\blet\s+(\w+)\s*=?\s*", r"(?:=|:=?)\s*", "`let` takes one `=`: `let {0} = ...`", "let {0} = "),
    Rule(r"\blet\s+(\w+)\s+", r"(?=[\d\[])", "`let` takes an `=`: `let {0} = ...`", "let {0} = "),
    Rule(r"^(\s*)(\w+)\s*", r"=(?![=>])\s*(?=[\d\[])(?!\d+x)", "a variable is defined by `let {1} = ...`", "{0}let {1} = "),
    # claims
    Rule(r"\s*", rf"{_ARROWS}\s*{_WHOLE_SHAPE}", CLAIM, _claim, ends_item=True),
    Rule(r"\s*=>\s*", _WHOLE_SHAPE, CLAIM, _claim),
    Rule(r"\s*=>\s*\d+\s+", r"\d+(?:\s+\d+)*\s*(?=$|[;|>}#])", CLAIM, _claim),
    Rule(r"\s*=>\s*\d+\s*", r"(?:[,*×]\s*\d+\s*)+(?=$|[;|>}#])", CLAIM, _claim),
    Rule(r"\b(\w+-[\w/]+)\s*:\s*", r"\d+x\d+(?:x\d+)*(?=\s*(?:$|[;|>}#]))", CLAIM, _claimed_after_label),
    Rule(r"^\s*(?:INPUT|Input)\s+", r"(?=[0-9])", "`input` is written in lower case", "input "),
    Rule(r"input\s*", r"[=:]?\s*[(\[]\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*[)\]]", "a shape is written `{0}x{1}x{2}`", "input {0}x{1}x{2}"),
    Rule(r"input\s*", r"[=:]\s*(?=\d)", "an input is written `input 3x224x224`", "input "),
    Rule(r"input\s+\w+(?:x\w+)*\s*", r"(?:[*X×]\s*\w+\s*)+", "sizes are joined by a lower-case `x`: `3x224x224`", _joined_by_x),
    Rule(r"input\s+\d+(?:x\w+)*", r"x[a-wyz]\w*", "open sizes are capital letters: `3xHxW`", _capitals),
    Rule(r"\barch\s+(\w+)", r"-(\w+)", "names consist of letters, digits and `_`: `{0}_{1}`", "arch {0}_{1}"),
    Rule(r"\b(?:arch|block|let|share|output|use)\s+", r"[0-9]", "a name begins with a letter"),
    Rule(r"\bblock\s+(\w+)\s*", r"(?=[{\[])", "a block has parentheses: `block {0}() {{ ... }}`", "block {0}() "),
    Rule(r"\bdefault\s+(\w+?)\d*", r"-", "`default` names an operator alone: `default {0}(pad=same)`"),
    Rule(r"\bdefault\s+(\w+)\s+", r"(?=\w+\s*=)", "options go in parentheses: `default {0}(pad=same)`"),
    Rule(r"(?<![\w.])([0-9][0-9_.]*)\s*", r"([kmgbKMGB])(?!\w)", "a {2} is `{0}{3}`", _unit),
    Rule(r"within\s+([0-9.]+)\s*", r"$", "a margin is in percent: `within {0}%`", "within {0}%"),
    # items
    *(
        Rule(before, rest, "kernel and channels are written `{result}`", _kernel_first, another=_channels_first)
        for before, rest in (
            (r"\b([Cc]onvt?)-?(\d+(?:x\d+)*)\s*", rf"[-.,]?\s*(\d+){_END}"),
            (r"\b([Cc]onvt?)\s+", rf"(\d+(?:x\d+)*)[\s,-]+(\d+){_END}"),
        )
    ),
    Rule(
        r"^(\s*)(\d+)",
        rf"x(\d+)\s+(convt?)\w*\s*,?\s*(\d+)(?:\s*,?\s*/\s*(\d+))?{_END}",
        "kernel, channels and stride are written `{result}`",
        _of_a_paper,
    ),
    Rule(r"((?:^|[;{|<])\s*)(\d+)\s*", r"[x*]\s+([^;|<>{}#]+?)[ \t]*(?=$|[;|>}#])", "a repeat follows its item: `{2} x{1}`", "{0}{2} x{1}"),
    Rule(r"\s+", r"(\d+)x(?!\w)", "a repeat is written `x{0}`", " x{0}", ends_item=True),
    Rule(r"\s+", rf"({_NAMED})\s+(\w+){_END}", "options go in parentheses: `({0}={1})`", "({0}={1})", ends_item=True, outside="("),
    Rule(
        r"\)?\s*",
        rf"[,:]?\s*{_SEVERAL}|[,:]\s*{_OF_YAML}(?:\s*,\s*{_OF_YAML})*",
        "options go in parentheses: `{item}`",
        _options,
        ends_item=True,
        outside="(",
    ),
    Rule(r"\)?\s*", rf"[{{\[]\s*({_SEVERAL}|{_BY_COLON})\s*[}}\]]", "options go in parentheses: `{item}`", _options, ends_item=True),
    Rule(
        r"\b(\w+-[\w/{}.*+]+)\s*:\s*(\w+)\s*",
        rf"=(?![=>])\s*[^\s;,#|(){{}}]+(?:(?:\s*,\s*|\s+){_OPTION})*",
        "options go in parentheses: `{item}`",
        _labelled_options,
    ),
    Rule(
        r"(?:^|(?<=[;{|<:]))\s*",
        r"\(((?:[^()]|\([^()]*\))*)\)(?=\s*(?:x[0-9{]|=>|[;|>}#]|$))",
        "a group is written `{{ ... }} x2`",
        _braced,
    ),
    Rule(r"(?:^|(?<=[;{|<:]))\s*", r"\(", "a group is written `{{ ... }} x2`"),
    Rule(
        r"\b[A-Za-z_]\w*?",
        r"\[\s*(\d+(?:\s*[,x]\s*\d+){0,2})\s*\](?=-)",
        "there is no space before the kernel: `conv3-64`, `conv1x7-64`",
        _kernel_by_axis,
    ),
    Rule(r"\b[A-Za-z_]\w*?", r"\[\s*(\d+)\s*\]", "no space before the kernel, and `-` before the channels: `conv3-64`", _kernel_by_axis),
    Rule(r"\b[A-Za-z_]\w*?", r"\[", "no space before the kernel, and `-` before the channels: `conv3-64`, `conv1x7-64`", bracket=""),
    Rule(r"/[0-9]+", r"/\s*([0-9]+)", "an item has one `/`, its stride; padding is an option: `(pad={0})`", _slash_padding, unsure=True),
    Rule(r"\b(\w*pool)\s+", r"(\d+)\s+(\d+)", "there is no space before kernel and stride: `{0}{1}/{2}`", "{0}{1}/{2}"),
    Rule(r"", r"-\s*\$?\{?([A-Za-z_]\w*)\}?", "a name goes in braces: `-{{{0}}}`", "-{{{0}}}", ends_item=True),
    Rule(r"\s*", r"/\s*([A-Za-z_]\w*)", "a name goes in braces: `/{{{0}}}`", "/{{{0}}}", bracket=""),
    Rule(r"\s*", r"/\s*(\d+)", "there is no space between `/` and the stride: `/{0}`", "/{0}", ends_item=True),
    Rule(r"(?<=\S)", r"x(?=[0-9{])", "write a space before a repeat: ` x2`", " x"),
    Rule(r"", r"x\s+(\d+)", "a repeat has no space inside: `x{0}`", "x{0}", ends_item=True),
    Rule(r"\s", r"x\s*([A-Za-z_]\w*)\b", "a name goes in braces: `x{{{0}}}`", " x{{{0}}}", ends_item=True),
    Rule(r"", r"\*\s*(\d+)", "a repeat is written `x{0}`", "x{0}", bracket="", ends_item=True),
    Rule(r"[.\w]\s*", r"\+", "tensors are added by `add<. | @name>`", bracket=""),
    Rule(
        r"\s*",
        r"(->|→|,|\.(?=\s))[^()\[\]{}#]*",
        "items are separated by `;` or a new line",
        _chain,
        bracket="",
        ends_item=True,
    ),
    Rule(
        r"\s*",
        r"(\|)[^()\[\]{}#]*",
        "items are separated by `;` or a new line; branches go in `concat< >` or `add< >`",
        _chain,
        bracket="",
        ends_item=True,
        unsure=True,
    ),
    Rule(r"\b([Ff][Cc]|[Dd]ense|[Ll]inear)\s+", r"(?=[0-9])", "the number of outputs follows a `-`: `fc-10`", "fc-", bracket=""),
    Rule(r"(?<=[A-Za-z_]) +", r"(?=[0-9])", "no space before the kernel, and `-` before the channels: `conv3-64`", ""),
    Rule(r"(?<=[A-Za-z_0-9)])\s*", r"-\s*(?=[0-9{])", "there is no space around the `-` before the channels: `conv3-64`", "-"),
    Rule(r"^\s*[A-Za-z_][\w-]*:\s*", r"$", "the item of a label follows on the same line: `head: conv3-8`, or `head: {` and lines"),
    # merges
    Rule(r"\b([A-Za-z_]+)-([0-9]+)", r"\s*<", "before branches, options are in parentheses: `{0}({1})<a | b>`", "{0}({1})<"),
    Rule(rf"\b(?:{BRANCHED})\s*\{{.*", r"", "branches go in `< >`: `concat<a | b>`"),
    Rule(rf"\b(?:{BRANCHED})\s*", r"[\[(]", "branches go in `< >`: `concat<a | b>`"),
    Rule(rf"\b(?:{BRANCHED})\s*\(.*", r"", "branches go in `< >`: `concat<a | b>`", bracket="("),
    Rule(r"", r",", "branches are separated by `|`", " |", bracket="<"),
    Rule(r">\s*", r"\(", "options go before the branches: `concat(axis=c)<a | b>`"),
    Rule(r"\(\s*(\d+)\s*", r",\s*(\d+)\s*\)", "a number for each axis is written `{0}x{1}`", "{0}x{1}", bracket="("),
    Rule(r"", r":\s*(?=\S)", "an option is written with `=`: `stride=2`", "=", bracket="("),
    Rule(r"", r"else\b", "`else` follows the `}` of an `if`"),
    Rule(r"^\s*", r"(?==>)", "a claim follows an item; `.` is the current tensor: `. => 64x56x56`", ". "),
)
FARTHEST = 500  # characters of a line that are examined on either side of an unexpected text
CUT = "\x01"  # placeholder for the rest of such a line


def hint(spot: Spot) -> Advice:
    """Return advice on an unexpected text; empty advice if no rule matches."""
    if len(spot.before) > FARTHEST:
        spot = replace(spot, before=CUT + spot.before[-FARTHEST:])
    if len(spot.rest) > FARTHEST:
        spot = replace(spot, rest=spot.rest[:FARTHEST] + CUT)
    if quoted := re.match(r"[\"']([A-Za-z_]+)[\"']", spot.rest):
        return _without_quotes(spot, quoted)
    for rule in RULES:
        if (rule.bracket is not None and rule.bracket != spot.bracket) or (rule.ends_item and not spot.ends_item):
            continue
        if rule.outside and rule.outside == spot.bracket:
            continue
        if rule.line and not re.search(rule.line, spot.before):
            continue
        rest = re.match(rule.rest, spot.rest)
        before = rest and re.search(f"(?:{rule.before})$", spot.before)
        if before and rest:
            return _advice(rule, spot, before, rest)
    space = len(spot.before) - len(spot.before.rstrip())
    if spot.ends_item and re.match(r"[A-Za-z_@.\[{]", spot.rest):
        return Advice("two items need a `;` or a new line between them", ((-space, space, "; "),), is_guess=True)
    if re.match(r"=(?!=)", spot.rest) and re.search(r"\w\s*$", spot.before):
        return Advice("a label is followed by `:`", ((-space, space + 1, ":"),))
    return Advice()


def _advice(rule: Rule, spot: Spot, before: re.Match[str], rest: re.Match[str]) -> Advice:
    groups = [group or "" for group in (*before.groups(), *rest.groups())]
    new = None
    if rule.replace is not None:
        new = rule.replace(before, rest) if callable(rule.replace) else rule.replace.format(*groups)
    words: dict[str, str] = {}
    if "{item}" in rule.help and new is not None:
        start = re.search(r"[^\s;|<>]*(?:\([^()]*)?$", spot.before[: before.start()])
        words["item"] = ((start.group() if start else "") + new).strip()
    if rule.another is not None and new is not None:
        words["result"] = new
    elif "{result}" in rule.help and new is not None:
        opened = spot.before.rfind("(", 0, before.start() + 1)
        words["result"] = spot.before[opened + 1 : before.start()] + new
    if rule.replace is _unit:
        groups += _UNITS[rest[1].lower()]
    help_text = re.sub(r"\{(\w+)\}", lambda match: words.get(match[1]) or groups[int(match[1])], rule.help)
    help_text = help_text.replace("{{", "{").replace("}}", "}")
    if new is None or CUT in before.group() + rest.group():
        return Advice(help_text)
    length = len(before.group()) + len(rest.group())
    change = (-len(before.group()), length, new)
    another = rule.another(before, rest) if rule.another is not None else ""
    others = ((-len(before.group()), length, another),) if another else ()
    if another:
        help_text = f"{help_text} or `{another}`"
    return Advice(help_text, (change,), rule.is_guess, unsure=rule.unsure or bool(another), stop=_wrong(rule, rest), others=others)


def _wrong(rule: Rule, rest: re.Match[str]) -> int:
    """Return the length of the wrong part of what a rule changes."""
    if rule.replace in (_chain, _separated):  # the first sign
        return 0
    arrow = re.match(_ARROWS, rest.group()) if rule.replace is _claim else None
    return arrow.end() if arrow else len(rest.group().rstrip())


def _without_quotes(spot: Spot, quoted: re.Match[str]) -> Advice:
    option = re.search(r"([A-Za-z_]+) *= *$", spot.before)
    if option is None:
        return Advice(f"words are written without quotes: `{quoted[1]}`", ((0, len(quoted[0]), quoted[1]),))
    name = foreign.OPTIONS.get(option[1].lower(), (option[1],))[0]
    word = foreign.PADDING.get(quoted[1], quoted[1]) if name == "pad" else quoted[1]
    change = (-len(option[0]), len(option[0]) + len(quoted[0]), f"{name}={word}")
    return Advice(f"it is `{name}={word}` here, without quotes", (change,))


# ---- misspelt words at the head of a statement

KEYWORDS = ("arch", "block", "default", "expect", "for", "if", "input", "let", "output", "share", "use")
_MEANT = {"set": "let", "var": "let", "const": "let", "assert": "expect", "require": "use", "defaults": "default", "shared": "share"}


def misspelt_keyword(before: str) -> tuple[str, str, int] | None:
    """Return the word at the start of the statement before an unexpected text, the keyword that is meant, and the word's offset."""
    found = re.search(r"(?:^|[;{}|])\s*([A-Za-z]+)\s+$", before)
    if found is None or found[1] in KEYWORDS:
        return None
    word = found[1].lower()
    meant = _MEANT.get(word) or next((key for key in KEYWORDS if word == key), None)
    meant = meant or min(
        (key for key in KEYWORDS if distance(word, key) <= (1 if len(key) < 5 else 2)), key=lambda key: distance(word, key), default=None
    )
    return (found[1], meant, found.start(1)) if meant else None
