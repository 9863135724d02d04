"""Recurrent layers whose input and output have the channels before the positions."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Lstm(nn.LSTM):
    """torch.nn.LSTM on `(N, C, L)`, with zeros as its first state: all states, `(N, hidden, L)`, or the last of each direction, flat."""

    def __init__(self, last: bool, **settings: Any) -> None:
        super().__init__(batch_first=True, **settings)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        states, (ends, _) = super().forward(x.movedim(1, -1))
        return last_states(ends, self.bidirectional) if self.last else states.movedim(-1, 1)


class Gru(nn.GRU):
    """torch.nn.GRU on `(N, C, L)`, as `Lstm`."""

    def __init__(self, last: bool, **settings: Any) -> None:
        super().__init__(batch_first=True, **settings)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        states, ends = super().forward(x.movedim(1, -1))
        return last_states(ends, self.bidirectional) if self.last else states.movedim(-1, 1)


def last_states(ends: Tensor, bidirectional: bool) -> Tensor:
    """Return the last states of the last layer, `(N, hidden)`, those of two directions side by side."""
    return ends[-2:].transpose(0, 1).flatten(1) if bidirectional else ends[-1]
