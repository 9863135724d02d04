"""Predict memory: parameters, gradients, optimizer state, what backward keeps, and the peak of inference.

The predictions are for the modules of the network at level 0, tensor by tensor, on a CPU, with gradients for every parameter
and for no input. Buffers inside libraries are not counted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod

from archc.compiler.analysis.cost import params_of, weights
from archc.compiler.analysis.regions import regions
from archc.compiler.errors import UsageError, at_least, one_of
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.record import Call
from archc.compiler.shapes.dim import Dim, Shape, product

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
INDEX = 8  # bytes of a whole number, such as the position of a maximum
OPTIMIZERS = {"sgd": 0, "momentum": 1, "adam": 2}  # tensors that each keeps for every parameter


class OpenSizes(UsageError):
    """A prediction needs all sizes as numbers, and the network leaves some open."""

    def __init__(self, graph: ArchGraph) -> None:
        super().__init__(f"the memory of {graph.name} depends on {', '.join(graph.unknowns)}: give the sizes with", option="inputs")

    def __str__(self) -> str:
        return f"{self.problem} {self.option}"


@dataclass(frozen=True)
class Usage:
    """The memory that a network needs, in bytes by purpose. Activations are those of the whole batch, without the inputs."""

    parameters: int
    buffers: int
    gradients: int
    optimizer: int
    saved: int  # activations kept for backward, in training mode
    peak: int  # of live activations at inference
    peak_at: str  # the node at which the peak is reached

    @property
    def training(self) -> int:
        """Bytes that a training step holds at the end of its forward pass."""
        return self.parameters + self.buffers + self.gradients + self.optimizer + self.saved

    def facts(self) -> dict[str, int | str]:
        """Return the same as plain data."""
        return asdict(self)


def usage(graph: ArchGraph, dtype: str = "float32", batch: int = 1, optimizer: str = "sgd") -> Usage:
    """Predict the memory of a network. Raises OpenSizes, and UsageError for an unknown dtype or optimizer or a batch below 1."""
    one_of("dtype", dtype, tuple(BYTES))
    one_of("optimizer", optimizer, tuple(OPTIMIZERS))
    at_least("batch", batch, 1)
    if graph.unknowns:
        raise OpenSizes(graph)
    size = BYTES[dtype]
    params = params_of(graph, graph)
    buffers = sum(buffers_of(node, size) for node in {node.key: node for node in reversed(list(graph))}.values())
    peak, place = _peak(graph, size, batch)
    states = OPTIMIZERS[optimizer] * params * size
    return Usage(params * size, buffers, params * size, states, _saved(graph, size, batch), peak, place)


def buffers_of(node: Node, size: int) -> int:
    """Return the bytes of the tensors that a node stores and does not train; `size` is that of a number."""
    kept = node.operator.buffers(node.call)
    return sum(prod(shape) * (INDEX if name in node.operator.numbers else size) for name, shape in kept.items())


def _values(shape: Shape) -> int:
    return _number(product(shape))


def _number(dim: Dim) -> int:
    assert isinstance(dim, int)
    return dim


@dataclass(frozen=True)
class _Held:
    """How the output of a node is stored: in the tensor of which node, whether with channels last, and which part a view leaves out."""

    storage: str
    last: bool = False
    cut: str = ""


STORED = ""  # in place of the name of a node: a tensor that is counted as a parameter


class _Layout:
    """How outputs are stored, in training or at inference, and which inputs are copied."""

    def __init__(self, graph: ArchGraph, training: bool) -> None:
        self.held: dict[str, _Held] = {}
        self.copied: set[str] = set()  # nodes that work on a copy of their input
        for node in graph:
            self.held[node.name] = _Held(node.name) if node.is_input else self._output(node, training)

    def _output(self, node: Node, training: bool) -> _Held:
        rule, call = node.operator.memory, node.call
        operands = [self.held[operand.name] for operand in node.operands]
        if rule.stored:
            return _Held(STORED)
        if node.operator.identity_in_eval and (not training or node.operator.identity_in_training(call)):
            return operands[0]
        if (rule.reads and not _in_order(rule.reads, operands[0], call.x)) or rule.copies(call):
            self.copied.add(node.name)
        if rule.view and node.name not in self.copied:
            return _Held(operands[0].storage, self._last(node, operands), rule.cut(call, node.shape) or operands[0].cut)
        return _Held(node.name, self._last(node, operands))

    def _last(self, node: Node, operands: list[_Held]) -> bool:
        return len(node.shape) > 1 and node.operator.memory.order(node.call, [operand.last for operand in operands])


def _in_order(reads: str, held: _Held, shape: Shape) -> bool:
    """Return whether a tensor can be read in an order without a copy; one with one position, or one channel, is in both orders."""
    if reads == "whole":
        return not held.cut
    either = shape[0] == 1 or all(size == 1 for size in shape[1:])
    return (either or held.last == (reads == "last")) and held.cut != "positions"


def _peak(graph: ArchGraph, size: int, batch: int) -> tuple[int, str]:
    """Return the largest sum of live tensors over the nodes in order, in bytes, and where it is reached.

    A tensor is live until its last use; one that enters a module is held by its caller until the module returns.
    """
    nodes = [node for node in graph if not node.training_only]
    layout = _Layout(graph, training=False)
    storage = {name: held.storage for name, held in layout.held.items()}
    scopes = regions(graph)
    ends = {path: number for number, node in enumerate(nodes) for path in scopes.around(node.name) if path in scopes.found}
    last: dict[str, int] = {}
    for number, node in enumerate(nodes):
        last[storage[node.name]] = max(number, last.get(storage[node.name], 0))
        for operand in node.operands:
            entered = next((path for path in scopes.around(node.name) if path in ends and path not in scopes.around(operand.name)), "")
            last[storage[operand.name]] = max(ends.get(entered, number), last.get(storage[operand.name], 0))
    for output in graph.outputs.values():
        last[storage[output.node]] = len(nodes)
    ending: dict[int, list[str]] = {}
    for name, number in last.items():
        ending.setdefault(number, []).append(name)
    live = peak = 0
    place = ""
    for number, node in enumerate(nodes):
        if node.is_input:
            continue
        live += _values(node.shape) * size * batch if storage[node.name] == node.name else 0
        work = _work(node.call, node, node.name in layout.copied, size, batch)
        if live + work > peak:
            peak, place = live + work, node.name
        ended = [name for name in ending.get(number, ()) if name != STORED and not graph[name].is_input]
        live -= sum(_values(graph[name].shape) * size * batch for name in ended)
    return peak, place


def _work(call: Call, node: Node, copies: bool, size: int, batch: int) -> int:
    """Return the bytes that a node needs in addition to its output while it runs."""
    rule = node.operator.memory
    values = _number(rule.work(call, node.shape)) + (_values(call.x) if copies and not rule.view else 0)
    indices = _values(node.shape) * INDEX if rule.indices and call.axes > 1 else 0  # for sequences torch computes the maximum alone
    return (values * size + indices) * batch + _number(rule.work_once(call, node.shape)) * size


def saved_by(graph: ArchGraph, size: int, batch: int) -> dict[str, int]:
    """Return the bytes live at the end of a forward pass in training, by the node that they belong to: see `_saved`."""
    layout = _Layout(graph, training=True)
    storage = {name: held.storage for name, held in layout.held.items()}
    kept = {storage[output.node] for output in graph.outputs.values()}
    followed = _followed(graph)
    trained: set[str] = set()
    found = {node.name: 0 for node in graph}
    for node in graph:
        operands = graph.operands(node.name)
        differentiated = [name for name in operands if name in trained]
        if node.name not in followed or node.operator.detached or not (differentiated or weights(graph, node)):
            continue
        trained.add(node.name)
        rule, call = node.operator.memory, node.call
        if layout.held[node.name] in [layout.held[name] for name in operands]:
            continue  # an identity
        saves = rule.saves(call)
        if "output" in saves:
            kept.add(storage[node.name])
        if "differentiated" in saves:
            kept |= {storage[name] for name in differentiated}
        if "factors" in saves:
            found[node.name] += _values(node.shape) * size * batch * _partial_products(operands, trained)
            kept |= {storage[name] for number, name in enumerate(operands) if trained & {*operands[:number], *operands[number + 1 :]}}
        if "divisors" in saves:
            found[node.name] += _values(node.shape) * size * batch * _partial_products(operands, trained)
            if operands[1] in trained:
                kept.add(storage[operands[0]])
            kept |= {storage[name] for number, name in enumerate(operands) if number and trained & {*operands[: number + 1]}}
        if "input" in saves and node.name not in layout.copied:
            kept |= {storage[name] for name in operands}
        values = _number(rule.saved(call, node.shape)) + (_values(call.x) if node.name in layout.copied and not rule.view else 0)
        indices = _values(node.shape) * INDEX if rule.indices else 0
        found[node.name] += (values * size + indices) * batch + _number(rule.saved_once(call, node.shape)) * size
    for name in kept - {STORED}:
        found[name] += 0 if graph[name].is_input else _values(graph[name].shape) * size * batch
    return found


def _saved(graph: ArchGraph, size: int, batch: int) -> int:
    """Return the bytes live at the end of a forward pass in training: what backward needs, and the outputs.

    Backward goes as far back as there are parameters: nodes before the first of them keep nothing, nor do those from which no gradient
    comes to an output.
    """
    return sum(saved_by(graph, size, batch).values())


def _followed(graph: ArchGraph) -> set[str]:
    """Return the names of the nodes whose values an output depends on, other than through an operator that only reads shapes."""
    followed = {output.node for output in graph.outputs.values()}
    for node in reversed(list(graph)):
        if node.name in followed and not node.operator.detached:
            followed.update(graph.operands(node.name))
    return followed


def _partial_products(operands: list[str], trained: set[str]) -> int:
    """Count the partial products that are kept: those before a factor that is differentiated."""
    return sum(1 for number in range(2, len(operands)) if operands[number] in trained)
