"""How samples are prepared before they enter a network, in a line of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archc.compiler.ops.kinds import show


def shown(value: Any) -> str:
    """Write the value of an option of an input as the language does; `none` for one that is not stated."""
    if value is None:
        return "none"
    return show(tuple(value) if isinstance(value, list) else value)


def prepared(inputs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line for each input that states how its samples are prepared: `Preprocessing: resize=256, crop=224`."""
    lines = []
    for name, facts in inputs.items():
        options = ", ".join(f"{option}={shown(value)}" for option, value in facts.items())
        if options:
            lines.append(f"Preprocessing{'' if name == 'input' else f' of {name}'}: {options}.")
    return lines
