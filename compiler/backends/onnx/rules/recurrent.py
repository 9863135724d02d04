"""Recurrent layers. ONNX has the tokens first and the gates in another order; its operators run all tokens and both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.rule import Rule

LSTM = (0, 3, 1, 2)  # ONNX's gates, input, output, forget, cell, by their number in torch: input, forget, cell, output
GRU = (1, 0, 2)  # update, reset, new; in torch: reset, update, new


def lstm(b: Building, x: Value, *start: Value, **settings: Any) -> Value:
    """Write an LSTM, which starts from zeros or from a state and a cell."""
    return _in_rows(b, "LSTM", LSTM, x, start, **settings)


def gru(b: Building, x: Value, *start: Value, **settings: Any) -> Value:
    """Write gated recurrent units, whose reset gate is applied after the product with the state, as in torch."""
    return _in_rows(b, "GRU", GRU, x, start, **settings)


def _in_rows(b: Building, kind: str, gates: Sequence[int], x: Value, start: Sequence[Value], rows: bool = False, **settings: Any) -> Value:
    """Write layers over each row of `(N, C, R, L)` by itself, or over `(N, C, L)`."""
    if not rows:
        return _recurrent(b, kind, gates, x, start, **settings)
    batch, channels, count, length = x.shape
    apart = b.reshape(b.transpose(x, (0, 2, 1, 3)), (batch * count, channels, length))
    found = _recurrent(b, kind, gates, apart, start, **settings)
    back = b.reshape(found, (batch, count, *found.shape[1:]))
    return b.transpose(back, (0, 2, 1, *range(3, back.rank)))


def _recurrent(
    b: Building,
    kind: str,
    gates: Sequence[int],
    x: Value,
    start: Sequence[Value],
    hidden_size: int,
    num_layers: int,
    bidirectional: bool,
    last: bool,
    **unused: Any,
) -> Value:
    """Write layers, each over the states of the previous one, of `(N, C, L)`; return all states, or the last ones of the last layer."""
    directions = 2 if bidirectional else 1
    batch, length = x.shape[0], x.shape[2]
    states = b.transpose(x, (2, 0, 1))
    begin = [_by_layer(b, state, num_layers, directions, hidden_size) for state in start]
    more = {"linear_before_reset": 1} if kind == "GRU" else {}
    result = x
    for layer in range(num_layers):
        ends = ("", "_reverse")[:directions]
        weights = [_ordered(b, [f"{name}_l{layer}{end}" for end in ends], gates, hidden_size) for name in ("weight_ih", "weight_hh")]
        biases = [_ordered(b, [f"{name}_l{layer}{end}" for end in ends], gates, hidden_size) for name in ("bias_ih", "bias_hh")]
        bias = None if None in biases else b.concat(biases, 1)  # type: ignore[arg-type]
        is_last = last and layer == num_layers - 1
        shapes = [(length, directions, batch, hidden_size), (directions, batch, hidden_size)]
        found, *others = b.several(
            kind, states, *weights, bias, None, *(state[layer] for state in begin),
            hidden_size=hidden_size, direction="bidirectional" if bidirectional else None, **more,
            shape=shapes[: 1 + is_last],
        )  # fmt: skip
        if is_last:
            return b.reshape(b.transpose(others[0], (1, 0, 2)), (batch, directions * hidden_size))
        if layer == num_layers - 1:
            result = b.reshape(b.transpose(found, (2, 1, 3, 0)), (batch, directions * hidden_size, length))
        elif directions == 1:
            states = b.squeeze(found, 1)
        else:
            states = b.reshape(b.transpose(found, (0, 2, 1, 3)), (length, batch, directions * hidden_size))
    return result


def _ordered(b: Building, names: Sequence[str], gates: Sequence[int], hidden: int) -> Value | None:
    """Write the weights of each direction with ONNX's order of gates, one after the other; None where there are none."""
    index = (np.array(gates)[:, np.newaxis] * hidden + np.arange(hidden)).reshape(1, -1)
    weights = [b.weight(name) for name in names]
    if None in weights:
        return None
    return b.concat([b.gather(weight, 0, index) for weight in weights if weight is not None], 0)


def _by_layer(b: Building, state: Value, layers: int, directions: int, hidden: int) -> list[Value]:
    """Write a flat state as `(directions, N, hidden)` for each layer."""
    split = b.transpose(b.reshape(state, (state.shape[0], layers * directions, hidden)), (1, 0, 2))
    return b.split(split, 0, [directions] * layers)


RULES: dict[str, Rule] = {
    "archc.Lstm": lstm,
    "archc.Gru": gru,
}
