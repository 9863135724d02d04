"""Resolve the target names of a lowered program to Python functions and classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

NAMESPACES = {
    "nn": "torch.nn",
    "F": "torch.nn.functional",
    "torch": "torch",
    "operator": "operator",
    "archc": "archc.compiler.backends.torch.modules",
}


@cache
def resolve(target: str) -> Callable[..., Any]:
    """Return the function or class that a target such as `nn.Conv2d` names. Raises KeyError or AttributeError for an unknown target."""
    namespace, _, name = target.partition(".")
    resolved: Callable[..., Any] = getattr(import_module(NAMESPACES[namespace]), name)
    return resolved
