"""The names of a lowered program as functions and classes of Python."""

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
    """What a target names: `nn.Conv2d`. Raises KeyError and AttributeError for a target that there is not."""
    namespace, _, name = target.partition(".")
    found: Callable[..., Any] = getattr(import_module(NAMESPACES[namespace]), name)
    return found
