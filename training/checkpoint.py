"""The state of a run on the disk: written whole or not at all, and everything that decides what comes next is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from archc.compiler.files import CannotWrite, Lenient, reason, replacing
from archc.training.data import BadData
from archc.training.stored import Stored

LAST = "last.pt"  # the state of the run
BEST = "best.safetensors"  # the network with the highest accuracy on the test samples so far
FINAL = "model.safetensors"  # the network as it is after the last epoch that was completed
SETUP = "setup.json"  # what may not change when a run is resumed


def save(folder: Path, state: Mapping[str, Any]) -> None:
    """Write the state of a run. Raises CannotWrite; the old state stays then."""
    with replacing(folder / LAST) as temporary:
        with Lenient(temporary, "wb") as file:  # torch says nothing useful, or aborts, when a write fails
            torch.save(dict(state), file)
        if file.error is not None:
            raise file.error


def load(folder: Path) -> dict[str, Any] | None:
    """Return the state of the run in a folder; None where there is none. Raises BadData for a file that is damaged."""
    path = folder / LAST
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what its reader of archives and pickles does
        raise BadData(f"{path}: this is no state of a run that can be read ({reason(error)}); remove it to begin anew") from None
    return state


def save_network(path: Path, tensors: Mapping[str, Tensor], stored: Stored) -> None:
    """Write a network with its weights. Raises CannotWrite; the old file stays then."""
    held = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(held, temporary, stored.metadata())
        except SafetensorError as error:  # raised, for example, when the disk is full
            raise CannotWrite(path, str(error)) from error


def same_setup(folder: Path, setup: Mapping[str, Any]) -> str:
    """Return what differs between a run and the one that is resumed, in words; "" where nothing does."""
    path = folder / SETUP
    if not path.is_file():
        return ""
    before = json.loads(path.read_text(encoding="utf-8"))
    now = json.loads(json.dumps(setup))
    changed = [key for key in now if before.get(key) != now[key]]
    if "recipe" in changed:
        changed.remove("recipe")
        changed += [f"{key} of the recipe" for key, value in now["recipe"].items() if before["recipe"].get(key) != value]
    return ", ".join(changed)
