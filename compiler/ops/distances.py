"""What depends on the distance of two positions: a matrix of all pairs, from a table with a value for each distance."""

from __future__ import annotations

from math import prod
from typing import Any

from archc.compiler.ops import receptive
from archc.compiler.ops.kinds import Flag, PerAxis
from archc.compiler.ops.memory import Memory, as_maps
from archc.compiler.ops.record import REQUIRED, Attr, Call, Operator, axis_names
from archc.compiler.ops.targets import ModuleTarget
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import attention
from archc.dsl.vocabulary import shapes as says


def positions(call: Call) -> list[int]:
    """Return how many positions there are along each axis. Raises Fault for open sizes, and for a table of an even size."""
    counts = []
    for name, size in zip(axis_names(call.x)[1:], call.x[1:], strict=True):
        if not isinstance(size, int):
            raise Fault(says.wrong_rank(call.operator, "a table of fixed sizes", show_shape(call.x)))
        if not call.attrs["absolute"] and size % 2 == 0:
            instead = "distances from -(n-1) to n-1 are 2*n-1; a table of distances without a sign is one with `absolute=yes`"
            raise Fault(says.out_of_range(f"the {name} of the table", size, "an odd number", "", instead=instead))
        counts.append(size if call.attrs["absolute"] else (size + 1) // 2)
    return counts


def distances_shape(call: Call) -> Shape:
    """Return the channels by queries by keys. Raises Fault as `positions` does."""
    call.image()
    keys = positions(call)
    queries = [-(-count // step) for count, step in zip(keys, call.attrs["step"], strict=True)]
    return (call.x[0], product(queries), product(keys))


def distances_derivation(call: Call, out: Shape) -> list[str]:
    """Show the number of positions along each axis, and their products."""
    keys = positions(call)
    lines = [f"channels: {out[0]}, one for each head"]
    if not call.attrs["absolute"]:
        named = zip(axis_names(call.x)[1:], call.x[1:], keys, strict=True)
        lines += [f"{name}: ({size} + 1)/2 = {count} positions" for name, size, count in named]
    return [*lines, f"keys: {'*'.join(map(str, keys))} = {out[2]}", f"queries: {out[1]}"]


def index(call: Call, out: Shape) -> Dim:
    """Count the indices, of 8 bytes each, in values of 4 bytes."""
    return 2 * product(out[1:])


def lower_distances(call: Call) -> ModuleTarget:
    """Lower to archc.Distances."""
    settings: dict[str, Any] = {"positions": tuple(positions(call)), "step": call.attrs["step"], "absolute": call.attrs["absolute"]}
    return ModuleTarget("archc.Distances", settings)


# ---- the mask of windows that are moved


def mask_shape(call: Call) -> Shape:
    """Return one channel of windows by positions by positions. Raises Fault where shift or window do not fit the map."""
    axes, window, shift = call.image(), call.attrs["window"], call.attrs["shift"]
    windows: Dim = 1
    for axis in range(axes):
        size, name = call.x[1 + axis], axis_names(call.x)[1 + axis]
        if not isinstance(size, int):
            raise Fault(says.wrong_rank(call.operator, "a map of fixed sizes", show_shape(call.x)))
        if size % window[axis]:
            raise Fault(attention.window_does_not_divide(name, size, window[axis], False))
        if shift[axis] >= window[axis]:
            raise Fault(says.out_of_range("`shift`", shift[axis], f"less than the window, {window[axis]}", "shift"))
        windows = windows * (size // window[axis])
    count = prod(window)
    return (1, windows, count, count)


def mask_derivation(call: Call, out: Shape) -> list[str]:
    """Show the number of windows and of their positions."""
    return ["channels: 1, for all heads", f"windows: {out[1]}", f"positions of a window: {out[2]}"]


def mask_values(call: Call, out: Shape) -> Dim:
    """Count the values of the mask, which is computed once for all samples."""
    return product(out)


def lower_mask(call: Call) -> ModuleTarget:
    """Lower to archc.ShiftMask."""
    settings: dict[str, Any] = {"window": call.attrs["window"], "shift": call.attrs["shift"], "sizes": call.x[1:]}
    return ModuleTarget("archc.ShiftMask", settings)


OPERATORS = (
    Operator(
        name="distances",
        family="attention",
        summary="The value of each two positions in a table of distances: the bias of an attention.",
        doc="""
        A table has a value for each distance, from `-(n-1)` to `n-1` along every axis: `3x13x13` for maps of `7x7`. The result is
        `heads x queries x keys`, `3x49x49`, with `out[q, k] = in[q - k + n - 1]` along every axis, positions row by row. With
        `absolute=yes` it is `in[|q - k|]`, and a table of `3x7x7` is for maps of `7x7`. `step` takes every second query, third, ... only,
        beginning with the first.

        A trained table is `learned`: `attention(3)<qkv | table: learned(13x13, channels=3); distances>`.
        """,
        source="Liu et al. 2021, arXiv:2103.14030, section 3.2; Graham et al. 2021, LeViT, arXiv:2104.01136, section 4.3",
        example="input 3x13x13; distances => 3x49x49",
        attrs=(
            Attr("step", PerAxis(1), 1, "the distance between queries along each axis"),
            Attr("absolute", Flag(), False, "whether a distance and its reverse are the same"),
        ),
        shape=distances_shape,
        receptive_field=receptive.whole,
        derivation=distances_derivation,
        picture="shape",
        memory=Memory(order=as_maps, saved_once=index, work_once=index),
        lower=lower_distances,
    ),
    Operator(
        name="shift_mask",
        family="attention",
        summary="The mask of an attention within windows that are moved over the end of a map.",
        doc="""
        A map that `roll` has moved up and to the left by `shift` is cut into windows. Its last windows hold positions that are not
        neighbors in the map before. The result is -100 for two such positions of a window, otherwise 0: `1 x windows x positions x
        positions`, with windows and positions row by row. It depends on the sizes of the map, not on its values. `attention(rows=yes)`
        takes it as a bias, or the sum of it and another. `window_attention` has it built in.
        """,
        source="Liu et al. 2021, arXiv:2103.14030, section 3.2",
        example="input 96x56x56; shift_mask(window=7, shift=3) => 1x64x49x49",
        attrs=(
            Attr("window", PerAxis(1), REQUIRED, "the size of a window"),
            Attr("shift", PerAxis(0), REQUIRED, "the distance by which the map was moved"),
        ),
        shape=mask_shape,
        receptive_field=receptive.nowhere,
        derivation=mask_derivation,
        detached=True,
        picture="learned",
        memory=Memory(stored=True, work_once=mask_values),
        lower=lower_mask,
    ),
)
