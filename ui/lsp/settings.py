"""The settings of a client: what is shown, and how far a network may go. Unknown settings are ignored, and so are wrong values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from archc.compiler.elaborate.elaboration import MAX_NODES, Limits

SECTION = "archc"


@dataclass(frozen=True)
class Settings:
    """What a client may set, under `archc`: in `initializationOptions`, or when its configuration changes."""

    shapes: bool = True  # of what each line ends with, as inlay hints
    parameters: bool = False  # of each line, in the same hints
    lenses: bool = True  # counts and commands above networks and blocks
    max_nodes: int = MAX_NODES  # the most nodes of a network that is checked

    @property
    def limits(self) -> Limits:
        """Return the limits of a check."""
        return Limits(max_nodes=self.max_nodes)


def read(given: Any, before: Settings) -> Settings:
    """Return the settings with those that a client gives; the rest stay as they were."""
    if isinstance(given, Mapping) and isinstance(given.get(SECTION), Mapping):
        given = given[SECTION]
    if not isinstance(given, Mapping):
        return before
    changed = {}
    for each in fields(Settings):
        now = getattr(before, each.name)
        value = given.get(each.name, now)
        if type(value) is not type(now) or (each.name == "max_nodes" and value < 1):
            value = now
        changed[each.name] = value
    return Settings(**changed)
