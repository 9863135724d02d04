"""The state of a front end that keeps track of axes: operators so far, and views of them made to fit what an operator takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from archc.compiler.frontends.arranging import arrange, words
from archc.compiler.frontends.flat import CannotRead, Flat
from archc.compiler.frontends.item import MOST_AXES
from archc.compiler.frontends.views import Atom, Axes, Axis, View, fresh, size

OPEN = 10007  # what stands for a batch of any size; no other size is a multiple of it


class Walk:
    """Operators that are appended at a place of the source, `path`, which is the operator itself if it is a `leaf`."""

    def __init__(self, source: str, batch: int) -> None:
        self.flat, self.batch = Flat(source), Atom(batch)
        self.arranged: dict[tuple[int, Axes], int] = {}
        self.slices: dict[tuple[int, Atom, int], int] = {}
        self.waiting: dict[int, Callable[[], int]] = {}  # what stands for an operator, which is appended where nothing replaces it
        self.written: dict[int, dict[tuple[int, int, int], View]] = {}  # what was written into an operator, by axis, start and stop
        self.path, self.leaf = "", False

    def add(self, op: str, operands: Sequence[int], given: Mapping[str, Any] | None = None, **more: Any) -> int:
        """Append an operator at the present node."""
        return self.flat.add(op, operands, given, path=self.path, leaf=self.leaf, **more)

    def on(self, view: View, op: str, given: Mapping[str, Any] | None = None, **more: Any) -> View:
        """Append an operator that works value by value, and return the same view of its result."""
        view = self.settled(view)
        return replace(view, item=self.add(op, [view.item], given, **more))

    def settled(self, view: View) -> View:
        """Return a view without picks: each is made a slice."""
        if view.item in self.waiting:
            view = replace(view, item=self.waited(view.item))
        if view.unit:
            raise CannotRead("queries or keys of an attention are used otherwise")
        if view.factor != 1.0:
            view = replace(view, item=self.add("scale", [view.item], {"factor": view.factor}), factor=1.0)
        for atom, index in view.picks:
            axis = next(number for number, each in enumerate(view.axes) if atom in each)
            at = view.axes[axis].index(atom)
            inner = size(view.axes[axis][at + 1 :])
            less = (*view.axes[axis][:at], *view.axes[axis][at + 1 :])
            axes: Axes = (*view.axes[:axis], less, *view.axes[axis + 1 :])
            word = words(view.axes)[axis]
            if not less and len(view.axes) == 2 and axis == 1:
                op, axes = "token", view.axes[:1]
                given: dict[str, Any] = {"at": index}
            elif at == 0:
                op, given = "slice", {"start": index * inner, "stop": (index + 1) * inner, "axis": word}
            elif inner == 1:
                op, given = "slice", {"start": index, "stop": size(view.axes[axis]), "step": atom.size, "axis": word}
            else:
                raise CannotRead("it takes values from the middle of an axis")
            key = (view.item, atom, index)
            if key not in self.slices:
                self.slices[key] = self.add(op, [view.item], given)
            view = replace(view, item=self.slices[key], axes=axes, picks=view.picks[1:])
        return view

    def waited(self, item: int) -> int:
        """Return the operator that another stands for, appended at its first use."""
        made = self.waiting[item]()
        self.waiting[item] = lambda: made
        return made

    def unit(self, view: View) -> View:
        """Return vectors along the last axis divided by their length, where that was left to an attention."""
        if not view.unit:
            return view
        view, eps = replace(view, unit=0.0), view.unit
        return self.on(self.along(view, -1), "l2_norm", {"eps": eps})

    def mask(self, bias: Any, products: Any, outer: Axis) -> tuple[int, Axes] | None:
        """Append a constant that is the mask of windows that were moved, and return its axes; None where it is none."""
        return None

    def addends(self, value: Any) -> list[Any]:
        """Return the values whose sum a trained value is."""
        return [value]

    def as_axes(self, view: View, want: Axes) -> int:
        """Return the number of an operator with these axes and the values of a view."""
        view = self.settled(view)
        key = (view.item, want)
        if key not in self.arranged:
            stated = self.flat.labeled and self.leaf and self.path.rpartition(".")[2].rstrip("0123456789") == "rearrange"
            self.arranged[key] = arrange(lambda op, item, given: self.add(op, [item], given), view.item, view.axes, want, stated)
        return self.arranged[key]

    def sample(self, view: View, channel: int) -> tuple[int, Axes]:
        """Return an operator whose channels are the axis `channel` of a tensor, and its positions all others in their order."""
        dims = self.sample_dims(view)
        channel = channel % len(view.dims)
        want = (dims[channel], *(axis for place, axis in enumerate(dims) if place not in (channel, self.batch_dim(view))))
        batch = self.batch_dim(view)
        rest = dims[batch] if batch is not None else ()
        if rest:
            want = (want[0], rest, *want[1:])
        return self.as_axes(view, want), want

    def batch_dim(self, view: View) -> int | None:
        """Return the axis of a tensor that holds the batch; None where it does not depend on the sample."""
        return next((place for place, axis in enumerate(view.dims) if self.batch in axis), None)

    def sample_dims(self, view: View) -> Axes:
        """Return the axes of a tensor without the batch, in which axes of the batch alone are empty."""
        return tuple(tuple(atom for atom in axis if atom is not self.batch) for axis in view.dims)

    def along(self, view: View, channel: int) -> View:
        """Return a view whose operator has the axis `channel` of the tensor as its channels; where it is so already, the same."""
        view = self.settled(view)
        if view.axes[0] == view.dims[channel] and len(view.axes) > 0:
            return view
        item, axes = self.sample(view, channel)
        return replace(view, item=item, axes=axes)

    def plain(self, view: View) -> View:
        """Return a view as operators of maps take it: batch, channels, positions, each an axis of the operator."""
        if view.dims and not view.dims[0]:  # the same for every sample
            view = view.with_dims(((self.batch,), *view.dims[1:]))
        if not view.dims or view.dims[0] != (self.batch,):
            raise CannotRead("its first axis is not the batch alone")
        item, axes = self.sample(view, 1)
        return replace(view, item=item, axes=axes, picks=())

    def apart(self, view: View) -> tuple[View, Axis]:
        """Return a view as operators of maps take it, and what a source puts into the batch, as windows: an axis before the others."""
        if not view.dims or view.dims[0][:1] != (self.batch,) or size(view.dims[0]) == self.batch.size:
            return self.plain(view), ()
        outer = view.dims[0][1:]
        if self.batch in outer or len(view.dims) > MOST_AXES:
            raise CannotRead(
                f"{size(outer)} maps of {len(view.dims) - 2} axes are put into the batch; here a tensor has at most {MOST_AXES} axes"
            )
        want = (view.dims[1], outer, *view.dims[2:])
        return replace(view, item=self.as_axes(view, want), axes=want, picks=()), outer

    def mapped(self, item: int, batched: bool = True, outer: Axis = ()) -> View:
        """Return an operator as operators of maps return it: the batch, and each of its axes; `outer` ones are in the batch."""
        if outer:
            channels, _, *sizes = fresh([int(count) for count in self.flat.items[item].shape])  # type: ignore[arg-type]
            return View(item, (channels, outer, *sizes), ((self.batch, *outer), channels, *sizes))
        axes = fresh([int(count) for count in self.flat.items[item].shape])  # type: ignore[arg-type]
        return View(item, axes, ((self.batch,), *axes) if batched else ((), *axes))

    def rechanneled(self, view: View, item: int, channel: int) -> View:
        """Return a view like `view` of an operator with other channels, which are the axis `channel` of the tensor."""
        channel = channel % len(view.dims)
        (new,) = fresh([int(self.flat.items[item].shape[0])])  # type: ignore[arg-type]
        return View(item, (new, *view.axes[1:]), (*view.dims[:channel], new, *view.dims[channel + 1 :]))

    def holes(self, what: str, operands: Sequence[View], shapes: Sequence[Sequence[int]]) -> list[View]:
        """Append a hole for each result of a node that cannot be read, of the given shapes, and return views of them.

        Raises CannotRead where a shape does not say which of its axes is the batch, or the node takes nothing that depends on an input.
        """
        if not operands:
            raise CannotRead("it takes nothing that depends on the input")
        taken = [self._entering(view) for view in operands]
        last = len(operands[0].dims) > 2 and bool(operands[0].axes[0]) and operands[0].dims[-1] == operands[0].axes[0]
        found = []
        for number, shape in enumerate(shapes, 1):
            batch = self._batch_of(shape)
            others = [place for place in range(len(shape)) if place != batch]
            if last and len(others) > 1:  # the channels
                others = [others[-1], *others[:-1]]
            several = shape[batch] // self.batch.size
            sizes = [shape[place] for place in others]
            if several > 1 or not sizes:
                sizes.insert(min(1, len(sizes)), several)
            name = f"{what}, result {number} of {len(shapes)}" if len(shapes) > 1 else what
            axes = fresh(sizes)
            held = self.flat.add_hole(name, taken, sizes, self.path, self.leaf)
            own = dict(zip(others, (axis for place, axis in enumerate(axes) if len(axes) == len(others) or place != 1), strict=True))
            own[batch] = (self.batch, *(axes[min(1, len(others))] if len(axes) > len(others) else ()))
            found.append(View(held, axes, tuple(own[place] for place in range(len(shape)))))
        return found

    def _entering(self, view: View) -> int:
        """Return the operator whose values a hole takes: arranged as the source has them, where that is possible.

        Raises CannotRead where the hole takes only a part of the values, or others, and no operator makes these.
        """
        is_whole = not view.picks and view.factor == 1.0 and not view.unit
        if is_whole and {*self.sample_dims(view)} - {()} == {*view.axes} - {()}:
            return view.item
        batch = self.batch_dim(view)
        try:
            return self.sample(view, next((place for place in range(len(view.dims)) if place != batch), 0))[0]
        except CannotRead:
            if not is_whole:
                raise
            return view.item

    def _batch_of(self, shape: Sequence[int]) -> int:
        """Return the axis of a shape that holds the batch. Raises CannotRead."""
        places = range(len(shape)) if self.batch.size >= OPEN else range(min(1, len(shape)))
        found = [place for place in places if shape[place] and shape[place] % self.batch.size == 0]
        if len(found) != 1:
            raise CannotRead(f"its result, {'x'.join(map(str, shape))}, does not say which axis is the batch")
        return found[0]

    def data(self, value: Any, beside: View | None = None) -> View:
        """Return a value as a view; `beside` is the one for whose samples a trained tensor is repeated."""
        raise NotImplementedError
