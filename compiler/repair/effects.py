"""The effect of a repair on the network: the counts of the repaired network, and how many places change."""

from __future__ import annotations

from archc.compiler.graph import Node
from archc.compiler.repair.trial import Tried
from archc.compiler.shapes.dim import Dim
from archc.dsl.diagnostics import CLAIM, WARNING, Effect, Repair

COUNTS = ("E0502",)  # errors of a file whose network is complete


def of(repair: Repair, tried: Tried, there: Tried) -> Effect | None:
    """Return the effect of a repair; None if the network is still incomplete with it, or if it changes a claim."""
    if repair.changes == CLAIM or any(d.severity != WARNING and d.code not in COUNTS for d in tried.found):
        return None
    params, macs = tried.count()
    whole = all(d.severity == WARNING or d.code in COUNTS for d in there.found)
    before = None
    if whole:
        then = there.count()
        before = (then[0], _plain(then[1]))
    return Effect(
        params,
        _plain(macs),
        before,
        _places(repair, tried),
        ", ".join(text for text in map(str, tried.legal) if not text.endswith(" >= 1")),
    )


def _plain(count: Dim) -> int | str:
    return count if isinstance(count, int) else str(count)


def _places(repair: Repair, tried: Tried) -> str:
    """Describe how many copies or calls of an item change, if it has several."""
    got, copies = inserted_in(repair, tried)
    if 0 < got < copies:
        rest = copies - got
        return f"{got} of {copies} get it, {rest} {'stay as they are' if rest > 1 else 'stays as it is'}"
    return f"in {copies} copies or calls" if copies > 1 else ""


def inserted_in(repair: Repair, tried: Tried) -> tuple[int, int]:
    """Return in how many copies of the item around its first edit a repair adds operators, and how many copies there are."""
    if tried.tree is None:
        return 0, 0
    first = min(repair.edits, key=lambda edit: edit.span.start)
    begin, end = first.span.start, first.span.start + len(first.text)  # nothing before the first edit has moved
    nodes = [node for node in tried.graph if node.span.source is tried.tree.span.source]
    around = [node for node in nodes if node.span.start <= begin and end <= node.span.end]
    if not around:
        return 0, 0
    item = min(around, key=lambda node: node.span.end - node.span.start)
    added = [node for node in nodes if begin <= node.span.start and node.span.end <= end and node.span != item.span]
    return _copies(added, added[0]) if added else 0, _copies(around, item)


def _copies(nodes: list[Node], item: Node) -> int:
    """Return how often an item occurs in the network; what `norm=` and `act=` add has the same span."""
    return sum(node.span == item.span and node.op == item.op for node in nodes)
