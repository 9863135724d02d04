"""Build the modules that sources name, export them, and read the programs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from archc.compiler.backends.torch.published import torchvision_models
from archc.compiler.frontends.flat import CannotRead, FlatNetwork
from archc.compiler.frontends.torch import attention, layers, moving, pointwise, windows  # noqa: F401  # they register their rules
from archc.compiler.frontends.torch.reader import Reader
from torch import nn

BATCH = 2


def exported(module: nn.Module, shapes: Sequence[Sequence[int]]) -> torch.export.ExportedProgram:
    """Return the exported program of a module on the meta device, in evaluation."""
    module.eval()
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(module, tuple(torch.empty(BATCH, *shape) for shape in shapes), strict=False)


def read_program(program: torch.export.ExportedProgram, name: str, title: str, modes: Mapping[str, str] | None = None) -> FlatNetwork:
    """Return the graph of an exported program. Raises CannotRead."""
    reader = Reader(program, title, BATCH)
    reader.modes.update(modes or {})
    reader.read()
    state = {key: tuple(tensor.shape) for key, tensor in program.state_dict.items()}
    outputs = {"output" if len(reader.outputs) == 1 else f"output{place + 1}": number for place, number in enumerate(reader.outputs)}
    graph, named = reader.flat.finished(name, title, outputs, state)
    classes = {path: kind for path, kind in reader.classes.items() if path}
    return FlatNetwork(graph, title, classes, named)


def torchvision(name: str, shape: Sequence[int] = (3, 224, 224)) -> FlatNetwork:
    """Return the graph of a network of torchvision."""
    models = torchvision_models()
    with torch.device("meta"):
        module = models.get_model(name, weights=None)
    return read_module(module, [shape], name, f"torchvision.models.{name}")


def timm(name: str, shape: Sequence[int] | None = None, **options: Any) -> FlatNetwork:
    """Return the graph of a network of timm."""
    torchvision_models()
    import timm

    with torch.device("meta"):
        module = timm.create_model(name, **options)
    shape = shape or module.pretrained_cfg["input_size"]
    return read_module(module, [shape], name.replace(".", "_"), f"timm {name}")


def read_module(module: nn.Module, shapes: Sequence[Sequence[int]], name: str, title: str) -> FlatNetwork:
    """Return the graph of a module."""
    modes = marked(module)
    return read_program(exported(module, shapes), name, title, modes)


def marked(module: nn.Module) -> dict[str, str]:
    """Let modules that drop samples in training leave a trace in a program for evaluation; return by path what is dropped together."""
    modes: dict[str, str] = {}
    for path, part in module.named_modules():
        kind = type(part).__name__
        if kind not in pointwise.SAMPLES:
            continue
        p = getattr(part, "p", None) if kind == "StochasticDepth" else getattr(part, "drop_prob", None)
        if kind == "DropPath" and not getattr(part, "scale_by_keep", True):
            raise CannotRead("it drops samples without scaling the others", kind, path)
        modes[path] = getattr(part, "mode", "row")
        part.forward = lambda x, p=float(p or 0.0): nn.functional.dropout(x, p, training=False)  # type: ignore[method-assign]
    return modes
