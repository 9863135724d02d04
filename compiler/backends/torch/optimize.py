"""Optimize networks for inference, by level.

0: as written.
1: as written, with activations in place: the same values to the last bit.
2: batch norms folded, siblings merged, channels last, activations in place; on a CPU also packed layers (`packed`) and large batches
   in slices.
3: level 2 with torch's compiler (Inductor), with freezing on a CPU and CUDA graphs on a GPU; on a CPU also Winograd's algorithm for
   convolutions. All variants are timed, and the fastest is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, fx, nn

from archc.compiler.backends.torch import packed
from archc.compiler.backends.torch.arch_module import ArchModule
from archc.compiler.backends.torch.cpu import for_cpu
from archc.compiler.backends.torch.nodes import fx_graph, modules_of, tree_of, with_branches
from archc.compiler.backends.torch.timing import fastest
from archc.compiler.backends.torch.weights import computed
from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import lowered
from archc.compiler.lowering.program import LoweredProgram
from archc.compiler.passes import Pass

DIFFERENT = 1e-5  # the largest difference of a program from the network in float64, relative to the largest value


def optimized(
    module: ArchModule, graph: ArchGraph, inputs: Sequence[Tensor], level: int = 2, pipeline: tuple[Pass, ...] | None = None
) -> Callable[..., Any]:
    """Return the network optimized for inference, with the weights, device and dtype of `module`, for inputs like `inputs`.

    `module` is as `lower` returned it, at level 0 or 1, with any weights; it is not changed. `inputs` are `(N, *shape)`, in order. The
    result takes inputs in any memory format; other batch sizes than N work, but may be slower. `pipeline` replaces the passes of the
    level. Raises ValueError for an unknown level, and for a module that was changed after `lower`, since passes work on `graph`.
    """
    if level not in (0, 1, 2, 3):
        raise ValueError(f"the levels of optimization are 0, 1, 2 and 3, not {level}")
    if change := module._first_change():
        raise ValueError(
            f"the module is not as it was lowered: {change}; optimize works on the network of the file and would leave that out. "
            "Change the file, or use torch.compile"
        )
    program = lowered(graph, "inference", min(level, 2), pipeline)
    plain = realized(module, program)
    if level < 2:
        return _as_trainable(plain)
    if any(x.dim() == 4 for x in inputs):
        _channels_last(plain)
    on_cpu = inputs[0].device.type == "cpu"
    compiled = _compiled(plain, on_cpu) if level == 3 else None
    direct: Callable[..., Any] = plain
    if on_cpu and packed.available(inputs[0].dtype):
        direct = for_cpu(copy.deepcopy(plain) if compiled else plain, program.graph, inputs[0], tuned=level == 3)
    return direct if compiled is None else fastest([compiled, direct], inputs)


def _as_trainable(plain: fx.GraphModule) -> Callable[..., Any]:
    """Wrap a module: its parameters require gradients, which are not computed.

    torch multiplies a matrix that is not contiguous otherwise by weights that require none, even where gradients are disabled, and the
    last bits differ.
    """
    plain.requires_grad_(True)

    def forward(*inputs: Tensor) -> Any:
        with torch.no_grad():
            return plain(*inputs)

    return forward


def _channels_last(plain: fx.GraphModule) -> None:
    """Change the layout of weights of four axes, in place. `Module.to` fails where there are five, behind a change of rank."""
    for weight in chain(plain.parameters(), plain.buffers()):
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)


def _compiled(plain: fx.GraphModule, on_cpu: bool) -> Callable[..., Any]:
    options: dict[str, Any] = {"freezing": True} if on_cpu else {"freezing": True, "triton.cudagraphs": True, "max_autotune": True}
    return _last_layout(torch.compile(plain, options=options))


def _last_layout(module: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a module: convert inputs to channels-last, and disable gradients, without which the compiler does not freeze weights."""

    def forward(*inputs: Tensor) -> Any:
        with torch.no_grad():
            return module(*(x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x for x in inputs))

    return forward


def realized(module: ArchModule, program: LoweredProgram) -> fx.GraphModule:
    """Return a flat module for a program in evaluation mode, without gradients, with weights computed from those of `module`.

    It has the device and the dtype of `module`, and shares no tensors with it.
    """
    state = {name: tensor.detach() for name, tensor in module.state_dict().items()}
    with torch.device("meta"):
        modules = modules_of(program)
    for key, part in modules.items():
        if isinstance(part, nn.Parameter):
            modules[key] = copy.deepcopy(module.get_parameter(key))
        elif key in program.recipes:
            part.load_state_dict(computed(program.recipes[key], state), assign=True)
        elif next(chain(part.parameters(), part.buffers()), None) is not None:
            modules[key] = copy.deepcopy(module.get_submodule(key))
    tree = tree_of(modules)
    result = with_branches(fx.GraphModule(tree, fx_graph(program)), tree)
    return result.eval().requires_grad_(False)
