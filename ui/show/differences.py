"""A difference as text and as JSON."""

from __future__ import annotations

from typing import Any

from archc.compiler.analysis.diff import Change, Difference
from archc.compiler.graph import shape_text
from archc.compiler.shapes.dim import Dim
from archc.ui.show.tables import text_table

SIGNS = {"added": "+", "removed": "-", "changed": "~", "moved": ">", "rewired": "*", "follows": "=", "renamed": "@", "output": "o"}


def text(difference: Difference, first: str, second: str) -> str:
    """A line for every change, with its effect, and the totals."""
    if difference.same:
        return f"{first} and {second} are the same network\n"
    rows = [
        [f"{SIGNS[c.kind]} {c.kind}", _places(c), f"{c.subject}: {c.what}" if c.subject else c.what, _signed(c.params), _signed(c.macs)]
        for c in difference.changes
    ]
    (params, params_b), (macs, macs_b) = difference.params, difference.macs
    foot = ["total", "", f"{first} -> {second}", _signed(params_b - params), _signed(macs_b - macs)]
    table = text_table(("change", "where", "what", ">parameters", ">MACs"), rows, foot)
    return f"{table}\n{first}: {params:,} parameters, {_plain(macs)} MACs\n{second}: {params_b:,} parameters, {_plain(macs_b)} MACs\n"


def _places(change: Change) -> str:
    """Where: the first place, its new name, and how many more there are."""
    names = change.before or change.after
    if not names:
        return ""
    where = names[0]
    if change.before and change.after and change.before[0] != change.after[0]:
        where += f" -> {change.after[0]}"
    return where + (f" and {change.places - 1} more" if change.places > 1 else "")


def _signed(number: Dim) -> str:
    return f"{number:+,}" if isinstance(number, int) and number else "" if number == 0 else str(number)


def _plain(number: Dim) -> str:
    return f"{number:,}" if isinstance(number, int) else str(number)


def facts(difference: Difference) -> dict[str, Any]:
    changes = [
        {
            "kind": c.kind,
            "what": c.what,
            "subject": c.subject,
            "before": c.before,
            "after": c.after,
            "places": c.places,
            "params": c.params,
            "macs": shape_text((c.macs,))[0],
        }
        for c in difference.changes
    ]
    return {"same": difference.same, "changes": changes, "params": list(difference.params), "macs": shape_text(difference.macs)}
