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

from archc.compiler.backends.source.expressions import ABSENT, PRODUCT, SUM, Expression, Known, alike, literal
from archc.compiler.backends.source.helpers import defined
from archc.compiler.backends.source.merging import Missing, merged
from archc.compiler.backends.source.series import Affine, Series, looped
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


FOLLOWED = 3  # arguments of a merged class that its block does not have


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
        """Return the units by origin, so that what a unit contains comes before it; a block that calls itself by its depth, too."""
        groups: dict[tuple[Any, ...], list[Unit]] = {}
        for unit in self.units.found.values():
            groups.setdefault(unit.group, []).append(unit)
        ordered: list[tuple[Any, ...]] = []
        opened: set[tuple[Any, ...]] = set()

        def place(group: tuple[Any, ...]) -> bool:
            """Put a group after those that it contains; return False for one that contains itself."""
            if group in ordered:
                return True
            if group in opened:
                return False
            opened.add(group)
            inner = dict.fromkeys(self.units.found[key].group for unit in groups[group] for key in children(unit.members))
            fits = all([place(each) for each in inner])
            ordered.append(group)
            return fits

        if all([place(group) for group in groups]):
            return [groups[group] for group in ordered]
        levels: dict[str, int] = {}
        for key in reversed(self.units.found):
            levels[key] = 1 + max((levels[inner] for inner in children(self.units.found[key].members)), default=0)
        split: dict[tuple[int, tuple[Any, ...]], list[Unit]] = {}
        for unit in self.units.found.values():
            split.setdefault((levels[unit.key], unit.group), []).append(unit)
        return [split[key] for key in sorted(split, key=lambda key: key[0])]

    def _classify(self, group: Sequence[Unit]) -> None:
        clusters: dict[Any, list[Unit]] = {}
        for unit in group:
            numbers = looped(unit, self._bare, self._constants)
            if not unit.key:
                self.units.numbers = {name: numbers.get(number, number) for name, number in self.units.numbers.items()}
            clusters.setdefault(self._skeleton(unit), []).append(unit)
        variants = list(clusters.values())
        one = self._merged(variants) if len(variants) > 1 else None
        for made in [one] if one is not None else [Class("", units) for units in variants]:
            if one is None:
                self._parametrize(made)
            made.name = self._name(made.units[0])
            self._hand_out(made)
            self.ordered.append(made)
            for unit in made.units:
                self.of[unit.key] = made

    def _merged(self, variants: Sequence[Sequence[Unit]]) -> Class | None:
        """Return all variants of a block as one class; None where that takes more arguments than a reader would follow."""
        units = [unit for variant in variants for unit in variant]
        before = [(unit, unit.members, unit.body, unit.returns, unit.chain) for unit in units]
        if merged(variants, self._bare) and len({self._skeleton(unit) for unit in units}) == 1:
            made = Class("", [*(unit for unit in units if not unit.lacks), *(unit for unit in units if unit.lacks)])
            given = set(_given(units))
            if self._parametrize(made) and len([name for name in made.arguments_by_name if name not in given]) <= FOLLOWED:
                return made
        for unit, members, body, returns, chain in before:
            unit.members, unit.body, unit.returns, unit.chain, unit.lacks = members, body, returns, chain, False
        return None

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
        return [*self._constants(unit.members), *self._constants(unit.body)]

    def _constants(self, whole: Any) -> list[Leaf]:
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

        visit(whole)
        return found

    def _parametrize(self, made: Class) -> bool:
        """Find an expression for every constant of a class, and the arguments that these need; return whether all conditions have one."""
        rows = [self.leaves(unit) for unit in made.units]
        known = Known(_given(made.units), _definitions_of(made.first), _takes(made.units))
        for column in zip(*rows, strict=True):
            made.texts[id(column[0])] = _expression(column, known, made.units)
        for kind, parts in (("member", made.first.members), ("statement", made.first.body)):
            for place in range(len(parts)):
                present = made.presence(kind, place)
                if not all(present) and present not in made.conditions:
                    condition = known.asked(present, _conditions_of(made.first)) or known.condition(present)
                    if condition is None:
                        return False
                    made.conditions[present] = condition
        self._series(made)
        _order(made, known)
        return True

    def _series(self, made: Class) -> None:
        """Give the constants of the members of a loop their expressions of the number of the turn."""
        for _, series in made.first.members:
            if not isinstance(series, Series):
                continue
            for leaf, cell in zip(self._constants(series.items), series.cells, strict=True):
                if isinstance(cell, Affine):
                    base, step = made.texts[id(cell.base)], made.texts[id(cell.step)]
                    times = "i" if step.text == "1" else f"i * {step.text}" if step.binds >= PRODUCT else f"i * ({step.text})"
                    made.texts[id(leaf)] = Expression(times if base.text == "0" else f"{base.text} + {times}", SUM)
                else:
                    made.texts[id(leaf)] = made.texts[id(cell)]

    def _hand_out(self, made: Class) -> None:
        """Give each instance its arguments."""
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


def _expression(column: Sequence[Leaf], known: Known, units: Sequence[Unit]) -> Expression:
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
    found = None if role in INPUTS else known.written(values, text, size)
    found = found or known.searched(values, role in INPUTS, size)
    named = _parameter(units, values) if found is None and isinstance(present, Code) else ""
    return found or known.added(_free(role, known, named), values, size)


def _takes(units: Sequence[Unit]) -> bool:
    """Return whether units are calls of a block that says nothing of the channels that enter it, or asks for them."""
    frame = units[0].frame
    return frame is not None and frame.block is not None and (len(units) > 1 or "in.c" in frame.block.span.text)


def _definitions_of(unit: Unit) -> dict[str, str]:
    """Return what `let` defines at the beginning of a block, as text by name."""
    body = unit.frame.block.body if unit.frame is not None and unit.frame.block is not None else ()
    return {statement.name: statement.value.span.text for statement in body if isinstance(statement, ast.Let)}


def _conditions_of(unit: Unit) -> list[str]:
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
        pairs = {
            (str(frame.values.get(param.name)), value.text)  # type: ignore[union-attr]
            for frame, value in zip(frames, values, strict=True)
            if value is not ABSENT
        }
        if len(pairs) == len({word for word, _ in pairs}) == len({text for _, text in pairs}) and param.name not in RESERVED:
            return param.name
    return ""


def _order(made: Class, known: Known) -> None:
    """Put the arguments in order: the channels that enter, the parameters of the block, and what is not in its text."""
    used = [name for name in known.names if name in known.used]
    block = made.first.frame.block if made.first.frame is not None else None
    defaults = {param.name: param.default for param in block.params} if block is not None else {}
    plain = [Argument(name, known.filled(name)) for name in used]
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
