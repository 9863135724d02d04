"""Rules of recurrent layers, over a row of tokens or over each row of a map by itself."""

from __future__ import annotations

from typing import Any

from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.torch.nodes import Fixed, operator, rule
from archc.compiler.frontends.torch.reader import Reader
from archc.compiler.frontends.views import Axes, View, fresh


@rule("lstm", "gru")
def recurrent(reader: Reader, a: Any) -> tuple[View, None, None] | tuple[View, None]:
    """Read layers that start from zeros; their last states are not known."""
    if a.batch_first is not True or a.data is not None:
        raise CannotRead("its first axis is not the batch")
    first = a.hx if isinstance(a.hx, list | tuple) else [a.hx]
    if not all(_is_zero(reader, each) for each in first):
        raise CannotRead("it does not start from zeros")
    view = reader.data(a.input)
    name, layers, directions = operator(reader.node), a.num_layers, 2 if a.bidirectional else 1
    outer = tuple(atom for atom in view.dims[0] if atom is not reader.batch)
    if view.dims[0][:1] != (reader.batch,) or reader.batch in outer:
        raise CannotRead("its first axis is not the batch, or the batch and rows after it")
    want: Axes = (view.dims[2], *([outer] if outer else []), view.dims[1])
    hidden = int(a.params[1].shape[1])
    given = {
        "hidden": hidden,
        "layers": layers,
        "bidirectional": bool(a.bidirectional),
        "bias": bool(a.has_biases),
        "dropout": float(a.dropout),
        **({"rows": True} if outer else {}),
    }
    held = reader.weights(*a.params)
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if a.has_biases else 2]
    ends = [f"l{layer}{end}" for layer in range(layers) for end in ("", "_reverse")[:directions]]
    if [key.rpartition(".")[2] for key in held] != [f"{part}_{end}" for end in ends for part in parts]:
        raise CannotRead("its weights are not those of one module, in their order")
    item = reader.add(name, [reader.as_axes(view, want)], given, weights=held)
    (channels,) = fresh([hidden * directions])
    made = View(item, (channels, *want[1:]), (view.dims[0], view.dims[1], channels))
    return (made, None, None) if name == "lstm" else (made, None)


def _is_zero(reader: Reader, value: Any) -> bool:
    held = reader.constant(value.node) if isinstance(value, Fixed) else None
    return held is not None and not held.any()
