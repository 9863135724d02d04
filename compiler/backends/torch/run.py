"""Running a lowered network once, loading weights into it, and writing it to files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from archc.compiler.backends.torch.arch_module import ArchModule, source_of
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.backends.torch.nodes import stack_trace
from archc.compiler.backends.torch.optimize import optimized
from archc.compiler.backends.torch.room import check_room, told
from archc.compiler.backends.torch.weight_files import load_weights
from archc.compiler.files import CannotWrite, Lenient, replacing
from archc.compiler.graph import ArchGraph

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SEED = 0


class NoDevice(Exception):
    """A device was asked for that is not there."""


@dataclass
class Ran:
    """A network that has run once, and how long each stage took, in seconds."""

    module: ArchModule
    inputs: list[Tensor]
    outputs: dict[str, Tensor]
    device: str
    params: int
    seconds: dict[str, float]


def pick_device(name: str) -> torch.device:
    """`auto` is the GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise NoDevice("this machine has no CUDA device that torch can use; take `--device cpu` or `auto`")
    return torch.device(name)


def compile_and_run(
    graph: ArchGraph,
    device: str = "auto",
    dtype: str = "float32",
    batch: int = 1,
    weights: str = "",
    level: int = 0,
    any_value: bool = False,
    talk: Callable[[str], object] = lambda text: None,
) -> Ran:
    """Lower, load weights, move to the device, optimize, and run one forward pass in evaluation mode on seeded random input.

    `talk` is told where memory may be short. Raises NoDevice, NoMemory, Unreadable and Unfit.
    """
    where = pick_device(device)
    if doubt := check_room(graph, dtype, batch, where, copies=2 if level > 1 else 1):
        talk(doubt)
    with told(graph):
        return _compile_and_run(graph, where, dtype, batch, weights, level, any_value)


def _compile_and_run(graph: ArchGraph, where: torch.device, dtype: str, batch: int, weights: str, level: int, any_value: bool) -> Ran:
    seconds: dict[str, float] = {}
    clock = perf_counter()

    def lap(stage: str) -> None:
        nonlocal clock
        now = perf_counter()
        seconds[stage] = now - clock
        clock = now

    torch.manual_seed(SEED)
    module = lower(graph, level=min(level, 1)).eval()
    lap("lower")
    if weights:
        load_weights(module, weights, graph.name, any_value)
        lap("weights")
    inputs = random_inputs(graph, batch, where, DTYPES[dtype])
    module.to(device=where, dtype=DTYPES[dtype])
    lap("to device")
    run: Callable[..., Any] = module
    if level > 1:
        run = optimized(module, graph, inputs, level)
        lap("optimize")
    with torch.no_grad():
        result = run(*inputs)
    if where.type == "cuda":
        torch.cuda.synchronize()
    lap("forward")
    names = [name for name, output in graph.outputs.items() if not output.training_only]
    outputs = result if isinstance(result, dict) else {names[0]: result}
    shown = f"cuda ({torch.cuda.get_device_name(where)})" if where.type == "cuda" else "cpu"
    return Ran(module, inputs, outputs, shown, sum(weight.numel() for weight in module.parameters()), seconds)


def measured(graph: ArchGraph, dtype: str, batch: int) -> tuple[int, int]:
    """Bytes of activations: the peak at inference, and what training keeps; on the GPU where there is one. Raises NoMemory."""
    from archc.compiler.backends.torch.measure import activations

    where = pick_device("auto")
    check_room(graph, dtype, batch, where)
    with told(graph):
        module = lower(graph).to(device=where, dtype=DTYPES[dtype])
        inputs = tuple(random_inputs(graph, batch, where, DTYPES[dtype]))
        return activations(module, inputs, training=False), activations(module, inputs, training=True)


# ---- files


def save_weights(module: nn.Module, path: Path) -> None:
    """The state_dict as safetensors, atomically."""
    save_tensors(module.state_dict(), path)


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Tensors by name as safetensors, atomically."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    state = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(state, temporary)
        except SafetensorError as error:  # its only way to say that the disk is full
            raise CannotWrite(path, str(error)) from error


def _name_no_machine(program: torch.export.ExportedProgram, module: ArchModule) -> None:
    """Replace what names folders and addresses of this machine by places in the `.arch` files, as far as they are known.

    Within blocks torch writes down the files of Python that ran, and of every node the addresses of those that it came from.
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


def save_exported(module: ArchModule, inputs: list[Tensor], path: Path) -> None:
    """The network as torch.export has it, for any batch, atomically."""
    batch = torch.export.Dim("batch", min=1)
    # An example with a batch of one would fix the batch at one.
    example = tuple(torch.cat([x, x])[: max(2, len(x))] for x in inputs)
    program = torch.export.export(module, example, dynamic_shapes=tuple({0: batch} for _ in example))
    _name_no_machine(program, module)
    with replacing(path) as temporary:
        with Lenient(temporary, "wb") as file:  # torch aborts the process where a write fails
            torch.export.save(program, file)
        if file.error is not None:
            raise file.error
