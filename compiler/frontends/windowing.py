"""Attention within windows of a map: what was done to the map before, and which positions are a window."""

from __future__ import annotations

from archc.compiler.frontends.attending import Core
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.views import Atom, View, size
from archc.compiler.frontends.walk import Walk


def undone(reader: Walk, number: int) -> tuple[int, dict[str, int], dict[str, int]]:
    """Return the map before a padding and a roll, by how much it was rolled back, and what was added after each axis."""
    shift: dict[str, int] = {}
    pad: dict[str, int] = {}
    item = reader.flat.items[number]
    while item.op == "roll":
        by = {word: -item.attrs[word] for word in "dhw" if item.attrs[word]}
        if item.attrs["c"] or shift.keys() & by.keys() or any(distance < 0 for distance in by.values()):
            raise CannotRead("windows that are moved up or to the left")
        shift |= by
        number = item.operands[0]
        item = reader.flat.items[number]
    if item.op == "pad":
        pad = {word: item.attrs[word][1] for word in "dhw" if item.attrs[word] != (0, 0)}
        if item.attrs["value"] or any(item.attrs[word][0] for word in "dhwc") or item.attrs["c"][1]:
            raise CannotRead("windows of a map that is padded before its start")
        number = item.operands[0]
    return number, shift, pad


def windows(core: Core, view: View) -> tuple[tuple[int, ...], bool]:
    """Return the positions of a window along each axis, and whether they are spread over the map."""
    inside = set(core.positions)
    window, kinds = [], set()
    order: list[Atom] = []
    for axis in view.axes[1:]:
        own = tuple(atom for atom in axis if atom in inside)
        rest = tuple(atom for atom in axis if atom not in inside)
        order.extend(own)
        window.append(size(own))
        if rest and own:
            kinds.add(axis == own + rest and axis != rest + own)
            if axis not in (own + rest, rest + own):
                raise CannotRead("the positions of a window are not next to each other, nor spread evenly")
    if tuple(order) != core.positions or len(kinds) > 1:
        raise CannotRead("the positions of a window are in another order than in the map")
    return tuple(window), True in kinds
