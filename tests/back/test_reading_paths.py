"""Modules that a source has at several paths, read: shared parts under one of them, and weights that fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archc import loads
from archc.compiler.frontends import CannotRead, read
from archc.compiler.frontends.torch.proof import proved
from archc.compiler.frontends.torch.sources import module_object
from archc.compiler.reading import folded
from archc.tests.support.pytorch import timm_model
from archc.tests.support.torch_reading import compared, read_module

CLOSE = 2e-6


class Encoding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(4, 4, 3, padding=1, groups=4)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.proj(x).relu()


class Block(nn.Module):
    """A block with an encoding between two layers, which other blocks have as well."""

    def __init__(self, encoding: nn.Module) -> None:
        super().__init__()
        self.first, self.encoding, self.last = nn.Conv2d(4, 4, 1), encoding, nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.encoding(self.first(x)))


class Encoded(nn.Module):
    def __init__(self, outside: bool = True) -> None:
        super().__init__()
        encoding = Encoding()
        if outside:
            self.encoding1 = encoding
        self.blocks = nn.ModuleList(Block(encoding) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


def test_a_module_of_the_network_and_of_its_blocks_is_one_part() -> None:
    found = read_module(Encoded(), (4, 5, 5))
    assert [node.name for node in found.flat.graph if node.key == "encoding1.proj"] == ["blocks.0.encoding.proj", "blocks.1.encoding.proj"]
    text = folded(found.flat).text
    assert "share encoding1 {" in text and text.count("encoding1") == 3 and found.difference < CLOSE
    weights = module_object(Encoded(), torch.empty(2, 4, 5, 5)).weights
    assert weights is not None and {key for key in weights() if "encoding" in key} == {"encoding1.proj.weight", "encoding1.proj.bias"}


def test_a_module_of_two_scopes_needs_one_around_both() -> None:
    with pytest.raises(ValueError, match="in no scope around it"):
        read_module(Encoded(outside=False), (4, 5, 5))


class Twice(nn.Module):
    """One module under three paths of one scope."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp2 = self.mlp3 = self.mlp4 = nn.Sequential(nn.Conv2d(4, 6, 1), nn.GELU(), nn.Conv2d(6, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp2(x) + self.mlp3(x.flip(2)) + self.mlp4(x.flip(3))


def test_a_call_by_the_path_of_the_part_has_another_label() -> None:
    found = read_module(Twice(), (4, 5, 5))
    text = folded(found.flat).text
    assert "share mlp2 {" in text and found.difference < CLOSE
    assert {node.name.partition(".")[0] for node in found.flat.graph if node.op == "conv"} == {"mlp21", "mlp3", "mlp4"}
    assert {node.key for node in found.flat.graph if node.op == "conv"} == {"mlp2.0", "mlp2.2"}


class Chosen(nn.Module):
    """A module of a list, which the network has by a name as well, and calls once."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList([nn.Conv2d(4, 4, 1)])
        self.head = self.heads[0]

    def forward(self, x: Tensor) -> Tensor:
        return self.heads[0](x)


def test_a_module_that_is_called_by_one_of_its_paths_is_no_shared_part() -> None:
    found = read_module(Chosen(), (4, 5, 5))
    assert "share" not in folded(found.flat).text and found.difference < CLOSE


def test_other_values_under_another_path_are_refused() -> None:
    flat = module_object(Twice(), torch.empty(2, 4, 5, 5))
    assert flat.change is not None
    state = {key: tensor.numpy() for key, tensor in Twice().state_dict().items()}
    assert set(flat.change(state)) == {f"mlp2.{number}.{part}" for number in (0, 2) for part in ("weight", "bias")}
    with pytest.raises(CannotRead, match="other values"):
        flat.change(state | {"mlp3.0.bias": np.zeros(6, np.float32)})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coat_lite_tiny", "coat_tiny"])
def test_networks_of_timm(name: str) -> None:
    flat = read(f"timm:{name}")
    assert compared(flat, timm_model(name), 1).difference < CLOSE
    assert proved(flat, loads(folded(flat).text).graph).difference < CLOSE
