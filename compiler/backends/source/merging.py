"""Variants of a block as one: what only some instances have is optional, under a condition on the arguments of its class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from archc.compiler.backends.source.parts import Chain, Do, Leaf, Member, Own, Ref, Unit, refs

Bare = Callable[[Any], Any]  # a part without its constants


@dataclass(frozen=True)
class Missing:
    """A member or a statement that an instance lacks, as another instance has it."""

    part: Any


def merged(units: Sequence[Sequence[Unit]], bare: Bare) -> bool:
    """Make all variants equal, in place, to the one with the most in it, with what they lack as Missing; return whether they are."""
    if any(not isinstance(do, Do) for variant in units for unit in variant for do in unit.body):
        return False  # a loop
    model = max(units, key=lambda variant: (len(variant[0].members), len(variant[0].body)))[0]
    found: list[tuple[Unit, Sequence[tuple[str, Any]], Sequence[Any]]] = []
    for variant in units:
        for unit in variant:
            if unit is model or variant[0] is model:
                continue
            fitted = _fitted(model, unit, bare)
            if fitted is None:
                return False
            found.append((unit, *fitted))
    for unit, members, body in found:
        unit.members, unit.body, unit.returns = tuple(members), tuple(body), model.returns
        unit.lacks = any(isinstance(part, Missing) for part in (*(member for _, member in members), *body))
        if unit.chain is not None:
            unit.chain = Chain(tuple(members))
    return True


def _fitted(model: Unit, unit: Unit, bare: Bare) -> tuple[list[tuple[str, Any]], list[Any]] | None:
    """Return the members and statements of a unit in the form of the model; None where the unit has what the model lacks."""
    if (model.chain is None) != (unit.chain is None) or len(model.takes) != len(unit.takes) or model.loose or unit.loose:
        return None
    if model.chain is not None and unit.chain is not None:
        if not all(name == str(place) for chain in (model.chain, unit.chain) for place, (name, _) in enumerate(chain.items)):
            return None
        members = _items(model.chain.items, unit.chain.items, bare)
        return (members, []) if members is not None else None
    body = _statements(model, unit, bare)
    have = dict(unit.members)
    members = [(name, have[name] if name in have else Missing(member)) for name, member in model.members]
    if body is None or [name for name, member in members if not isinstance(member, Missing)] != list(have):
        return None
    if any(bare(member) != bare(wanted) for (_, member), (_, wanted) in zip(members, model.members, strict=True)):
        return None
    return members, body


def _items(model: Sequence[tuple[str, Member]], items: Sequence[tuple[str, Member]], bare: Bare) -> list[tuple[str, Any]] | None:
    """Return the members of a sequence at the places of the model's; None where some have no place."""
    forms = [bare(member) for _, member in model]
    result: list[tuple[str, Any]] = []
    waiting = list(items)
    for place, (name, member) in enumerate(model):
        # An item that also fits further on is the last of its kind: what follows it must have room.
        if (
            waiting
            and bare(waiting[0][1]) == forms[place]
            and _near(waiting[0][1], member)
            and _room(forms[place + 1 :], [bare(each) for _, each in waiting[1:]])
        ):
            result.append((name, waiting.pop(0)[1]))
        else:
            result.append((name, Missing(member)))
    return None if waiting else result


def _near(one: Any, other: Any) -> bool:
    """Return whether two members were written at the same place, where that is known."""
    places = [_place(one), _place(other)]
    return -1 in places or places[0] == places[1]


def _place(member: Any) -> int:
    if isinstance(member, Chain):
        return _place(member.items[0][1]) if member.items else -1
    return getattr(member, "place", -1)


def _room(forms: Sequence[Any], wanted: Sequence[Any]) -> bool:
    rest = iter(forms)
    return all(any(form == each for form in rest) for each in wanted)


def _statements(model: Unit, unit: Unit, bare: Bare) -> list[Any] | None:
    place = 0
    same: dict[int, int] = {-1 - number: -1 - number for number in range(len(model.takes))}  # value of the model -> of the unit
    result: list[Any] = []
    for do in model.body:
        other = unit.body[place] if place < len(unit.body) else None
        if other is not None and other.training_only == do.training_only and do.place == other.place and _alike(do.call, other.call, same):
            same.update(zip(do.results, other.results, strict=True))
            result.append(replace(do, call=_refilled(do.call, leaves(other.call)), shapes=other.shapes))
            place += 1
            continue
        first = next(refs(do.call), None)
        if len(do.results) != 1 or first not in same or do.training_only:
            return None
        same[do.results[0]] = same[first]
        result.append(Missing(do))
    if place < len(unit.body) or [same[ref.number] for ref in model.returns] != [ref.number for ref in unit.returns]:
        return None
    return result


def _alike(one: Any, other: Any, same: Mapping[int, int]) -> bool:
    match one, other:
        case Ref(a), Ref(b):
            return same.get(a) == b
        case Leaf(), Leaf():
            return one.role == other.role and (not hasattr(one.value, "text") or one.role == "activation" or one.value == other.value)
        case Own(), Own():
            return bool(one == other)
        case tuple(), tuple():
            return len(one) == len(other) and all(_alike(a, b, same) for a, b in zip(one, other, strict=True))
    if type(one) is type(other) and is_dataclass(one):
        return all(_alike(getattr(one, f.name), getattr(other, f.name), same) for f in fields(one))
    return bool(one == other)


def leaves(part: Any) -> Iterator[Leaf]:
    """Yield the constants of a call, in order."""
    match part:
        case Leaf():
            yield part
        case tuple():
            for item in part:
                yield from leaves(item)
        case _ if is_dataclass(part):
            for f in fields(part):
                if f.compare:
                    yield from leaves(getattr(part, f.name))


def _refilled(part: Any, values: Iterator[Leaf]) -> Any:
    """Return a call with other constants."""
    match part:
        case Leaf():
            return next(values)
        case tuple():
            return tuple(_refilled(item, values) for item in part)
        case _ if is_dataclass(part) and not isinstance(part, type):
            return replace(part, **{f.name: _refilled(getattr(part, f.name), values) for f in fields(part)})
    return part


def passed_on(do: Do) -> int:
    """Return the value that an optional statement leaves as it is where an instance lacks it."""
    return next(refs(do.call))
