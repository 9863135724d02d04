"""Memory: parameters, gradients, optimizer state, what backward keeps, and the peak of inference over the schedule that is run.

Predictions for the modules that the network is lowered to, tensor by tensor; buffers inside of libraries are not tensors, and what does not
grow with the batch beside weights (the means of a batch norm) is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from compiler.analysis.cost import params_of
from compiler.analysis.regions import regions, scopes_of
from compiler.graph import INPUT, ArchGraph, Node
from compiler.shapes.dim import Dim, product

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
OPTIMIZERS = {"sgd": 0, "momentum": 1, "adam": 2}  # tensors that each keeps for every parameter


class OpenSizes(Exception):
    """A prediction needs sizes as numbers."""


@dataclass(frozen=True)
class Usage:
    """Bytes, by what they are for; activations are those of `batch` samples, inputs not counted."""

    parameters: int
    buffers: int
    gradients: int
    optimizer: int
    saved: int  # activations kept for backward, in training mode
    peak: int  # of live activations at inference
    peak_at: str  # the node that needs them

    @property
    def training(self) -> int:
        """What a training step holds at the end of its forward pass."""
        return self.parameters + self.buffers + self.gradients + self.optimizer + self.saved


def usage(graph: ArchGraph, dtype: str = "float32", batch: int = 1, optimizer: str = "sgd") -> Usage:
    """Predict the memory of a network. Raises OpenSizes."""
    if graph.unknowns:
        raise OpenSizes
    size = BYTES[dtype]
    params = params_of(graph, graph)
    keys: set[str] = set()
    buffers = 0
    for node in graph:
        if node.op != INPUT and node.key not in keys:
            keys.add(node.key)
            kept = node.operator.buffers(graph.call(node.name))
            buffers += sum((prod(shape) if shape else 2) * size for shape in kept.values())  # a counter is an int64
    peak, place = _peak(graph)
    saved = _saved(graph) * size + _indices(graph) * 8
    states = OPTIMIZERS[optimizer] * params * size
    return Usage(params * size, buffers, params * size, states, saved * batch, peak * size * batch, place)


def _values(node: Node) -> int:
    return _number(product(node.shape))


def _number(dim: Dim) -> int:
    assert isinstance(dim, int)
    return dim


def _storage(graph: ArchGraph, training: bool) -> dict[str, str]:
    """The node whose tensor each node's output lies in: its own, or, for a view, that of its operand."""
    storage: dict[str, str] = {}
    for node in graph:
        rule = None if node.op == INPUT else node.operator.memory
        passes = rule is not None and (rule.view or (rule.idle and not training))
        storage[node.name] = storage[graph.operands(node.name)[0]] if passes else node.name
    return storage


def _peak(graph: ArchGraph) -> tuple[int, str]:
    """The largest sum of live tensors over the nodes in order, in values; a tensor lives until its last use.

    What enters a module is held by its caller until the module returns.
    """
    nodes = [node for node in graph if not node.training_only]
    storage = _storage(graph, training=False)
    found = regions(graph).found
    ends = {path: number for number, node in enumerate(nodes) for path in scopes_of(node.name) if path in found}
    last: dict[str, int] = {}
    for number, node in enumerate(nodes):
        last[storage[node.name]] = max(number, last.get(storage[node.name], 0))
        for name in graph.operands(node.name):
            entered = next((path for path in scopes_of(node.name) if path in ends and not name.startswith(path + ".")), "")
            last[storage[name]] = max(ends.get(entered, number), last.get(storage[name], 0))
    for output in graph.outputs.values():
        last[storage[output.node]] = len(nodes)
    ending: dict[int, list[str]] = {}
    for name, number in last.items():
        ending.setdefault(number, []).append(name)
    live = peak = 0
    place = ""
    for number, node in enumerate(nodes):
        if node.op == INPUT:
            continue
        live += _values(node) if storage[node.name] == node.name else 0
        work = _number(node.operator.memory.work(graph.call(node.name), node.shape))
        if live + work > peak:
            peak, place = live + work, node.name
        live -= sum(_values(graph[name]) for name in ending.get(number, ()) if graph[name].op != INPUT)
    return peak, place


def _saved(graph: ArchGraph) -> int:
    """Values that are alive at the end of a forward pass in training: what backward needs, and the outputs."""
    storage = _storage(graph, training=True)
    kept = {storage[output.node] for output in graph.outputs.values()}
    extra = 0
    for node in graph:
        if node.op == INPUT:
            continue
        rule = node.operator.memory
        call = graph.call(node.name)
        if "input" in rule.saves and _needs_input(graph, node):
            kept |= {storage[name] for name in graph.operands(node.name)}
        if "output" in rule.saves:
            kept.add(storage[node.name])
        extra += _values(node) if "noise" in rule.saves else 0
        extra += _number(rule.work_saved(call, node.shape))
    return extra + sum(_values(graph[name]) for name in kept if graph[name].op != INPUT)


def _needs_input(graph: ArchGraph, node: Node) -> bool:
    """Global average pooling is a mean, which keeps nothing."""
    return not (node.op == "adaptive_avgpool" and all(size == 1 for size in node.shape[1:]))


def _indices(graph: ArchGraph) -> int:
    return sum(_values(node) for node in graph if node.op != INPUT and "indices" in node.operator.memory.saves)
