"""Lower a network, load weights into it, and run it once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from archc.compiler.backends.errors import NoDevice
from archc.compiler.backends.torch.arch_module import ArchModule
from archc.compiler.backends.torch.free_memory import check_memory, memory_errors
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.backends.torch.optimize import optimized
from archc.compiler.backends.torch.weight_files import load_weights
from archc.compiler.graph import ArchGraph

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SEED = 0


@dataclass
class RunResult:
    """A lowered network, the seconds that each stage took, and, where it has run, its inputs `(N, *shape)` and its outputs by name."""

    module: ArchModule
    inputs: list[Tensor]
    outputs: dict[str, Tensor]
    device: str
    params: int
    seconds: dict[str, float]


def pick_device(name: str) -> torch.device:
    """Return a device by name; `auto` is the GPU where there is one, otherwise the CPU. Raises NoDevice."""
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
    run: bool = True,
) -> RunResult:
    """Lower, load weights, move to the device, optimize, and run one forward pass in evaluation mode on seeded random input.

    `talk` is called with a warning where memory may be short. Without `run`, sizes may be open. Seeds torch's random number generator.
    Raises NoDevice, NoMemory, Unreadable and Unfit.
    """
    where = pick_device(device)
    if doubt := check_memory(graph, dtype, batch, where, copies=2 if level > 1 else 1):
        talk(doubt)
    with memory_errors(graph):
        return _compile_and_run(graph, where, dtype, batch, weights, level, any_value, run)


def _compile_and_run(
    graph: ArchGraph, where: torch.device, dtype: str, batch: int, weights: str, level: int, any_value: bool, run: bool
) -> RunResult:
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
    inputs = random_inputs(graph, batch, where, DTYPES[dtype]) if run else []
    module.to(device=where, dtype=DTYPES[dtype])
    lap("to device")
    shown = f"cuda ({torch.cuda.get_device_name(where)})" if where.type == "cuda" else "cpu"
    params = sum(weight.numel() for weight in module.parameters())
    if not run:
        return RunResult(module, inputs, {}, shown, params, seconds)
    forward: Callable[..., Any] = module
    if level > 1:
        forward = optimized(module, graph, inputs, level)
        lap("optimize")
    with torch.no_grad():
        result = forward(*inputs)
    if where.type == "cuda":
        torch.cuda.synchronize()
    lap("forward")
    return RunResult(module, inputs, by_name(graph, result), shown, params, seconds)


def by_name(graph: ArchGraph, result: Any) -> dict[str, Any]:
    """Return the outputs of a network in evaluation by name, where a single one comes without it."""
    names = [name for name, output in graph.outputs.items() if not output.training_only]
    return dict(result) if isinstance(result, Mapping) else {names[0]: result}


def measured(graph: ArchGraph, dtype: str, batch: int) -> tuple[int, int]:
    """Measure activations in bytes, on the GPU where there is one: the peak at inference, and what training keeps. Raises NoMemory."""
    from archc.compiler.backends.torch.measure import activations

    where = pick_device("auto")
    check_memory(graph, dtype, batch, where)
    with memory_errors(graph):
        module = lower(graph).to(device=where, dtype=DTYPES[dtype])
        inputs = tuple(random_inputs(graph, batch, where, DTYPES[dtype]))
        return activations(module, inputs, training=False), activations(module, inputs, training=True)
