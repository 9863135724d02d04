"""Trained networks in one file: .safetensors with the text of the network, its hash, its classes and its preprocessing. Free of torch."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from archc.compiler.files import reason
from archc.compiler.frontends import CannotRead

MAX_HEAD = 2**26  # bytes of the head of a file; one of 100,000 tensors has a tenth
KEYS = ("arch", "sha256", "name", "classes", "preparation", "recipe", "scores")


@dataclass(frozen=True)
class Stored:
    """What a trained network says of itself besides its weights.

    `text` is its `.arch` text, which needs no other file but those of the package; `classes` are the names of its classes;
    `preparation` is how an image becomes its input; `recipe` is how it was trained; `scores` is -1 where the smallest value of its output
    is the best, else 1.
    """

    text: str
    name: str
    classes: tuple[str, ...] = ()
    preparation: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    scores: int = 1

    def metadata(self) -> dict[str, str]:
        """Return it as the metadata of a .safetensors file: texts by name."""
        return {
            "arch": self.text,
            "sha256": sha256(self.text.encode()).hexdigest(),
            "name": self.name,
            "classes": json.dumps(self.classes),
            "preparation": json.dumps(self.preparation),
            "recipe": json.dumps(self.recipe),
            "scores": json.dumps(self.scores),
        }


def read(path: Path) -> Stored:
    """Return what a trained network says of itself. Raises CannotRead for a file that holds none, or whose text was changed."""
    data = _metadata(path)
    if "arch" not in data:
        raise CannotRead(f"{path} holds weights alone, and no network: give the .arch file, and this one as --weights")
    if sha256(data["arch"].encode()).hexdigest() != data.get("sha256"):
        raise CannotRead(f"{path}: the text of the network is not the one that was trained (its hash differs)")
    try:
        facts = {key: json.loads(data[key]) for key in ("classes", "preparation", "recipe", "scores") if key in data}
        return Stored(data["arch"], data.get("name", path.stem), tuple(facts.pop("classes", ())), **facts)
    except (ValueError, TypeError) as error:
        raise CannotRead(f"{path}: what it says of its network cannot be read ({error})") from None


def _metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a .safetensors file: its head is a length of 8 bytes, and JSON. Nothing else of it is read."""
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > MAX_HEAD:
                raise ValueError("its head is longer than any")
            head = json.loads(file.read(length))
        found = head.get("__metadata__", {})
        if not all(isinstance(value, str) for value in found.values()):
            raise ValueError("its metadata are no texts")
        return dict(found)
    except OSError as error:
        raise CannotRead(f"{path}: {reason(error)}") from None
    except (ValueError, AttributeError, struct.error, RecursionError) as error:
        raise CannotRead(f"{path}: this is no .safetensors file ({error})") from None
