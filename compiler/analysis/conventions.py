"""How other counters count, for like-for-like comparison. Each gives the multiply-accumulates of one node, for one sample.

Six popular counters give six answers for one network, since they differ in what they count and in how.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from archc.compiler.analysis.cost import node_macs, node_params
from archc.compiler.graph import INPUT, ArchGraph, Node
from archc.compiler.ops import LINEAR
from archc.compiler.shapes.dim import Dim, product

Count = Callable[[ArchGraph, Node], Dim]


def torchinfo(graph: ArchGraph, node: Node) -> Dim:
    """torchinfo's "mult-adds": every parameter of a convolution, the bias too, at every output position (a transposed one at
    every *output* position as well); of any other layer every parameter once, those of norms too."""
    params = node_params(graph, node)
    return product(node.shape[1:]) * params if node.op in ("conv", "convt") else params


def fvcore(graph: ArchGraph, node: Node) -> Dim:
    """fvcore's "flops", in evaluation: multiply-accumulates without biases, two operations for every value of a batch norm, five
    for a group norm (one and four without weights), one for every value that is averaged over a map or upsampled (four
    where it is interpolated). A connection table counts as a dense convolution, and distances to codes as nothing."""
    if node.op == INPUT:
        return 0
    values = product(graph.call(node.name).x)
    match node.op:
        case "bn":
            return values * (2 if node.attrs["affine"] else 1)
        case "group_norm":
            return values * (5 if node.attrs["affine"] else 4)
        case "adaptive_avgpool":
            return values
        case "upsample":
            return product(node.shape) * (1 if node.attrs["mode"] == "nearest" else 4)
        case "conv" if node.attrs["from"] is not None:
            kernel: int = prod(node.attrs["kernel"])
            return product(node.shape) * graph.call(node.name).channels * kernel
        case op if op in LINEAR:
            return node_macs(graph, node)
    return 0


CONVENTIONS: dict[str, tuple[Count, str]] = {
    "paper": (
        node_macs,
        "MACs: multiply-accumulates of convolutions, fully-connected layers and RBF units for one sample; 1 MAC is 2 FLOPs; biases,\n"
        "normalisation, activations, pooling and additions are not counted.",
    ),
    "torchvision": (node_macs, "MACs: as torchvision's published `_ops`, which is the rule of the papers; 1 MAC is 2 FLOPs."),
    "torchinfo": (
        torchinfo,
        "MACs: as torchinfo counts mult-adds: biases at every position, parameters of norms once, transposed convolutions by output.",
    ),
    "fvcore": (fvcore, "MACs: as fvcore counts flops in evaluation: without biases, 2 for every value of a batch norm, 1 for averages."),
}
