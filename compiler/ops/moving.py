"""Operators that move, select or repeat values along axes: slices, rolls, flips, fixed indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archc.compiler.ops.axes import AXIS, AXIS_WORD
from archc.compiler.ops.kinds import Bound, Optional, Row, Whole, Word
from archc.compiler.ops.memory import Memory, as_maps
from archc.compiler.ops.receptive import EACH, MAX_PHASES, ONCE, Positions, ReceptiveField, ReceptiveFields
from archc.compiler.ops.record import REQUIRED, Attr, Call, Operator, axis_names, sizes_kept_or_changed
from archc.compiler.ops.targets import CallTarget, Operand
from archc.compiler.shapes.dim import Dim, Shape, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says


def axis_number(call: Call, option: str = "axis") -> int:
    """Return the number of the axis that an option names, 0 for the channels. Raises Fault for an axis that the input does not have."""
    numbers = call.axis_numbers
    name = call.attrs[option]
    if name not in numbers:
        written = f"{call.operator}({option}={name})"
        raise Fault(says.wrong_rank(written, "a tensor with that axis", show_shape(call.x), _axes_of(call)))
    return numbers[name]


def _axes_of(call: Call) -> str:
    names = call.axis_numbers
    return f"the axes of {show_shape(call.x)} are {', '.join(f'`{name}`' for name in names)}"


def _named_axes(call: Call, unset: object) -> dict[int, Any]:
    """Return the values of the options `c`, `d`, `h` and `w` that are set, by axis. Raises Fault for an axis that the input lacks."""
    numbers = call.axis_numbers
    given = {name: call.attrs[name] for name in AXIS_WORD.words if call.attrs[name] != unset}
    for name in given:
        if name not in numbers:
            raise Fault(says.wrong_rank(f"{call.operator}({name}=...)", "a tensor with that axis", show_shape(call.x), _axes_of(call)))
    return {numbers[name]: value for name, value in given.items()}


def _least(call: Call, left: Dim, right: Dim) -> bool:
    """Return whether left >= right, with a condition only where it depends on open sizes."""
    gap = left - right
    return gap >= 0 if isinstance(gap, int) else call.at_least(left, right)


def _listed(positions: Sequence[int], size: Dim) -> ReceptiveField | None:
    """Return the field of outputs that each depend on one position of an axis; None, the whole axis, for an open or a very large size."""
    if not isinstance(size, int) or len(positions) > MAX_PHASES:
        return None
    return ReceptiveField(tuple(Positions(place, place) for place in positions), size)


def _along(call: Call, axis: int, field: ReceptiveField | None) -> ReceptiveFields:
    """Return a field along one axis, and each position along the others."""
    return [field if axis == number else EACH for number in range(1, call.axes + 1)]


# ---- slice


def slice_shape(call: Call) -> Shape:
    """Return the shape with `(stop - start)/step` positions, rounded up. Raises Fault for a range that is empty or exceeds the axis."""
    axis = axis_number(call)
    start, stop, step = call.attrs["start"], call.attrs["stop"], call.attrs["step"]
    size = call.channels if axis == 0 else call.x[axis]
    for name, bound in (("start", start), ("stop", stop)):
        if isinstance(bound, int) and bound < 0:
            raise Fault(says.counted_from_the_end(name, bound, f"in.{call.attrs['axis']}"))
    if not isinstance(start, int):
        call.at_least(start, 0)
    if not (_least(call, stop, start + 1) and _least(call, size, stop)):
        known = isinstance(start, int) and isinstance(stop, int)
        most = size if isinstance(size, int) and known and start < size < stop else None
        what = "the range of channels" if axis == 0 else f"the range along the {axis_names(call.x)[axis]}"
        raise Fault(says.out_of_range(what, f"{start} to {stop}", f"in order, and within 0 to {size}", "stop", most))
    return (*call.x[:axis], (stop - start + step - 1) // step, *call.x[axis + 1 :])


def slice_derivation(call: Call, out: Shape) -> list[str]:
    """Show the difference of the bounds, divided by the step."""
    axis, start, stop, step = axis_number(call), call.attrs["start"], call.attrs["stop"], call.attrs["step"]
    if step == 1:
        return [f"{axis_names(call.x)[axis]}: {stop} - {start} = {out[axis]}"]
    return [f"{axis_names(call.x)[axis]}: ceil(({stop} - {start})/{step}) = {out[axis]}"]


def slice_receptive_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return a shift by `start` and a step along the axis; an open start is not counted."""
    start, step = call.attrs["start"], call.attrs["step"]
    start = start if isinstance(start, int) else 0
    return _along(call, axis_number(call), ReceptiveField((Positions(start, start),), step) if start or step > 1 else EACH)


