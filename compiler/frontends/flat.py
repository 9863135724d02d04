"""How a front end builds a graph: operators by their records, with checked shapes, and names that the language can write.

A front end appends operators to a `Flat` and calls `finished`. Until then an operator is known by its number; names are given at the end,
when it is known which operators are left. An operator that a pattern has replaced, or whose result nothing takes, is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from archc.compiler.frontends.calls import calls_apart
from archc.compiler.frontends.item import LOWEST as LOWEST
from archc.compiler.frontends.item import MOST_AXES, PSEUDO, Item, Sample
from archc.compiler.frontends.item import CannotRead as CannotRead
from archc.compiler.frontends.naming import names_of, outer
from archc.compiler.frontends.ordering import TangledError, gathered
from archc.compiler.frontends.tensors import Changes, dissolved, lists_like, members, several_lists
from archc.compiler.graph import INPUT, ArchGraph, Node, Output
from archc.compiler.ops import OPERATORS, operator_of
from archc.compiler.ops.kinds import NONE, Text, Word
from archc.compiler.ops.record import Call, Like, Operator, Required, Weights
from archc.compiler.shapes.dim import Shape, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.source import Source, Span


@dataclass(frozen=True)
class FlatNetwork:
    """What a front end returns: a graph without blocks, and what the source says of it beside.

    `classes` are the names of the classes of scopes and of modules, by their paths; `named` are the nodes whose names are the source's.
    `weights` returns the tensors by key as numpy arrays; None where the source has none. `title` names the source, and the versions of
    what has built it. `unread` are the keys of tensors that belong to holes. `folded` are names of batch norms that a writer has folded
    away, by those of their layers, where the source says so; `unfolded` are batch norms that are there again. `change` turns tensors of
    the source into those of the graph, where these differ; `weights` returns changed ones. `oracle` returns the source itself, with
    weights, as a module of torch; None where it is none.

    A source of another kind has `sample`, a function of arrays `(batch, *shape)`, one for each input, that runs it; it raises CannotCompare
    where that is not possible here. `batch` is the number of samples that it takes, and `sizes` are numbers for the sizes that the graph
    leaves open. The names of a `bare` source may say nothing of blocks.
    """

    graph: ArchGraph
    title: str
    classes: Mapping[str, str] = field(default_factory=dict)
    named: frozenset[str] = frozenset()
    weights: Callable[[], Mapping[str, Any]] | None = None
    unread: tuple[str, ...] = ()
    folded: Mapping[str, str] = field(default_factory=dict)
    unfolded: tuple[str, ...] = ()
    change: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
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
        self.partial = False  # whether what cannot be read is a hole, and not an error
        self.spared: set[str] = set()  # keys of tensors that holes take
        self.labeled = False  # whether paths of operators are their names in a program of archc, which are kept
        self.classes: dict[str, str] = {}  # of modules that are called, by path; a module that only lists others is none
        self.changes = Changes()
        self.items: list[Item] = []
        self.span = Span(Source(source, "", source), 0, 0)

    def add_input(self, name: str, shape: Shape) -> int:
        """Append an input and return its number. Raises CannotRead where another has its name."""
        if any(item.op == INPUT and item.path == name for item in self.items):
            raise CannotRead(f"two inputs are called {name} here")
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

    def add_hole(self, what: str, operands: Sequence[int], shape: Sequence[int], path: str = "", leaf: bool = False) -> int:
        """Append a hole for an operator that the source calls `what`. Raises CannotRead for a shape of too many axes."""
        if not 1 <= len(shape) <= MOST_AXES:
            raise CannotRead(f"its result has {len(shape)} axes for each sample; here there are at most {MOST_AXES}")
        shown = "".join(mark if mark.isprintable() and mark != '"' else "?" for mark in what)[:120]
        return self.add("hole", operands, {"what": Text(shown), "shape": tuple(shape)}, path=path, leaf=leaf)

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
                what = item.op.lstrip(PSEUDO)
                if not self.partial:
                    raise CannotRead(f"its result is used in a way that is not known ({item.incomplete or what})", path=item.path)
                self.items[number] = self.items[self.add_hole(what, item.operands, item.shape, item.path, item.leaf)]  # type: ignore[arg-type]
        live = self._untangled(live)
        state, unused = self.changes.state(state), [self.changes.key(key) for key in unused]
        called, keys, named = self._names(live)
        graph = ArchGraph(name, title)
        for number in live:
            item = self.items[number]
            key = keys.get(number) or self.changes.shared(item.key or called[number])
            node = Node(called[number], item.op, item.attrs, item.shape, self.span, key=key)
            graph.add(node, [called[operand] for operand in item.operands])
        graph.outputs.update({output: Output(called[number]) for output, number in outputs.items()})
        holds = any(operator_of(self.items[number].op).opaque for number in live)
        _check_state(graph, state, {*unused, *(self.unread(outputs.values(), state) if holds else ())})
        return graph, frozenset(called[number] for number, own in zip(live, named, strict=True) if own)

    def _names(self, live: Sequence[int]) -> tuple[dict[int, str], dict[int, str], list[bool]]:
        """Return the names of items by number, the keys of those in shared parts, and whether each name is the source's."""
        names, named = names_of([self.items[number] for number in live], self.labeled)
        called = dict(zip(live, names, strict=True))
        apart = {} if self.labeled else calls_apart(live, self.items, called)
        apart |= self._beside_parts({number: name for number, name in called.items() if number not in apart})
        called |= {number: name for number, (name, _) in apart.items()}
        return called, {number: key for number, (_, key) in apart.items()}, named

    def _beside_parts(self, called: Mapping[int, str]) -> dict[int, tuple[str, str]]:
        """Return names and keys for the calls of modules by a path under which a shared part is: the call gets a label of its own."""
        taken = {path for name in called.values() for path in (name, *outer(name))}
        found: dict[int, tuple[str, str]] = {}
        for part in self.changes.calls():
            scope = next(name for mark in ("", "_call", "_call_", "_call__") if (name := f"{part}{mark}1") not in taken)
            inside = {number: name for number, name in called.items() if name.startswith(f"{part}.")}
            found |= {number: (scope + name[len(part) :], self.items[number].key or name) for number, name in inside.items()}
        return found

    def _untangled(self, live: list[int]) -> list[int]:
        """Return items in an order in which each scope is in one piece; an operator between two parts of a scope moves into it."""
        for _ in live:
            operands = {number: self.items[number].operands for number in live}
            names = self._names(live)[0]
            try:
                return gathered(live, names, operands)
            except TangledError as tangle:
                around = next((group for group in tangle.groups if any(name.startswith(f"{group}.") for name in names.values())), "")
                if self._free_of_data([number for number in live if names[number] in tangle.groups], live[0]):
                    operands = {number: self.items[number].operands for number in live}
                    continue
                free = [number for number in live if names[number] in tangle.groups and not self.items[number].key]
                if (not free or not around or several_lists(tangle.groups, names.values(), self.classes)) and self._dissolve(tangle.groups):
                    continue
                if not free or not around:
                    raise CannotRead(f"{' and '.join(tangle.groups)} depend on each other, and here a scope is in one piece") from None
                for number in free:
                    self.items[number] = replace(self.items[number], path=around, leaf=False)
        return live

    def _dissolve(self, groups: Sequence[str]) -> bool:
        """Take lists of modules apart that are not in one piece, as of convolutions and norms that alternate; return whether any is."""
        names = {name for item in self.items for name in (item.key, item.path) if name} | set(self.classes)
        paths = lists_like(groups, names, self.classes) if self.classes else []
        for path in paths:
            others = {name for name in names if not f"{name}.".startswith(f"{path}.")}
            taken = {*others, *(around for name in others for around in outer(name))}
            if members(path, names) & taken:
                return False
            self.changes.lists[path] = None
            names = {dissolved(path, name) for name in names}
            self.classes = {dissolved(path, name): kind for name, kind in self.classes.items()}
            for number, item in enumerate(self.items):
                self.items[number] = replace(item, key=dissolved(path, item.key), path=dissolved(path, item.path))
        return bool(paths)

    def _free_of_data(self, numbers: Sequence[int], source: int) -> bool:
        """Let trained tensors of stated sizes take the batch of an input, not of what is computed before them; return whether any does."""
        changed = False
        for number in numbers:
            item = self.items[number]
            stated = item.attrs.get("sizes") is not None and item.attrs.get("channels") is not None
            if item.op != INPUT and OPERATORS[item.op].memory.stored and stated and item.operands != (source,):
                self.items[number] = replace(item, operands=(source,))
                changed = True
        return changed

    def unread(self, outputs: Iterable[int], state: Iterable[str]) -> list[str]:
        """Return the tensors that the source stores and no operator holds."""
        shared = self.changes.shared
        held = {f"{shared(self.items[number].key)}." for number in self._live(outputs) if self.items[number].key}
        return [key for key in state if not any(f"{shared(key)}.".startswith(each) for each in held)]

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
        return self.reached([*(number for number, item in enumerate(self.items) if item.op == INPUT), *outputs])

    def reached(self, outputs: Iterable[int]) -> list[int]:
        """Return the numbers of the operators that outputs depend on, themselves included, in order."""
        seen, stack = set[int](), list(outputs)
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


def quoted(pattern: str) -> Text:
    """Return a text in quotes, as an option takes it."""
    return Text(pattern)
