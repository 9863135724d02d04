"""The network as a graph: the only module that uses networkx.

Nodes are in the order of the file, which is a topological order; the operands of a node are its incoming edges, keyed 0, 1, 2, which
preserves their order and parallel edges (`add<. | .>`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from archc.compiler.ops import INPUT as INPUT_RECORD
from archc.compiler.ops import operator_of
from archc.compiler.ops.call import Call
from archc.compiler.ops.kinds import Text, Word
from archc.compiler.ops.record import Operator
from archc.compiler.shapes.conditions import Condition
from archc.compiler.shapes.dim import Dim, Formula, Shape, from_plain, to_plain
from archc.compiler.shapes.window import Window
from archc.dsl import ast
from archc.dsl.source import Source, Span

INPUT = INPUT_RECORD.name


@dataclass(frozen=True, slots=True)
class Frame:
    """One level of the origin of a node: a block call with its arguments, or a copy of a repeat; `outer` is the frame around it.

    For a call, `scope` is the path of the nodes that it creates, and `brief` is the call with the arguments that a picture shows;
    `block` is the definition that is called, and `values` are the values of its parameters, by name. A graph that is read from JSON has
    neither of the last two.
    """

    text: str
    span: Span
    outer: Frame | None
    scope: str = ""
    brief: str = ""
    block: ast.Block | ast.Share | None = field(default=None, compare=False, repr=False)
    values: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def chain(self) -> list[Frame]:
        """Return this frame and those around it, the innermost first."""
        frames: list[Frame] = []
        frame: Frame | None = self
        while frame is not None:
            frames.append(frame)
            frame = frame.outer
        return frames


@dataclass(slots=True)
class Node:
    """One use of an operator in a network.

    `name` is the path of its label (`layer1.0.conv1`) and unique in the graph. `key` is the path of its weights: the same path, except
    that all calls of a shared part have the key of the first. `shape` is the output shape, without the batch. `operands` are the nodes
    that it takes, in order; `ArchGraph.add` sets them.
    """

    name: str
    op: str
    attrs: Mapping[str, Any]
    shape: Shape
    span: Span
    frame: Frame | None = None
    key: str = ""
    place: tuple[int, ...] = ()
    training_only: bool = False
    origins: Mapping[str, Span] = field(default_factory=dict)  # where each option is written: in the item, or in a default
    operands: tuple[Node, ...] = field(default=(), repr=False, compare=False)

    @property
    def operator(self) -> Operator:
        """Return the record of the operator."""
        return operator_of(self.op)

    @property
    def is_input(self) -> bool:
        """Return whether the node is an input of the network."""
        return self.op == INPUT

    @property
    def call(self) -> Call:
        """Return the argument of the operator's rules: the options, and the shapes of the operands. Each access returns a new call."""
        return Call(self.op, self.attrs, tuple(operand.shape for operand in self.operands))

    @property
    def window(self) -> Window | None:
        """Return the window that slides over the input; None where the operator has none."""
        rule = self.operator.window
        return None if rule is None else rule(self.attrs)


@dataclass(frozen=True, slots=True)
class Choice:
    """A comparison, an index, or a smallest or largest number that the elaboration computed: its place, and what it was computed from."""

    span: Span
    held: tuple[Any, ...]


@dataclass(frozen=True)
class Output:
    """An output of the network: the name of the node that computes it, and whether it exists in training only."""

    node: str
    training_only: bool = False


