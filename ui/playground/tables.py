"""What the tabs of the page show besides the picture: summary, expanded text, differences, explanations; and formatting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archc.compiler.driver import expanded_text
from archc.compiler.graph import Node, shape_text
from archc.compiler.library import format as formatted_text
from archc.compiler.network import Network
from archc.compiler.results.differences import compared
from archc.compiler.results.explanations import explanation
from archc.compiler.results.summaries import flat
from archc.ui.playground.checks import Checked, checked, sound


def summary(now: Checked, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Tabulate the network: a row for each block or node, with numbers as numbers, to be sorted."""
    made = Network(sound(now)).summary(
        depth=asked.get("levels", 2), flat=asked.get("flat", False), convention=asked.get("convention", "paper")
    )
    rows = []
    for level, row in flat(made.rows):
        macs, memory = shape_text((row.macs, made.units.bytes(row.activations)))
        field = str(row.receptive_field)
        shape = made.units.shape(row.shape)
        rows.append([level, row.shown_name, row.written, row.copies, shape, row.params * row.copies, _times(macs, row.copies),
                     _times(memory, row.copies), field])  # fmt: skip
    return {"rows": rows, "params": made.params, "macs": shape_text((made.macs,))[0], "rule": made.rule}


def _times(count: int | str, copies: int) -> int | str:
    return count * copies if isinstance(count, int) else count if copies == 1 else f"{copies} × ({count})"


def expanded(now: Checked) -> dict[str, Any]:
    """Print the network with every block, repeat and default written out."""
    return {"text": expanded_text(sound(now))}


def difference(now: Checked, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Compare with the text that one started from."""
    first = checked({"text": asked["first"], "name": now.name}, now)
    found = compared(sound(first).graph, sound(now).graph, ("as it was", "now"))
    return {"text": found.text(), "same": found.same}


def explained(now: Checked, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Explain the node at a place of the text, in the first call that makes it, or one that is named."""
    name = asked.get("node", "")
    if not name:
        seen = next((each for each in now.places.at(now.offset(asked["at"])) if each.nodes), None)
        if seen is None:
            return {"steps": []}
        text = seen.span.text.lower()
        named: list[Node] = [node for node in seen.nodes if text.startswith(node.op)]
        name = (named[0] if named else seen.nodes[-1]).name
    return {"steps": explanation(sound(now).graph, name).facts()[:20]}


def formatted(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return a text in canonical form. Raises ArchError for one that cannot be read."""
    return {"text": formatted_text(asked["text"])}