def slice_cuts(call: Call) -> str:
    """Return the axes that a slice cuts, channels or positions; with a step, no axis of the result is contiguous."""
    if call.attrs["axis"] == "c" and call.attrs["step"] == 1:
        return "channels" if (call.attrs["start"], call.attrs["stop"]) != (0, call.x[0]) else ""
    return "positions"


def lower_slice(call: Call) -> CallTarget:
    """Lower to an index expression."""
    step = call.attrs["step"]
    part = slice(call.attrs["start"], call.attrs["stop"], step if step > 1 else None)
    return CallTarget("operator.getitem", (Operand(), (*(slice(None),) * (1 + axis_number(call)), part)))


# ---- roll, flip, gather


def roll_shape(call: Call) -> Shape:
    """Return the shape of the input. Raises Fault for an axis that the input does not have."""
    _named_axes(call, 0)
    return call.x


def roll_derivation(call: Call, out: Shape) -> list[str]:
    """State the shift along each axis that is rolled."""
    names = axis_names(call.x)
    return ["the shape of its input"] + [f"{names[axis]}: position i comes from i - {by}" for axis, by in _named_axes(call, 0).items()]


def roll_receptive_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return, for each axis that is rolled, the position that each output reads."""
    rolled = _named_axes(call, 0)
    fields: ReceptiveFields = []
    for axis in range(1, call.axes + 1):
        size, by = call.x[axis], rolled.get(axis, 0)
        positions = [(place - by) % size for place in range(size)] if isinstance(size, int) and size <= MAX_PHASES and by else ()
        fields.append(_listed(positions, size) if positions else None if by else EACH)
    return fields


def lower_roll(call: Call) -> CallTarget:
    """Lower to torch.roll."""
    rolled = dict(sorted(_named_axes(call, 0).items())) or {0: 0}
    return CallTarget("torch.roll", (Operand(), tuple(rolled.values()), tuple(axis + 1 for axis in rolled)))


def flip_shape(call: Call) -> Shape:
    """Return the shape of the input. Raises Fault for an axis that the input does not have."""
    axis_number(call)
    return call.x


def flip_receptive_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return the positions in reverse order."""
    axis = axis_number(call)
    size = call.x[axis]
    positions = range(size - 1, -1, -1) if isinstance(size, int) else ()
    return _along(call, axis, _listed(positions, size))


def lower_flip(call: Call) -> CallTarget:
    """Lower to torch.flip."""
    return CallTarget("torch.flip", (Operand(), (1 + axis_number(call),)))


def gather_shape(call: Call) -> Shape:
    """Return the shape with as many positions as there are indices. Raises Fault for an index that the axis does not have."""
    axis = axis_number(call)
    size, most = call.x[axis], max(call.attrs["index"])
    if not _least(call, size, most + 1):
        raise Fault(
            says.out_of_range(
                "the largest index", most, f"less than the {axis_names(call.x)[axis]}, {size}", "index", instead="indices count from 0"
            )
        )
    return (*call.x[:axis], len(call.attrs["index"]), *call.x[axis + 1 :])


def gather_derivation(call: Call, out: Shape) -> list[str]:
    """State the number of indices."""
    axis = axis_number(call)
    return [f"{axis_names(call.x)[axis]}: {out[axis]} indices into {call.x[axis]}"]


