"""The `default`s of a file: a translated item after them states every option that they set, and so keeps its meaning.

An option that an item leaves out has the default value of the language, which is also that of the other framework. After a
`default` of the option it would have another value, so the option is written out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType

from archc.dsl.transcribe.layers import KERAS, PYTORCH, Untranslatable
from archc.dsl.vocabulary import foreign

Defaults = Mapping[str, frozenset[str]]  # operator -> the options that a `default` of the file sets
HIDDEN = "hidden"  # special key: words that are variables of the file, and so mean something else as an item

_WEIGHTS = {"bias": "yes", "weight": "plain", "init": "", "bias_init": ""}
_FOLLOWERS = {"norm": "none", "act": "none"}
_POOL = {"kernel": "2", "stride": "", "pad": "0", "ceil": "no"}
# The value of an option that an item leaves out; "" if it depends on the framework or the kernel.
BUILT_IN: dict[str, dict[str, str]] = {
    "conv": {"stride": "1", "pad": "0", "dilation": "1", "groups": "1", **_WEIGHTS, "from": "none", "pad_mode": "zeros", **_FOLLOWERS},
    "convt": {"stride": "1", "pad": "0", "out_pad": "0", "dilation": "1", "groups": "1", **_WEIGHTS, **_FOLLOWERS},
    "fc": {**_WEIGHTS, **_FOLLOWERS},
    "maxpool": {**_POOL, "dilation": "1"},
    "avgpool": {**_POOL, "count_pad": "yes"},
    "upsample": {"scale": "none", "size": "none", "mode": "nearest", "align_corners": "no", "antialias": "no"},
    "gelu": {"approximate": "none"},
    "leaky_relu": {"slope": "0.01"},
    "elu": {"alpha": "1.0"},
    "celu": {"alpha": "1.0"},
    "softshrink": {"bound": "0.5"},
    "hardshrink": {"bound": "0.5"},
    "hardtanh": {"min": "-1.0", "max": "1.0"},
    "rrelu": {"lower": "0.125", "upper": "0.3333333333333333"},
    **{name: {"axis": "c"} for name in ("softmax", "log_softmax", "softmin")},
    "prelu": {"slopes": "1", "start": "0.25"},
    "bn": {"eps": "1e-5", "momentum": "0.1", "affine": "yes"},
    "instance_norm": {"eps": "1e-5", "affine": "no"},
    "group_norm": {"eps": "1e-5", "affine": "yes"},
    "lrn": {"size": "5", "alpha": "0.0001", "beta": "0.75", "k": "1.0", "form": "mean"},
    "embedding": {"init": ""},
    "multihead_attention": {"causal": "no", "bias": "yes", "dropout": "0.0"},
    "pad": {"h": "0", "w": "0", "c": "0", "d": "0", "value": "0.0", "mode": "constant"},
}
STARTS = {  # initializations; Caffe's fillers are its own
    PYTORCH: {"init": "torch", "bias_init": "torch"},
    KERAS: {"init": "xavier_uniform", "bias_init": "constant(value=0.0)"},
}
NO_DEFAULTS: Defaults = MappingProxyType({})

# Also matches misspellings of `default`, which are repaired too.
_DEFAULT = re.compile(r"(?im)(?:^|[;{}])[ \t]*d[a-z]*[ \t]+([a-z_]\w*)[ \t]*(\()?")


@lru_cache(maxsize=8)
def defaults_in(text: str) -> Defaults:
    """Return the options that the `default`s of a file set. One that cannot be parsed with certainty counts as setting all."""
    text = re.sub(r"#[^\n]*", "", text)
    found: dict[str, frozenset[str]] = {}
    for match in _DEFAULT.finditer(text):
        names = re.findall(r"(\w+)\s*[=:]", _arguments(text, match.end(), bool(match[2])))
        if not names:
            continue
        word = match[1].lower()
        operator = word if word in BUILT_IN else foreign.operator(word)
        known_elsewhere = operator == "" and word in _OTHERS
        for each in (operator,) if operator in BUILT_IN else () if known_elsewhere else BUILT_IN:
            options = BUILT_IN[each]
            said = {here for name in names for here in ([name] if name in options else foreign.options(name, list(options)))}
            sure = all(name in options or name in _REQUIRED or foreign.options(name, list(options)) for name in names)
            found[each] = found.get(each, frozenset()) | (frozenset(said) if sure else frozenset(options))
    if hidden := frozenset(name.lower() for name in _variables(text)) & {*BUILT_IN, *_OTHERS}:
        found[HIDDEN] = hidden
    return found


def _variables(text: str) -> Iterator[str]:
    yield from re.findall(r"\blet\s+(\w+)", text)
    for names in re.findall(r"\bfor\s+([^{}]*?)\s+in\b|\b(?:block|arch)\s+\w+\s*\(([^{}]*?)\)\s*(?:[\[{]|$)", text, re.MULTILINE):
        yield from re.findall(r"[A-Za-z_]\w*", " ".join(names))


_OTHERS = frozenset(
    (
        *("relu", "relu6", "sigmoid", "tanh", "silu", "hardswish", "hardsigmoid", "softplus", "softmax", "log_softmax", "scaled_tanh"),
        *("adaptive_avgpool", "adaptive_maxpool", "channel_fc", "crop", "layer_norm", "dropout", "stochastic_depth", "layer_scale"),
        *("flatten", "slice", "channel_shuffle", "pixel_shuffle", "space_to_depth", "subsample", "rbf", "add", "concat", "mul", "residual"),
        *("tokens", "map", "token", "learned", "attention"),
    )
)
_REQUIRED = frozenset(("kernel", "out", "groups", "place"))  # every item states them, or they do not affect the computation


def _arguments(text: str, begin: int, bracketed: bool) -> str:
    depth = int(bracketed)
    for match in re.compile(r"[()\n]").finditer(text, begin):
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        if depth <= 0:
            return text[begin : match.start()]
    return text[begin:]


def explicit(text: str, defaults: Defaults, framework: str) -> str:
    """Write out, in an item or several on one line, each option that a `default` of the file sets."""
    if not defaults:
        return text
    return "; ".join(_explicit(part, defaults, framework) for part in text.split("; "))


_SIZES = r"(?:\d+|\{[^{}]*\})(?:x(?:\d+|\{[^{}]*\}))*"
_ITEM = re.compile(rf"([a-z][a-z_]*)({_SIZES})?(-{_SIZES})?(/{_SIZES})?(?:\((.*)\))?$", re.DOTALL)


def _explicit(part: str, defaults: Defaults, framework: str) -> str:
    item = _ITEM.match(part)
    if part == "." or part.startswith("input "):
        return part
    if item is None:
        raise Untranslatable("the effect of the file's `default`s on it is not known here")
    word, kernel, _, stride, args = item.groups()
    if word in defaults.get(HIDDEN, ()):
        raise Untranslatable(f"`{word}` is a variable in this file, so it is not an operator")
    built_in = BUILT_IN.get(word, {})
    if not built_in:
        return part
    options = re.findall(r"(?:^|,)\s*([a-z_]+)=", args or "")
    given = {*options, *(("stride",) if stride else ()), *((("scale", "kernel")) if kernel else ())}
    if args and not options:  # `leaky_relu(0.1)`: the first, by position
        given.add(next(iter(built_in)))
    listed = [args] if args else []
    act = re.search(r"(?<=\bact=)[a-z_]+$", args or "")
    if act is not None and args is not None:
        listed = [args[: act.start()] + _explicit(act.group(), defaults, framework)]
    for name, value in built_in.items():
        if name in given or name not in defaults.get(word, ()):
            continue
        if name == "stride" and not value:
            value = _as_option(kernel or built_in["kernel"])
        value = value or STARTS.get(framework, {}).get(name, "")
        if value:
            listed.append(f"{name}={value}")
    head = part if args is None else part[: item.start(5) - 1]
    return f"{head}({', '.join(listed)})" if listed else head


def _as_option(short: str) -> str:
    """Return `[1, 7]` for the `1x7` of the short form."""
    parts = [part.strip("{}") for part in re.findall(r"\d+|\{[^{}]*\}", short)]
    return f"[{', '.join(parts)}]" if len(parts) > 1 else parts[0]
