"""Write an operator in the notation of papers: `conv3-128/2(pad=1)`, with the options that differ from the defaults of its record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from archc.compiler.graph import Node
from archc.compiler.ops.kinds import Text, show
from archc.compiler.ops.record import Like
from archc.compiler.shapes.dim import show_shape, show_sizes

UNSEEN = ("init", "bias_init", "from")  # initializations and tables are too long for a line


def notation(node: Node, without: Collection[str] = (), write: Callable[[object], str] = show) -> str:
    """Return the short form and the options that differ from their defaults, except those in `without`.

    `write` writes floats and words.
    """
    if node.is_input:
        return f"input {show_shape(node.shape)}"
    kernel, out, stride = node.operator.short
    unusual = unusual_options(node)
    text = node.op
    if kernel and node.attrs.get(kernel) is not None:
        text += _plain(node.attrs[kernel], write)
    if out and node.attrs.get(out) is not None:
        text += f"-{_plain(node.attrs[out], write)}"
    if stride in unusual:
        text += f"/{_plain(unusual[stride], write)}"
    omitted = (kernel, out, stride, *UNSEEN, *without)
    named = spread({name: value for name, value in unusual.items() if name not in omitted}, node.operator.gathers)
    listed = [(f"{name}=" if name else "") + _plain(value, write) for name, value in named]
    return text + (f"({', '.join(listed)})" if listed else "")


def spread(options: Mapping[str, Any], gathers: str) -> Iterator[tuple[str, Any]]:
    """Yield options with their names as arguments: a text without its name, and gathered numbers each with its own."""
    for name, value in options.items():
        if name == gathers:
            yield from value.args
        else:
            yield "" if isinstance(value, Text) else name, value


def unusual_options(node: Node) -> dict[str, Any]:
    """Return the options of a node that differ from their defaults, in the order of its record."""
    unusual: dict[str, Any] = {}
    for attr in node.operator.attrs:
        value = node.attrs.get(attr.name)
        if value is None:
            continue
        usual = node.attrs[attr.default.option] if isinstance(attr.default, Like) else _canonical(attr, value)
        if value != usual:
            unusual[attr.name] = value
    return unusual


def option_change(before: Node, after: Node) -> Iterator[str]:
    """Yield what changed of an operator, as short as its notation: `conv3 -> conv5`, `64 -> 128`, `/1 -> /2`, `pad: 1 -> 2`."""
    kernel, out, stride = before.operator.short
    for name in sorted(dict.fromkeys([*before.attrs, *after.attrs]), key=lambda name: name in UNSEEN):
        old, new = before.attrs.get(name), after.attrs.get(name)
        if old == new:
            continue
        first, second = ("none" if value is None else _plain(value) for value in (old, new))
        if name == kernel:
            yield f"{before.op}{first} -> {after.op}{second}"
        elif name == out:
            yield f"{first} -> {second}"
        elif name == stride:
            yield f"/{first} -> /{second}"
        else:
            yield f"{name}: {first} -> {second}"
    if before.place != after.place:
        yield f"place: {show(before.place) if before.place else 'none'} -> {show(after.place) if after.place else 'none'}"


def _canonical(attr: Any, value: Any) -> Any:
    """Return the default of an option as `attrs` would hold it."""
    axes = len(value) if isinstance(value, tuple) else 1
    try:
        return attr.kind.read(attr.name, attr.default, axes)
    except Exception:
        return None


def _plain(value: Any, write: Callable[[object], str] = show) -> str:
    if isinstance(value, tuple) and value and all(isinstance(part, str) for part in value):  # axes
        return value[0] if len(value) == 1 else f"[{', '.join(value)}]"
    if isinstance(value, tuple) and len(value) <= 3:  # one for each axis
        return show_sizes(value, lambda part: _plain(part, write))
    return value if isinstance(value, str) else write(value).removesuffix(".0")
