"""How a front end builds a graph: operators by their records, with checked shapes, and names that the language can write.

A front end appends operators to a `Flat` and calls `finished`. Until then an operator is known by its number; names are given at the end,
when it is known which operators are left. An operator that a pattern has replaced, or whose result nothing takes, is dropped.
"""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from itertools import pairwise
from math import isfinite
from typing import Any

from archc.compiler.elaborate.reserved import MODULE_NAMES
from archc.compiler.graph import INPUT, ArchGraph, Node, Output
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import NONE, Text, Word
from archc.compiler.ops.record import Call, Like, Operator, Required, Weights
from archc.compiler.shapes.dim import Shape, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.source import Source, Span

LOWEST = -1e18  # what padding is before a maximum: less than any value
PSEUDO = "~"  # begins the names of operators that the language does not have, which a pattern must replace


class CannotRead(Exception):
    """A source cannot be read; `operator` and `path` say what and where, in the words of the source."""

    def __init__(self, reason: str, operator: str = "", path: str = "", count: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.operator, self.path, self.count = reason, operator, path, count

    def __str__(self) -> str:
        """Return the operator, its place, how many of its kind there are, and the reason."""
        many = f" ({self.count} of them)" if self.count > 1 else ""
        where = f" in {self.path}" if self.path else ""
        return f"{self.operator}{where}{many}: {self.reason}" if self.operator else self.reason


class CannotCompare(Exception):
    """What a source computes cannot be found out here; the text says why."""


@dataclass(frozen=True)
class Sample:
    """What a source computes of inputs with stirred weights, by key, as arrays, its outputs in order. `by` is what has run it."""

    weights: Mapping[str, Any]
    outputs: Sequence[Any]
    by: str


@dataclass(slots=True)
class Item:
    """An operator that is not named yet: its canonical options, operands and shape, and the `weights` that it holds, by their keys.

    `path` is where the source has it: the path of a module that is the operator (`leaf`), or of the scope in which it is computed.
    `data` is what a front end notes of it; `incomplete` says why it is wrong until a pattern replaces it.
    """

    op: str
    attrs: Mapping[str, Any]
    operands: tuple[int, ...]
    shape: Shape
    key: str
    path: str
    leaf: bool
    weights: Mapping[str, tuple[int, ...]]
    data: Any = None
    incomplete: str = ""


@dataclass(frozen=True)
class FlatNetwork:
    """What a front end returns: a graph without blocks, and what the source says of it beside.

    `classes` are the names of the classes of scopes and of modules, by their paths; `named` are the nodes whose names are the source's.
    `weights` returns the tensors by key as numpy arrays; None where the source has none. `title` names the source, and the versions of
    what has built it. `oracle` returns the source itself, with weights, as a module of torch; None where it is none.

    A source of another kind has `sample`, a function of arrays `(batch, *shape)`, one for each input, that runs it; it raises CannotCompare
    where that is not possible here. `batch` is the number of samples that it takes, and `sizes` are numbers for the sizes that the graph
    leaves open. The names of a `bare` source may say nothing of blocks.
    """

    graph: ArchGraph
    title: str
    classes: Mapping[str, str] = field(default_factory=dict)
    named: frozenset[str] = frozenset()
    weights: Callable[[], Mapping[str, Any]] | None = None
    oracle: Callable[[], Any] | None = None
    sample: Callable[[Sequence[Any]], Sample] | None = None
    bare: bool = False
    batch: int = 2
    sizes: Mapping[str, int] = field(default_factory=dict)


def options(operator: Operator, given: Mapping[str, Any], axes: int) -> dict[str, Any]:
    """Return the canonical options of an operator on an input with `axes` axes after the channels.

    `given` are plain Python values: words as text, `none` as None. Raises Fault for a value that the option does not take.
    """
    attrs: dict[str, Any] = {}
    for attr in operator.attrs:
        if attr.name in given:
            attrs[attr.name] = attr.kind.read(attr.name, _as_value(given[attr.name]), axes)
        elif isinstance(attr.default, Like):
            attrs[attr.name] = attrs[attr.default.option]
        elif isinstance(attr.default, Required):
            raise ValueError(f"{operator.name} needs {attr.name}")
        else:
            attrs[attr.name] = attr.kind.read(attr.name, attr.default, axes)
    operator.canonicalize(attrs)
    if bad := next((name for name, held in attrs.items() if isinstance(held, float) and not isfinite(held)), ""):
        raise CannotRead(f"`{operator.name}` takes no infinite `{bad}`")
    return attrs


def _as_value(value: Any) -> Any:
    if value is None:
        return NONE
    if isinstance(value, str):
        return Word(value)
    return tuple(_as_value(item) for item in value) if isinstance(value, (list, tuple)) else value


class Flat:
    """The operators of a network in their order, each by its number."""

    def __init__(self, source: str) -> None:
        self.labeled = False  # whether paths of operators are their names in a program of archc, which are kept
        self.items: list[Item] = []
        self.span = Span(Source(source, "", source), 0, 0)

    def add_input(self, name: str, shape: Shape) -> int:
        """Append an input and return its number."""
        return self._append(Item(INPUT, {}, (), shape, "", name, True, {}))

    def add(
        self,
        op: str,
        operands: Sequence[int],
        given: Mapping[str, Any] | None = None,
        *,
        expected: Sequence[int] | None = None,
        path: str = "",
        leaf: bool = False,
        weights: Mapping[str, tuple[int, ...]] | None = None,
        holder: str = "",
    ) -> int:
        """Append an operator and return its number. Its weights are those that its record states, under one key.

        `expected` is the shape that the source states; `holder` is the key of an operator that has buffers alone. Raises CannotRead
        where the record does not accept the operands, infers another shape or holds other weights.
        """
        record, held = OPERATORS[op], dict(weights or {})
        least, most = record.operands
        if not least <= len(operands) <= (len(operands) if most is None else most):
            raise CannotRead(f"`{op}` does not take {len(operands)} operands")
        taken = tuple(self.items[operand].shape for operand in operands)
        try:
            attrs = options(record, given or {}, len(taken[0]) - 1)
            call = Call(op, attrs, taken)
            shape = record.shape(call)
            wanted = record.weights(call)
        except Fault as fault:
            raise CannotRead(f"`{op}` does not accept it: {fault.diagnostic.message}") from None
        if expected is not None and tuple(shape) != tuple(expected):
            raise CannotRead(f"`{op}` makes {show_shape(shape)} of it, the source {show_shape(tuple(expected))}")
        return self._append(Item(op, attrs, tuple(operands), shape, _key(op, wanted, held) or holder, path, leaf, held))

    def add_pseudo(self, op: str, operands: Sequence[int], shape: Shape, data: Any = None, path: str = "") -> int:
        """Append what only a pattern can replace."""
        return self._append(Item(PSEUDO + op, {}, tuple(operands), shape, "", path, False, {}, data))

    def _append(self, item: Item) -> int:
        self.items.append(item)
        return len(self.items) - 1

    # ---- the end

    def finished(
        self,
        name: str,
        title: str,
        outputs: Mapping[str, int],
        state: Mapping[str, tuple[int, ...]],
        unused: Sequence[str] = (),
    ) -> tuple[ArchGraph, frozenset[str]]:
        """Return the graph, and the nodes whose names are the source's.

        `state` are the shapes of the tensors that the source stores, by key; each must belong to one operator, but for `unused` ones.
        Raises CannotRead where a tensor is left over or missing, where a name cannot be written, and where a pattern is incomplete.
        """
        live = self._live(outputs.values())
        for number in live:
            item = self.items[number]
            if item.op.startswith(PSEUDO) or item.incomplete:
                raise CannotRead(
                    f"its result is used in a way that is not known ({item.incomplete or item.op.lstrip(PSEUDO)})", path=item.path
                )
        live = self._untangled(live)
        names, named = _named([self.items[number] for number in live], self.labeled)
        called = dict(zip(live, names, strict=True))
        graph = ArchGraph(name, title)
        for number in live:
            item = self.items[number]
            key = item.key or called[number]
            node = Node(called[number], item.op, item.attrs, item.shape, self.span, key=key)
            graph.add(node, [called[operand] for operand in item.operands])
        graph.outputs.update({output: Output(called[number]) for output, number in outputs.items()})
        _check_state(graph, state, set(unused))
        return graph, frozenset(called[number] for number, own in zip(live, named, strict=True) if own)

    def _untangled(self, live: list[int]) -> list[int]:
        """Return items in an order in which each scope is in one piece; an operator between two parts of a scope moves into it."""
        operands = {number: self.items[number].operands for number in live}
        for _ in live:
            names = dict(zip(live, _named([self.items[number] for number in live], self.labeled)[0], strict=True))
            try:
                return _gathered(live, names, operands)
            except _TangledError as tangle:
                around = next((group for group in tangle.groups if any(name.startswith(f"{group}.") for name in names.values())), "")
                free = [number for number in live if names[number] in tangle.groups and not self.items[number].key]
                if not free or not around:
                    raise CannotRead(f"{' and '.join(tangle.groups)} depend on each other, and here a scope is in one piece") from None
                for number in free:
                    self.items[number] = replace(self.items[number], path=around, leaf=False)
        return live

    def unread(self, outputs: Iterable[int], state: Iterable[str]) -> list[str]:
        """Return the tensors that the source stores and no operator holds."""
        held = {f"{self.items[number].key}." for number in self._live(outputs) if self.items[number].key}
        return [key for key in state if not any(f"{key}.".startswith(each) for each in held)]

    def digest(self, outputs: Iterable[int]) -> list[Any]:
        """Return what outputs are computed by, as a value: equal for equal networks, whatever else there is beside them."""
        ends = list(outputs)
        live = self._live(ends)
        place = {number: at for at, number in enumerate(live)}
        items = [(self.items[number], number) for number in live]
        return [
            [(item.op, dict(item.attrs), item.key, item.shape, [place[operand] for operand in item.operands]) for item, _ in items],
            [place[end] for end in ends],
        ]

    def _live(self, outputs: Iterable[int]) -> list[int]:
        seen: set[int] = {number for number, item in enumerate(self.items) if item.op == INPUT}
        stack = list(outputs)
        while stack:
            number = stack.pop()
            if number not in seen:
                seen.add(number)
                stack.extend(self.items[number].operands)
        return sorted(seen)


def _key(op: str, wanted: Weights, held: Mapping[str, tuple[int, ...]]) -> str:
    """Return the common key of the weights. Raises CannotRead where they are not those that the operator has."""
    if not wanted:
        if held:
            raise CannotRead(f"`{op}` has no weights, and the source has {', '.join(held)}")
        return ""
    keys = {key.removesuffix(name).removesuffix(".") for key in held for name in wanted if not name or key.endswith(f".{name}")}
    for key in sorted(keys, key=len):
        if {f"{key}.{name}".rstrip("."): shape for name, shape in wanted.items()} == dict(held):
            return key
    stated = ", ".join(f"{name or 'itself'} {'x'.join(map(str, shape)) or 1}" for name, shape in wanted.items())
    got = ", ".join(f"{name} {'x'.join(map(str, shape)) or 1}" for name, shape in held.items())
    raise CannotRead(f"`{op}` holds {stated}, and the source {got or 'nothing'}")


def _check_state(graph: ArchGraph, state: Mapping[str, tuple[int, ...]], unused: set[str]) -> None:
    ours: dict[str, tuple[int, ...]] = {}
    for node in graph:
        if not node.is_input:
            stored = {**node.operator.weights(node.call), **node.operator.buffers(node.call)}
            ours.update({f"{node.key}.{part}".rstrip("."): tuple(shape) for part, shape in stored.items()})
    for key, shape in state.items():
        if key not in ours and key not in unused:
            raise CannotRead(f"{key} ({'x'.join(map(str, shape)) or 'one value'}) is stored and used by no operator")
        if key in ours and ours[key] != tuple(shape):
            raise CannotRead(f"{key} is stored as {'x'.join(map(str, shape))}, and here as {'x'.join(map(str, ours[key]))}")
    if missing := [key for key in ours if key not in state]:
        raise CannotRead(f"the source does not store {missing[0]}{f' and {len(missing) - 1} more' if missing[1:] else ''}")


# ---- names


def writable(label: str) -> bool:
    """Return whether the language can write a label."""
    plain = label.replace("-", "_")
    known = plain.isdigit() or plain.isidentifier()
    return known and plain.isascii() and not label.startswith(("_", "-")) and not keyword.iskeyword(label) and label not in MODULE_NAMES


def _named(items: Sequence[Item], labeled: bool = False) -> tuple[list[str], list[bool]]:
    """Return the names of items in order, and whether each is the source's.

    An operator with weights is called after their key, and one that is a numbered module after its path. Any other is called as the
    language calls what has no label: after its operator, with its number among those of the scope that computes it.
    """
    keyed = {item.key for item in items if item.key}
    for key in keyed:
        for label in key.split("."):
            if not writable(label):
                raise CannotRead(f"its name cannot be written as a label here: {label}", path=key)
    inner = next((key for key in sorted(keyed) if any(around in keyed for around in _around(key))), "")
    if inner:
        raise CannotRead("it has weights of its own, and so has a module around it", path=inner)
    wishes: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        if item.leaf and not item.key:
            wishes.setdefault(item.path, []).append(number)
    groups = {path for path, numbers in wishes.items() if _is_group([items[number] for number in numbers], numbers)}
    scopes = {around for item in items for around in _around(item.key or item.path)} | groups
    scopes |= {item.path for item in items if not item.leaf and not item.key}
    taken, counts = set(keyed), Counter[str]()
    first: set[str] = set()
    names: dict[str, bool] = {}
    for item in items:
        label = item.path.rpartition(".")[2]
        is_kept = label.isdigit() and item.leaf and item.path not in taken and item.path not in scopes and not _owner(item.path, keyed)
        if labeled and item.leaf and item.path and item.path not in names:
            name, given = item.path, True
        elif item.key and item.key not in first and item.key not in names:
            first.add(item.key)
            name, given = item.key, True
        else:
            name, given = item.path, item.op == INPUT or is_kept
        scope = name.rpartition(".")[0] if given else _scope(item, keyed, groups)
        stem = f"{scope}.{item.op}" if scope else item.op
        counts[stem] += 1
        if not given:
            while (name := f"{stem}{counts[stem]}") in taken or name in scopes:
                counts[stem] += 1
        taken.add(name)
        names[name] = given
    return list(names), list(names.values())


def _owner(path: str, keyed: set[str]) -> str:
    """Return the operator with weights that is at a path or around it; "" where there is none."""
    return next((around for around in (path, *_around(path)) if around in keyed), "")


def _scope(item: Item, keyed: set[str], groups: set[str]) -> str:
    """Return the scope of an operator that is named after itself."""
    if owner := _owner(item.path, keyed):
        return owner.rpartition(".")[0]
    path = item.path.rpartition(".")[0] if item.leaf and item.path not in groups else item.path
    return ".".join(label for label in path.split(".") if writable(label))


def _is_group(items: Sequence[Item], numbers: Sequence[int]) -> bool:
    """Return whether a module computes several operators, rather than one each time that it is called."""
    return len({item.op for item in items}) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1


class _TangledError(Exception):
    """Groups of items depend on each other, so that none can be in one piece."""

    def __init__(self, groups: Sequence[str]) -> None:
        super().__init__()
        self.groups = list(dict.fromkeys(groups))


def _gathered(order: Sequence[int], names: Mapping[int, str], operands: Mapping[int, Sequence[int]], depth: int = 0) -> list[int]:
    """Return items in an order in which each scope is in one piece. Raises _TangledError where there is none."""
    groups: dict[str, list[int]] = {}
    for number in order:
        parts = names[number].split(".")
        groups.setdefault(".".join(parts[: depth + 1]), []).append(number)
    if len(groups) == len(order):
        return list(order)
    group_of = {number: group for group, numbers in groups.items() for number in numbers}
    before = {
        group: {group_of[operand] for number in numbers for operand in operands[number] if operand in group_of} - {group}
        for group, numbers in groups.items()
    }
    try:
        sequence = list(TopologicalSorter(before).static_order()) if _is_split(order, group_of) else list(groups)
    except CycleError as cycle:
        raise _TangledError(cycle.args[1]) from None
    if sequence != list(groups):
        sequence = _earliest(groups, before)
    return [
        number
        for group in sequence
        for number in (groups[group] if len(groups[group]) == 1 else _gathered(groups[group], names, operands, depth + 1))
    ]


def _is_split(order: Sequence[int], group_of: Mapping[int, str]) -> bool:
    """Return whether a group is not in one piece."""
    pieces = 1 + sum(group_of[one] != group_of[two] for one, two in pairwise(order))
    return pieces > len(set(group_of.values()))


def _earliest(groups: Mapping[str, Sequence[int]], before: Mapping[str, set[str]]) -> list[str]:
    """Return groups in a topological order, of those that are ready always the one that begins first."""
    sorter, sequence = TopologicalSorter(before), list[str]()
    sorter.prepare()
    ready: list[tuple[int, str]] = []
    while sorter.is_active():
        for group in sorter.get_ready():
            heappush(ready, (groups[group][0], group))
        _, group = heappop(ready)
        sequence.append(group)
        sorter.done(group)
    return sequence


def _around(path: str) -> list[str]:
    parts = path.split(".") if path else []
    return [".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]


def quoted(pattern: str) -> Text:
    """Return a text in quotes, as an option takes it."""
    return Text(pattern)