def gather_receptive_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return the positions that the indices name."""
    axis = axis_number(call)
    return _along(call, axis, _listed(call.attrs["index"], call.x[axis]))


def gather_index(call: Call, out: Shape) -> Dim:
    """Count the indices, of 8 bytes each, in values of 4 bytes."""
    return 2 * len(call.attrs["index"])


def lower_gather(call: Call) -> CallTarget:
    """Lower to an index expression with a list."""
    return CallTarget("operator.getitem", (Operand(), (*(slice(None),) * (1 + axis_number(call)), list(call.attrs["index"]))))


# ---- transpose, expand


def _swapped(call: Call) -> tuple[int, int]:
    first, second = axis_number(call, "first"), axis_number(call, "second")
    if first == second:
        raise Fault(
            says.out_of_range(
                "`second`", call.attrs["second"], "another axis than `first`", "second", instead="name two axes: `transpose(h, w)`"
            )
        )
    return min(first, second), max(first, second)


def transpose_shape(call: Call) -> Shape:
    """Return the shape with two sizes swapped. Raises Fault for an axis that the input does not have."""
    first, second = _swapped(call)
    sizes = list(call.x)
    sizes[first], sizes[second] = sizes[second], sizes[first]
    return tuple(sizes)


def transpose_derivation(call: Call, out: Shape) -> list[str]:
    """Name the axes that are swapped."""
    names, (first, second) = axis_names(call.x), _swapped(call)
    return [f"{names[first]} and {names[second]} swapped: {show_shape(call.x)} becomes {show_shape(out)}"]


def transpose_receptive_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return the whole of the axes that are swapped, since positions become channels, or those of another axis."""
    swapped = _swapped(call)
    return [None if axis in swapped else EACH for axis in range(1, call.axes + 1)]


def transpose_order(call: Call, last: Sequence[bool]) -> bool:
    """Return whether the channels are last in memory; a row changes its order."""
    return last[0] != (call.axes == 1)


def transpose_cuts(call: Call) -> str:
    """Return `positions`, since no memory format fits the view, except for a row."""
    return "" if call.axes == 1 else "positions"


def lower_transpose(call: Call) -> CallTarget:
    """Lower to torch.transpose."""
    first, second = _swapped(call)
    return CallTarget("torch.transpose", (Operand(), 1 + first, 1 + second))


def expand_shape(call: Call) -> Shape:
    """Return the shape with the given sizes. Raises Fault for an axis whose size is neither 1 nor the given one."""
    sizes = list(call.x)
    for axis, target in _named_axes(call, None).items():
        if not call.one_of(sizes[axis], 1, target):
            name = axis_names(call.x)[axis]
            option = next(word for word, number in call.axis_numbers.items() if number == axis)
            raise Fault(
                says.out_of_range(
                    f"the {name} of what is expanded",
                    sizes[axis],
                    "1, or the size it is expanded to",
                    option,
                    instead="`upsample` repeats every value of a map, `expand` one",
                )
            )
        sizes[axis] = target
    return tuple(sizes)