@dataclass
class ArchGraph:
    """A network: nodes with operands, inputs and outputs in order, and the conditions that open sizes must meet."""

    name: str = ""
    title: str = ""
    outputs: dict[str, Output] = field(default_factory=dict)
    conditions: list[tuple[str, Condition]] = field(default_factory=list)  # (node, condition)
    claimed: dict[str, Shape] = field(default_factory=dict)  # shapes of failed claims, by node; the check continued with them
    preprocess: dict[str, dict[str, Any]] = field(default_factory=dict)  # by input: what is done to a sample before; plain data
    parameters: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)  # of the `arch` line, with their values
    choices: list[Choice] = field(default_factory=list, compare=False, repr=False)  # what the text has decided by numbers, in order

    def __post_init__(self) -> None:
        self._nx: nx.MultiDiGraph[str] = nx.MultiDiGraph()  # the names, and which takes which
        self._nodes: dict[str, Node] = {}

    # ---- building

    def add(self, node: Node, operands: Sequence[str] = ()) -> None:
        """Append a node. Raises ValueError for a name that exists already, and for an operand that does not exist."""
        if node.name in self._nodes:
            raise ValueError(f"there is already a node {node.name}")
        for operand in operands:
            if operand not in self._nodes:
                raise ValueError(f"{node.name} takes {operand}, which is not there")
        node.operands = tuple([self._nodes[operand] for operand in operands])
        self._nodes[node.name] = node
        self._nx.add_node(node.name)
        for slot, operand in enumerate(operands):
            self._nx.add_edge(operand, node.name, key=slot)

    # ---- reading

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[Node]:
        """Iterate over all nodes, operands before their users."""
        return iter(self._nodes.values())

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    def taken(self, name: str) -> Shape:
        """Return the shape of a node that its users were checked with: that of its claim, where the claim failed."""
        return self.claimed.get(name) or self[name].shape

    def operands(self, name: str) -> list[str]:
        """Return the names of the operands of a node, in order."""
        return [operand.name for operand in self[name].operands]

    def users(self, name: str) -> list[str]:
        """Return the names of the nodes that take a node, each once."""
        return list(self._nx.successors(name))

    def only_user(self, node: Node) -> Node | None:
        """Return the only user of a node, where that takes it once and the node is not an output; None otherwise."""
        users = self.users(node.name)
        if len(users) != 1 or any(output.node == node.name for output in self.outputs.values()):
            return None
        return self[users[0]] if self.operands(users[0]).count(node.name) == 1 else None

    def whole_numbers(self, name: str) -> int | None:
        """Return how many whole numbers an input may hold, from 0, by the tables that read it; None for a node that holds values."""
        readers = [self[user] for user in self.users(name)] if self[name].is_input else []
        counts = [reader.operator.indexes(reader.call) for reader in readers]
        return min((count for count in counts if count is not None), default=None)

    @property
    def inputs(self) -> list[Node]:
        """Return the input nodes, in order."""
        return [node for node in self if node.is_input]

    @property
    def unknowns(self) -> list[str]:
        """Return the names of the open sizes, in the order of the inputs."""
        names: dict[str, None] = {}
        for node in self.inputs:
            for dim in node.shape:
                if isinstance(dim, Formula):
                    names.update(dict.fromkeys(sorted(dim.unknowns)))
        return list(names)

    # ---- changing

    def mark_training_only(self) -> None:
        """Mark the nodes that only training-only outputs need, and unused nodes after those; inputs are never marked."""
        needed = self.ancestors(output.node for output in self.outputs.values() if not output.training_only)
        training = self.ancestors(output.node for output in self.outputs.values() if output.training_only)
        for node in self:
            unused = node.name not in training and any(operand.training_only for operand in node.operands)
            if node.name not in needed and (node.name in training or unused):
                node.training_only = not node.is_input

    def without(self, names: set[str]) -> ArchGraph:
        """Return a copy without some nodes, their outputs and their conditions. Nothing else may take these nodes."""
        kept = {key: output for key, output in self.outputs.items() if output.node not in names}
        conditions = [(node, condition) for node, condition in self.conditions if node not in names]
        copy = ArchGraph(self.name, self.title, kept, conditions, preprocess=self.preprocess)
        for node in self:
            if node.name not in names:
                copy.add(node, self.operands(node.name))
        return copy

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """Return the names of some nodes and of all nodes that they depend on."""
        seen: set[str] = set()
        stack = list(names)
        while stack:
            name = stack.pop()
            if name not in seen:
                seen.add(name)
                stack.extend(self._nx.predecessors(name))
        return seen

    # ---- as plain data

    def to_json(self) -> dict[str, Any]:
        """Return the graph in networkx's node-link form, as plain data. `from_json` is the inverse."""
        sources: dict[str, Source] = {}
        plain: nx.MultiDiGraph[str] = nx.MultiDiGraph(
            name=self.name,
            title=self.title,
            outputs={key: {"node": out.node, "training_only": out.training_only} for key, out in self.outputs.items()},
            conditions=[[node, to_plain(c.left), c.relation, *map(to_plain, c.formulas[1:])] for node, c in self.conditions],
        )
        for node in self:
            frames = node.frame.chain() if node.frame else []
            plain.add_node(
                node.name,
                op=node.op,
                attrs={name: _attr_to_plain(value) for name, value in node.attrs.items()},
                shape=[to_plain(dim) for dim in node.shape],
                key=node.key,
                place=list(node.place),
                training_only=node.training_only,
                span=_span_to_plain(node.span, sources),
                provenance=[{"text": f.text, "scope": f.scope, "brief": f.brief, "span": _span_to_plain(f.span, sources)} for f in frames],
            )
        for source, target, key in self._nx.edges(keys=True):
            plain.add_edge(source, target, key=key)
        if self.preprocess:
            plain.graph["preprocess"] = self.preprocess
        plain.graph["sources"] = {name: source.text for name, source in sources.items()}
        data: dict[str, Any] = nx.node_link_data(plain, edges="edges")
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ArchGraph:
        """Load a graph from the data that `to_json` returns."""
        plain = nx.node_link_graph(dict(data), edges="edges")
        assert isinstance(plain, nx.MultiDiGraph)
        info = plain.graph
        sources = {label: Source(label, text, label) for label, text in info["sources"].items()}
        outputs = {key: Output(out["node"], out["training_only"]) for key, out in info["outputs"].items()}
        conditions = [
            (node, Condition(from_plain(a), relation, *map(from_plain, sides))) for node, a, relation, *sides in info["conditions"]
        ]
        graph = cls(info["name"], info["title"], outputs, conditions, preprocess=info.get("preprocess", {}))
        for name, node in plain.nodes(data=True):
            frame: Frame | None = None
            for outer in reversed(node["provenance"]):
                frame = Frame(outer["text"], _span_from_plain(outer["span"], sources), frame, outer["scope"], outer.get("brief", ""))
            loaded = Node(
                name,
                node["op"],
                {key: _attr_from_plain(value) for key, value in node["attrs"].items()},
                tuple(from_plain(dim) for dim in node["shape"]),
                _span_from_plain(node["span"], sources),
                frame,
                node["key"],
                tuple(node["place"]),
                node["training_only"],
            )
            edges = sorted((key, source) for source, _, key in plain.in_edges(name, keys=True))
            graph.add(loaded, [source for _, source in edges])
        return graph

    def same_as(self, other: ArchGraph) -> bool:
        """Return whether two graphs are equal in names, operators, options, shapes, operands, inputs and outputs; spans do not count."""
        return self._meaning() == other._meaning()

    def _meaning(self) -> list[Any]:
        nodes = [(n.name, n.op, dict(n.attrs), n.shape, n.key, n.place, n.training_only, self.operands(n.name)) for n in self]
        return [nodes, self.outputs, set(self.conditions)]


