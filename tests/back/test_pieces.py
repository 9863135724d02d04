"""Pieces of a network: run one after another they are the network, in both modes, with its weights under its keys."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from archc import Network, load, loads
from archc.compiler.analysis.cuts import cut_in
from archc.compiler.backends.torch.pieces import piece_module
from archc.compiler.lowering import lowered_modes
from archc.compiler.lowering.pieces import pieces
from archc.tests.support import ROOT

SKIPPING = (
    "input 3x16x16\nstem: conv3-4(pad=same, norm=bn)\na: residual<conv3-4(pad=same)>; relu\n"
    "b: mul<. | learned>; relu; c: conv3-4(pad=same); add<. | @a>\n"
    "output side(when=training): @stem; flatten; fc-3\nd: conv3-4(pad=same); concat<. | @stem>; dropout(0.5); flatten; fc-5\n"
)


def check(net: Network, stages: int) -> None:
    torch.manual_seed(0)
    module = net.lower()
    names = [node.name for node in net.graph]
    starts = cut_in(net.graph, stages).starts
    x = torch.randn(2, *net.graph.inputs[0].shape)  # type: ignore[arg-type]
    keys: list[str] = []
    for program, training in zip(lowered_modes(net.graph), (True, False), strict=True):
        made = pieces(program, names, starts)
        modules = [piece_module(program, piece, module, "Piece") for piece in made]
        keys = keys or [key for each in modules for key in each.state_dict()]
        module.train(training)
        values: tuple[Tensor, ...] = (x,)
        state = {key: value.clone() for key, value in module.state_dict().items()}
        torch.manual_seed(1)
        for each in modules:
            values = each.train(training)(*values)
        module.load_state_dict(state)
        torch.manual_seed(1)
        expected = module(x)
        wanted = list(expected.values()) if isinstance(expected, dict) else [expected]
        assert len(wanted) == len(values) and all(torch.equal(a, b) for a, b in zip(wanted, values, strict=True))
    assert sorted(keys) == sorted(module.state_dict()) and len(set(keys)) == len(keys)


def test_values_that_skip_pieces() -> None:
    net = loads(SKIPPING)
    check(net, 4)
    program, _ = lowered_modes(net.graph)
    made = pieces(program, [node.name for node in net.graph], cut_in(net.graph, 4).starts)
    assert all(before.returns == after.takes for before, after in pairwise(made))
    assert any(set(piece.takes) & set(piece.returns) for piece in made)  # a value that passes through


@pytest.mark.slow
@pytest.mark.parametrize("name", ["googlenet_torchvision", "densenet121", "vit_b_16", "swin_t", "resnet50", "efficientnet_b0"])
def test_networks_in_pieces(name: str) -> None:
    check(load(ROOT / f"archs/{name}.arch"), 4)
