"""An operator as a table of a paper writes it: `conv3-128/2(pad=1)`, its options where they are not the record's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compiler.graph import INPUT, Node
from compiler.ops.kinds import show
from compiler.ops.record import Like
from compiler.shapes.dim import show_shape

UNSEEN = ("init", "bias_init", "from")  # how weights are drawn, and tables, are not for a line


def notation(node: Node, write: Callable[[object], str] = show) -> str:
    """The short form, then the options that differ from their defaults; `write` writes floats and words."""
    if node.op == INPUT:
        return f"input {show_shape(node.shape)}"
    operator, attrs = node.operator, node.attrs
    kernel, out, stride = operator.short
    text = node.op
    if kernel and attrs.get(kernel) is not None:
        text += _plain(attrs[kernel], write)
    if out and attrs.get(out) is not None:
        text += f"-{_plain(attrs[out], write)}"
    followed = next((a.default.option for a in operator.attrs if a.name == stride and isinstance(a.default, Like)), None)
    usual = attrs.get(followed) if followed else (1,) * len(attrs[stride]) if stride and isinstance(attrs.get(stride), tuple) else None
    if stride and attrs.get(stride) != usual:
        text += f"/{_plain(attrs[stride], write)}"
    listed = []
    for attr in operator.attrs:
        value = attrs.get(attr.name)
        if attr.name in (kernel, out, stride, *UNSEEN) or value is None:
            continue
        default = attrs[attr.default.option] if isinstance(attr.default, Like) else _canonical(attr, value)
        if value != default:
            listed.append(f"{attr.name}={_plain(value, write)}")
    return text + (f"({', '.join(listed)})" if listed else "")


def _canonical(attr: Any, value: Any) -> Any:
    """The default of an option as `attrs` would hold it."""
    axes = len(value) if isinstance(value, tuple) else 1
    try:
        return attr.kind.read(attr.name, attr.default, axes)
    except Exception:
        return None


def _plain(value: Any, write: Callable[[object], str]) -> str:
    if isinstance(value, tuple):
        return _plain(value[0], write) if value and len(set(value)) == 1 else "x".join(_plain(part, write) for part in value)
    return value if isinstance(value, str) else write(value).removesuffix(".0")
