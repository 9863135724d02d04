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
    site: str = ""  # the address of the documentation, for links from codes to their pages; "" for docs/ of a checkout

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
        is_legal = type(value) is type(now)
        if is_legal and each.name == "max_nodes":
            is_legal = value >= 1
        elif is_legal and each.name == "site":
            is_legal = value == "" or value.startswith(("http://", "https://"))
        changed[each.name] = value if is_legal else now
    return Settings(**changed)
