"""Networks for inference, faster: levels 2 and 3.

2: batch norms folded, siblings merged, channels last, activations in place; on a CPU the layers packed (`packed`), and large batches
   in slices.
3: the same under torch's compiler (Inductor), freezing on a CPU, CUDA graphs on a GPU; on a CPU also with convolutions by Winograd's
   algorithm where that is faster. Everything is timed, and the fastest is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from statistics import median
from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn

from compiler.backends import packed, winograd
from compiler.backends.timing import in_turn
from compiler.backends.torch_fx import ArchModule, fx_graph, modules_of, tree_of, with_branches
from compiler.backends.weights import made
from compiler.graph import ArchGraph
from compiler.passes import INFERENCE, Pass, run
from compiler.passes.fusions import fusions
from compiler.passes.in_place import in_place
from compiler.passes.program import Program
from compiler.passes.slices import slices

Run = TypeVar("Run", bound=Callable[..., Any])

DIFFERENT = 1e-5  # how far a program may be from the network in float64, relative to its largest value


def optimised(
    module: ArchModule, graph: ArchGraph, inputs: Sequence[Tensor], level: int = 2, pipeline: tuple[Pass, ...] = INFERENCE[2]
) -> Callable[..., Any]:
    """A network as fast as this knows, with the weights, device and dtype of `module`, for inputs like these.

    `module` is as `lower` gave it, at level 0 or 1; it stays as it is. The result is for inference, and takes inputs in any layout; other
    batches than that of `inputs` run as well, but slower.
    """
    program = run(graph, pipeline)
    plain = realised(module, program)
    if any(x.dim() == 4 for x in inputs):
        plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    on_cpu = inputs[0].device.type == "cpu"
    compiled = _compiled(plain, on_cpu) if level == 3 else None
    direct: Callable[..., Any] = plain
    if on_cpu and packed.available(inputs[0].dtype):
        direct = _packed(copy.deepcopy(plain) if compiled else plain, program.graph, inputs[0], tuned=level == 3)
    return direct if compiled is None else _faster([compiled, direct], inputs)


def _compiled(plain: fx.GraphModule, on_cpu: bool) -> Callable[..., Any]:
    options: dict[str, Any] = {"freezing": True} if on_cpu else {"freezing": True, "triton.cudagraphs": True, "max_autotune": True}
    return _last_layout(torch.compile(plain, options=options))


def _faster(candidates: Sequence[Run], inputs: Sequence[Tensor], runs: int = 7) -> Run:
    """The one that takes the least time here, in the median of some runs in turn."""
    with torch.no_grad():
        times = in_turn([partial(candidate, *inputs) for candidate in candidates], runs, 2, inputs[0].is_cuda)
    return min(zip(map(median, times), range(len(candidates)), candidates, strict=True))[2]


def _last_layout(module: Callable[..., Any]) -> Callable[..., Any]:
    """Inputs in the layout that the network runs in, and no gradients: only then does the compiler take weights as constants."""

    def forward(*inputs: Tensor) -> Any:
        with torch.no_grad():
            return module(*(x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x for x in inputs))

    return forward


def realised(module: ArchModule, program: Program) -> fx.GraphModule:
    """A module for a program, its weights made from those of the network; nothing is shared between them."""
    state = {name: tensor.detach() for name, tensor in module.state_dict().items()}
    with torch.device("meta"):
        modules = modules_of(program.graph, in_place(program.graph))
    for key, part in modules.items():
        if isinstance(part, nn.Parameter):
            modules[key] = copy.deepcopy(module.get_parameter(key))
        elif key in program.recipes:
            part.load_state_dict(made(program.recipes[key], state), assign=True)
        elif next(chain(part.parameters(), part.buffers()), None) is not None:
            modules[key] = copy.deepcopy(module.get_submodule(key))
    tree = tree_of(modules)
    result = with_branches(fx.GraphModule(tree, fx_graph(program.graph, modules)), tree)
    return result.eval().requires_grad_(False)


def _packed(plain: fx.GraphModule, graph: ArchGraph, x: Tensor, tuned: bool) -> fx.GraphModule:
    """The same with packed layers, and what follows them within the same call; a large batch in slices."""
    found = fusions(graph)
    hidden = {name for fusion in found.values() for name in fusion.hidden}
    parts = slices(graph, len(x), x.element_size(), hidden)
    nodes = {node.meta["arch"]["name"]: node for node in plain.graph.nodes if "arch" in node.meta}
    for name, fusion in found.items():
        node, layer = nodes[name], plain.get_submodule(graph[name].key)
        batch = parts.size if parts is not None and name in parts.nodes else len(x)
        size = (batch, *(dim for dim in graph[graph.operands(name)[0]].shape if isinstance(dim, int)))
        made = packed.packed(layer, fusion, list(size))
        if made is None:
            continue
        if tuned and winograd.suits(layer, fusion):
            made = _faster([made, winograd.WinogradConv(layer, fusion)], [torch.randn(size).contiguous(memory_format=torch.channels_last)])
        target = f"packed.{name.replace('.', '_').replace('+', '_')}"
        plain.add_submodule(target, made)
        with plain.graph.inserting_before(node):
            operands = (node.args[0], nodes[fusion.add]) if fusion.add else (node.args[0],)
            call = plain.graph.call_module(target, operands)
            call.meta.update(nodes[fusion.result].meta)
        nodes[fusion.result].replace_all_uses_with(call)
        nodes[fusion.result] = call
    plain.graph.eliminate_dead_code()
    if parts is not None:
        _slice(plain, nodes[parts.last], parts.size)
    plain.delete_all_unused_submodules()
    plain.recompile()
    return plain


class Sliced(nn.Module):
    """A part of a network that takes a batch in slices, one behind the other."""

    def __init__(self, part: nn.Module, size: int) -> None:
        super().__init__()
        self.part, self.size = part, size

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.part(samples) for samples in torch.split(x, self.size)])


def _slice(whole: fx.GraphModule, last: fx.Node, size: int) -> None:
    """Make a part of all nodes up to one, for a network with one input."""
    head = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in whole.graph.nodes:
        copies[node] = head.node_copy(node, copies.__getitem__)
        if node is last:
            break
    head.output(copies[last])
    whole.add_submodule("packed.head", Sliced(fx.GraphModule(whole, head), size))
    with whole.graph.inserting_before(last):
        call = whole.graph.call_module("packed.head", (next(iter(whole.graph.nodes)),))
    call.meta.update(last.meta)
    last.replace_all_uses_with(call)
    whole.graph.eliminate_dead_code()
