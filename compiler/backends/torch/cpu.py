"""Optimize a network for a CPU: packed layers with the operators after them in one call, large batches in slices, Winograd's algorithm."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from archc.compiler.analysis.chunking import slices
from archc.compiler.analysis.fusion import Fusion, fusions
from archc.compiler.backends.torch import winograd
from archc.compiler.backends.torch.modules import WindowAttention
from archc.compiler.backends.torch.packed import packed
from archc.compiler.backends.torch.packed_windows import PackedWindowAttention
from archc.compiler.backends.torch.timing import fastest
from archc.compiler.graph import ArchGraph

PACKED = "+packed"  # the parent of the modules that are created here; no label contains a plus

MARGIN = 1.2  # how many times as fast another algorithm must be by itself, since caches are colder among other layers


def for_cpu(plain: fx.GraphModule, graph: ArchGraph, x: Tensor, tuned: bool) -> fx.GraphModule:
    """Optimize `plain`, the flat module that `graph` was lowered to, in place for inputs `(N, *shape)` like `x`, and return it.

    `tuned`: two algorithms are timed for 3x3 convolutions, and the faster one is used.
    """
    layers = fusions(graph)
    hidden = {name for fusion in layers.values() for name in fusion.hidden}
    parts = slices(graph, len(x), x.element_size(), hidden)

    def batch_of(name: str) -> int:
        return parts.size if parts is not None and name in parts.nodes else len(x)

    nodes = {node.meta["arch"]["name"]: node for node in plain.graph.nodes if "arch" in node.meta}
    for number, (name, fusion) in enumerate(layers.items()):
        node, layer = nodes[name], plain.get_submodule(graph[name].key)
        size = [batch_of(name), *(dim for dim in graph[graph.operands(name)[0]].shape if isinstance(dim, int))]
        chosen = _chosen(layer, fusion, size, x.dtype, tuned)
        if chosen is layer:
            continue
        target = f"{PACKED}.{number}"  # names of layers could collide: `a.b` and `a_b`
        plain.add_submodule(target, chosen)
        with plain.graph.inserting_before(node):
            operands = (node.args[0], nodes[fusion.add]) if fusion.add else (node.args[0],)
            call = plain.graph.call_module(target, operands)
            call.meta.update(nodes[fusion.result].meta)
        nodes[fusion.result].replace_all_uses_with(call)
        nodes[fusion.result] = call
    for number, (name, node) in enumerate(nodes.items()):
        attention = plain.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(attention, WindowAttention):
            sizes = [dim for dim in graph[name].shape[1:] if isinstance(dim, int)]
            node.target = f"{PACKED}.attention{number}"
            plain.add_submodule(node.target, PackedWindowAttention(attention, batch_of(name), sizes))
    plain.graph.eliminate_dead_code()
    if parts is not None:
        _slice(plain, nodes[parts.last], parts.size)
    plain.delete_all_unused_submodules()
    plain.recompile()
    return plain


def _chosen(layer: nn.Module, fusion: Fusion, size: list[int], dtype: torch.dtype, tuned: bool) -> nn.Module:
    """Return the module that replaces a layer for inputs of a size, batch included; the layer itself where nothing is faster."""
    direct = packed(layer, fusion, size) or layer
    if not (tuned and winograd.suits(layer, fusion)):
        return direct
    return fastest([direct, winograd.WinogradConv(layer, fusion)], [torch.randn(size).to(dtype, memory_format=torch.channels_last)], MARGIN)


class Sliced(nn.Module):
    """A part of a network that runs on a batch in slices of `size` samples, and concatenates the results."""

    def __init__(self, part: nn.Module, size: int) -> None:
        super().__init__()
        self.part, self.size = part, size

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.part(samples) for samples in torch.split(x, self.size)])


def _slice(whole: fx.GraphModule, last: fx.Node, size: int) -> None:
    """Replace all nodes up to `last`, in a network with one input, by a call of a module that runs them in slices of `size` samples."""
    head = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in whole.graph.nodes:
        copies[node] = head.node_copy(node, copies.__getitem__)
        if node is last:
            break
    head.output(copies[last])
    whole.add_submodule(f"{PACKED}.sliced", Sliced(fx.GraphModule(whole, head), size))
    with whole.graph.inserting_before(last):
        call = whole.graph.call_module(f"{PACKED}.sliced", (next(iter(whole.graph.nodes)),))
    call.meta.update(last.meta)
    last.replace_all_uses_with(call)
    whole.graph.eliminate_dead_code()