def expand_receptive_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return the one position along the axes that are expanded."""
    return [EACH if size == count else ONCE for size, count in zip(call.x[1:], out[1:], strict=True)]


def lower_expand(call: Call) -> CallTarget:
    """Lower to torch.broadcast_to."""
    return CallTarget("torch.broadcast_to", (Operand(), (-1, *expand_shape(call))))


OPERATORS = (
    Operator(
        name="slice",
        family="moving",
        summary="A range of an axis from `start` up to, but not including, `stop`, or every `step`-th position of it.",
        doc="""
        The default axis is the channels. A channel split is two slices: `concat<slice(0, in.c//2) | slice(in.c//2, in.c); ...>`.
        `slice(0, in.h, step=2, axis=h)` is every second row, from the first.
        """,
        source="Python's x[start:stop:step]; Ma et al. 2018, arXiv:1807.11164, figure 3",
        example="input 16x28x28; slice(0, 14, axis=h) => 16x14x28",
        attrs=(
            Attr("start", Bound(), REQUIRED, "the first position, from 0"),
            Attr("stop", Bound(), REQUIRED, "the position after the last"),
            Attr("step", Whole(1), 1, "the distance between positions"),
            AXIS,
        ),
        shape=slice_shape,
        derivation=slice_derivation,
        receptive_field=slice_receptive_field,
        memory=Memory(view=True, cuts=slice_cuts),
        lower=lower_slice,
    ),
    Operator(
        name="roll",
        family="moving",
        summary="Moves values along axes, and around their ends.",
        doc="""
        `out[i] = in[(i - shift) mod size]` along each named axis. A shift may be negative.
        """,
        source="torch.roll; Liu et al. 2021, arXiv:2103.14030, figure 4",
        example="input 96x56x56; roll(h=-3, w=-3) => 96x56x56",
        attrs=(
            Attr("h", Whole(None), 0, "the shift of the rows, downwards"),
            Attr("w", Whole(None), 0, "the shift of the columns, to the right"),
            Attr("c", Whole(None), 0, "the shift of the channels"),
            Attr("d", Whole(None), 0, "the shift along the depth"),
        ),
        named=("h", "w"),
        shape=roll_shape,
        derivation=roll_derivation,
        receptive_field=roll_receptive_field,
        memory=Memory(order=as_maps),
        lower=lower_roll,
    ),
    Operator(
        name="flip",
        family="moving",
        summary="Reverses the order along an axis.",
        doc="""
        `out[i] = in[size - 1 - i]`.
        """,
        source="torch.flip",
        example="input 16x28x28; flip(axis=w) => 16x28x28",
        attrs=(Attr("axis", AXIS_WORD, REQUIRED, "the axis: channels, depth, height or width"),),
        shape=flip_shape,
        receptive_field=flip_receptive_field,
        memory=Memory(order=as_maps),
        lower=lower_flip,
    ),
    Operator(
        name="gather",
        family="moving",
        summary="Selects the listed positions of an axis, in the order of the list.",
        doc="""
        `out[i] = in[index[i]]`, by default for the channels. The list is fixed, and may contain a position several times.
        """,
        source="torch.index_select; NumPy's x[:, index]",
        example="input 6x28x28; gather([0, 2, 4, 1, 3, 5]) => 6x28x28",
        attrs=(
            Attr("index", Row(), REQUIRED, "the positions, from 0"),
            AXIS,
        ),
        shape=gather_shape,
        derivation=gather_derivation,
        receptive_field=gather_receptive_field,
        memory=Memory(order=as_maps, saved_once=gather_index, work_once=gather_index),
        lower=lower_gather,
    ),
    Operator(
        name="transpose",
        family="moving",
        summary="Swaps two axes: by default the channels and positions of a row.",
        doc="""
        `transpose` swaps the channels and positions of a row, as for MLP-Mixer's token mixing. `transpose(h, w)` swaps
        rows and columns of a map.
        """,
        source="torch.transpose; Tolstikhin et al. 2021, arXiv:2105.01601, section 2",
        example="input 768x196; transpose => 196x768",
        attrs=(
            Attr("first", AXIS_WORD, Word("c"), "an axis: channels, depth, height or width"),
            Attr("second", AXIS_WORD, Word("w"), "the axis that it is swapped with"),
        ),
        shape=transpose_shape,
        derivation=transpose_derivation,
        receptive_field=transpose_receptive_field,
        memory=Memory(view=True, cuts=transpose_cuts, order=transpose_order),
        lower=lower_transpose,
    ),
    Operator(
        name="expand",
        family="moving",
        summary="Repeats the one position of an axis up to a size.",
        doc="""
        Axes are named: `expand(h=@x.h, w=@x.w)`. The size of each is 1, or already the given one. Nothing is copied.
        """,
        source="torch.Tensor.expand",
        example="input 64x1x1; expand(h=7, w=7) => 64x7x7",
        attrs=tuple(
            Attr(name, Optional(Whole(1, open=True)), Word("none"), f"the size of the {what}")
            for name, what in (("h", "height"), ("w", "width"), ("c", "channels"), ("d", "depth"))
        ),
        named=("h", "w"),
        shape=expand_shape,
        derivation=sizes_kept_or_changed,
        receptive_field=expand_receptive_field,
        grows=True,
        memory=Memory(view=True, cuts="positions"),
        lower=lower_expand,
    ),
)
