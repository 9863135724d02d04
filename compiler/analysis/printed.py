"""The layers of a network as the tables of papers print them: a stage for each resolution, and blocks as brackets with their copies.

Only what is computed on the longest path to the output is printed, that with the most layers; `Printed` names all other layers with
weights. Normalization with weights, activations, dropout and changes of form are left out, as papers leave them out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby

from archc.compiler.analysis.cost import weights
from archc.compiler.analysis.notation import notation, spread, unusual_options
from archc.compiler.analysis.parts import Part, parts
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.kinds import show
from archc.compiler.shapes.dim import show_sizes

NOTATIONS = ("kernels", "layers")  # `7×7, 64, stride 2`, as in table 1 of ResNet's paper, or `conv3-64`, as in that of VGG's
UNTOLD = ("pad", "bias", "init", "bias_init", "from", "pad_mode", "weight", "ceil", "bias_k", "affine", "eps")  # not in a cell
TALL = 8  # the most lines of a bracket
POINT = "1×1"  # the resolution of a vector


@dataclass(frozen=True)
class Line:
    """One layer. `layer` is whether it has weights."""

    text: str
    layer: bool = True


@dataclass(frozen=True)
class Bracket:
    """A block, and how often it follows itself."""

    body: tuple[Entry, ...]
    copies: int = 1


Entry = Line | Bracket


@dataclass(frozen=True)
class Stage:
    """What is computed at one resolution: its size (`56×56`), the parts of the network that hold its layers, and its entries."""

    size: str
    name: str
    entries: tuple[Entry, ...]


@dataclass
class Printed:
    """The layers of one network, and what its cells do not say: names of blocks and layers."""

    stages: list[Stage]
    strides: list[tuple[str, str]] = field(default_factory=list)  # in brackets: (`2`, the block that has it)
    beside: list[str] = field(default_factory=list)  # layers beside the longest path
    closed: list[str] = field(default_factory=list)  # blocks of several branches, of which only the name is printed


@dataclass(frozen=True)
class _Item:
    """An entry with the node that computes its result, and the part that it is; `last` is the last of several copies."""

    entry: Entry
    node: Node
    path: str
    last: str = ""

    @property
    def paths(self) -> list[str]:
        """The parts that it begins and ends with."""
        return [self.path, *([self.last] if self.last else [])]


def printed(graph: ArchGraph, form: str = "kernels") -> Printed:
    """Return the layers of a network in one of the NOTATIONS."""
    return _Printer(graph, kernels if form == "kernels" else layers).result()


# ---- one layer


def kernels(node: Node, strided: bool = True) -> str:
    """Write a layer by its kernel: `3×3, 64, stride 2`, `3×3 max pool, stride 2` or `1000-d fc`; without its stride if not `strided`."""
    kernel, out = (node.attrs.get(name) if name else None for name in node.operator.short[:2])
    called = node.operator.called
    words = node.op.replace("_", " ") if called is None else called
    if kernel is None:
        told = [words if out is None else f"{out}-d {words}"]
    elif node.window is None:  # the sizes of the output
        told = [words if _axes(kernel) == {1} else f"{words} to {times(kernel)}"]
    else:
        told = [" ".join(filter(None, [times(kernel), words])), *([times(out)] if out is not None else [])]
    if strided and _steps(node):
        told.append(f"stride {_steps(node)}")
    return ", ".join([*told, *_told(node)])


def _told(node: Node) -> Iterator[str]:
    """Yield the options of a layer that a cell states besides its kernel."""
    if not node.operator.linear and node.operator.picture_family != "attention":
        return
    unusual = {name: value for name, value in unusual_options(node).items() if name not in (*node.operator.short, *UNTOLD)}
    for name, value in spread(unusual, node.operator.gathers):
        if name == "groups" and value == node.operands[0].shape[0]:
            yield "depthwise"
        else:
            yield f"{name.replace('_', ' ')} {times(value)}".strip()


def layers(node: Node, strided: bool = True) -> str:
    """Write a layer in the notation of the language, abbreviations in capitals: `conv3-64`, `maxpool`, `FC-4096`, `LRN`."""
    told = node.operator.linear or node.operator.picture_family == "attention"
    text = notation(node, UNTOLD if told else [attr.name for attr in node.operator.attrs])
    kernel, _, stride = node.operator.short
    if kernel and not told and node.attrs.get(kernel) is not None and kernel not in unusual_options(node):
        text = text.replace(show_sizes(node.attrs[kernel]), "", 1)
    if not strided and _steps(node):
        text = text.replace(f"/{show_sizes(node.attrs[stride])}", "", 1)
    return node.op.upper() + text[len(node.op) :] if len(node.op) <= 3 else text


def times(value: object) -> str:
    """Write sizes along axes: `3×3`, also where all are equal; `3` for one axis, or a number."""
    if isinstance(value, tuple) and value and all(isinstance(part, int) for part in value):
        return "×".join(map(str, value))
    return show(value) if not isinstance(value, str) else value


def _steps(node: Node) -> str:
    """Write the stride of a layer: `2`, or `2×1` where it differs by axis; empty for one of 1, or none."""
    stride = node.attrs.get(node.operator.short[2]) if node.operator.short[2] else None
    axes = _axes(stride)
    return "" if axes in ({1}, {None}) else times(next(iter(axes)) if len(axes) == 1 else stride)


def _axes(value: object) -> set[object]:
    return set(value) if isinstance(value, tuple) else {value}


# ---- all layers


class _Printer:
    def __init__(self, graph: ArchGraph, write: Callable[[Node, bool], str]) -> None:
        self.graph, self.write = graph, write
        self.ends = {output.node for output in graph.outputs.values()}
        self.path = self._longest()
        self.closed: list[Part] = []
        self.strides: list[tuple[str, str]] = []
        root = parts(graph)
        self.merging = {_block(part) for part in _scopes(root) if self._meets(part)} - {""}
        self.items = self._entries(root, False)

    def result(self) -> Printed:
        """Return the stages, and what is not printed."""
        hidden = {node.name for part in self.closed for node in part.nodes()}
        beside = [node.name for node in self.graph if self._holds(node) and node.name not in self.path | hidden and not node.training_only]
        return Printed(self._stages(), list(dict.fromkeys(self.strides)), beside, [part.name for part in self.closed])

    def _longest(self) -> set[str]:
        """Return the nodes on the path with the most layers to the first output."""
        most: dict[str, tuple[int, str]] = {}  # the layers of the longest path to a node, and the operand before it
        for node in self.graph:
            before = max(node.operands, key=lambda operand: most[operand.name][0], default=None)
            count = 0 if before is None else most[before.name][0]
            stored = node.operator.memory.stored  # it depends on no value before it
            most[node.name] = (0 if stored else count + node.operator.linear, "" if before is None else before.name)
        name = next((output.node for output in self.graph.outputs.values() if not output.training_only), "")
        found: set[str] = set()
        while name:
            found.add(name)
            name = most[name][1]
        return found

    def _holds(self, node: Node) -> bool:
        """Return whether a node has weights that a table must account for: those of normalization and activations are not told."""
        quiet = ("normalization", "activation")
        return node.operator.linear or (node.operator.picture_family not in quiet and bool(weights(self.graph, node)))

    def _shown(self, node: Node) -> bool:
        """Return whether a node of the path is printed."""
        if node.name not in self.path or node.is_input:
            return False
        family = node.operator.picture_family
        if family == "normalization":
            return not weights(self.graph, node)
        if family == "activation":
            return node.name in self.ends
        return self._holds(node) or family in ("pooling", "attention", "unknown") or _resizes(node)

    def _entries(self, part: Part, in_bracket: bool) -> list[_Item]:
        """Return what is printed of the inside of a part, equal neighbours folded."""
        items: list[_Item] = []
        inside = [inner for inner in part.parts.values() if inner.parts or (inner.node is not None and self._shown(inner.node))]
        blocks = ["", *map(_block, inside), ""]
        for number, inner in enumerate(inside, 1):
            if inner.parts:
                repeated = blocks[number] != "" and blocks[number] in (blocks[number - 1], blocks[number + 1])
                items.extend(self._scope(inner, in_bracket, repeated))
            elif inner.node is not None:
                items.append(self._line(inner.node, in_bracket))
        return _folded(items)

    def _line(self, node: Node, in_bracket: bool) -> _Item:
        if in_bracket and _steps(node):
            self.strides.append((_steps(node), node.name))
        return _Item(Line(self.write(node, not in_bracket), self._holds(node)), node, node.name)

    def _scope(self, part: Part, in_bracket: bool, repeated: bool) -> list[_Item]:
        """Return what is printed of a scope: its entries, as a block where it is one, or its name where it has several branches.

        A block is what branches meet in, each call of what has them in another one, and what is `repeated`.
        """
        on_path = [node for node in part.nodes() if node.name in self.path]
        if not on_path:
            return []
        call = part.call
        if self._branches(part):
            self.closed.append(part)
            text = call.text if call is not None and call.text != part.name else part.label
            return [_Item(Bracket((Line(text),)), on_path[-1], part.name)]
        strides, closed = len(self.strides), len(self.closed)
        block = repeated or self._meets(part) or _block(part) in self.merging
        items = self._entries(part, in_bracket or block)
        body = [line for item in items for line in _opened(item.entry)]
        if block and body and len(body) <= TALL and not any(isinstance(entry, Bracket) for entry in body):
            self.strides[strides:] = [(stride, part.name) for stride, _ in self.strides[strides:]]
            return [_Item(Bracket(tuple(body)), on_path[-1], part.name)]
        if block and not in_bracket:  # the strides of its own layers are told in its lines
            del self.strides[strides:], self.closed[closed:]
            return self._entries(part, False)
        return items

    def _meets(self, part: Part) -> bool:
        """Return whether branches meet in a scope, on the path."""
        return any(leaf.node is not None and leaf.node.name in self.path and len(leaf.node.operands) > 1 for leaf in part.parts.values())

    def _branches(self, part: Part) -> bool:
        """Return whether layers beside the path are joined to it in this scope otherwise than value by value."""
        own = {node.name for node in part.nodes()}
        for leaf in part.parts.values():
            node = leaf.node
            if node is None or node.name not in self.path or len(node.operands) < 2:
                continue
            if all(operand.shape == node.shape for operand in node.operands):
                continue
            others = [operand for operand in node.operands if operand.name not in self.path]
            if any(self._holds(each) for each in self._before(others, own)):
                return True
        return False

    def _before(self, nodes: Iterable[Node], within: set[str]) -> Iterator[Node]:
        """Yield nodes beside the path, and those before them, within a scope."""
        waiting, seen = list(nodes), set[str]()
        while waiting:
            node = waiting.pop()
            if node.name in seen or node.name in self.path or node.name not in within:
                continue
            seen.add(node.name)
            yield node
            waiting.extend(node.operands)

    def _stages(self) -> list[Stage]:
        runs = [(size, list(run)) for size, run in groupby(self.items, key=lambda item: _size(item.node))]
        where: dict[str, set[int]] = {}  # the stages that a scope or a layer is in
        for number, (_, run) in enumerate(runs):
            for item in run:
                for path in [prefix for end in item.paths for prefix in _prefixes(end)]:
                    where.setdefault(path, set()).add(number)
        stages = []
        for size, run in runs:
            held = [item for item in run if not isinstance(item.entry, Line) or item.entry.layer] or run
            ends = [path for item in held for path in item.paths]
            names = dict.fromkeys(next((path for path in _prefixes(end) if len(where[path]) == 1), end) for end in ends)
            stages.append(Stage(size, _range(next(iter(names)), next(reversed(names))), tuple(item.entry for item in run)))
        return stages


def _folded(items: list[_Item]) -> list[_Item]:
    """Join neighbours that are the same block at the same resolution; a block of one line that stands alone is that line."""
    folded: list[_Item] = []
    for item in items:
        before = folded[-1] if folded else None
        if (
            before is not None
            and isinstance(item.entry, Bracket)
            and isinstance(before.entry, Bracket)
            and item.entry.body == before.entry.body
            and _size(item.node) == _size(before.node)
        ):
            copies = before.entry.copies + item.entry.copies
            folded[-1] = replace(before, entry=Bracket(item.entry.body, copies), node=item.node, last=item.last or item.path)
        else:
            folded.append(item)
    return [replace(item, entry=_plain(item.entry)) for item in folded]


def _plain(entry: Entry) -> Entry:
    """Return the entry in a bracket that encloses nothing but it, once."""
    alone = isinstance(entry, Bracket) and entry.copies == 1 and len(entry.body) == 1
    return entry.body[0] if alone and isinstance(entry, Bracket) else entry


def _opened(entry: Entry) -> tuple[Entry, ...]:
    """Return what a bracket encloses, where that is there once."""
    return entry.body if isinstance(entry, Bracket) and entry.copies == 1 else (entry,)


def _range(first: str, last: str) -> str:
    """Write the names of the first and the last of some parts: `layer1.0 .. 2`."""
    shared = len(set(_prefixes(first)) & set(_prefixes(last)))
    return first if first == last else f"{first} .. {'.'.join(last.split('.')[shared:]) or last}"


def _prefixes(path: str) -> list[str]:
    steps = path.split(".")
    return [".".join(steps[:count]) for count in range(1, len(steps) + 1)]


def _block(part: Part) -> str:
    """Return the name of the block that a scope is a call of; empty where it is none."""
    call = part.call if part.parts else None
    return "" if call is None or call.block is None else call.text.partition("(")[0]


def _scopes(part: Part) -> Iterator[Part]:
    for inner in part.parts.values():
        if inner.parts:
            yield inner
            yield from _scopes(inner)


def _resizes(node: Node) -> bool:
    """Return whether a node of one operand at least doubles or halves a map along an axis, which padding and cropping do not."""
    before = node.operands[0].shape if len(node.operands) == 1 else ()
    if node.operator.grows:
        return True
    pairs = zip(before[1:], node.shape[1:], strict=True) if len(node.shape) == len(before) else ()
    return any(isinstance(a, int) and isinstance(b, int) and (a >= 2 * b or b >= 2 * a) for a, b in pairs)


def _size(node: Node) -> str:
    """Write the resolution of a node's output."""
    sizes = node.shape[1:]
    return POINT if all(size == 1 for size in sizes) else "×".join(map(str, sizes))
