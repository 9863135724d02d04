"""Patterns of vision transformers and their kin, as small modules: what they are read as, and what is refused beside them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archc.compiler.frontends import CannotRead
from archc.compiler.frontends.torch.sources import module_object
from archc.tests.support.torch_reading import read_module


class Focus(nn.Module):
    """Gates of one value per channel times one map for all, as in FocalNet, and branches side by side, as in SKNet."""

    def __init__(self) -> None:
        super().__init__()
        self.select = nn.Conv2d(4, 8, 1)
        self.gate = nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        both = torch.stack((x, x.relu()), 1)
        weights = self.select(mean).view(-1, 2, 4, 1, 1).softmax(1)
        return (both * weights).sum(1) + mean * self.gate(x)


def test_each_operand_of_a_merge_may_be_repeated() -> None:
    found = read_module(Focus(), (4, 6, 5))
    assert found.ops.count("expand") == 2
    assert found.difference == 0


class Padded(nn.Module):
    def __init__(self, by: int) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(F.pad(x, (0, self.by, 0, self.by), value=-math.inf), 3, 2)


def test_a_maximum_over_a_map_that_is_padded_by_infinity() -> None:
    found = read_module(Padded(1), (4, 6, 6))
    assert found.ops == ["pad", "maxpool"]
    assert found.difference == 0
    with pytest.raises(CannotRead, match="a window may have nothing else"):
        module_object(Padded(3), torch.empty(2, 4, 6, 6))

    class Shown(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.pad(x, (0, 1), value=-math.inf)

    with pytest.raises(CannotRead, match="not before a maximum"):
        module_object(Shown(), torch.empty(2, 4, 6, 6))


class Norm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (8,), self.weight.to(torch.float32))  # a conversion that changes nothing


class Blocks(nn.Module):
    """Attention within blocks of a map, whose heads are the last axis of its result, as in NesT; queries may be the largest of four."""

    def __init__(self, pooled: bool) -> None:
        super().__init__()
        self.pooled = pooled
        self.norm = Norm()
        self.qkv = nn.Linear(8, 24)
        self.proj = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        x = x.reshape(b, c, 2, h // 2, 2, w // 2).permute(0, 2, 4, 3, 5, 1).reshape(b, 4, -1, c)
        q, k, v = self.qkv(self.norm(x)).reshape(b, 4, -1, 3, 2, 4).permute(3, 0, 4, 1, 2, 5).unbind(0)
        if self.pooled:
            q = q.reshape(b, 2, 4, 4, -1, 4).amax(3)
        y = F.scaled_dot_product_attention(q, k, v).permute(0, 2, 3, 4, 1).reshape(b, 4, -1, c)
        return self.proj(y).mean(2)


@pytest.mark.parametrize("pooled", [False, True])
def test_attention_within_blocks_is_in_rows(pooled: bool) -> None:
    found = read_module(Blocks(pooled), (8, 8, 8))
    (attention,) = [node for node in found.flat.graph if node.op == "attention"]
    assert (attention.attrs["heads"], attention.attrs["rows"], attention.shape[1]) == (2, True, 4)
    assert ("reduce_max" in found.ops) == pooled
    assert found.difference < 1e-6


class Crossed(nn.Module):
    """Attention between channels at trained sharpness, and fixed positions through a layer, as in XCiT."""

    def __init__(self, scale: float | None, wave: float = 10000.0) -> None:
        super().__init__()
        self.scale, self.wave = scale, wave
        self.project = nn.Conv2d(8, 8, 1)
        self.qkv = nn.Linear(8, 24)
        self.temperature = nn.Parameter(torch.ones(2, 1, 1))

    def along(self, count: int) -> Tensor:
        at = torch.arange(count, dtype=torch.float32)
        at = at if self.scale is None else (at + 1) / (count + 1e-6) * self.scale
        numbers = torch.arange(4, dtype=torch.float32)
        angles = at[:, None] / self.wave ** (2 * torch.div(numbers, 2, rounding_mode="floor") / 4)
        return torch.stack((angles[:, 0::2].sin(), angles[:, 1::2].cos()), 2).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        rows, columns = self.along(h)[:, None].repeat(1, w, 1), self.along(w)[None].repeat(h, 1, 1)
        x = x + self.project(torch.cat((rows, columns), 2).permute(2, 0, 1)[None]).repeat(b, 1, 1, 1)
        x = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).reshape(b, h * w, 3, 2, 4).permute(2, 0, 3, 4, 1).unbind(0)
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        y = (q @ k.transpose(-2, -1) * self.temperature).softmax(-1) @ v
        return y.permute(0, 3, 1, 2).reshape(b, h * w, c)


@pytest.mark.parametrize("scale", [2 * math.pi, None])
def test_fixed_positions_and_attention_between_channels(scale: float | None) -> None:
    found = read_module(Crossed(scale), (8, 3, 5))
    (positions,) = [node for node in found.flat.graph if node.op == "sine_positions"]
    assert (positions.attrs["channels"], positions.attrs["scale"]) == (4, scale)
    assert found.ops.count("l2_norm") == 2 and found.ops.count("attention") == 1
    assert found.difference < 1e-6


def test_other_positions_are_numbers() -> None:
    found = read_module(Crossed(None, wave=100.0), (8, 2, 4))
    assert "sine_positions" not in found.ops and "fixed" in found.ops
    assert found.difference < 1e-6


def test_products_are_not_multiplied_after_a_bias() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(2, 15, 15))
            self.qkv = nn.Linear(8, 24)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.qkv(x).reshape(-1, 15, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
            return ((q @ k.transpose(-2, -1) + self.bias) * 0.5).softmax(-1) @ v

    with pytest.raises(CannotRead, match="after something was added"):
        module_object(Late(), torch.empty(2, 15, 8))


class Pixels(nn.Module):
    """Patches as samples of their own, with positions of their pixels, as in TNT."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.embed = nn.Module()
        self.embed.proj = nn.Conv2d(3, 4, 1)
        self.embed.norm = nn.LayerNorm(4)
        self.step = step
        self.pos = nn.Parameter(torch.zeros(1, 4, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        b = x.shape[0]
        x = F.unfold(self.embed.proj(x), 2, stride=self.step).transpose(1, 2)
        x = x.reshape(-1, 4, 2, 2) + self.pos
        x = self.embed.norm(x.flatten(2).transpose(1, 2))
        return x.reshape(b, -1, 16)


def test_patches_that_do_not_overlap_are_a_view() -> None:
    found = read_module(Pixels(2), (3, 4, 6))
    assert "unfold" not in found.ops and found.ops.count("expand") == 1
    assert [found.flat.graph.operands(node.name) for node in found.flat.graph if node.op == "learned"] == [["input"]]
    assert found.difference == 0
    found = read_module(Pixels(1), (3, 4, 6))
    assert found.ops.count("unfold") == 1 and found.difference == 0


class Blur(nn.Module):
    """A blur before a stride, as in TResNet, by a kernel that is not trained; and a part of nothing beside the rest."""

    def __init__(self, row: list[float]) -> None:
        super().__init__()
        kernel = torch.tensor(row)
        self.register_buffer("kernel", (kernel[:, None] * kernel).expand(4, 1, -1, -1) / kernel.sum() ** 2, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat((x[:, :0], x.relu()), 1)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.kernel, stride=2, groups=4)


def test_a_blur_is_means_of_two() -> None:
    found = read_module(Blur([1.0, 2.0, 1.0]), (4, 6, 6))
    assert found.ops == ["relu", "pad", "avgpool", "avgpool"]
    assert [node.attrs["mode"] for node in found.flat.graph if node.op == "pad"] == ["reflect"]
    assert found.difference < 1e-6
    with pytest.raises(CannotRead, match="its kernel is fixed, and is no blur"):
        module_object(Blur([1.0, 3.0, 1.0]), torch.empty(2, 4, 6, 6))
