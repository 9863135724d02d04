"""Units grouped into classes: what the instances of a class differ in becomes an argument of its constructor.

Every constant of a class is an expression of its arguments that has, for each instance, the value of that instance.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import Any

from archc.compiler.backends.source.expressions import ABSENT, Expression, Known, alike, literal
from archc.compiler.backends.source.helpers import defined
from archc.compiler.backends.source.merging import Missing, merged
from archc.compiler.backends.source.units import Applied, Child, Code, Leaf, Own, Ref, Unit, Units, children
from archc.dsl import ast

RESERVED = frozenset({"self", "x", "torch", "nn", "F", "Tensor", "training"})
INPUTS = ("in_channels", "in_features", "num_features", "normalized_shape", "num_channels", "embed_dim", "channels", "kdim", "vdim", "input_size")
OUTPUTS = ("out_channels", "out_features", "hidden_size")


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


@dataclass
class Class:
    """A class of the file, and its instances. `texts` are the expressions of its constants, by the identity of the leaf in the first one."""

    name: str
    units: list[Unit]
    arguments: list[Argument] = field(default_factory=list)
    texts: dict[int, Expression] = field(default_factory=dict)
    conditions: dict[tuple[bool, ...], Expression] = field(default_factory=dict)

    @property
    def arguments_by_name(self) -> dict[str, Argument]:
        """Return the arguments of the constructor by name."""
        return {argument.name: argument for argument in self.arguments}

    def presence(self, kind: str, place: int) -> tuple[bool, ...]:
        """Return which instances have a member or a statement, by its place."""
        parts = [unit.members[place][1] if kind == "member" else unit.body[place] for unit in self.units]
        return tuple(not isinstance(part, Missing) for part in parts)

    def condition(self, kind: str, place: int) -> Expression | None:
        """Return the condition under which an instance has a member or a statement; None where all have it."""
        present = self.presence(kind, place)
        return None if all(present) else self.conditions[present]

    def replaced(self, place: int) -> bool:
        """Return whether an optional member is one that does nothing where an instance lacks it: it is called once, with one tensor."""
        name = self.first.members[place][0]
        calls = [(at, do.call) for at, do in enumerate(self.first.body) if self._names(do.call, name)]
        if len(calls) != 1:
            return False
        at, call = calls[0]
        alone = isinstance(call.target, Own) and call.target.path == (name,) and len(call.args) == 1 and isinstance(call.args[0], Ref)
        return alone and self.presence("statement", at) == self.presence("member", place)

    def _names(self, part: Any, name: str) -> bool:
        match part:
            case Own(path):
                return path[0] == name
            case Applied():
                return self._names(part.target, name) or any(self._names(arg, name) for arg in part.args)
            case tuple():
                return any(self._names(item, name) for item in part)
        return False

    def stands_in(self, place: int) -> bool:
        """Return whether a statement calls a member that does nothing in the instances that lack it."""
        target = self.first.body[place].call.target
        names = [name for name, _ in self.first.members]
        return isinstance(target, Own) and target.path[0] in names and self.replaced(names.index(target.path[0]))

    @property
    def first(self) -> Unit:
        """Return the instance that the class is written from."""
        return self.units[0]

    @cached_property
    def shapes(self) -> list[tuple[str, ...]]:
        """Return the shapes of each statement, as far as all instances agree; "" for others."""
        rows = zip(*(unit.body for unit in self.units), strict=True)
        return [tuple(s[0] if len(set(s)) == 1 else "" for s in zip(*map(_shapes, row), strict=True)) for row in rows]


class Classes:
    """The classes of a program, in the order in which a file defines them: inner ones first."""

    def __init__(self, units: Units) -> None:
        self.units = units
        self.of: dict[str, Class] = {}  # by the key of an instance
        self.ordered: list[Class] = []
        self._names: set[str] = {*defined(), "Tensor"}
        for group in self._groups():
            self._classify(group)

    def _groups(self) -> list[list[Unit]]:
        """Return the units by origin, so that what a unit contains comes before it."""
        levels: dict[str, int] = {}
        for key in reversed(self.units.found):
            levels[key] = 1 + max((levels[inner] for inner in children(self.units.found[key].members)), default=0)
        groups: dict[tuple[Any, ...], list[Unit]] = {}
        for unit in self.units.found.values():
            groups.setdefault(unit.group, []).append(unit)
        split: list[tuple[int, list[Unit]]] = []
        for group in groups.values():
            if any(inner in {unit.key for unit in group} for unit in group for inner in self._within(unit)):
                for level in sorted({levels[unit.key] for unit in group}):  # a block that calls itself
                    split.append((level, [unit for unit in group if levels[unit.key] == level]))
            else:
                split.append((max(levels[unit.key] for unit in group), group))
        return [group for _, group in sorted(split, key=lambda row: row[0])]

    def _within(self, unit: Unit) -> Iterator[str]:
        for key in children(unit.members):
            yield key
            yield from self._within(self.units.found[key])

    def _classify(self, group: Sequence[Unit]) -> None:
        clusters: dict[Any, list[Unit]] = {}
        for unit in group:
            clusters.setdefault(self._skeleton(unit), []).append(unit)
        variants = list(clusters.values())
        if len(variants) > 1 and merged(variants, self._bare):
            units = [unit for variant in variants for unit in variant]
            forms = {self._skeleton(unit) for unit in units}
            if len(forms) == 1:
                model = max(variants, key=lambda variant: (len(variant[0].members), len(variant[0].body)))
                complete = [unit for unit in units if not unit.lacks]
                variants = [[*complete, *(unit for unit in units if unit.lacks)]] if model else variants
        for units in variants:
            found = Class(self._name(units[0]), units)
            self._parametrize(found)
            self.ordered.append(found)
            for unit in units:
                self.of[unit.key] = found

    def _name(self, unit: Unit) -> str:
        stem = unit.block or unit.key.rpartition(".")[2] or self.units.program.name
        if stem.isdigit():
            stem = "_".join(part for part in unit.key.split(".")[-2:])
        name = "".join(part[:1].upper() + part[1:] for part in re.split(r"\W|_", stem)) or "Network"
        name = name if name.isidentifier() and not keyword.iskeyword(name) else f"Net{name}"
        number = 1
        while (chosen := name if number == 1 else f"{name}{number}") in self._names:
            number += 1
        self._names.add(chosen)
        return chosen

    # ---- what instances have in common, and what they differ in

    def _skeleton(self, unit: Unit) -> Any:
        """Return a unit without its constants: equal for the instances of a class."""
        return (self._bare(unit.members), self._bare(unit.body), unit.returns, unit.chain is not None, len(unit.takes))

    def _bare(self, part: Any) -> Any:
        match part:
            case Leaf():
                return "leaf", part.role
            case Missing():
                return self._bare(part.part)
            case Child(key):
                return "child", self.of[key].name
            case tuple():
                return tuple(map(self._bare, part))
        if is_dataclass(part):
            return (type(part).__name__, *(self._bare(getattr(part, f.name)) for f in fields(part) if f.compare))
        return part

    def leaves(self, unit: Unit) -> list[Leaf]:
        """Return the constants of a unit in order, with the arguments of the units that it contains."""
        found: list[Leaf] = []

        def visit(part: Any) -> None:
            match part:
                case Missing():
                    before = len(found)
                    visit(part.part)
                    found[before:] = [Leaf(ABSENT, leaf.role) for leaf in found[before:]]
                case Leaf():
                    found.append(part)
                case Child(key):
                    found.extend(self.units.found[key].args.values())
                case tuple():
                    for item in part:
                        visit(item)
                case _ if is_dataclass(part):
                    for f in fields(part):
                        if f.compare:
                            visit(getattr(part, f.name))

        visit(unit.members)
        visit(unit.body)
        return found

    def _parametrize(self, made: Class) -> None:
        """Find an expression for every constant of a class, and the arguments that these need."""
        rows = [self.leaves(unit) for unit in made.units]
        known = Known(_given(made.units), _definitions_of(made.first))
        for column in zip(*rows, strict=True):
            made.texts[id(column[0])] = _expression(column, known)
        for kind, parts in (("member", made.first.members), ("statement", made.first.body)):
            for place in range(len(parts)):
                present = made.presence(kind, place)
                if not all(present) and present not in made.conditions:
                    made.conditions[present] = known.asked(present, _conditions_of(made.first)) or known.condition(present) or known.added(_free("full", known), present, False)
        _order(made, known)
        for place, unit in enumerate(made.units):
            text = unit.frame.span.text if unit.frame is not None else ""
            for argument in made.arguments:
                unit.args[argument.name] = Leaf(argument.values[place], argument.name, text)


def _shapes(do: Any) -> tuple[str, ...]:
    return do.part.shapes if isinstance(do, Missing) else do.shapes  # type: ignore[no-any-return]


def _given(units: Sequence[Unit]) -> dict[str, tuple[Any, ...]]:
    """Return what may be an argument: the channels that enter, and the parameters of the block, or of the block around."""
    given: dict[str, tuple[Any, ...]] = {}
    if all(unit.entering and unit.entering[0] and isinstance(unit.entering[0][0], int) for unit in units):
        given["in_channels"] = tuple(unit.entering[0][0] for unit in units)
    frames = [unit.frame for unit in units]
    if all(frame is not None and frame.block is not None for frame in frames):
        for param in frames[0].block.params:  # type: ignore[union-attr]
            values = tuple(frame.values.get(param.name) for frame in frames)  # type: ignore[union-attr]
            if all(isinstance(value, bool | int | float) for value in values) and param.name not in RESERVED:
                given[param.name] = values
    return given


def _expression(column: Sequence[Leaf], known: Known) -> Expression:
    values = tuple(leaf.value for leaf in column)
    role = column[0].role
    texts = {leaf.text for leaf in column if leaf.value is not ABSENT}
    text = texts.pop() if len(texts) == 1 else ""
    present = next(value for value in values if value is not ABSENT)
    constant = all(alike(value, present) for value in values)
    size = role in INPUTS or role in OUTPUTS
    if constant:
        found = known.entered(values) if role in INPUTS else known.constant(values, text, size)
        return found or literal(present)
    found = None if role in INPUTS else known.written(values, text, size)
    return found or known.searched(values, role in INPUTS, size) or known.added(_free(role, known), values, size)


def _definitions_of(unit: Unit) -> dict[str, str]:
    """Return what `let` defines at the beginning of a block, as text by name."""
    body = unit.frame.block.body if unit.frame is not None and unit.frame.block is not None else ()
    return {statement.name: statement.value.span.text for statement in body if isinstance(statement, ast.Let)}


def _conditions_of(unit: Unit) -> list[str]:
    """Return the conditions in the text of a block."""
    body = unit.frame.block.body if unit.frame is not None and unit.frame.block is not None else ()
    return [node.condition.span.text for statement in body for node in ast.walk(statement) if isinstance(node, ast.If)]


def _free(role: str, known: Known, values: Sequence[Any] = (), unit: Unit | None = None) -> str:
    if role == "activation" and unit is not None:
        role = "act"
    name = role if role.isidentifier() and not keyword.iskeyword(role) and role not in RESERVED else "value"
    number = 1
    while (chosen := name if number == 1 else f"{name}{number}") in known.names:
        number += 1
    return chosen


def _order(made: Class, known: Known) -> None:
    """Put the arguments in order: the channels that enter, the parameters of the block, and what is not in its text."""
    used = [name for name in known.names if name in known.used]
    block = made.first.frame.block if made.first.frame is not None else None
    defaults = {param.name: param.default for param in block.params} if block is not None else {}
    plain = [Argument(name, known.names[name]) for name in used]
    for argument in plain:
        default = defaults.get(argument.name)
        if isinstance(default, ast.Number) and all(isinstance(value, int | float) for value in argument.values):
            argument.default = literal(default.value).text
    made.arguments = sorted(plain, key=lambda argument: bool(argument.default))


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
