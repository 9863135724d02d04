"""Running a lowered network once, loading weights into it, and writing it to files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from compiler.backends.foreign import Fit, converted, fit
from compiler.backends.optimise import optimised
from compiler.backends.torch_fx import ArchModule, lower, parameter_count, random_inputs
from compiler.files import CannotWrite, Lenient, replacing
from compiler.graph import ArchGraph

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SEED = 0
PUBLISHED = "torchvision:"


class Unfit(Exception):
    """Weights do not fit the network. `rows` says how: (what, key, in the file, in the network)."""

    def __init__(self, path: str, rows: list[tuple[str, str, str, str]]) -> None:
        super().__init__(f"{path} does not fit the network in {len(rows)} keys")
        self.rows = rows


class Unreadable(Exception):
    """A file of weights cannot be read."""


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
    graph: ArchGraph, device: str = "auto", dtype: str = "float32", batch: int = 1, weights: str = "", level: int = 0
) -> Ran:
    """Lower, load weights, move to the device, optimise, and run one forward pass in evaluation mode on seeded random input."""
    seconds: dict[str, float] = {}
    clock = perf_counter()

    def lap(stage: str) -> None:
        nonlocal clock
        now = perf_counter()
        seconds[stage] = now - clock
        clock = now

    where = pick_device(device)
    torch.manual_seed(SEED)
    module = lower(graph, level=min(level, 1))
    lap("lower")
    if weights:
        load_weights(module, weights, graph.name)
        lap("weights")
    inputs = random_inputs(graph, batch, where, DTYPES[dtype])
    module.to(device=where, dtype=DTYPES[dtype])
    lap("to device")
    run: Callable[..., Any] = module
    if level > 1:
        run = optimised(module, graph, inputs, level)
        lap("optimise")
    with torch.no_grad():
        result = run(*inputs)
    if where.type == "cuda":
        torch.cuda.synchronize()
    lap("forward")
    names = [name for name, output in graph.outputs.items() if not output.training_only]
    outputs = result if isinstance(result, dict) else {names[0]: result}
    shown = f"cuda ({torch.cuda.get_device_name(where)})" if where.type == "cuda" else "cpu"
    return Ran(module, inputs, outputs, shown, parameter_count(module), seconds)


def measured(graph: ArchGraph, dtype: str, batch: int) -> tuple[int, int]:
    """Bytes of activations: the peak at inference, and what training keeps; on the GPU where there is one."""
    from compiler.backends.measure import activations

    where = pick_device("auto")
    module = lower(graph).to(device=where, dtype=DTYPES[dtype])
    inputs = tuple(random_inputs(graph, batch, where, DTYPES[dtype]))
    return activations(module, inputs, training=False), activations(module, inputs, training=True)


# ---- weights


def load_weights(module: nn.Module, source: str, network: str = "") -> None:
    """Load a state_dict by name, from a file or, by `torchvision:NAME`, from torchvision's weights of that name.

    Raises Unfit, with every key that does not fit, and Unreadable; nothing is changed then.
    """
    state = published(network, source.removeprefix(PUBLISHED)) if source.startswith(PUBLISHED) else read_weights(Path(source))
    own = module.state_dict()
    rows: list[tuple[str, str, str, str]] = []
    for key, tensor in own.items():
        if key not in state:
            if not key.endswith("num_batches_tracked"):  # a counter that older files do not have
                rows.append(("missing", key, "", _size(tensor)))
        elif state[key].shape != tensor.shape:
            rows.append(("misshapen", key, _size(state[key]), _size(tensor)))
    rows.extend(("unexpected", key, _size(tensor), "") for key, tensor in state.items() if key not in own)
    if rows:
        raise Unfit(source, rows)
    module.load_state_dict(state, strict=False)


def fitted(graph: ArchGraph, path: Path) -> tuple[Fit, dict[str, Tensor]]:
    """How the weights of a file fit a network, whatever they are called; and those that do, under our names."""
    state = read_weights(path)
    with torch.device("meta"):
        own = lower(graph).state_dict()
    found = fit(own, state, ordered=path.suffix != ".safetensors")  # such a file has its tensors in an order of its own
    return found, converted(found, own, state)


def published(network: str, name: str) -> dict[str, Tensor]:
    """The weights that torchvision publishes for a network under a name of its enum, downloaded once by torch.hub."""
    try:
        from torchvision.models import get_model_weights
    except ModuleNotFoundError as error:
        raise Unreadable(
            f"{PUBLISHED} needs torchvision: pip install torchvision, or give a file of weights: --weights FILE.pth"
        ) from error
    except Exception as error:  # it may be built for another torch
        raise Unreadable(f"torchvision is installed and cannot be imported ({error}); give a file: --weights FILE.pth") from error
    constructor = network.removesuffix("_torchvision")
    try:
        enum = get_model_weights(constructor)
    except ValueError as error:
        raise Unreadable(f"torchvision has no network {constructor}; give a file of weights instead") from error
    if name not in enum.__members__:
        raise Unreadable(f"torchvision has no weights {name} for {constructor}; it has {', '.join(enum.__members__)}")
    try:
        state: dict[str, Tensor] = enum[name].get_state_dict(progress=False)
    except OSError as error:
        raise Unreadable(
            f"cannot reach {enum[name].url} ({error}); download it where there is a network, and give the file: --weights FILE.pth"
        ) from error
    return state


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def read_weights(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        data: Any = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:  # whose own text explains how to read the file in spite of it
        raise Unreadable(
            f"cannot read weights from {path}: it holds Python objects, which could run code, or is no file of tensors"
        ) from error
    except Exception as error:
        raise Unreadable(
            f"cannot read weights from {path}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from error
    if isinstance(data, dict) and isinstance(data.get("state_dict"), dict):
        data = data["state_dict"]
    if not isinstance(data, dict) or not all(isinstance(value, Tensor) for value in data.values()):
        raise Unreadable(f"{path} holds no state_dict, a table of tensors by name")
    return data


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


def save_exported(module: ArchModule, inputs: list[Tensor], path: Path) -> None:
    """The network as torch.export has it, for any batch, atomically."""
    batch = torch.export.Dim("batch", min=1)
    # An example with a batch of one would fix the batch at one.
    example = tuple(torch.cat([x, x])[: max(2, len(x))] for x in inputs)
    program = torch.export.export(module, example, dynamic_shapes=tuple({0: batch} for _ in example))
    with replacing(path) as temporary:
        with Lenient(temporary, "wb") as file:  # torch aborts the process where a write fails
            torch.export.save(program, file)
        if file.error is not None:
            raise file.error
