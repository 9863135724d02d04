"""Read files of weights, check them, and load them into a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from archc.compiler.backends.torch.foreign import Fit, converted, fit
from archc.compiler.backends.torch.lower import lower
from archc.compiler.backends.torch.published import PREFIX, Unreadable, published
from archc.compiler.graph import ArchGraph

PARALLEL = "module."  # the prefix of the keys that nn.DataParallel and DistributedDataParallel save


class Unfit(Exception):
    """Weights do not fit the network. `rows` are the differences: (what, key, shape in the file, shape in the network)."""

    def __init__(self, source: str, rows: list[tuple[str, str, str, str]], parallel: bool = False) -> None:
        prefix = f"; its keys begin with `{PARALLEL}`, as DistributedDataParallel saves them" if parallel else ""
        super().__init__(f"{source} does not fit the network in {len(rows)} keys{prefix}")
        self.rows = rows


def load_weights(module: nn.Module, source: str, network: str = "", any_value: bool = False) -> None:
    """Load a state_dict by name into `module`, from a file or, for `torchvision:NAME`, from torchvision's weights of that name.

    `network` is the name of the network for torchvision. Raises Unfit, with all keys that do not fit, and Unreadable, also for NaN and
    infinite values unless `any_value`; the module is unchanged then.
    """
    state = published(network, source.removeprefix(PREFIX)) if source.startswith(PREFIX) else read_weights(Path(source))
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
        raise Unfit(source, rows, parallel=bool(state) and all(key.startswith(PARALLEL) for key in state))
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
            raise Unreadable(f"{key} of {source} is {tensor.dtype}, and the network has {own[key].dtype} there")
        if not any_value and tensor.is_floating_point() and not tensor.isfinite().all():
            what = "NaN" if tensor.isnan().any() else "an infinite value"
            raise Unreadable(f"{key} of {source} ({tensor.dtype}) contains {what}; --allow-nan loads it anyway")


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state_dict from a .safetensors file, or from a file of torch.save that contains only tensors. Raises Unreadable."""
    try:
        if path.is_file() and not path.stat().st_size:
            raise Unreadable(f"cannot read weights from {path}: the file is empty")
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        data: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Unreadable:
        raise
    except UnpicklingError as error:
        raise Unreadable(f"cannot read weights from {path}: {_why(str(error))}") from error
    except Exception as error:
        raise Unreadable(f"cannot read weights from {path}: {_plain(error)}") from error
    if isinstance(data, dict) and isinstance(data.get("state_dict"), dict):
        data = data["state_dict"]
    if not isinstance(data, dict) or not all(isinstance(value, Tensor) for value in data.values()):
        raise Unreadable(f"{path} contains no state_dict (tensors by name)")
    return data


BROKEN = "it is truncated or damaged; copy it again"
PLAIN = {  # part of a message of torch or safetensors -> the message of archc
    "failed finding central directory": BROKEN,
    "unexpected EOF": BROKEN,
    "Invalid argument": BROKEN,
    "Error while deserializing header": BROKEN,
    "file data.pkl": "it is an archive without weights, as torch.export writes; save the state_dict",
    "TorchScript": "it is a TorchScript program; save the state_dict of the module",
}


def _plain(error: Exception) -> str:
    text = str(error)
    if isinstance(error, EOFError):
        return BROKEN
    return next((plain for part, plain in PLAIN.items() if part in text), text.splitlines()[0] if text else type(error).__name__)


def _why(text: str) -> str:
    """Return why a pickle was refused, without torch's advice to load it anyway."""
    if any(word in text for word in ("GLOBAL", "Unsupported global", "Unsupported class", "reduce", "persistent")):
        return "it holds Python objects, which could run code; save the state_dict (`torch.save(model.state_dict(), ...)`), or safetensors"
    return "it was not written by torch.save or safetensors"
