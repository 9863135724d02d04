"""Convolutions as oneDNN runs them best on a CPU: weights in its own layout, addition and activation in the same call.

`conv`, `add` and `relu` that follow each other read and write memory three times; together they do so once. These operators
of torch (`torch.ops.mkldnn`) are those that its own compiler uses.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compiler.graph import INPUT, ArchGraph, Node
from compiler.passes.rewriter import only_user

ACTIVATIONS = {"relu": "relu", "sigmoid": "sigmoid", "tanh": "tanh", "hardswish": "hardswish", "silu": "swish"}


def available(dtype: torch.dtype) -> bool:
    """Has this build of torch oneDNN, with these operators, and can the processor run them in this precision?"""
    ops = torch.ops.mkldnn
    if not torch.backends.mkldnn.is_available() or not hasattr(ops, "_convolution_pointwise"):  # type: ignore[no-untyped-call]
        return False
    if dtype == torch.bfloat16:
        return bool(ops._is_mkldnn_bf16_supported())
    return dtype == torch.float32 or (dtype == torch.float16 and bool(ops._is_mkldnn_fp16_supported()))


@dataclass(frozen=True)
class Fusion:
    """What a convolution does beside: adds a tensor (perhaps into that very tensor), then an activation."""

    add: str = ""  # the node whose value is added
    overwrites: bool = False
    activation: str = ""
    result: str = ""  # the node whose value comes out


def fusions(graph: ArchGraph) -> dict[str, Fusion]:
    """For every 2-d convolution that oneDNN can run, what goes with it."""
    order = {node.name: number for number, node in enumerate(graph)}
    found: dict[str, Fusion] = {}
    taken: set[str] = set()
    for node in reversed(list(graph)):
        if not _runs(node):
            continue
        last, add, overwrites = node, "", False
        user = only_user(graph, last)
        if user is not None and user.op == "add" and user.name not in taken and len(graph.operands(user.name)) == 2:
            other = next(name for name in graph.operands(user.name) if name != node.name)
            if order[other] < order[node.name] and graph[other].shape == node.shape:
                add, last = other, user
                overwrites = _free(graph, other, user, order[node.name], order)
                taken.add(user.name)
                user = only_user(graph, last)
        activation = ""
        if user is not None and user.op in ACTIVATIONS and (not add or user.op == "relu"):
            activation, last = ACTIVATIONS[user.op], user
        found[node.name] = Fusion(add, overwrites, activation, last.name)
    return found


def _runs(node: Node) -> bool:
    return (
        node.op == "conv" and len(node.attrs["kernel"]) == 2 and node.attrs.get("from") is None and str(node.attrs["pad_mode"]) == "zeros"
    )


def _free(graph: ArchGraph, name: str, user: Node, at: int, order: dict[str, int]) -> bool:
    """May a value be overwritten: is it no input, output or view, and is all that reads it done?"""
    node = graph[name]
    if (
        node.op == INPUT
        or node.operator.memory.view
        or node.operator.memory.idle
        or any(output.node == name for output in graph.outputs.values())
    ):
        return False
    others = [graph[other] for other in graph.users(name) if other != user.name]
    return all(order[other.name] < at and not other.operator.memory.view for other in others)


class PackedConv(nn.Module):
    """`activation(conv(x) [+ other])` for `(N, C, H, W)`; weights are constants, so it cannot be trained.

    `size` is the shape of an input with its batch, for which the layout of the weights is chosen; others run as well.
    """

    def __init__(self, conv: nn.Conv2d, fusion: Fusion, size: list[int]) -> None:
        super().__init__()
        self.places = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        self.activation, self.overwrites = fusion.activation or "none", fusion.overwrites
        weight = conv.weight.detach().contiguous(memory_format=torch.channels_last)
        self.register_buffer("weight", torch.ops.mkldnn._reorder_convolution_weight(weight, *self.places, size), persistent=False)
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach().clone(), persistent=False)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        ops = torch.ops.mkldnn
        if other is None:
            result: Tensor = ops._convolution_pointwise(x, self.weight, self.bias, *self.places, self.activation, [], "")
            return result
        after = self.activation if self.activation != "none" else None
        run = ops._convolution_pointwise_.binary if self.overwrites else ops._convolution_pointwise.binary
        if self.overwrites:
            result = run(other, x, self.weight, self.bias, *self.places, "add", 1.0, after, [], "")
        else:
            result = run(x, other, self.weight, self.bias, *self.places, "add", 1.0, after, [], "")
        return result
