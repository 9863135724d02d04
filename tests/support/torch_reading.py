"""Compare a network that was read with its source: the printed text, the keys, and the results with stirred weights. Imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import archc
from archc.compiler.analysis.printing import program
from archc.compiler.backends.torch.lower import lower
from archc.compiler.frontends import FlatNetwork
from archc.compiler.frontends.torch.sources import module_object


@dataclass(frozen=True)
class Reading:
    """What a comparison has found: the network that was read, its text, and the largest difference of a result, relative to the largest."""

    flat: FlatNetwork
    text: str
    difference: float

    @property
    def ops(self) -> list[str]:
        """The operators in order, without inputs."""
        return [node.op for node in self.flat.graph if not node.is_input]


def stirred(module: nn.Module) -> nn.Module:
    """The module with weights that are not those of the start, for evaluation."""
    torch.manual_seed(1)
    for key, tensor in module.state_dict().items():
        if key.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point():
            tensor.add_(torch.randn_like(tensor) * (0.1 if tensor.dim() < 2 or tensor.abs().max() < 1e-3 else 0.01))
    return module.eval()


def compared(flat: FlatNetwork, module: nn.Module, batch: int = 2, dtype: torch.dtype = torch.float32) -> Reading:
    """Print, check and lower what was read, load the module's weights strictly by key, and compare results."""
    text = program(flat.graph)
    net = archc.loads(text)
    assert [(n.name, n.op, n.key, n.shape, dict(n.attrs)) for n in net.graph] == [
        (n.name, n.op, n.key, n.shape, dict(n.attrs)) for n in flat.graph
    ]
    ours = lower(net.graph).eval()
    state = stirred(module).state_dict()
    if flat.change is not None:
        state = {key: torch.as_tensor(value) for key, value in flat.change({key: tensor.numpy() for key, tensor in state.items()}).items()}
    ours.load_state_dict(state, strict=True)
    ours, module = ours.to(dtype), module.to(dtype)
    torch.manual_seed(2)
    inputs = [torch.randn(batch, *(int(size) for size in node.shape)).to(dtype) for node in flat.graph.inputs]
    with torch.no_grad():
        theirs, mine = leaves(module(*inputs)), leaves(ours(*inputs))
    assert len(theirs) == len(mine)
    return Reading(flat, text, max(float((a - b.reshape(a.shape)).abs().max() / a.abs().max()) for a, b in zip(theirs, mine, strict=True)))


def leaves(result: Any) -> list[Tensor]:
    """The tensors of a result, in order."""
    if isinstance(result, Tensor):
        return [result]
    parts = result.values() if isinstance(result, dict) else result
    return [tensor for part in parts for tensor in leaves(part)]


def read_module(module: nn.Module, *shapes: tuple[int, ...]) -> Reading:
    """Read a module with inputs of the given shapes, without the batch, and compare it with what was read."""
    return compared(module_object(module, [torch.empty(2, *shape) for shape in shapes]), module)
