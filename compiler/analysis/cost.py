"""Count parameters and multiply-accumulates.

Parameters are the trainable scalars; running statistics and fixed codes are not among them. MACs are those of
convolutions, fully-connected and recurrent layers, attention, matrix products and RBF units for one sample; 1 MAC is 2
FLOPs. Biases, normalization, activations, pooling and additions are not counted, which is what the papers and torchvision do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod

from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.record import Weights
from archc.compiler.shapes.dim import Dim


@dataclass(frozen=True)
class Cost:
    """Counts of the network at inference, and (`_training`) of the whole with its training-only parts."""

    params: int
    params_training: int
    macs: Dim
    macs_training: Dim


def weights(graph: ArchGraph, node: Node) -> Weights:
    """Return the shapes of the trainable tensors of a node, by name."""
    return node.operator.weights(node.call)


def node_params(graph: ArchGraph, node: Node) -> int:
    """Count the trainable scalars of a node."""
    return sum(prod(shape) for shape in weights(graph, node).values())


def node_macs(graph: ArchGraph, node: Node) -> Dim:
    """Count the MACs of a node for one sample."""
    return node.operator.macs(node.call, node.shape)


class Counted:
    """Counts of parts of a network that overlap: the parameters and MACs of a node are computed once."""

    def __init__(self, graph: ArchGraph) -> None:
        self._graph = graph
        self._params: dict[str, int] = {}
        self._macs: dict[str, Dim] = {}

    def params(self, nodes: Iterable[Node]) -> int:
        """Count the parameters of some nodes; shared weights count once."""
        total = 0
        seen: set[str] = set()
        for node in nodes:
            if node.key not in seen:
                seen.add(node.key)
                if node.name not in self._params:
                    self._params[node.name] = node_params(self._graph, node)
                total += self._params[node.name]
        return total

    def macs(self, nodes: Iterable[Node]) -> Dim:
        """Count the MACs of some nodes; a shared part counts at every call."""
        total: Dim = 0
        for node in nodes:
            if node.name not in self._macs:
                self._macs[node.name] = node_macs(self._graph, node)
            total = total + self._macs[node.name]
        return total


def params_of(graph: ArchGraph, nodes: Iterable[Node]) -> int:
    """Count the parameters of some nodes; shared weights count once."""
    return Counted(graph).params(nodes)


def macs_of(graph: ArchGraph, nodes: Iterable[Node]) -> Dim:
    """Count the MACs of some nodes; a shared part counts at every call."""
    return Counted(graph).macs(nodes)


def connections_of(graph: ArchGraph, nodes: Iterable[Node]) -> Dim:
    """Count the weighted inputs of all units of some nodes, biases included; LeCun et al. 1998, section II.B."""
    total: Dim = 0
    for node in nodes:
        total = total + node.operator.connections(node.call, node.shape)
    return total


def cost(graph: ArchGraph) -> Cost:
    """Count the parameters and MACs of a network, with and without its training-only parts."""
    nodes = list(graph)
    inference = [node for node in nodes if not node.training_only]
    whole = len(inference) != len(nodes)
    params, macs = params_of(graph, inference), macs_of(graph, inference)
    return Cost(params, params_of(graph, nodes) if whole else params, macs, macs_of(graph, nodes) if whole else macs)


def holes_of(nodes: Iterable[Node]) -> list[Node]:
    """Return the nodes that nothing computes, of which nothing is counted: counts over them are lower bounds."""
    return [node for node in nodes if node.operator.opaque]


MEASURES: dict[str, Callable[[ArchGraph, Iterable[Node]], Dim]] = {
    "params": params_of,
    "macs": macs_of,
    "connections": connections_of,
    "nodes": lambda graph, nodes: sum(1 for node in nodes if not node.is_input),
}
BOUNDED = frozenset({"params", "macs", "connections"})  # measures that holes only give a lower bound of
