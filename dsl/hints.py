"""What to do about text that the grammar has no place for: a table of what people write, and how it is written here.

A rule looks at the line before the unexpected text and at what follows on it. Where it fits it has one sentence to say, and
perhaps a change that would mend it.
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
    """An unexpected text: its line before it, its line from it on, the innermost bracket that is open."""

    before: str
    rest: str
    bracket: str
    ends_item: bool  # does an item end right before it?


@dataclass(frozen=True)
class Advice:
    """One sentence on what to do, and the change that may do it, in offsets from the spot.

    A guess is one of several readings; a change that is `unsure` says something that the text does not say.
    """

    help: str = ""
    changes: tuple[Change, ...] = ()
    is_guess: bool = False
    start: int | None = None  # where what is wrong begins, if before the spot
    unsure: bool = False
    stop: int = 0  # where what is wrong ends, if that is known
    others: tuple[Change, ...] = ()  # other readings, each instead of the changes


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
    outside: str = ""  # a bracket that must not be the innermost open one
    is_guess: bool = False
    unsure: bool = False
    another: Rewrite | None = None  # another reading; "" where there is none


def _joined_by_x(before: re.Match[str], rest: re.Match[str]) -> str:
    return re.sub(r"\s*[*X×]\s*", "x", before.group() + rest.group())


def _capitals(before: re.Match[str], rest: re.Match[str]) -> str:
    return before.group() + re.sub(r"[a-wyz]", lambda letter: letter.group().upper(), rest.group())


def _chain(before: re.Match[str], rest: re.Match[str]) -> str:
    return re.sub(rf"\s*{re.escape(rest[1])}\s*", "; ", rest.group()).rstrip()


def _claim(before: re.Match[str], rest: re.Match[str]) -> str:
    """` => 8x30x30` from any way of writing an arrow and a shape. Blanks before it stay, since claims are often aligned."""
    numbers = re.findall(r"[0-9]+|[A-Z]", (before.group() + rest.group()).replace("=>", ""))
    blanks = re.match(r"\s*", before.group()).group() or " "  # type: ignore[union-attr]
    return f"{blanks}=> {'x'.join(numbers)}"


def _claimed_after_label(before: re.Match[str], rest: re.Match[str]) -> str:
    return f"{before[1]} => {rest.group().strip()}"


def _options(before: re.Match[str], rest: re.Match[str]) -> str:
    """Options in parentheses, with commas: `(pad=1, act=relu)`, or at the end of the parentheses that are there."""
    listed = _with_commas(re.sub(r"\s*[:=]\s*", "=", rest.group().strip(" \t,:{}[]")))
    return f", {listed})" if before.group().strip() == ")" else f"({listed})"


def _labelled_options(before: re.Match[str], rest: re.Match[str]) -> str:
    return f"{before[1]}({_with_commas(before[2] + rest.group())})"


def _separated(before: re.Match[str], rest: re.Match[str]) -> str:
    return f"{before[1]}, {_with_commas(rest.group())}"


def _with_commas(options: str) -> str:
    """`pad=1 act=relu` as `pad=1, act=relu`."""
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
    """`conv 3, 64` as `conv3-64`; and so `conv 64, 3`."""
    name, one, other = _in_order(before, rest)
    kernel, out = (other, one) if one.isdigit() and int(one) > LARGEST_KERNEL >= int(other) else (one, other)
    return f"{name}{kernel}-{out}"


def _channels_first(before: re.Match[str], rest: re.Match[str]) -> str:
    """The other reading of two numbers, where their order and size do not say which is the kernel."""
    name, one, other = _in_order(before, rest)
    touches = re.search(r"[A-Za-z]\d+\W*$", before.group()) is not None  # as a kernel does, and channels do not
    small = one.isdigit() and int(one) <= LARGEST_KERNEL
    if not one.isdigit() or one == other or (small and (touches or int(other) > LARGEST_KERNEL or int(other) % 2 == 0)):
        return ""
    first = _kernel_first(before, rest)
    return next(text for text in (f"{name}{one}-{other}", f"{name}{other}-{one}") if text != first)


def _of_a_paper(before: re.Match[str], rest: re.Match[str]) -> str:
    """`3x3 conv, 64, /2` as `conv3-64/2`."""
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


BRANCHED = "concat|add|mul|residual"
RULES = (
    # arguments
    Rule(r"", r";", "options are separated by `,`", ",", bracket="("),
    Rule(r"([(,]\s*[A-Za-z_]\w*)\s+", r"(?=[0-9])", "an option is written with `=`: `stride=2`", "{0}=", bracket="("),
    Rule(r"([\w.)\]}\"'])\s+", _SEVERAL, "a comma is missing between options: `{result}`", _separated, bracket="("),
    Rule(r"([\w.)\]}])\s+", r"(?!(?:if|else|for|in|x)\b)(?=[\w\[.-])", "a comma is missing between arguments", "{0}, ", bracket="("),
    Rule(r"([\w.)\]}])\s+", r"(?!(?:if|else|for|in)\b)(?=[\w\[.-])", "a comma is missing between elements", "{0}, ", bracket="["),
    # other languages
    Rule(r"\}\s*", r"(?:elif|elsif|elseif)\b", "it is `else if` here", "}} else if"),
    Rule(r"\}\s*", r"(?:esle|els|elsee|eles|lese|otherwise)\b(?=\s*(?:\{|if\b))", "it is `else` here", "}} else"),
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
    Rule(
        r"\}\s*",
        r"=>",
        "a claim follows an item: `. =>` claims the shape of what the body ends with",
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
    Rule(r"", r'"([^"]*?)\s*$', 'a text ends on its line, with `"`', '"{0}"'),
    # heads of statements
    Rule(r"\blet\s+(\w+)\s*=?\s*", r"(?:=|:=?)\s*", "`let` takes one `=`: `let {0} = ...`", "let {0} = "),
    Rule(r"\blet\s+(\w+)\s+", r"(?=[\d\[])", "`let` takes a `=`: `let {0} = ...`", "let {0} = "),
    Rule(r"^(\s*)(\w+)\s*", r"=(?![=>])\s*(?=[\d\[])(?!\d+x)", "a variable is defined by `let {1} = ...`", "{0}let {1} = "),
    # claims
    Rule(r"\s*", rf"{_ARROWS}\s*{_WHOLE_SHAPE}", CLAIM, _claim, ends_item=True),
    Rule(r"\s*=>\s*", _WHOLE_SHAPE, CLAIM, _claim),
    Rule(r"\s*=>\s*\d+\s+", r"\d+(?:\s+\d+)*\s*(?=$|[;|>}#])", CLAIM, _claim),
    Rule(r"\s*=>\s*\d+\s*", r"(?:[,*×]\s*\d+\s*)+(?=$|[;|>}#])", CLAIM, _claim),
    Rule(r"\b(\w+-[\w/]+)\s*:\s*", r"\d+x\d+(?:x\d+)*(?=\s*(?:$|[;|>}#]))", CLAIM, _claimed_after_label),
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
    Rule(r"\s+", rf"({_NAMED})\s+(\w+){_END}", "options stand in parentheses: `({0}={1})`", "({0}={1})", ends_item=True, outside="("),
    Rule(
        r"\)?\s*",
        rf"[,:]?\s*{_SEVERAL}|[,:]\s*{_OF_YAML}(?:\s*,\s*{_OF_YAML})*",
        "options stand in parentheses: `{item}`",
        _options,
        ends_item=True,
        outside="(",
    ),
    Rule(r"\)?\s*", rf"[{{\[]\s*({_SEVERAL}|{_BY_COLON})\s*[}}\]]", "options stand in parentheses: `{item}`", _options, ends_item=True),
    Rule(
        r"\b(\w+-[\w/{}.*+]+)\s*:\s*(\w+)\s*",
        rf"=(?![=>])\s*[^\s;,#|(){{}}]+(?:(?:\s*,\s*|\s+){_OPTION})*",
        "options stand in parentheses: `{item}`",
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
        "the kernel touches the name: `conv3-64`, `conv1x7-64`",
        _kernel_by_axis,
    ),
    Rule(r"\b[A-Za-z_]\w*?", r"\[\s*(\d+)\s*\]", "the kernel touches the name, and the channels follow a `-`: `conv3-64`", _kernel_by_axis),
    Rule(r"\b[A-Za-z_]\w*?", r"\[", "the kernel touches the name, and the channels follow a `-`: `conv3-64`, `conv1x7-64`", bracket=""),
    Rule(r"/[0-9]+", r"/\s*([0-9]+)", "an item has one `/`, its stride; padding is an option: `(pad={0})`", _slash_padding, unsure=True),
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
        r"(->|→|,|\.(?=\s))[^()\[\]{}#]*",
        "items follow each other with `;` or on a new line",
        _chain,
        bracket="",
        ends_item=True,
    ),
    Rule(
        r"\s*",
        r"(\|)[^()\[\]{}#]*",
        "items follow each other with `;` or on a new line; branches stand in `concat< >` or `add< >`",
        _chain,
        bracket="",
        ends_item=True,
        unsure=True,
    ),
    Rule(r"\b([Ff][Cc]|[Dd]ense|[Ll]inear)\s+", r"(?=[0-9])", "the values it gives follow a `-`: `fc-10`", "fc-", bracket=""),
    Rule(r"(?<=[A-Za-z_]) +", r"(?=[0-9])", "the kernel touches the name, and the channels follow a `-`: `conv3-64`", ""),
    Rule(r"(?<=[A-Za-z_0-9)])\s*", r"-\s*(?=[0-9{])", "the channels touch their `-`: `conv3-64`", "-"),
    Rule(r"^\s*[A-Za-z_][\w-]*:\s*", r"$", "what a label names follows on its line: `head: conv3-8`, or `head: {` and lines"),
    # merges
    Rule(rf"\b(?:{BRANCHED})\s*\{{.*", r"", "branches stand in `< >`: `concat<a | b>`"),
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
FARTHEST = 500  # characters of a line before and after an unexpected text that are looked at
CUT = "\x01"  # stands where the rest of such a line is


def hint(spot: Spot) -> Advice:
    """What to do about an unexpected text."""
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
    """How much of what a rule changes is wrong."""
    if rule.replace in (_chain, _separated):  # the first sign
        return 0
    arrow = re.match(_ARROWS, rest.group()) if rule.replace is _claim else None
    return arrow.end() if arrow else len(rest.group().rstrip())


def _without_quotes(spot: Spot, quoted: re.Match[str]) -> Advice:
    option = re.search(r"([A-Za-z_]+) *= *$", spot.before)
    if option is None:
        return Advice(f"words stand without quotes: `{quoted[1]}`", ((0, len(quoted[0]), quoted[1]),))
    name = foreign.OPTIONS.get(option[1].lower(), (option[1],))[0]
    word = foreign.PADDING.get(quoted[1], quoted[1]) if name == "pad" else quoted[1]
    change = (-len(option[0]), len(option[0]) + len(quoted[0]), f"{name}={word}")
    return Advice(f"it is `{name}={word}` here, without quotes", (change,))


# ---- misspelt words at the head of a statement

KEYWORDS = ("arch", "block", "default", "expect", "for", "if", "input", "let", "output", "share", "use")
_MEANT = {"set": "let", "var": "let", "const": "let", "assert": "expect", "require": "use", "defaults": "default", "shared": "share"}


def misspelt_keyword(before: str) -> tuple[str, str, int] | None:
    """The word that begins a statement right before an unexpected text, the keyword that is meant, and where the word begins."""
    found = re.search(r"(?:^|[;{}|])\s*([A-Za-z]+)\s+$", before)
    if found is None or found[1] in KEYWORDS:
        return None
    word = found[1].lower()
    meant = _MEANT.get(word) or next((key for key in KEYWORDS if word == key), None)
    meant = meant or min(
        (key for key in KEYWORDS if distance(word, key) <= (1 if len(key) < 5 else 2)), key=lambda key: distance(word, key), default=None
    )
    return (found[1], meant, found.start(1)) if meant else None
