"""Write the files of torch and safetensors: exported programs and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archc.compiler.backends import Compiled
from archc.compiler.backends.torch.arch_module import ArchModule, source_of
from archc.compiler.backends.torch.nodes import stack_trace
from archc.compiler.backends.weights import numpy_dtype
from archc.compiler.files import CannotWrite, Lenient, replacing


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors by name as safetensors, atomically. Raises CannotWrite."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    state = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(state, temporary)
        except SafetensorError as error:  # raised, for example, when the disk is full
            raise CannotWrite(path, str(error)) from error


def arrays(module: nn.Module) -> dict[str, Any]:
    """Return the state_dict as numpy arrays, which share memory with tensors on the CPU; bfloat16 is that of ml_dtypes."""
    return {key: _array(tensor.detach().cpu()) for key, tensor in module.state_dict().items()}


def _array(tensor: Tensor) -> Any:
    if tensor.dtype != torch.bfloat16:
        return tensor.numpy()
    return tensor.view(torch.int16).numpy().view(numpy_dtype("bfloat16"))


def write_exported(compiled: Compiled, path: Path) -> None:
    """Write the network as a program of torch.export, for inputs `(N, *shape)` of any batch size, atomically. Raises CannotWrite."""
    module = compiled.module
    batch = torch.export.Dim("batch", min=1)
    example = doubled(compiled.inputs)
    program = torch.export.export(module, example, dynamic_shapes=tuple({0: batch} for _ in example))
    _name_no_machine(program, module)
    with replacing(path) as temporary:
        with Lenient(temporary, "wb") as file:  # torch aborts the process when a write fails
            torch.export.save(program, file)
        if file.error is not None:
            raise file.error


def doubled(inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return inputs of at least two samples: an example with a batch of one would fix the batch size at one."""
    return tuple(torch.cat([x, x])[: max(2, len(x))] for x in inputs)


def _name_no_machine(program: torch.export.ExportedProgram, module: ArchModule) -> None:
    """Replace paths and addresses of this machine by positions in the `.arch` files, and remove those without a known position.

    For nodes in blocks torch records the Python files that ran, and for each node the addresses of the nodes that it came from.
    """
    places = {node.key: stack_trace(node) for node in source_of(module)}
    for node in program.graph.nodes:
        node.meta.pop("from_node", None)
        stack = node.meta.get("nn_module_stack") or {"": ("", "")}
        place = places.get(next(reversed(stack.values()))[0])
        if place is not None:
            node.meta["stack_trace"] = place
        elif '.py"' in node.meta.get("stack_trace", ""):
            del node.meta["stack_trace"]
