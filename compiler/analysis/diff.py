"""Compare two networks by structure: their scope trees are aligned level by level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any

from archc.compiler.analysis.cost import cost, node_macs, node_params, weights
from archc.compiler.analysis.derive import option_text
from archc.compiler.analysis.notation import notation
from archc.compiler.analysis.parts import Part, parts
from archc.compiler.analysis.preparation import shown
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.record import no_weights
from archc.compiler.shapes.dim import Dim, show_shape


@dataclass
class Change:
    """One difference, in one place or in several alike.

    `kind`: added, removed, changed (options), moved, rewired (other operands), follows (the same operator on another
    input, so with other counts), renamed, output. Counts are those of all places together.
    """

    kind: str
    what: str  # the change in words
    before: list[str] = field(default_factory=list)  # the nodes in the first network
    after: list[str] = field(default_factory=list)  # the nodes in the second network
    params: int = 0  # the difference in parameters, over all places
    macs: Dim = 0  # the difference in MACs, over all places
    subject: str = ""  # of a changed operator: its notation before and after
    operator: str = ""  # of a changed operator: its name

    @property
    def places(self) -> int:
        """How many places change alike."""
        return max(len(self.before), len(self.after))


@dataclass
class Difference:
    """All changes, and the counts of both networks."""

    changes: list[Change]
    params: tuple[int, int]
    macs: tuple[Dim, Dim]
    counterparts: dict[str, str] = field(default_factory=dict)  # the nodes of both: name before -> name after

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.changes


def diff(a: ArchGraph, b: ArchGraph) -> Difference:
    """Return the changes that lead from one network to another."""
    alignment = _Alignment()
    _align(list(parts(a).parts.values()), list(parts(b).parts.values()), alignment)
    if alignment.removed and alignment.added and max(len(a), len(b)) <= MAX_FLAT:
        flat = _Alignment()  # the same operators may be grouped into other blocks
        for training_only in (False, True):
            _align_nodes([n for n in a if n.training_only == training_only], [n for n in b if n.training_only == training_only], flat)
        alignment = min(alignment, flat, key=_Alignment.cost)
    pairs, removed, added = alignment.pairs, alignment.removed, alignment.added
    moved = _moved(removed, added)
    pairs += _same_name(removed, added)
    changes = [
        *(_alone("removed", a, node, -1) for node in removed),
        *(_alone("added", b, node, 1) for node in added),
        *(Change("moved", notation(x), [x.name], [y.name]) for x, y in moved),
        *(change for x, y in [*pairs, *moved] for change in _changed(a, x, b, y)),
        *_rewired(a, b, pairs, {n.name for n in [*removed, *(x for x, _ in moved)]}, {n.name for n in [*added, *(y for _, y in moved)]}),
        *_renamed(a, pairs),
        *_outputs(a, b, {x.name: y.name for x, y in [*pairs, *moved]}),
    ]
    before, after = cost(a), cost(b)
    params, macs = (before.params_training, after.params_training), (before.macs_training, after.macs_training)
    return Difference(list(_folded(changes)), params, macs, {x.name: y.name for x, y in [*pairs, *moved]})


# ---- alignment

MAX_FLAT = 1_500  # the most nodes of networks that are also aligned without their blocks


@dataclass
class _Alignment:
    """The nodes of two networks: pairs, and those that are in one only."""

    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    removed: list[Node] = field(default_factory=list)
    added: list[Node] = field(default_factory=list)

    def cost(self) -> int:
        """Count the nodes without a counterpart, and those whose weights have another name."""
        renamed = sum(x.operator.weights is not no_weights and _words(x.name) != _words(y.name) for x, y in self.pairs)
        return len(self.removed) + len(self.added) + renamed


def _align_nodes(a: Sequence[Node], b: Sequence[Node], alignment: _Alignment) -> None:
    """Pair nodes in order: first equal nodes, then, between these, nodes of the same operator."""
    matcher = SequenceMatcher(None, [(n.op, _options(n), n.shape) for n in a], [(n.op, _options(n), n.shape) for n in b], autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            alignment.pairs.extend(zip(a[i1:i2], b[j1:j2], strict=True))
            continue
        inner = SequenceMatcher(None, [n.op for n in a[i1:i2]], [n.op for n in b[j1:j2]], autojunk=False)
        for same, k1, k2, m1, m2 in inner.get_opcodes():
            if same == "equal":
                alignment.pairs.extend(zip(a[i1 + k1 : i1 + k2], b[j1 + m1 : j1 + m2], strict=True))
            else:
                alignment.removed.extend(a[i1 + k1 : i1 + k2])
                alignment.added.extend(b[j1 + m1 : j1 + m2])


def _align(a: Sequence[Part], b: Sequence[Part], alignment: _Alignment) -> None:
    """Pair the members of two scopes: first equal members, then, between these, those with the same label or operator."""
    matcher = SequenceMatcher(None, [_token(part) for part in a], [_token(part) for part in b], autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            for x, y in zip(a[i1:i2], b[j1:j2], strict=True):
                alignment.pairs.extend(zip(x.nodes(), y.nodes(), strict=True))
            continue
        for first, second in _gap(a[i1:i2], b[j1:j2]):
            if first is None or second is None:
                alignment.removed.extend(first.nodes() if first is not None else [])
                alignment.added.extend(second.nodes() if second is not None else [])
            elif first.parts or second.parts:
                _align(_members(first), _members(second), alignment)
            else:
                alignment.pairs.extend(zip(first.nodes(), second.nodes(), strict=True))


def _members(part: Part) -> list[Part]:
    return list(part.parts.values()) if part.parts else [part]


def _token(part: Part) -> Any:
    """Return a value that is equal for equal parts: their nodes with options and shapes, regardless of names."""
    return tuple((node.op, _options(node), node.shape) for node in part.nodes())


def _options(node: Node) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in node.attrs.items()))


def _gap(a: Sequence[Part], b: Sequence[Part]) -> Iterator[tuple[Part | None, Part | None]]:
    """Pair members that are not equal: by label where labels are words, and between these by kind, in order."""
    keys_a, keys_b = [_kind(part) for part in a], [_kind(part) for part in b]
    labels = {part.label: number for number, part in enumerate(b) if _is_named(part)}
    named = [(number, labels[part.label]) for number, part in enumerate(a) if _is_named(part) and part.label in labels]
    named = [(x, y) for x, y in named if keys_a[x] == keys_b[y]]
    if [y for _, y in named] != sorted(y for _, y in named):
        named = []
    chosen: dict[int, int] = dict(named)
    for (x1, y1), (x2, y2) in pairwise([(-1, -1), *named, (len(a), len(b))]):
        matcher = SequenceMatcher(None, keys_a[x1 + 1 : x2], keys_b[y1 + 1 : y2], autojunk=False)
        for block in matcher.get_matching_blocks():
            chosen |= {x1 + 1 + block.a + step: y1 + 1 + block.b + step for step in range(block.size)}
    taken = set(chosen.values())
    position = 0
    for number, part in enumerate(a):
        match = chosen.get(number)
        while match is not None and position < match:
            if position not in taken:
                yield None, b[position]
            position += 1
        yield part, b[match] if match is not None else None
        position = position if match is None else match + 1
    for other in range(position, len(b)):
        if other not in taken:
            yield None, b[other]


def _is_named(part: Part) -> bool:
    """Return whether a name identifies a part: it is no number, and not that of an operator without weights (`relu1`)."""
    if part.label.isdigit():
        return False
    node = part.node
    return node is None or node.is_input or part.label.rstrip("0123456789") != node.op or node.operator.weights is not no_weights


def _kind(part: Part) -> str:
    return "block" if part.parts else part.node.op if part.node is not None else ""


def _same_name(removed: list[Node], added: list[Node]) -> list[tuple[Node, Node]]:
    """Take out of both lists, and pair, the same operators under the same name, in another order."""
    by_name = {(node.name, node.op): node for node in added}
    pairs = [(node, by_name[node.name, node.op]) for node in removed if (node.name, node.op) in by_name]
    names = {x.name for x, _ in pairs}
    removed[:] = [node for node in removed if node.name not in names]
    added[:] = [node for node in added if node.name not in names]
    return pairs


def _moved(removed: list[Node], added: list[Node]) -> list[tuple[Node, Node]]:
    """Take out of both lists, and pair, equal operators that were removed at one place and added at another."""
    moved = []
    waiting: dict[Any, list[Node]] = {}
    for node in added:
        waiting.setdefault((node.op, _options(node)), []).append(node)
    for node in list(removed):
        same = waiting.get((node.op, _options(node)))
        if same:
            moved.append((node, same.pop(0)))
    before, after = {x.name for x, _ in moved}, {y.name for _, y in moved}
    removed[:] = [node for node in removed if node.name not in before]
    added[:] = [node for node in added if node.name not in after]
    return moved


# ---- changes


def _alone(kind: str, graph: ArchGraph, node: Node, sign: int) -> Change:
    change = Change(kind, notation(node), params=sign * node_params(graph, node), macs=sign * node_macs(graph, node))
    (change.after if kind == "added" else change.before).append(node.name)
    return change


def _changed(a: ArchGraph, x: Node, b: ArchGraph, y: Node) -> Iterator[Change]:
    if x.is_input:
        yield from _prepared(a.preprocess.get(x.name, {}), b.preprocess.get(y.name, {}), x, y)
    if (x.attrs, x.shape, x.place) == (y.attrs, y.shape, y.place) and x.call.inputs == y.call.inputs:
        return
    params, macs = node_params(b, y) - node_params(a, x), node_macs(b, y) - node_macs(a, x)
    if x.is_input:
        if x.shape != y.shape:
            yield Change("changed", f"{show_shape(x.shape)} -> {show_shape(y.shape)}", [x.name], [y.name], subject="input")
        return
    names = [name for name in dict.fromkeys([*x.attrs, *y.attrs]) if x.attrs.get(name) != y.attrs.get(name)]
    if names or x.place != y.place:
        options = [f"{name} {option_text(x.attrs.get(name))} -> {option_text(y.attrs.get(name))}" for name in names]
        if x.place != y.place:
            options.append(f"place {list(x.place)} -> {list(y.place)}")
        change = Change("changed", ", ".join(options), [x.name], [y.name], params, macs)
        change.subject, change.operator = f"{notation(x)} -> {notation(y)}", x.op
        yield change
    elif params or macs != 0:
        first, second = x.call.x, y.call.x
        yield Change("follows", f"{notation(x)} on {show_shape(first)} -> {show_shape(second)}", [x.name], [y.name], params, macs)


def _prepared(before: Mapping[str, Any], after: Mapping[str, Any], x: Node, y: Node) -> Iterator[Change]:
    """Yield the difference in how samples of an input are prepared."""
    names = [name for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name)]
    if names:
        what = ", ".join(f"{name} {shown(before.get(name))} -> {shown(after.get(name))}" for name in names)
        yield Change("changed", what, [x.name], [y.name], subject="preprocessing")


def _rewired(a: ArchGraph, b: ArchGraph, pairs: Sequence[tuple[Node, Node]], removed: set[str], added: set[str]) -> Iterator[Change]:
    """Yield nodes with other operands, apart from those that follow an added or removed node."""
    counterparts = {x.name: y.name for x, y in pairs}
    for x, y in pairs:
        before = [counterparts.get(_past(a, name, removed), "") for name in a.operands(x.name)]
        after = [_past(b, name, added) for name in b.operands(y.name)]
        if before != after and all(before) and len(before) == len(after):
            what = f"{x.op} of {', '.join(a.operands(x.name))} -> of {', '.join(b.operands(y.name))}"
            if not any(name in removed for name in a.operands(x.name)) and not any(name in added for name in b.operands(y.name)):
                yield Change("rewired", what, [x.name], [y.name])
        elif len(before) != len(after):
            yield Change("rewired", f"{x.op} of {len(before)} -> of {len(after)} branches", [x.name], [y.name])


def _past(graph: ArchGraph, name: str, skipped: set[str]) -> str:
    """Follow first operands back from a node to one that is not skipped."""
    while name in skipped and graph.operands(name):
        name = graph.operands(name)[0]
    return name


def _renamed(a: ArchGraph, pairs: Sequence[tuple[Node, Node]]) -> Iterator[Change]:
    """Yield weights under other keys; a key in which only numbers differ is not another."""
    for x, y in pairs:
        if weights(a, x) and _words(x.key) != _words(y.key):
            yield Change("renamed", f"the weights of {x.op}", [x.name], [y.name])


def _words(key: str) -> list[str]:
    return [part for part in key.split(".") if not part.isdigit()]


def _outputs(a: ArchGraph, b: ArchGraph, there: dict[str, str]) -> Iterator[Change]:
    for name in dict.fromkeys([*a.outputs, *b.outputs]):
        first, second = a.outputs.get(name), b.outputs.get(name)
        if first is None or second is None:
            yield Change("output", f"{name} {'added' if first is None else 'removed'}")
        elif first.training_only != second.training_only:
            yield Change("output", f"{name}: in training only {first.training_only} -> {second.training_only}")


def _folded(changes: Sequence[Change]) -> Iterator[Change]:
    """Merge changes that are alike into one with several places."""
    same: dict[tuple[str, str, str], Change] = {}
    for change in changes:
        key = (change.kind, change.operator, change.what)
        known = same.get(key)
        if known is None:
            same[key] = change
            continue
        if known.subject != change.subject:
            known.subject = known.operator
        known.before += change.before
        known.after += change.after
        known.params += change.params
        known.macs = known.macs + change.macs
    yield from same.values()
