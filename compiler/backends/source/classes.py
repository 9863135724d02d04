"""Units grouped into classes: what the instances of a class differ in becomes an argument of its constructor.

Every constant of a class is an expression of its arguments that has, for each instance, the value of that instance.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import Any

from archc.compiler.backends.source.arguments import Argument, conditions_of, definitions_of, expression_of, given_to, in_order, takes_any
from archc.compiler.backends.source.expressions import ABSENT, PRODUCT, SUM, Expression, Known
from archc.compiler.backends.source.helpers import defined
from archc.compiler.backends.source.merging import Missing, merged
from archc.compiler.backends.source.parts import Applied, Child, Leaf, Own, Ref, Unit, children
from archc.compiler.backends.source.series import Affine, Series, looped
from archc.compiler.backends.source.units import Units


@dataclass
class Class:
    """A class of the file, and its instances. `texts` are the expressions of its constants, by the identity of the leaf in the first."""

    name: str
    units: list[Unit]
    arguments: list[Argument] = field(default_factory=list)
    texts: dict[int, Expression] = field(default_factory=dict)
    conditions: dict[tuple[bool, ...], Expression] = field(default_factory=dict)
    known: Known | None = None

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
        rows = zip(*(unit.body for unit in self.units if not unit.variant), strict=True)
        return [tuple(s[0] if len(set(s)) == 1 else "" for s in zip(*map(_shapes, row), strict=True)) for row in rows]


FOLLOWED = 3  # arguments of a merged class that its block does not have


class Classes:
    """The classes of a program, in the order in which a file defines them: inner ones first."""

    def __init__(self, units: Units, plain: bool = False) -> None:
        self.units, self.plain = units, plain
        self.of: dict[str, Class] = {}  # by the key of an instance
        self.ordered: list[Class] = []
        self._names: set[str] = {*defined(), "Tensor"}
        for group in self._groups():
            self._classify(group)

    def _groups(self) -> list[list[Unit]]:
        """Return the units by origin, so that what a unit contains comes before it; a block that calls itself by its depth, too."""
        groups: dict[tuple[Any, ...], list[Unit]] = {}
        for unit in self.units.found.values():
            groups.setdefault(unit.group if not self.plain else (unit.key,), []).append(unit)
        ordered: list[tuple[Any, ...]] = []
        opened: set[tuple[Any, ...]] = set()

        def place(group: tuple[Any, ...]) -> bool:
            """Put a group after those that it contains; return False for one that contains itself."""
            if group in ordered:
                return True
            if group in opened:
                return False
            opened.add(group)
            inner = dict.fromkeys(
                self.units.found[key].group if not self.plain else (key,) for unit in groups[group] for key in children(unit.members)
            )
            fits = [place(each) for each in inner]
            ordered.append(group)
            return all(fits)

        placed = [place(group) for group in groups]
        if all(placed):
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
            numbers = looped(unit, self._bare, self._constants) if not self.plain else {}
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
            given = set(given_to(units))
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
        if not unit.key and name in self._names:
            name += "Network"
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
        alone = sum(not unit.variant for unit in made.units) == 1
        given = given_to(made.units)
        free = [name for name in made.first.values if name in given] if alone else ()
        known = made.known = Known(given, definitions_of(made.first), takes_any(made.units), free)
        for column in zip(*rows, strict=True):
            made.texts[id(column[0])] = expression_of(column, known, made.units)
        for kind, parts in (("member", made.first.members), ("statement", made.first.body)):
            for place in range(len(parts)):
                present = made.presence(kind, place)
                if not all(present) and present not in made.conditions:
                    condition = known.asked(present, conditions_of(made.first)) or known.condition(present)
                    if condition is None:
                        return False
                    made.conditions[present] = condition
        self._series(made)
        made.arguments = in_order(made.first, known)
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
