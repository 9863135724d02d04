"""The weights that torchvision publishes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from archc.compiler.backends.errors import Unreadable
from archc.dsl.vocabulary.spelling import near

PREFIX = "torchvision:"
_LEGACY = re.compile(r"\bmlp\.linear_([12])\.(?=weight$|bias$)")


def torchvision_models() -> Any:
    """Import and return torchvision.models, even where its C++ operators cannot be loaded, as with a wheel for CUDA and torch for CPUs.

    The import registers fake versions of these operators with torch, which fails for missing ones. The networks do not need them.
    """
    register = torch.library.register_fake

    def describe(*args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        def decorate(function: Any) -> Any:
            try:
                return register(*args, **kwargs)(function)
            except RuntimeError:
                return function

        return decorate

    torch.library.register_fake = describe
    try:
        import torchvision
    finally:
        torch.library.register_fake = register
    return torchvision.models


def published(network: str, name: str) -> dict[str, Tensor]:
    """Return the state_dict of a network under a name in torchvision's enum of weights; torch.hub downloads it once. Raises Unreadable.

    Unreadable is raised for a network or a name that torchvision does not have, and where it cannot be imported or downloaded from.
    """
    try:
        models = torchvision_models()
    except ModuleNotFoundError as error:
        raise Unreadable(f"{PREFIX} needs torchvision: pip install torchvision, or give a file of weights: --weights FILE.pth") from error
    except Exception as error:  # it may be built for another torch
        raise Unreadable(f"torchvision is installed and cannot be imported ({error}); give a file: --weights FILE.pth") from error
    constructor = network.removesuffix("_torchvision")
    known = models.list_models()
    if constructor not in known:
        raise Unreadable(
            f"torchvision has no network {constructor}{_meant(constructor, known)}; give a file of weights: --weights FILE.pth"
        )
    enum = models.get_model_weights(constructor)
    if name not in enum.__members__:
        raise Unreadable(
            f"torchvision has no weights {name} for {constructor}{_meant(name, enum.__members__)}; it has {', '.join(enum.__members__)}"
        )
    try:
        state: dict[str, Tensor] = enum[name].get_state_dict(progress=False)
    except OSError as error:
        raise Unreadable(
            f"cannot reach {enum[name].url} ({error}); download it where there is a network, and give the file: --weights FILE.pth"
        ) from error
    return renamed(state)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under the keys of torchvision's present modules: those of vision transformers once named the layers of an MLP."""
    return {_LEGACY.sub(lambda found: f"mlp.{3 * int(found[1]) - 3}.", key): tensor for key, tensor in state.items()}


def _meant(name: str, known: Any) -> str:
    names = near(name, known)
    return f" (did you mean {' or '.join(names)}?)" if names else ""
