"""The signatures of the layers of other frameworks, and how their arguments are parsed and written as an item.

A layer that computes something else, at all or for some arguments, raises `Untranslatable` with the reason.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

PYTORCH, KERAS, CAFFE = "PyTorch", "Keras", "Caffe"

Value = Any  # of an argument: int, float, bool, None, str, a tuple of these, or a Formula
Written = tuple[str, tuple[str, ...]]  # the item, and notes about it


class Untranslatable(Exception):
    """The reason why a layer has no equivalent item, in one or more sentences."""


@dataclass(frozen=True)
class Formula:
    """A name, or arithmetic on names and numbers, in the syntax that the language shares with Python."""

    text: str


@dataclass(frozen=True)
class Arguments:
    """The arguments of one call by name, with the defaults of the framework filled in."""

    values: Mapping[str, Value]
    extra: Mapping[str, Value] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Value:
        return self.values[name]

    def only(self, name: str, *allowed: Value, why: str = "") -> None:
        """Raise Untranslatable unless an argument has one of the allowed values, which an item has too."""
        if self.values[name] not in allowed:
            raise Untranslatable(why or f"`{name}={python(self.values[name])}` has no counterpart")

    def only_not(self, name: str, refused: Value, why: str) -> None:
        """Raise Untranslatable if an argument has a value that no item has."""
        if self.values[name] == refused:
            raise Untranslatable(why)

    def shape(self) -> str:
        """Return `input_shape` or `shape`, channels first: `1x28x28`."""
        given = self.extra.get("input_shape", self.extra.get("shape"))
        return self.channels_first(given) if given is not None else ""

    def channels_first(self, shape: Value) -> str:
        """Return a shape of Keras as `1x28x28`, from either order of its axes."""
        order = self.extra.get("data_format", self.values.get("data_format"))
        if order not in (None, "channels_last", "channels_first"):
            raise Untranslatable("the order of the input's axes is not known here")
        return channels_first((*shape[1:], shape[0]) if order == "channels_first" and isinstance(shape, tuple) and shape else shape)


@dataclass(frozen=True)
class Layer:
    """The parameters of a layer in the order of its framework, as `name` or `name=default`, and the function that writes it."""

    signature: str
    write: Callable[[Arguments], Written]


def bound(call: ast.Call, layer: Layer, framework: str) -> Arguments:
    """Bind the arguments of a call to the parameters of a layer. Raises Untranslatable if they do not fit."""
    parameters = [part.partition("=") for part in layer.signature.split()]
    values: dict[str, Value] = {name: plain(default) for name, sign, default in parameters if sign}
    order = [name for name, _, _ in parameters]
    if len(call.args) > len(order):
        raise Untranslatable(f"it takes at most {len(order)} arguments")
    given: dict[str, Value] = {}
    extra: dict[str, Value] = {}
    for name, node in zip(order, call.args, strict=False):
        given[name] = value_of(node)
    for keyword in call.keywords:
        if keyword.arg is None:
            raise Untranslatable("the contents of `**` are not known here")
        if keyword.arg in SILENT[framework]:
            if keyword.arg in ("input_shape", "shape", "input_dim", "data_format"):
                extra[keyword.arg] = value_of(keyword.value)
            continue
        name = ALIASES[framework].get(keyword.arg, keyword.arg)
        if name not in order:
            raise Untranslatable(f"`{keyword.arg}={ast.unparse(keyword.value)[:30]}` has no counterpart")
        given[name] = value_of(keyword.value)
    values |= given
    missing = [name for name in order if name not in values]
    if missing:
        raise Untranslatable(f"`{missing[0]}` is missing")
    return Arguments(values, extra)


# Arguments that do not change the computation, or only the initialization.
SILENT: dict[str, frozenset[str]] = {
    PYTORCH: frozenset(("device", "dtype", "inplace")),
    KERAS: frozenset(
        (
            *("name", "dtype", "trainable", "input_shape", "shape", "batch_size", "seed", "data_format", "input_dim"),
            *(
                f"{what}_{how}"
                for what in ("kernel", "bias", "activity", "depthwise", "pointwise")
                for how in ("initializer", "regularizer", "constraint")
            ),
            *(
                f"{what}_{how}"
                for what in ("beta", "gamma", "moving_mean", "moving_variance")
                for how in ("initializer", "regularizer", "constraint")
            ),
        )
    ),
}
ALIASES: dict[str, dict[str, str]] = {PYTORCH: {}, KERAS: {"alpha": "negative_slope"}}


def value_of(node: ast.expr) -> Value:
    """Return the value of an argument. Raises Untranslatable for anything but constants and arithmetic on names."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, bool, str, type(None))):
        return node.value
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(value_of(element) for element in node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        number = node.operand.value
        if isinstance(number, (int, float)):
            return -number
    parts = list(ast.walk(node))
    if len(parts) < 60 and all(isinstance(part, _ARITHMETIC) for part in parts):
        return Formula(ast.unparse(node))
    raise Untranslatable(f"`{ast.unparse(node)[:40]}` is neither a number nor a name")


_ARITHMETIC = (*(ast.Name, ast.Load, ast.BinOp, ast.Constant, ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod),)


def plain(text: str) -> Value:
    """Return the value of a default in a signature, or of a field of Caffe."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False}.get(text.lower(), text)


def python(value: Value) -> str:
    """Return a value as Python code."""
    return value.text if isinstance(value, Formula) else repr(value)


# ---- writing items


def short(value: Value) -> str:
    """Write a number of the short form: `3`, `1x7`, `{w}`. Raises Untranslatable for a value that is not a size."""
    if isinstance(value, tuple):
        if not value:
            raise Untranslatable("an empty tuple")
        return short(value[0]) if all(part == value[0] for part in value) else "x".join(short(part) for part in value)
    if isinstance(value, Formula):
        return f"{{{value.text}}}"
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Untranslatable(f"`{python(value)}` is not a size")
    return str(value)


def long(value: Value) -> str:
    """Write the value of an option: `1`, `[0, 3]`, `yes`, `0.001`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return long(value[0]) if value and all(part == value[0] for part in value) else f"[{', '.join(long(part) for part in value)}]"
    if isinstance(value, Formula):
        return f"({value.text})" if value.text.lower() in WORDS else value.text
    if isinstance(value, (int, float)):
        return repr(value)
    return str(value)


WORDS = frozenset(  # of options; a variable with such a name is written in parentheses
    (
        *("same", "valid", "none", "yes", "no", "true", "false", "on", "off", "zeros", "reflect", "replicate", "circular"),
        *("nearest", "bilinear", "tanh", "mean", "sum", "spatial", "full", "half"),
    )
)


def item(name: str, kernel: Value = None, out: Value = None, stride: Value = None, **options: Value) -> str:
    """Write an item in its short form, with the options that are not None."""
    text = name + (short(kernel) if kernel is not None else "") + (f"-{short(out)}" if out is not None else "")
    text += f"/{short(stride)}" if stride is not None and short(stride) != "1" else ""
    listed = ", ".join(f"{key}={value if isinstance(value, str) else long(value)}" for key, value in options.items() if value is not None)
    return text + (f"({listed})" if listed else "")


def unless(value: Value, default: Value) -> Value:
    """Return a value, or None if it is the default of the item."""
    same = value == default or (isinstance(value, tuple) and all(part == default for part in value))
    return None if same and isinstance(value, bool) == isinstance(default, bool) else value


def sizes(value: Value) -> list[int]:
    """Return the numbers of a kernel or stride. Raises Untranslatable if they are not known."""
    parts = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(part, int) for part in parts):
        raise Untranslatable(f"`{python(value)}` is not known here, and the padding follows from it")
    return list(parts)


def channels_first(shape: Value) -> str:
    """Return Keras's `(28, 28, 1)` as `1x28x28`."""
    if not isinstance(shape, tuple) or not shape or not all(isinstance(size, int) or size is None for size in shape):
        raise Untranslatable("the shape of the input is not known here")
    names = iter("HWD")
    parts = [str(size) if size is not None else next(names, "L") for size in (shape[-1], *shape[:-1])]
    return "x".join(parts)


def as_it_is(text: str) -> Layer:
    """Return a layer without arguments that is always the same item."""
    return Layer("", lambda a: (text, ()))


def never(why: str, signature: str = "a=None b=None c=None d=None e=None f=None") -> Layer:
    """Return a layer that no item is equivalent to."""

    def refuse(a: Arguments) -> Written:
        raise Untranslatable(why)

    return Layer(signature, refuse)


def pool(name: str, kernel: Value, stride: Value, **options: Value) -> str:
    """Write a pool; its stride defaults to its kernel."""
    stride = None if stride is None or short(stride) == short(kernel) else stride
    text = item(name, kernel) + (f"/{short(stride)}" if stride is not None else "")
    return text + item("", **options)
