"""The arguments of a constructor: constants in which the instances of a class differ, as expressions of what its block has."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archc.compiler.backends.source.expressions import ABSENT, ATOM, Expression, Known, alike, literal, words_of
from archc.compiler.backends.source.parts import Code, Leaf, Unit
from archc.dsl import ast

RESERVED = frozenset({"self", "x", "torch", "nn", "F", "Tensor", "training"})


INPUTS = (
    "in_channels",
    "in_features",
    "num_features",
    "normalized_shape",
    "num_channels",
    "embed_dim",
    "channels",
    "kdim",
    "vdim",
    "input_size",
)


OUTPUTS = ("out_channels", "out_features", "hidden_size", "groups")

HALVED = ("padding", "output_padding")  # what is computed from another number, as half a kernel


@dataclass
class Argument:
    """An argument of a constructor: its name, its value for each instance, and its default as Python, or ""."""

    name: str
    values: tuple[Any, ...]
    default: str = ""

    @property
    def annotation(self) -> str:
        """Return the type of its values as Python."""
        return _annotation(self.values)


def given_to(units: Sequence[Unit]) -> dict[str, tuple[Any, ...]]:
    """Return what may be an argument: the channels that enter, the parameters of the block, and those of the `arch` line that it names."""
    given: dict[str, tuple[Any, ...]] = {}
    if all(unit.entering and unit.entering[0] and isinstance(unit.entering[0][0], int) and not unit.is_network for unit in units):
        given["in_channels"] = tuple(unit.entering[0][0] for unit in units)
    frames = [unit.frame for unit in units]
    if all(frame is not None and frame.block is not None for frame in frames):
        for param in frames[0].block.params:  # type: ignore[union-attr]
            values = tuple(frame.values.get(param.name) for frame in frames)  # type: ignore[union-attr]
            if all(isinstance(value, bool | int | float) for value in values) and param.name not in RESERVED:
                given[param.name] = values
    words = words_of(frames[0].block.span.text) if frames[0] is not None and frames[0].block is not None else None
    for name in units[0].values:
        if name not in given and (words is None or name in words):
            given[name] = tuple(unit.values[name] for unit in units)
    return given


def expression_of(column: Sequence[Leaf], known: Known, units: Sequence[Unit]) -> Expression:
    """Return an expression that has the value of a constant in each instance; a new argument where there is no other."""
    values = tuple(leaf.value for leaf in column)
    role = column[0].role
    texts = {leaf.text for leaf in column if leaf.value is not ABSENT}
    text = texts.pop() if len(texts) == 1 else ""
    present = next(value for value in values if value is not ABSENT)
    constant = all(alike(value, present) for value in values)
    size = role in INPUTS or role in OUTPUTS
    if constant:
        if role == "step":
            return known.named(values) or literal(present)
        found = known.entered(values) if role in INPUTS else known.constant(values, text, size)
        return found or literal(present)
    found = None if role in INPUTS else known.written(values, text, size, size or role in HALVED)
    found = found or known.searched(values, role in INPUTS, size, size or role in HALVED) or _listed(values, known)
    named = _parameter(units, values) if found is None and isinstance(present, Code) else ""
    return found or known.added(_free(role, known, named), values, size)


def _listed(values: Sequence[Any], known: Known) -> Expression | None:
    """Return a tuple or list of sizes whose items are constants or have expressions; None for anything else."""
    kind = type(values[0])
    if kind not in (tuple, list) or any(type(value) is not kind or len(value) != len(values[0]) for value in values if value is not ABSENT):
        return None
    rows = [value for value in values if value is not ABSENT]
    if len(rows) != len(values) or not all(type(item) is int for row in rows for item in row):
        return None
    items = []
    for column in zip(*rows, strict=True):
        found = literal(column[0]) if len(set(column)) == 1 else known.searched(column, False, True)
        if found is None:
            return None
        items.append(found)
    text = ", ".join(item.text for item in items)
    names = frozenset(name for item in items for name in item.names)
    return Expression(f"[{text}]" if kind is list else f"({text}{',' * (len(items) == 1)})", ATOM, names)


def takes_any(units: Sequence[Unit]) -> bool:
    """Return whether units are calls of a block that says nothing of the channels that enter it, or asks for them."""
    frame = units[0].frame
    several = sum(not unit.variant for unit in units) > 1
    return frame is not None and frame.block is not None and (several or "in.c" in frame.block.span.text)


def definitions_of(unit: Unit) -> dict[str, str]:
    """Return what `let` defines at the beginning of a block, as text by name."""
    body = unit.frame.block.body if unit.frame is not None and unit.frame.block is not None else ()
    return {statement.name: statement.value.span.text for statement in body if isinstance(statement, ast.Let)}


def conditions_of(unit: Unit) -> list[str]:
    """Return the conditions in the text of a block."""
    body = unit.frame.block.body if unit.frame is not None and unit.frame.block is not None else ()
    return [node.condition.span.text for statement in body for node in ast.walk(statement) if isinstance(node, ast.If)]


def _free(role: str, known: Known, named: str = "") -> str:
    name = named or (role if role.isidentifier() and not keyword.iskeyword(role) and role not in RESERVED else "value")
    number = 1
    while (chosen := name if number == 1 else f"{name}{number}") in known.names:
        number += 1
    return chosen


def _parameter(units: Sequence[Unit], values: Sequence[Any]) -> str:
    """Return the parameter of the block that says which class or function an instance has; "" for none."""
    frames = [unit.frame for unit in units]
    if any(frame is None or frame.block is None for frame in frames):
        return ""
    for param in frames[0].block.params:  # type: ignore[union-attr]
        if any(isinstance(frame.values.get(param.name), bool | int | float) for frame in frames):  # type: ignore[union-attr]
            continue
        pairs = {
            (str(frame.values.get(param.name)), value.text)  # type: ignore[union-attr]
            for frame, value in zip(frames, values, strict=True)
            if value is not ABSENT
        }
        if len(pairs) == len({word for word, _ in pairs}) == len({text for _, text in pairs}) and param.name not in RESERVED:
            return param.name
    return ""


def in_order(unit: Unit, known: Known) -> list[Argument]:
    """Return the arguments in order: the channels that enter, the parameters of the block, and what is not in its text."""
    used = [name for name in known.names if name in known.used]
    block = unit.frame.block if unit.frame is not None else None
    defaults = {param.name: param.default for param in block.params} if block is not None else {}
    plain = [Argument(name, known.filled(name)) for name in used]
    for argument in plain:
        default = defaults.get(argument.name)
        if unit.is_network:
            argument.default = literal(argument.values[0]).text
        elif isinstance(default, ast.Number) and all(isinstance(value, int | float) for value in argument.values):
            argument.default = literal(default.value).text
    return sorted(plain, key=lambda argument: bool(argument.default))


def _annotation(values: Sequence[Any]) -> str:
    kinds = {type(value) for value in values}
    if kinds <= {int, float} and float in kinds:
        return "float"
    if len(kinds) == 1:
        kind = kinds.pop()
        if kind is Code:
            module = all(value.text.startswith(("nn.", "archc.")) and value.text.rpartition(".")[2][:1].isupper() for value in values)
            return "type[nn.Module]" if module else "Callable[..., Tensor]"
        if kind in (tuple, list):
            inner = {_annotation([item]) for value in values for item in value}
            name = "tuple" if kind is tuple else "list"
            end = ", ..." if kind is tuple else ""
            return f"{name}[{inner.pop() if len(inner) == 1 else 'Any'}{end}]"
        return kind.__name__
    if type(None) in kinds:
        return _annotation([value for value in values if value is not None]) + " | None"
    return "Any"