def _attr_to_plain(value: Any) -> Any:
    if isinstance(value, Word):
        return {"word": value.text, "args": [[name, _attr_to_plain(arg)] for name, arg in value.args]}
    if isinstance(value, Text):
        return {"quoted": value.text}
    if isinstance(value, tuple):
        return [_attr_to_plain(item) for item in value]
    return to_plain(value) if isinstance(value, Formula) else value


def _attr_from_plain(value: Any) -> Any:
    if isinstance(value, dict):
        if "word" in value:
            return Word(value["word"], tuple((name, _attr_from_plain(arg)) for name, arg in value["args"]))
        return Text(value["quoted"]) if "quoted" in value else from_plain(value)
    return tuple(_attr_from_plain(item) for item in value) if isinstance(value, list) else value


def _span_to_plain(span: Span, sources: dict[str, Source]) -> dict[str, Any]:
    sources[span.source.label] = span.source
    return {"file": span.source.label, "line": span.line, "column": span.column, "start": span.start, "end": span.end}


def _span_from_plain(data: Mapping[str, Any], sources: Mapping[str, Source]) -> Span:
    return Span(sources[data["file"]], data["start"], data["end"])


def shape_text(dims: Sequence[Dim]) -> list[int | str]:
    """Return a shape for JSON: numbers, and formulas as text."""
    return [dim if isinstance(dim, int) else str(dim) for dim in dims]
