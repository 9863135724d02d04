"""Recurrent layers of torch: over a row, and over each row of a map by itself, as Sequencer reads rows and columns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archc import loads
from archc.compiler.frontends import CannotRead, read
from archc.compiler.frontends.torch.sources import module_object
from archc.tests.support.pytorch import timm_model
from archc.tests.support.torch_reading import compared, read_module


class Columns(nn.Module):
    """Reads the columns of a map `(N, H, W, C)`, and its rows."""

    def __init__(self, kind: type[nn.RNNBase], **settings: Any) -> None:
        super().__init__()
        self.down, self.across = (kind(4, 3, batch_first=True, **settings) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        n, h, w, c = x.shape
        down = self.down(x.permute(0, 2, 1, 3).reshape(-1, h, c))[0].reshape(n, w, h, -1).permute(0, 2, 1, 3)
        return torch.cat([down, self.across(x.reshape(-1, w, c))[0].reshape(n, h, w, -1)], -1)


@pytest.mark.parametrize("settings", [{"bidirectional": True}, {"num_layers": 2, "bias": False}], ids=str)
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_rows_and_columns(kind: type[nn.RNNBase], settings: dict[str, Any]) -> None:
    found = read_module(Columns(kind, **settings), (5, 6, 4))
    layers = [node for node in found.flat.graph if node.op == kind.__name__.lower()]
    assert [(node.key, node.attrs["rows"]) for node in layers] == [("down", True), ("across", True)]
    assert found.difference < 1e-6


class Row(nn.Module):
    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 3, **settings)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x)[0]


def test_a_row() -> None:
    found = read_module(Row(batch_first=True), (5, 4))
    assert found.ops.count("lstm") == 1 and not any(node.attrs.get("rows") for node in found.flat.graph)
    assert found.difference < 1e-6


def test_what_is_no_row_from_zeros_is_refused() -> None:
    class Started(Row):
        def forward(self, x: Tensor) -> Tensor:
            start = torch.ones(1, x.shape[0], 3)
            return self.rnn(x, (start, start))[0]

    class Ends(Row):
        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(x)[1][0][0]

    class Other(Row):
        """Weights of two layers in one call."""

        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.other = nn.LSTM(4, 3, **settings)

        def forward(self, x: Tensor) -> Tensor:
            zeros = torch.zeros(1, x.shape[0], 3)
            one, two = self.rnn, self.other
            taken = [one.weight_ih_l0, two.weight_hh_l0, one.bias_hh_l0, one.bias_ih_l0]
            return torch.lstm(x, (zeros, zeros), taken, True, 1, 0.0, False, False, True)[0]

    for module, reason in (
        (Row(), "first axis is not the batch"),
        (Started(batch_first=True), "does not start from zeros"),
        (Other(batch_first=True), "weights are not those of one module"),
        (Ends(batch_first=True), "no tensor"),
    ):
        with pytest.raises(CannotRead, match=reason):
            module_object(module, torch.empty(2, 5, 4))


@pytest.mark.parametrize("text", ["lstm-3(rows=yes, bidirectional=yes, layers=2)", "gru-3(rows=yes)", "lstm-3(rows=yes, last=yes)"])
def test_rows_are_read_one_by_one(text: str) -> None:
    net = loads(f"input 4x2x5\n{text}").lower().eval()
    row = loads(f"input 4x5\n{text.replace('rows=yes', 'rows=no')}").lower().eval()
    row.load_state_dict(net.state_dict())
    x = torch.randn(3, 4, 2, 5)
    wanted = torch.stack([row(x[:, :, place]) for place in range(2)], 2)
    assert torch.allclose(net(x), wanted, atol=1e-6)


@pytest.mark.slow
def test_a_network_of_timm() -> None:
    assert compared(read("timm:sequencer2d_s"), timm_model("sequencer2d_s"), 1).difference == 0
