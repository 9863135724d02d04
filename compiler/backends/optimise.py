"""Networks for inference, faster: levels 2 and 3.

2: batch norms folded, siblings merged, channels last, activations in place; on a CPU the convolutions packed (`packed`).
3: the same under torch's compiler (Inductor), freezing on a CPU, CUDA graphs on a GPU; both are timed, and the faster is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, fx, nn

from compiler.backends import packed
from compiler.backends.torch_fx import ArchModule, fx_graph, modules_of, tree_of
from compiler.backends.weights import made
from compiler.graph import ArchGraph
from compiler.passes import INFERENCE, run
from compiler.passes.in_place import in_place
from compiler.passes.program import Program

LEVELS = (0, 1, 2, 3)
DIFFERENT = 1e-5  # how far a program may be from the network in float64, relative to its largest value


def optimised(
    module: ArchModule, graph: ArchGraph, inputs: Sequence[Tensor], level: int = 2, watch: Callable[[str, Program], None] | None = None
) -> Callable[..., Any]:
    """A network as fast as this knows, with the weights, device and dtype of `module`, for inputs like these.

    `module` is as `lower` gave it, at level 0 or 1; it stays as it is. The result is for inference, and takes inputs in any layout.
    """
    program = run(graph, INFERENCE[2], watch)
    plain = realised(module, program)
    if any(x.dim() == 4 for x in inputs):
        plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    on_cpu = inputs[0].device.type == "cpu"
    compiled = _compiled(plain, on_cpu) if level == 3 else None
    direct: Callable[..., Any] = plain
    if on_cpu and packed.available(inputs[0].dtype):
        direct = _packed(copy.deepcopy(plain) if compiled else plain, program.graph, len(inputs[0]))
    return direct if compiled is None else _faster([compiled, direct], inputs)


def _compiled(plain: fx.GraphModule, on_cpu: bool) -> Callable[..., Any]:
    options: dict[str, Any] = {"freezing": True} if on_cpu else {"freezing": True, "triton.cudagraphs": True, "max_autotune": True}
    return _last_layout(torch.compile(plain, options=options))


def _faster(candidates: Sequence[Callable[..., Any]], inputs: Sequence[Tensor], runs: int = 7) -> Callable[..., Any]:
    """The one that takes the least time here, in the median of some runs in turn."""
    times: list[list[float]] = [[] for _ in candidates]
    with torch.no_grad():
        for turn in range(runs + 2):
            for number, candidate in enumerate(candidates):
                begin = perf_counter()
                candidate(*inputs)
                if inputs[0].is_cuda:
                    torch.cuda.synchronize()
                if turn > 1:
                    times[number].append(perf_counter() - begin)
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
        elif any(True for _ in part.parameters()) or any(True for _ in part.buffers()):
            modules[key] = copy.deepcopy(module.get_submodule(key))
    result = fx.GraphModule(tree_of(modules), fx_graph(program.graph, modules))
    for child, branch in tree_of(modules).named_children():
        setattr(result, child, branch)
    return result.eval().requires_grad_(False)


def _packed(plain: fx.GraphModule, graph: ArchGraph, batch: int) -> fx.GraphModule:
    """The same with packed convolutions, and what follows them within the same call."""
    found = packed.fusions(graph)

    nodes = {node.meta["arch"]["name"]: node for node in plain.graph.nodes if "arch" in node.meta}
    for name, fusion in found.items():
        node, conv = nodes[name], plain.get_submodule(graph[name].key)
        if not isinstance(conv, nn.Conv2d):
            continue
        size = [batch, *(dim for dim in graph[graph.operands(name)[0]].shape if isinstance(dim, int))]
        target = f"packed.{name.replace('.', '_').replace('+', '_')}"
        plain.add_submodule(target, packed.PackedConv(conv, fusion, size))
        with plain.graph.inserting_before(node):
            operands = (node.args[0], nodes[fusion.add]) if fusion.add else (node.args[0],)
            call = plain.graph.call_module(target, operands)
            call.meta.update(nodes[fusion.result].meta)
        nodes[fusion.result].replace_all_uses_with(call)
        nodes[fusion.result] = call

    plain.graph.eliminate_dead_code()
    plain.delete_all_unused_submodules()
    plain.recompile()
    return plain
