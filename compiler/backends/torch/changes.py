"""Detect what a user has changed in a lowered module: members, graphs, settings and hooks, but not the values of weights."""

from __future__ import annotations

from typing import Any

from torch import nn

from archc.compiler.backends.torch.blocks import Block
from archc.compiler.graph import ArchGraph

HARMLESS = ("training", "p", "momentum", "inplace", "meta")  # settings of a module that do not change what inference computes


def first_change(fresh: nn.Module, module: nn.Module, graph: ArchGraph, training: bool = False, hooks: bool = True) -> str:
    """Return the first part of `module` that differs from that of `fresh`, the same network lowered again, and how; "" if there is none.

    Parts for training only are compared if `training`, and hooks are reported if `hooks`.
    """
    live = _live(graph, training)
    here = {path: part for path, part in module.named_modules(remove_duplicate=False) if path in live or _strange(path, live)}
    for path, part in fresh.named_modules(remove_duplicate=False):
        if path not in live:
            continue
        other = here.pop(path, None)
        if other is None:
            return f"{path} is no longer there"
        if difference := _difference(part, other, training, hooks):
            return f"{path or 'the network'} {difference}"
    strange = next((path for path in here if path not in live), None)
    return f"{strange} was added" if strange else ""


def _live(graph: ArchGraph, training: bool) -> set[str]:
    """Return the paths of the modules that run in a mode, and of the modules around them."""
    paths = {""}
    for node in graph:
        if training or not node.training_only:
            parts = node.key.split(".")
            paths.update(".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return paths


def _strange(path: str, live: set[str]) -> bool:
    """Return whether a module is a new member of a Sequential or a ModuleList, which runs it; elsewhere only a changed graph runs it."""
    around, _, name = path.rpartition(".")
    return around in live and around != "" and name.isdigit()


def _difference(part: nn.Module, here: nn.Module, training: bool, hooks: bool) -> str:
    if isinstance(part, Block):
        if not isinstance(here, Block) or part._form_of(training) is not here._form_of(training):
            return "has another graph" if isinstance(here, Block) else f"is now of the class {type(here).__name__}"
    elif type(part) is not type(here):
        return f"is now of the class {type(here).__name__}, and was of {type(part).__name__}"
    elif (one := _settings(part)) != (other := _settings(here)):
        name = next(name for name in {**one, **other} if one.get(name) != other.get(name))
        return f"has another {name}"
    if hooks and (here._forward_hooks or here._forward_pre_hooks):
        return "has a forward hook"
    return ""


def _settings(module: nn.Module) -> dict[str, Any]:
    """Return the settings of a module as text, and the shapes of its tensors."""
    if isinstance(module, Block):
        return {}
    settings = {name: repr(value) for name, value in vars(module).items() if not name.startswith("_") and name not in HARMLESS}
    tensors = {**module._parameters, **module._buffers}
    return {**settings, **{name: None if tensor is None else tuple(tensor.shape) for name, tensor in tensors.items()}}
