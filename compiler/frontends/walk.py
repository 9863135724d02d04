"""The state of a front end that keeps track of axes: operators so far, and views of them made to fit what an operator takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from archc.compiler.frontends.arranging import arrange, words
from archc.compiler.frontends.flat import CannotRead, Flat
from archc.compiler.frontends.views import Atom, Axes, View, fresh, size


class Walk:
    """Operators that are appended at a place of the source, `path`, which is the operator itself if it is a `leaf`."""

    def __init__(self, source: str, batch: int) -> None:
        self.flat, self.batch = Flat(source), Atom(batch)
        self.arranged: dict[tuple[int, Axes], int] = {}
        self.slices: dict[tuple[int, Atom, int], int] = {}
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
        if not view.dims or view.dims[0] != (self.batch,):
            raise CannotRead("its first axis is not the batch alone")
        item, axes = self.sample(view, 1)
        return replace(view, item=item, axes=axes, picks=())

    def mapped(self, item: int, batched: bool = True) -> View:
        """Return an operator as operators of maps return it: the batch, and each of its axes."""
        axes = fresh([int(count) for count in self.flat.items[item].shape])  # type: ignore[arg-type]
        return View(item, axes, ((self.batch,), *axes) if batched else ((), *axes))

    def rechanneled(self, view: View, item: int, channel: int) -> View:
        """Return a view like `view` of an operator with other channels, which are the axis `channel` of the tensor."""
        channel = channel % len(view.dims)
        (new,) = fresh([int(self.flat.items[item].shape[0])])  # type: ignore[arg-type]
        return View(item, (new, *view.axes[1:]), (*view.dims[:channel], new, *view.dims[channel + 1 :]))

    def data(self, value: Any, beside: View | None = None) -> View:
        """Return a value as a view; `beside` is the one for whose samples a trained tensor is repeated."""
        raise NotImplementedError
