"""Rules by which other tools count, for like-for-like comparison. Each returns the multiply-accumulates of one node for one sample.

Six popular tools report six numbers for one network, since they differ in what they count and how.
"""

from __future__ import annotations

from collections.abc import Callable

from archc.compiler.analysis.cost import node_macs, node_params
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.record import nothing
from archc.compiler.shapes.dim import Dim, product

Count = Callable[[ArchGraph, Node], Dim]


def torchinfo(graph: ArchGraph, node: Node) -> Dim:
    """Count torchinfo's "mult-adds": every parameter of a convolution, the bias too, at every output position (a transposed one at
    every *output* position as well); of any other layer every parameter once, those of norms too."""
    params = node_params(graph, node)
    return product(node.shape[1:]) * params if node.operator.linear and node.window is not None else params


def fvcore(graph: ArchGraph, node: Node) -> Dim:
    """Count fvcore's "flops" in evaluation: multiply-accumulates without biases, two operations for every value of a batch norm, five
    for a group norm (one and four without weights), one for every value that is averaged over a map or upsampled (four
    where it is interpolated). A connection table counts as a dense convolution, and distances to codes as nothing."""
    rule = node.operator.fvcore or (node.operator.macs if node.operator.linear else nothing)
    return rule(node.call, node.shape)


CONVENTIONS: dict[str, tuple[Count, str]] = {
    "paper": (
        node_macs,
        "MACs: multiply-accumulates of convolutions, fully-connected and recurrent layers, attention, matrix products and RBF units for\n"
        "one sample; 1 MAC is 2 FLOPs; biases, normalization, activations, pooling and additions are not counted.",
    ),
    "torchvision": (node_macs, "MACs: as torchvision's published `_ops`, which is the rule of the papers; 1 MAC is 2 FLOPs."),
    "torchinfo": (
        torchinfo,
        "MACs: as torchinfo counts mult-adds: biases at every position, parameters of norms once, transposed convolutions by output.",
    ),
    "fvcore": (fvcore, "MACs: as fvcore counts flops in evaluation: without biases, 2 for every value of a batch norm, 1 for averages."),
}
