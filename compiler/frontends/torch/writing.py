"""Operators that write into tensors: which later values are those that were written, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import fx

from archc.compiler.frontends.attending import Products
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.inside import Inside, put_back
from archc.compiler.frontends.torch.nodes import operator, rule, storage

if TYPE_CHECKING:
    from archc.compiler.frontends.torch.reader import Reader


def bounds(a: Any, shape: Sequence[int]) -> tuple[int, int]:
    """Return where a range of an axis begins, and where it ends."""
    whole = shape[a.dim or 0]
    start, stop = (a.start or 0), whole if a.end is None else a.end
    start, stop = (bound + whole if bound < 0 else min(bound, whole) for bound in (start, stop))
    return start, stop


@rule("copy")
def copied(reader: Reader, a: Any) -> Any:
    """Read what is written over a tensor, or into a part of one."""
    before, after = (node.meta["val"] for node in reader.node.all_input_nodes[:2])
    if not isinstance(reader.node.args[1], fx.Node) or tuple(after.shape) != tuple(before.shape) or after.dtype != before.dtype:
        raise CannotRead("it writes values of another shape or of another type into a tensor")
    return a.src if isinstance(a.src, Products | Inside) else reader.data(a.src)


def _around(node: fx.Node) -> fx.Node | None:
    """Return the node that a node is a range of; None for any other."""
    taken = node.args[0] if operator(node) in ("slice", "alias") else None
    return taken if isinstance(taken, fx.Node) else None


def check_overwritten(reader: Reader, node: fx.Node) -> None:
    """Raise CannotRead where what an operator overwrites is read later through another view of it, other than what it is a range of."""
    written = node.args[0]
    assert isinstance(written, fx.Node)
    root, order, whole = storage(written), reader.order, written
    while (around := _around(whole)) is not None:
        whole = around
    views = [other for other in order if order[other] < order[node] and other not in (written, whole) and storage(other) is root]
    if any(order[user] > order[node] for other in views for user in other.users):
        raise CannotRead("it overwrites a tensor that another view of it reads later")


def note_written(reader: Reader, node: fx.Node, new: Any) -> None:
    """Note what a node was overwritten with, also in what it is a range of, as far as that is used later. Raises CannotRead."""
    reader.values[node] = new
    here = reader.order[reader.node]
    while (whole := _around(node)) is not None:
        if all(reader.order[user] <= here for user in storage(whole).users):
            return
        if operator(node) == "alias":
            reader.values[whole], node = new, whole
            continue
        a = reader.arguments(node)
        if (a.step or 1) != 1:
            raise CannotRead("it writes into some positions of an axis")
        held = reader.values[whole]
        if not hasattr(held, "shape"):
            raise CannotRead("it writes into a part of what is no tensor here")
        new = put_back(reader, held, a.dim or 0, *bounds(a, held.shape), new)
        reader.values[whole], node = new, whole
