"""Anti-unify bodies: one body that stands for the instances of both, with columns for what differs and marks for what one lacks.

Bodies of one shape are put together item by item. Others are aligned: the longest common subsequence of their items, weighted by how
much two items have in common; what remains is present in some instances only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archc.compiler.read.items import ANY, Body, Column, Given, Group, Item, Line, Op, Out, Ref, Shared, SharedCall, Slot, map_columns, walk

MOST_PAIRS = 2_000  # of items that are compared to align two bodies
WEIGHTY = {"kernel": 2.0, "act": 0.5}  # options that say most about what an operator is for


def skeleton(body: Body) -> tuple[Any, ...]:
    """Return the shape of a body, which bodies that differ in values alone have in common. Raises TypeError for what no block holds."""
    return tuple(_shape(item) for item in body)


def _shape(item: Item) -> tuple[Any, ...]:
    label = "" if item.auto else item.names[0]
    presence = tuple(item.present)
    match item:
        case Op():
            branches = None if item.branches is None else tuple(map(skeleton, item.branches))
            return ("op", label, item.op, branches, tuple(item.values), presence if not all(presence) else ())
        case Group():
            return ("group", label, item.numbered, skeleton(item.body), presence if not all(presence) else ())
        case Slot():
            return ("slot", label, id(item.family.root), presence if not all(presence) else ())
        case Ref():
            return ("ref",)
        case Given():
            return ("given", item.core)
        case Shared():
            return ("shared", item.name, item.params, skeleton(item.body))
        case SharedCall():
            return ("call", label, item.word, skeleton(item.tensors))
    raise TypeError(type(item).__name__)


def is_closed(body: Body) -> bool:
    """Return whether a body can be that of a block: it has no inputs and outputs, and calls no shared part from around it."""
    defined, called = set[str](), set[str]()
    for item in walk(body):
        match item:
            case Line() | Out():
                return False
            case Shared():
                defined.add(item.name)
            case SharedCall():
                called.add(item.word)
    return called <= defined


def zipped(bodies: Sequence[Body]) -> Body:
    """Put bodies of one shape together; the columns of the result are those of the bodies, one after the other."""
    return [_zip_items(items) for items in zip(*bodies, strict=True)]


def _zip_items(items: Sequence[Any]) -> Item:
    first = items[0]
    common = (_chain(items, "names"), first.auto, _chain(items, "taken"), _chain(items, "present"))
    match first:
        case Op():
            values = {name: tuple(entry for item in items for entry in item.values[name]) for name in first.values}
            branches = None if first.branches is None else [zipped(each) for each in zip(*(item.branches for item in items), strict=True)]
            return Op(*common, first.op, values, _chain(items, "nodes"), branches)
        case Group():
            return Group(*common, _chain(items, "paths"), zipped([item.body for item in items]), first.numbered)
        case Slot():
            return Slot(*common, _chain(items, "paths"), first.family)
        case Ref():
            return Ref(*common, _chain(items, "targets"), _chain(items, "sites"))
        case Given():
            return Given(*common, first.core)
        case Shared():
            return Shared(*common, first.name, first.params, zipped([item.body for item in items]))
        case SharedCall():
            return SharedCall(*common, first.word, _chain(items, "nodes"), zipped([item.tensors for item in items]))
    raise TypeError(type(first).__name__)


def _chain(items: Sequence[Any], name: str) -> Column:
    return tuple(entry for item in items for entry in getattr(item, name))


# ---- bodies of different shapes


def unify(first: Body, second: Body, sizes: tuple[int, int]) -> Body | None:
    """Return a body for the instances of two, `sizes` of them; None where they have little in common, or are too large to compare."""
    if len(first) * len(second) > MOST_PAIRS:
        return None
    pairs = _aligned(first, second)
    if pairs is None:
        return None
    body: Body = []
    for a, b in pairs:
        if a is None:
            assert b is not None
            body.append(_padded(b, before=sizes[0]))
        elif b is None:
            body.append(_padded(a, after=sizes[1]))
        else:
            both = _both(a, b, sizes)
            if both is None:
                return None
            body.append(both)
    return body


def _padded(item: Item, before: int = 0, after: int = 0) -> Item:
    return map_columns(item, lambda column: (ANY,) * before + column + (ANY,) * after)


def _both(a: Any, b: Any, sizes: tuple[int, int]) -> Item | None:
    common = (a.names + b.names, a.auto, a.taken + b.taken, a.present + b.present)
    match a:
        case Op():
            values = {name: a.values[name] + b.values[name] for name in a.values}
            branches: list[Body] | None = None
            if a.branches is not None:
                branches = []
                for left, right in zip(a.branches, b.branches, strict=True):
                    made = unify(left, right, sizes)
                    if made is None:
                        return None
                    branches.append(made)
            return Op(*common, a.op, values, a.nodes + b.nodes, branches)
        case Group():
            body = unify(a.body, b.body, sizes)
            return None if body is None else Group(*common, a.paths + b.paths, body, a.numbered)
        case Slot():
            return Slot(*common, a.paths + b.paths, a.family)
        case Ref():
            return Ref(*common, a.targets + b.targets, a.sites + b.sites)
        case Given():
            return Given(*common, a.core)
        case Shared():
            body = unify(a.body, b.body, sizes)
            return None if body is None else Shared(*common, a.name, a.params, body)
        case SharedCall():
            tensors = unify(a.tensors, b.tensors, sizes)
            return None if tensors is None else SharedCall(*common, a.word, a.nodes + b.nodes, tensors)
    return None


def _aligned(first: Body, second: Body) -> list[tuple[Item | None, Item | None]] | None:
    """Return the items of both bodies in order, those that match as pairs; None where nothing matches."""
    rows, columns = len(first), len(second)
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    weight = [[likeness(a, b) for b in second] for a in first]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            matched = best[i + 1][j + 1] + weight[i][j] if weight[i][j] > 0 else 0.0
            best[i][j] = max(matched, best[i + 1][j], best[i][j + 1])
    if rows and columns and best[0][0] == 0.0:
        return None
    pairs: list[tuple[Item | None, Item | None]] = []
    i = j = 0
    while i < rows or j < columns:
        if i < rows and j < columns and weight[i][j] > 0 and best[i][j] == best[i + 1][j + 1] + weight[i][j]:
            pairs.append((first[i], second[j]))
            i, j = i + 1, j + 1
        elif i < rows and (j == columns or best[i][j] == best[i + 1][j]):
            pairs.append((first[i], None))
            i += 1
        else:
            pairs.append((None, second[j]))
            j += 1
    return pairs


def likeness(a: Any, b: Any) -> float:
    """Return how much two items have in common; 0 where they cannot be one item."""
    if type(a) is not type(b) or a.auto != b.auto or (not a.auto and _name(a) != _name(b)):
        return 0.0
    match a:
        case Op():
            if a.op != b.op or a.values.keys() != b.values.keys() or (a.branches is None) != (b.branches is None):
                return 0.0
            shared = {name for name in a.values if _values(a.values[name]) & _values(b.values[name])}
            score = 1.0 + (len(shared) + 1) / (len(a.values) + 1) + sum(WEIGHTY.get(name, 0.0) for name in shared)
            score += (_any_above_one(a) == _any_above_one(b)) * 2.0
            if a.branches is not None:
                if len(a.branches) != len(b.branches):
                    return 0.0
                for left, right in zip(a.branches, b.branches, strict=True):
                    score += _common(left, right)
            return score
        case Group():
            common = _common(a.body, b.body)
            return 1.0 + common if a.numbered == b.numbered and common > 0 else 0.0
        case Slot():
            return 4.0 if a.family.root is b.family.root else 0.0
        case Ref():
            return 1.0
        case Given():
            return 1.0 if a.core == b.core else 0.0
        case Shared():
            return 1.0 if a.name == b.name and a.params == b.params and skeleton(a.body) == skeleton(b.body) else 0.0
        case SharedCall():
            return 1.0 if a.word == b.word and len(a.tensors) == len(b.tensors) else 0.0
    return 0.0


def _common(left: Body, right: Body) -> float:
    if len(left) * len(right) > MOST_PAIRS:
        return 0.0
    row = [0.0] * (len(right) + 1)
    for a in left:
        diagonal = 0.0
        for j, b in enumerate(right, 1):
            kept = row[j]
            weight = likeness(a, b)
            row[j] = max(row[j], row[j - 1], diagonal + weight if weight else 0.0)
            diagonal = kept
    return row[-1]


def _any_above_one(op: Op) -> bool:
    """Return whether a layer has groups of channels."""
    return any(value is not ANY and value != 1 for value in op.values.get("groups", ()))


def _name(item: Item) -> Any:
    return next((name for name in item.names if name is not ANY), None)


def _values(column: Column) -> set[Any]:
    return {value for value in column[:50] if value is not ANY}
