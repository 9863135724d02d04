"""Read files of weights, check them, and load them into a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from archc.compiler.backends.errors import Unreadable, check_keys, empty, not_finite, other_kind, unreadable
from archc.compiler.backends.torch.foreign import Fit, converted, fit
from archc.compiler.backends.torch.lower import lower
from archc.compiler.backends.torch.published import PREFIX, published
from archc.compiler.graph import ArchGraph


def load_weights(module: nn.Module, source: str, network: str = "", any_value: bool = False) -> None:
    """Load a state_dict by name into `module`, from a file or, for `torchvision:NAME`, from torchvision's weights of that name.

    `network` is the name of the network for torchvision. Raises Unfit, with all keys that do not fit, and Unreadable, also for NaN and
    infinite values unless `any_value`; the module is unchanged then.
    """
    state = published(network, source.removeprefix(PREFIX)) if source.startswith(PREFIX) else read_weights(Path(source))
    own = module.state_dict()
    check_keys(source, _sizes(state), _sizes(own))
    _check_values(source, state, own, any_value)
    module.load_state_dict(state, strict=False)


def fitted(graph: ArchGraph, path: Path) -> tuple[Fit, dict[str, Tensor]]:
    """Match the weights of a file to a network, whatever their keys are; return the match, and the tensors under our keys.

    Raises Unreadable.
    """
    state = read_weights(path)
    with torch.device("meta"):
        own = lower(graph).state_dict()
    match = fit(own, state, ordered=path.suffix != ".safetensors")  # safetensors does not keep the order of the network
    taken = {theirs: own[ours] for ours, theirs in match.mapping.items()}
    _check_values(str(path), {key: state[key] for key in taken if key in state}, taken, any_value=True)
    return match, converted(match, own, state)


def _check_values(source: str, state: Mapping[str, Tensor], own: Mapping[str, Tensor], any_value: bool) -> None:
    """Raise Unreadable for tensors that could not be copied, or whose values loading would silently change."""
    for key, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_quantized:
            kind = "quantized" if tensor.is_quantized else "sparse"
            raise Unreadable(f"{key} of {source} is {kind} ({tensor.dtype}); save it as a dense tensor")
        if tensor.is_meta:
            raise Unreadable(f"{key} of {source} is on the meta device ({tensor.dtype}): it has a shape and no values")
        if key in own and own[key].is_floating_point() and not tensor.is_floating_point():
            raise other_kind(source, key, tensor.dtype, own[key].dtype)
        if not any_value and tensor.is_floating_point() and not tensor.isfinite().all():
            raise not_finite(source, key, tensor.dtype, bool(tensor.isnan().any()))


def _sizes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state_dict from a .safetensors file, or from a file of torch.save that contains only tensors. Raises Unreadable."""
    try:
        if path.is_file() and not path.stat().st_size:
            raise empty(path)
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        data: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Unreadable:
        raise
    except UnpicklingError as error:
        raise Unreadable(f"cannot read weights from {path}: {_why(str(error))}") from error
    except Exception as error:
        raise unreadable(path, error) from error
    if isinstance(data, dict) and isinstance(data.get("state_dict"), dict):
        data = data["state_dict"]
    if not isinstance(data, dict) or not all(isinstance(value, Tensor) for value in data.values()):
        raise Unreadable(f"{path} contains no state_dict (tensors by name)")
    return data


def _why(text: str) -> str:
    """Return why a pickle was refused, without torch's advice to load it anyway."""
    if any(word in text for word in ("GLOBAL", "Unsupported global", "Unsupported class", "reduce", "persistent")):
        return "it holds Python objects, which could run code; save the state_dict (`torch.save(model.state_dict(), ...)`), or safetensors"
    return "it was not written by torch.save or safetensors"
