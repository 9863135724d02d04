"""Rotary positions: `x*cos + turned(x)*sin`, found in a program before it is read, with tables of sizes or of trained frequencies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx

from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.torch.angles import Array, settings
from archc.compiler.frontends.torch.nodes import NOTHING, SAME, Fixed, operator, unchanged
from archc.compiler.frontends.views import Axis, View, size

if TYPE_CHECKING:
    from archc.compiler.frontends.torch.reader import Reader

RESHAPES = frozenset({"view", "reshape", "flatten", "_unsafe_view"})


@dataclass(frozen=True)
class Trained:
    """The node of sines or cosines of trained angles, one for each pair, and the indices `(axis, index)` at which it is taken."""

    node: fx.Node
    picks: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Rotation:
    """What is turned, `x`, and how: by a table of settings, or by sines and cosines that are trained.

    `skip` positions before the others are not turned; `shape` is that of the table, and `inner` are the nodes that compute the rotation.
    """

    x: fx.Node
    halves: bool
    skip: int
    shape: tuple[int, ...]
    table: dict[str, Any] | tuple[Trained, Trained]
    inner: frozenset[fx.Node] = field(repr=False)


def rotations(reader: Reader) -> tuple[dict[fx.Node, Rotation], set[fx.Node]]:
    """Return the rotations of a program by the nodes that they end at, and the nodes within them that nothing else needs."""
    found: dict[fx.Node, Rotation] = {}
    fixed = _fixed(reader)
    for node in reader.program.graph.nodes:
        if operator(node) == "add" and (made := _rotation(reader, node, fixed)) is not None:
            end, rotation = made
            found[end] = rotation
    inside = {node for rotation in found.values() for node in rotation.inner} - set(found)
    return found, _unneeded(inside, set(found))


def _unneeded(inside: set[fx.Node], ends: set[fx.Node]) -> set[fx.Node]:
    """Return the nodes that only each other, ends and checks use."""
    while True:
        left = {node for node in inside if all(user in inside or user in ends or operator(user) in NOTHING for user in node.users)}
        if left == inside:
            return left
        inside = left


def _fixed(reader: Reader) -> set[fx.Node]:
    """Return the nodes that depend on no input."""
    fixed = set(reader.keys)
    for node in reader.program.graph.nodes:
        if node.op == "call_function" and all(each in fixed for each in node.all_input_nodes):
            fixed.add(node)
    return fixed


def _rotation(reader: Reader, end: fx.Node, fixed: set[fx.Node]) -> tuple[fx.Node, Rotation] | None:
    """Return the rotation that ends at a sum, and its last node; None where it is no rotation that can be read."""
    for straight, across in _operands(end):
        for x, cos in _operands(straight, "mul"):
            for turned, sin in _operands(across, "mul"):
                if cos not in fixed or sin not in fixed or x in fixed or cos.meta["val"].shape != sin.meta["val"].shape:
                    continue
                inner: set[fx.Node] = {straight, across}
                halves = _turned(turned, x, inner)
                if halves is None or not _fits(cos, x) or (table := _table(reader, sin, cos, halves)) is None:
                    continue
                shape = tuple(cos.meta["val"].shape)
                last, base, skip = _after(end, x, inner)
                return last, Rotation(base, halves, skip, shape, table, frozenset(inner))
    return None


def _operands(node: fx.Node, name: str = "add") -> Iterator[tuple[fx.Node, fx.Node]]:
    """Yield the two operands of a plain sum or product, in both orders."""
    if not isinstance(node, fx.Node) or operator(node) != name or node.kwargs or len(node.args) != 2:
        return
    one, two = arguments(node)
    if isinstance(one, fx.Node) and isinstance(two, fx.Node):
        yield one, two
        yield two, one


def arguments(node: fx.Node) -> tuple[Any, ...]:
    """Return the arguments of a node that are given by position."""
    return node.args


def _fits(table: fx.Node, x: fx.Node) -> bool:
    """Return whether a table has the last axis of a tensor, and one axis of positions, or another of heads before it."""
    own, whole = table.meta["val"].shape, x.meta["val"].shape
    own = (1,) * (len(whole) - len(own)) + tuple(own)
    if len(own) != len(whole) or len(whole) < 3 or own[-1] != whole[-1] or own[0] != 1:
        return False
    return own[-2] == whole[-2] and all(one == 1 for one in own[1:-3]) and (len(own) < 4 or own[-3] in (1, whole[-3]))


# ---- what is turned


def _turned(node: fx.Node, x: fx.Node, inner: set[fx.Node]) -> bool | None:
    """Return whether a node is the halves of a tensor, `(-second, first)`, or else its neighbors; None where it is neither."""
    node, last = _plain(node, inner), x.meta["val"].dim() - 1
    if operator(node) in RESHAPES and node.meta["val"].shape == x.meta["val"].shape:
        inner.add(node)
        node = _plain(node.all_input_nodes[0], inner)
        pair = _pair(node, "stack", last + 1, inner)
        steps = [_range(part, x, last, inner) for part in pair] if pair else []
        return False if steps == [(1, x.meta["val"].shape[-1], 2), (0, x.meta["val"].shape[-1], 2)] else None
    pair = _pair(node, "cat", last, inner)
    half = x.meta["val"].shape[-1] // 2
    ranges = [_range(part, x, last, inner) for part in pair] if pair else []
    return True if ranges == [(half, 2 * half, 1), (0, half, 1)] else None


def _plain(node: fx.Node, inner: set[fx.Node]) -> fx.Node:
    """Return the node whose values a node returns, and note those between."""
    while (before := node) is not unchanged(node):
        inner.add(before)
        node = node.all_input_nodes[0]
    return node


def _pair(node: fx.Node, name: str, dim: int, inner: set[fx.Node]) -> list[fx.Node] | None:
    """Return the two tensors that a node joins along an axis, of which the first is negative."""
    if operator(node) != name or len(node.args) != 2 or node.kwargs:
        return None
    parts, axis = arguments(node)
    if len(parts) != 2:
        return None
    first, second = _plain(parts[0], inner), parts[1]
    if axis % (dim + 1) != dim or operator(first) != "neg":
        return None
    inner |= {node, first}
    return [first.all_input_nodes[0], second]


def _range(node: fx.Node, x: fx.Node, dim: int, inner: set[fx.Node]) -> tuple[int, int, int] | None:
    """Return start, stop and step of the range of an axis that a node takes of a tensor; None for any other node."""
    node, count = _plain(node, inner), x.meta["val"].shape[dim]
    if operator(node) == "getitem":
        parts, index = arguments(node)
        if operator(parts) not in ("chunk", "split") or unchanged(parts.args[0]) is not unchanged(x):
            return None
        sizes = [int(part.shape[dim]) for part in parts.meta["val"]]
        axis = parts.args[2] if len(parts.args) > 2 else 0
        if axis % x.meta["val"].dim() != dim or parts.kwargs:
            return None
        inner |= {node, parts}
        return sum(sizes[:index]), sum(sizes[: index + 1]), 1
    if operator(node) != "slice" or node.kwargs or unchanged(node.all_input_nodes[0]) is not unchanged(x):
        return None
    usual: tuple[Any, ...] = (0, None, None, 1)
    axis, start, stop, step = arguments(node)[1:] + usual[len(node.args) - 1 :]
    if axis % x.meta["val"].dim() != dim:
        return None
    inner.add(node)
    start, stop, step = slice(start, stop, step).indices(count)
    return start, stop, step


def _after(end: fx.Node, x: fx.Node, inner: set[fx.Node]) -> tuple[fx.Node, fx.Node, int]:
    """Return the last node of a rotation, what it turns, and how many positions of that it only passes on, before the others."""
    node, between = end, {end}
    while (user := _only_user(node)) is not None and operator(user) in SAME and unchanged(user) is unchanged(end):
        node = user
        between.add(node)
    dim = x.meta["val"].dim() - 2
    if user is None or operator(user) != "cat" or operator(x) != "slice" or user.kwargs or len(user.args) != 2:
        return end, x, 0
    parts, axis = arguments(user)
    if len(parts) != 2 or parts[1] is not node or axis % (dim + 2) != dim:
        return end, x, 0
    noted: set[fx.Node] = set()
    base = x.all_input_nodes[0]
    rest = _range(x, base, dim, noted)
    first = _range(parts[0], base, dim, noted)
    count = base.meta["val"].shape[dim]
    if rest is None or first is None or (rest, first) != ((first[1], count, 1), (0, first[1], 1)):
        return end, x, 0
    inner |= between | noted
    return user, base, first[1]


def _only_user(node: fx.Node) -> fx.Node | None:
    """Return the one node that uses the values of a node; None where there are several."""
    users = [user for user in node.users if operator(user) not in NOTHING]
    return users[0] if len(users) == 1 else None


# ---- tables


def _table(reader: Reader, sin: fx.Node, cos: fx.Node, halves: bool) -> dict[str, Any] | tuple[Trained, Trained] | None:
    """Return the settings of the table of these sines and cosines, or the trained ones; None for others."""
    sines, cosines = reader.constant(sin), reader.constant(cos)
    if sines is not None and cosines is not None:
        one, two = (_pairs(held, halves) for held in (sines, cosines))
        return None if one is None or two is None else settings(one.tobytes(), two.tobytes(), one.shape[1])
    first, second = _trained(sin, "sin", halves), _trained(cos, "cos", halves)
    if first is None or second is None or first.picks != second.picks or first.node.args[0] is not second.node.args[0]:
        return None
    return first, second


def _pairs(held: torch.Tensor, halves: bool) -> Array | None:
    """Return one value for each position and pair of channels; None where the two of a pair differ, or heads have their own."""
    count, channels = held.shape[-2:]
    if held.numel() != count * channels or channels % 2 or not held.is_floating_point():
        return None
    table: Array = held.to(torch.float32).numpy().reshape(count, channels)
    one, two = (table[:, : channels // 2], table[:, channels // 2 :]) if halves else (table[:, 0::2], table[:, 1::2])
    return np.ascontiguousarray(one) if (one == two).all() else None


def _trained(node: fx.Node, name: str, halves: bool) -> Trained | None:
    """Return the sines or cosines that a node repeats for the two channels of each pair; None where it is none."""
    picks: list[tuple[int, int]] = []
    node = unchanged(node)
    if operator(node) == "getitem":
        parts, index = arguments(node)
        if operator(parts) != "chunk" or list(parts.args[1:]) not in ([2, -1], [2, parts.args[0].meta["val"].dim() - 1]):
            return None
        node = unchanged(parts.args[0])
        while operator(node) == "select":
            dim, at = arguments(node)[1:]
            rank = node.all_input_nodes[0].meta["val"].dim()
            if dim % rank == rank - 1:
                return None
            picks.insert(0, (dim % rank, at))
            node = unchanged(node.all_input_nodes[0])
        if operator(node) != "cat" or not _joins_two(node):
            return None
        node = unchanged(arguments(node)[0][index])
    last = (2, node.meta["val"].dim() - 1)
    if halves:
        repeats = operator(node) == "cat" and _joins_two(node) and len(set(arguments(node)[0])) == 1
    else:
        repeats = operator(node) == "repeat_interleave" and node.args[1:] in ((2, -1), last)
    if not repeats:
        return None
    node = unchanged(node.all_input_nodes[0])
    return Trained(node, tuple(picks)) if operator(node) == name else None


def _joins_two(node: fx.Node) -> bool:
    """Return whether a concatenation is one of two tensors of the same size, along the last axis."""
    parts, axis = (*arguments(node), 0)[:2]
    shapes: list[tuple[int, ...]] = [tuple(part.meta["val"].shape) for part in parts]
    return len(shapes) == 2 and shapes[0] == shapes[1] and axis % len(shapes[0]) == len(shapes[0]) - 1


# ---- reading


def rotated(reader: Reader, rotation: Rotation) -> View:
    """Append a rotation. Raises CannotRead where the axes of what is turned do not allow it."""
    view = reader.data(reader.value(rotation.x))
    if not isinstance(view, View) or not view.dims or view.dims[0] != (reader.batch,):
        raise CannotRead("what is turned by its positions is no tensor of samples")
    view = reader.settled(view)
    own = (1,) * (len(view.dims) - len(rotation.shape)) + rotation.shape
    heads = tuple(atom for axis in view.dims[1:-2] for atom in axis)
    if own[1:-2] not in ((1,) * (len(own) - 3), view.shape[1:-2]):
        raise CannotRead("it is turned by other angles along an axis that is none of heads")
    channels = (*heads, *view.dims[-1])
    item = reader.as_axes(view, (channels, view.dims[-2]))
    table = _appended(reader, rotation, view, item)
    given = {"heads": size(heads), "halves": rotation.halves, "skip": rotation.skip}
    return View(reader.add("rotary", [item, table], given), (channels, view.dims[-2]), view.dims)


def _appended(reader: Reader, rotation: Rotation, view: View, item: int) -> int:
    """Append the table of a rotation, or return what was appended at the same place for another."""
    if isinstance(rotation.table, dict):
        return reader.add("rotary_positions", [item], rotation.table)
    key = (reader.path, rotation.table)
    if key not in reader.tables:
        parts = []
        for trained in rotation.table:
            held = reader.data(Fixed(trained.node))  # beside the input, outside of the scopes that share it
            for dim, index in trained.picks:
                held = held.picked(dim, index)
            held = reader.settled(held)
            heads: Axis = tuple(atom for axis in held.dims[:-2] for atom in axis)
            parts.append(reader.as_axes(held, ((*heads, *held.dims[-1]), held.dims[-2])))
        reader.tables[key] = reader.add("concat", parts, {"axis": "c"})
    return reader.tables[key]
