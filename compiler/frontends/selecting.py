"""What selects, joins and merges values along axes, as operators or as other views of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from math import prod
from operator import mul
from typing import Any

from archc.compiler.frontends.arranging import words
from archc.compiler.frontends.item import MOST_AXES, PSEUDO, CannotRead
from archc.compiler.frontends.views import Atom, Axes, Axis, NotAligned, View, atoms_of, fresh, size
from archc.compiler.frontends.walk import Walk

ROLLED, PADDED = "a map that was moved", "a map that was padded"  # pseudo operators: what undoes them follows


def attempt(view: View, sizes: Sequence[int]) -> View:
    """Return a view in another shape. Raises CannotRead where the axes do not allow it."""
    try:
        return view.reshaped(sizes)
    except NotAligned:
        pass
    try:
        return view.with_dims(_joint(view.dims, sizes)).coalesced().reshaped(sizes)
    except NotAligned:
        raise CannotRead(f"a reshape from {view.shape} to {tuple(sizes)} splits positions across axes") from None


def _joint(dims: Axes, sizes: Sequence[int]) -> Axes:
    """Return axes in which those are one that a shape splits otherwise: 8 and 7, which are 7 and 8 in it, are 56."""
    borders = set(accumulate(sizes, mul))
    joint, count = list[Axis](), 1
    for axis in dims:
        if joint and count not in borders:
            joint[-1] += axis
        else:
            joint.append(axis)
        count *= size(axis)
    return tuple(joint)


def is_outermost(view: View, dim: int) -> bool:
    """Return whether an axis of the tensor begins an axis of the operator, so that a part of it is a range of that."""
    return any(axis[: len(view.dims[dim])] == view.dims[dim] for axis in view.axes)


def part(reader: Walk, view: View, dim: int, start: int, stop: int, step: int = 1) -> View:
    """Return a range of an axis: a view where it is a whole axis or steps through one, otherwise a slice."""
    whole = size(view.dims[dim])
    if (start, stop, step) == (0, whole, 1):
        return view
    if reader.batch in view.dims[dim]:
        raise CannotRead("it takes a part of the batch")
    if (done := cropped(reader, view, dim, start, stop, step)) is not None:
        return done
    if step > 1 and whole % step == 0 and start < step and stop > whole - step + start:
        apart = attempt(view, (*view.shape[:dim], whole // step, step, *view.shape[dim + 1 :]))
        return apart.picked(dim + 1, start)
    view, axis = owning(reader, view, dim)
    given = {"start": start, "stop": stop, "step": step, "axis": words(view.axes)[axis]}
    (left,) = fresh([-(-(stop - start) // step)])
    item = reader.add("slice", [view.item], given)
    return View(item, (*view.axes[:axis], left, *view.axes[axis + 1 :]), (*view.dims[:dim], left, *view.dims[dim + 1 :]))


def divided(reader: Walk, view: View, dim: int, counts: Sequence[int]) -> list[View]:
    """Return an axis in parts of these sizes, one after another: equal ones as views, others as slices."""
    if len(set(counts)) == 1 and len(counts) > 1:
        if not is_outermost(view, dim):
            view, _ = owning(reader, view, dim)
        apart = attempt(view, (*view.shape[:dim], len(counts), counts[0], *view.shape[dim + 1 :]))
        return [apart.picked(dim, index) for index in range(len(counts))]
    starts = [sum(counts[:number]) for number in range(len(counts))]
    return [part(reader, view, dim, start, start + count) for start, count in zip(starts, counts, strict=True)]


def owning(reader: Walk, view: View, dim: int) -> tuple[View, int]:
    """Return a view in which an axis of the tensor is one of the operator, and the number of that."""
    view = reader.settled(view)
    wanted = view.dims[dim]
    if wanted and wanted in view.axes:
        return view, view.axes.index(wanted)
    dims = reader.sample_dims(view)
    batch = reader.batch_dim(view)
    order = [place for place, axis in enumerate(dims) if place != batch or axis]
    if view.axes[0] and view.axes[0] in dims:  # the channels stay first
        order.sort(key=lambda place: dims[place] != view.axes[0])
    want: Axes = tuple(dims[place] for place in order)
    return replace(view, item=reader.as_axes(view, want), axes=want), order.index(dim)


def trimmed(reader: Walk, view: View, pairs: Mapping[int, tuple[int, int]]) -> tuple[View, dict[int, tuple[int, int]]]:
    """Cut a view where amounts before and after an axis of the tensor are negative; return the axes and amounts that are left to pad."""
    for dim, (before, after) in pairs.items():
        if min(before, after) < 0:
            view = part(reader, view, dim, max(-before, 0), size(view.dims[dim]) - max(-after, 0))
    return view, {dim: (max(before, 0), max(after, 0)) for dim, (before, after) in pairs.items() if max(before, after) > 0}


def padded(reader: Walk, view: View, pairs: Mapping[int, tuple[int, int]], given: Mapping[str, Any]) -> View:
    """Return a view padded before and after axes of the tensor; `given` are the options besides the amounts."""
    options, axes = dict(given), dict[int, int]()
    for dim, pair in pairs.items():
        view, axes[dim] = owning(reader, view, dim)
        options[words(view.axes)[axes[dim]]] = pair
    item = reader.add("pad", [view.item], options)
    new, dims = list(view.axes), list(view.dims)
    for dim, axis in axes.items():
        (new[axis],) = fresh([int(reader.flat.items[item].shape[axis])])  # type: ignore[arg-type]
        dims[dim] = new[axis]
    return View(item, tuple(new), tuple(dims))


def held_by_learned(stored: tuple[int, ...]) -> tuple[dict[str, Any], Axes, Axes]:
    """Return the options of the `learned` that holds a tensor of this shape, its axes, and those of the tensor for each sample."""
    batch = len(stored) > 2 and stored[0] == 1
    sizes = stored[1:] if batch else stored
    if len(sizes) == 1:
        given: dict[str, Any] = {"channels": sizes[0], "batch": False}
        axes = fresh(sizes)
    elif len(sizes) == 2:
        given = {"channels": sizes[1], "sizes": (sizes[0],), "batch": batch}
        axes = fresh((sizes[1], sizes[0]))
    else:
        given = {"channels": sizes[0], "sizes": sizes[1:], "batch": batch}
        axes = fresh(sizes)
    dims = (axes[1], axes[0]) if len(sizes) == 2 else axes
    return given, axes, ((), *dims) if batch else dims


def joined(reader: Walk, tensors: list[Any], dim: int) -> View:
    """Return the concatenation of tensors along an axis."""
    beside = next(held for held in tensors if isinstance(held, View))
    views = [reader.data(held, beside) for held in tensors]
    dim %= len(views[0].dims)
    if len(views) == 1:
        return views[0]
    if any(reader.batch in view.dims[dim] for view in views):
        raise CannotRead("it joins samples of a batch")
    if (done := _interleaved(views, dim)) is not None:
        return done
    first = next(place for place, view in enumerate(views) if isinstance(tensors[place], View))
    frame, axis = owning(reader, views[first], dim)
    if not frame.dims[dim] and size(frame.axes[axis]) != 1:
        raise CannotRead("the axis that it joins is none of the operator")
    items, total = [], 0
    for view in views:
        other = reader.settled(view)
        named = _beside(frame, other, dim)
        if named is None:
            other = _as_stated(reader, other)
            named = _beside(frame, other, dim)
        if named is None:
            raise CannotRead("the axes of its operands are split differently")
        own = other.dims[dim]
        want = (*frame.axes[:axis], own, *frame.axes[axis + 1 :])
        items.append(reader.as_axes(replace(named, dims=named.dims), want))
        total += size(own)
    item = reader.add("concat", items, {"axis": words(frame.axes)[axis]})
    (new,) = fresh([total])
    return View(item, (*frame.axes[:axis], new, *frame.axes[axis + 1 :]), (*frame.dims[:dim], new, *frame.dims[dim + 1 :]))


def _beside(frame: View, other: View, dim: int) -> View | None:
    """Return a tensor with the atoms of another along all axes but one; None where these are split differently."""
    apart, other = (view.with_dims((*view.dims[:dim], *view.dims[dim + 1 :])) for view in (frame, other))
    try:
        same, named = named_alike(apart, other)
    except CannotRead:
        return None
    return named if same.axes == frame.axes else None


def _interleaved(views: list[View], dim: int) -> View | None:
    """Return all values of a tensor, where each part has one index of some of its atoms, in order; None otherwise."""
    first = views[0]
    if not first.picks or any(view.item != first.item or view.axes != first.axes or view.dims != first.dims for view in views):
        return None
    places = [dict(view.picks) for view in views]
    atoms = list(places[0])
    if any(set(place) != set(atoms) for place in places):
        return None
    count = len(views)
    order: list[Atom] = []
    left = list(atoms)
    inner = count
    while left:  # the outermost atom is the one that changes slowest
        found = None
        for atom in left:
            inner_size = inner // atom.size
            if inner % atom.size == 0 and all(place[atom] == number // inner_size % atom.size for number, place in enumerate(places)):
                found = atom
        if found is None:
            return None
        order.append(found)
        left.remove(found)
        inner //= found.size
    if inner != 1:
        return None
    return replace(first, picks=(), dims=(*first.dims[:dim], (*order, *first.dims[dim]), *first.dims[dim + 1 :]))


def merged(reader: Walk, op: str, one: View, two: View) -> View:
    """Append a merge of two tensors, whose axes are paired from the last, and of which each may be repeated along axes of the other."""
    try:
        made = _merged(reader, op, one, two)
        if any(size not in (1, whole) for view in (one, two) for size, whole in zip(view.shape[::-1], made.shape[::-1], strict=False)):
            raise CannotRead("its operands are repeated along different parts of an axis")
        return made
    except CannotRead:
        whole = [_whole(reader, view) for view in (one, two)]
        if whole == [one, two]:
            raise
        return _merged(reader, op, *whole)


def _merged(reader: Walk, op: str, one: View, two: View) -> View:
    rank = max(len(one.dims), len(two.dims))
    one, two = (_unrepeated(reader, view.with_dims(((),) * (rank - len(view.dims)) + view.dims)) for view in (one, two))
    swapped = prod(two.shape) > prod(one.shape)
    frame, other = (two, one) if swapped else (one, two)
    if any(size(other.dims[place]) > size(frame.dims[place]) for place in range(rank)):
        return _outer_merge(reader, op, reader.settled(one), reader.settled(two))
    try:
        frame, other = named_alike(reader.settled(frame), reader.settled(other))
    except CannotRead:
        frame, other = named_alike(_as_stated(reader, frame), _as_stated(reader, other))
    held = {atom for axis in other.axes for atom in axis}
    want = tuple(tuple(atom for atom in axis if atom in held) for axis in frame.axes)
    if not _merges(op, frame.axes, want):  # no merge repeats it so
        try:
            reader.as_axes(other, frame.axes)
        except CannotRead:
            axes = _apart(reader, frame, held)
            frame = replace(frame, item=reader.as_axes(frame, axes), axes=axes)
        want = frame.axes
    operands = [frame.item, reader.as_axes(other, want)]
    given = {"broadcast": True} if want != frame.axes and op in ("add", "sub") else {}
    dims = list(frame.dims)
    if (place := reader.batch_dim(other)) is not None and reader.batch_dim(frame) is None:
        dims[place] = (reader.batch, *dims[place])
    return View(reader.add(op, operands[::-1] if swapped else operands, given), frame.axes, tuple(dims))


def _merges(op: str, whole: Axes, part: Axes) -> bool:
    """Return whether a merge repeats a tensor itself: one value for each channel, or one map for all channels."""
    if part == whole:
        return True
    positions = part[1:] == whole[1:] or not any(part[1:])
    return op in ("add", "sub", "mul", "div") and len(whole) > 1 and positions and part[0] in (whole[0], ())


def _apart(reader: Walk, frame: View, held: set[Atom]) -> Axes:
    """Return axes of which each is held by another tensor or is not, the channels first."""
    dims = sorted((axis for axis in reader.sample_dims(frame) if axis), key=lambda axis: axis != frame.axes[0])
    axes = dims[:1]
    for axis in dims[1:]:
        if len(dims) > MOST_AXES and len(axes) > 1 and (axis[0] in held) == (axes[-1][0] in held):
            axes[-1] += axis
        else:
            axes.append(axis)
    return tuple(axes)


def _as_stated(reader: Walk, view: View) -> View:
    """Return a view in which each axis of the tensor is one of the operator, in one part."""
    order = [axis for axis in reader.sample_dims(reader.settled(view)) if axis]
    order.sort(key=lambda axis: axis != view.axes[0])
    return replace(view, item=reader.as_axes(view, tuple(order)), axes=tuple(order), picks=()).coalesced()


def _outer_merge(reader: Walk, op: str, one: View, two: View) -> View:
    """Append a merge of two tensors of which each is repeated along an axis of the other."""
    try:
        one, two, names = one.matched(two, [(place, place) for place, axis in enumerate(two.dims) if size(axis) == size(one.dims[place])])
    except NotAligned:
        raise CannotRead("the axes of its operands are split differently") from None
    two = two.substituted({theirs: (mine,) for theirs, mine in names.items() if theirs is not mine})
    dims = tuple(a if size(a) >= size(b) else b for a, b in zip(one.dims, two.dims, strict=True))
    if any(1 < size(axis) != size(whole) for view in (one, two) for axis, whole in zip(view.dims, dims, strict=True)):
        raise CannotRead("its operands have axes of different sizes")
    axes = [axis for axis in (tuple(atom for atom in axis if atom is not reader.batch) for axis in dims) if axis]
    while len(axes) > 4:  # of those next to each other, the last two that both have or lack
        pairs = [place for place in range(len(axes) - 1) if _alike(one, axes, place) and _alike(two, axes, place)]
        if not pairs:
            raise CannotRead("each of its operands is repeated along axes of the other")
        axes[pairs[-1] : pairs[-1] + 2] = [axes[pairs[-1]] + axes[pairs[-1] + 1]]
    held, whole = {atom for axis in two.axes for atom in axis}, tuple(axes)
    want = tuple(tuple(atom for atom in axis if atom in held) for axis in whole)
    want = want if op not in ("add", "sub") and _merges(op, whole, want) else whole
    item = reader.add(op, [reader.as_axes(one, whole), reader.as_axes(two, want)])
    return View(item, whole, dims)


def _alike(view: View, axes: Sequence[Axis], place: int) -> bool:
    """Return whether a tensor has two axes next to each other, or neither."""
    held = {atom for axis in view.axes for atom in axis}
    return len({atom in held for axis in axes[place : place + 2] for atom in axis}) == 1


def _whole(reader: Walk, view: View) -> View:
    """Return a view in which what repeats a part of an axis is made, for one axis after another."""
    held = set(atoms_of(view.axes))
    want = [axis for axis in reader.sample_dims(view) if axis]
    mixed = [place for place, axis in enumerate(want) if 0 < sum(atom in held for atom in axis) < len(axis)]
    for place in mixed:
        later = {other for other in mixed if other > place}
        axes = tuple(tuple(a for a in axis if a in held) if other in later else axis for other, axis in enumerate(want))
        view = replace(view, item=reader.as_axes(view, axes), axes=axes, picks=())
    return view


def _unrepeated(reader: Walk, view: View) -> View:
    """Return the tensor without what only repeats it, but for the batch."""
    held = {reader.batch, *(atom for axis in view.axes for atom in axis)}
    return view.with_dims(tuple(atom for atom in axis if atom in held) for axis in view.dims)


def named_alike(frame: View, other: View) -> tuple[View, View]:
    """Return both with the same atoms along the axes that both have. Raises CannotRead."""
    pairs = [(place, place) for place, axis in enumerate(other.dims) if size(axis) > 1 and size(frame.dims[place]) > 1]
    if any(size(frame.dims[place]) != size(other.dims[place]) for place, _ in pairs):
        raise CannotRead("its operands have axes of different sizes")
    try:
        frame, other, names = frame.matched(other, pairs)
    except NotAligned:
        raise CannotRead("the axes of its operands are split differently") from None
    return frame, other.substituted({theirs: (mine,) for theirs, mine in names.items()})


def rolled(reader: Walk, view: View, shifts: dict[int, int]) -> View | None:
    """Return the map before a roll that this roll undoes; None where there is none."""
    item = reader.flat.items[view.item]
    if item.op != PSEUDO + ROLLED:
        return None
    known = words(view.axes)
    by = {known[view.axes.index(view.dims[dim])]: shift for dim, shift in shifts.items() if view.dims[dim] in view.axes and shift}
    if by != {word: shift for word, shift in item.data.items() if shift}:
        raise CannotRead("windows are moved back by another distance than before")
    return replace(view, item=item.operands[0])


def cropped(reader: Walk, view: View, dim: int, start: int, stop: int, step: int) -> View | None:
    """Return the map without a part of the padding of windows; None where a slice is none."""
    item = reader.flat.items[view.item]
    if item.op != PSEUDO + PADDED or view.dims[dim] not in view.axes:
        return None
    axis = view.axes.index(view.dims[dim])
    word = words(view.axes)[axis]
    if (start, step) != (0, 1) or stop != size(view.axes[axis]) - item.data.get(word, 0):
        raise CannotRead("the padding of windows is not what is cut off after them")
    left = {other: amount for other, amount in item.data.items() if other != word}
    (new,) = fresh([stop])
    axes = (*view.axes[:axis], new, *view.axes[axis + 1 :])
    number = item.operands[0]
    if left:
        number = reader.flat.add_pseudo(PADDED, [number], tuple(map(size, axes)), left, reader.path)
    return View(number, axes, (*view.dims[:dim], new, *view.dims[dim + 1 :]), ())


def reduced(reader: Walk, view: View, dims: Sequence[int], keep: bool, op: str, pools: bool = True, **more: Any) -> View:
    """Append a reduction over axes, with `more` options; where it `pools`, the mean over all positions is a global average pool."""
    view = reader.settled(view)
    numbers = sorted({number % len(view.dims) for number in dims})
    gone = {atom for number in numbers for atom in view.dims[number]}
    if reader.batch in gone:
        raise CannotRead("it reduces the batch")
    left = tuple(() if number in numbers else axis for number, axis in enumerate(view.dims))
    kept = left if keep else tuple(axis for number, axis in enumerate(left) if number not in numbers)
    if len([axis for axis in reader.sample_dims(view) if axis]) > MOST_AXES:
        first = tuple(atom for atom in view.axes[0] if atom not in gone)
        others = [atom for axis in reader.sample_dims(view) for atom in axis if atom not in first]
        rest, last = (tuple(atom for atom in others if (atom in gone) is out) for out in (False, True))
        want = tuple(axis for axis in (first, rest, last) if axis)
        view = replace(view, item=reader.as_axes(view, want), axes=want)
    elif not all(set(axis) <= gone or not set(axis) & gone for axis in view.axes):
        view = reader.along(view, 1) if 1 not in numbers else reader.along(view, -1)
        item, axes = reader.sample(view, 1 if 1 not in numbers else -1)
        view = View(item, axes, view.dims)
    hit = [number for number, axis in enumerate(view.axes) if axis and set(axis) <= gone]
    every = hit == [number for number in range(1, len(view.axes)) if view.axes[number]]
    if pools and op == "reduce_mean" and len(view.axes) > 2 and every:
        return View(reader.add("adaptive_avgpool", [view.item], {"out": 1}), (view.axes[0], *((),) * (len(view.axes) - 1)), kept)
    known = {1: "cw", 2: "chw", 3: "cdhw", 0: "c"}[len(view.axes) - 1]
    stays = len(view.axes) == len(hit) or len(view.axes) > 2
    item = reader.add(op, [view.item], {"axis": tuple(known[number] for number in hit), "keep": stays, **more})
    axes = tuple(() if number in hit else axis for number, axis in enumerate(view.axes))
    return View(item, axes if stays else tuple(axis for number, axis in enumerate(axes) if number not in hit), kept)
