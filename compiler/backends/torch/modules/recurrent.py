"""Recurrent layers with channels first."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Lstm(nn.LSTM):
    """torch.nn.LSTM on `(N, C, L)`: all states, `(N, hidden, L)`, or the last of each direction, flat.

    It starts from zeros, or from a state and a cell, `(N, layers*directions*hidden)` each. With `rows` it reads each row of
    `(N, C, R, L)` by itself.
    """

    def __init__(self, last: bool, rows: bool = False, **settings: Any) -> None:
        super().__init__(batch_first=True, **settings)
        self.last, self.rows = last, rows

    def forward(self, x: Tensor, *start: Tensor) -> Tensor:  # type: ignore[override]
        if self.rows:
            states, (ends, _) = super().forward(x.movedim(1, -1).flatten(0, 1))
            return in_rows(last_states(ends, self.bidirectional) if self.last else states, x)
        known = [_layered(state, self.hidden_size) for state in start]
        states, (ends, _) = super().forward(x.movedim(1, -1), (known[0], known[1]) if known else None)
        return last_states(ends, self.bidirectional) if self.last else states.movedim(-1, 1)


class Gru(nn.GRU):
    """torch.nn.GRU on `(N, C, L)`, with the results and first states of `Lstm`, and its rows."""

    def __init__(self, last: bool, rows: bool = False, **settings: Any) -> None:
        super().__init__(batch_first=True, **settings)
        self.last, self.rows = last, rows

    def forward(self, x: Tensor, start: Tensor | None = None) -> Tensor:  # type: ignore[override]
        if self.rows:
            states, ends = super().forward(x.movedim(1, -1).flatten(0, 1))
            return in_rows(last_states(ends, self.bidirectional) if self.last else states, x)
        states, ends = super().forward(x.movedim(1, -1), None if start is None else _layered(start, self.hidden_size))
        return last_states(ends, self.bidirectional) if self.last else states.movedim(-1, 1)


def _layered(state: Tensor, hidden: int) -> Tensor:
    """Return a flat state in the form of torch: `(layers*directions, N, hidden)`."""
    return torch.unflatten(state, 1, (-1, hidden)).transpose(0, 1).contiguous()


def last_states(ends: Tensor, bidirectional: bool) -> Tensor:
    """Return the last states of the last layer, `(N, hidden)`, those of two directions concatenated."""
    return ends[-2:].transpose(0, 1).flatten(1) if bidirectional else ends[-1]


def in_rows(result: Tensor, x: Tensor) -> Tensor:
    """Return what was computed of the rows of `x`, one after the other, for each of its samples, channels first."""
    return torch.unflatten(result, 0, (-1, x.shape[2])).movedim(-1, 1)
