"""Attention of other forms than those that have an operator, read: the parts that it is written with, keys and results."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archc import loads
from archc.compiler.backends.torch.modules.distances import distance_index
from archc.compiler.backends.torch.modules.windowed import Windows
from archc.compiler.frontends import CannotRead, read
from archc.compiler.frontends.torch.proof import proved
from archc.compiler.frontends.torch.sources import module_object
from archc.compiler.reading import folded
from archc.tests.support.torch_reading import read_module

TOLERANCE = 1e-5


class Attention(nn.Module):
    """Self-attention over rows of tokens; what is added to the products is a method."""

    def __init__(self, width: int = 12, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def project(self, x: Tensor) -> Tensor:
        return self.qkv(x)

    def bias(self) -> Tensor | None:
        return None

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = self.project(x).reshape(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias())
        return self.proj(y.transpose(1, 2).reshape(n, length, width))


class Tokens(nn.Module):
    """A map as tokens, and after a network as a map again."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)


@pytest.mark.parametrize("absolute", [True, False])
def test_a_table_of_distances_whose_index_is_not_stored(absolute: bool) -> None:
    class Distant(Attention):
        def __init__(self) -> None:
            super().__init__()
            self.attention_biases = nn.Parameter(torch.randn(2, 12 if absolute else 35))
            self.register_buffer("index", distance_index((3, 4), (1, 1), absolute), persistent=False)

        def bias(self) -> Tensor:
            return self.attention_biases[:, self.index]

    found = read_module(Tokens(Distant()), (12, 3, 4))
    assert "distances" in found.ops and "attention" in found.ops and "gather" not in found.ops
    assert found.difference < TOLERANCE


def test_a_table_with_a_class_token() -> None:
    class Classed(Attention):
        def __init__(self) -> None:
            super().__init__()
            index = torch.full((10, 10), 26)
            index[0], index[:, 0], index[0, 0] = 25, 26, 27
            index[1:, 1:] = distance_index((3, 3), (1, 1), False)
            self.relative_position_bias_table = nn.Parameter(torch.randn(28, 2))
            self.register_buffer("index", index, persistent=False)

        def bias(self) -> Tensor:
            return self.relative_position_bias_table[self.index.view(-1)].view(10, 10, -1).permute(2, 0, 1).contiguous().unsqueeze(0)

    found = read_module(nn.Sequential(nn.Linear(12, 12), Classed()), (10, 12))
    assert found.ops.count("distances") == 1 and found.difference < TOLERANCE


def test_any_other_index_is_a_list() -> None:
    class Listed(Attention):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.randn(7, 2))
            self.register_buffer("index", torch.arange(9).reshape(3, 3) * 2 % 7, persistent=False)

        def bias(self) -> Tensor:
            return self.table[self.index].permute(2, 0, 1)

    found = read_module(nn.Sequential(nn.Linear(12, 12), Listed()), (3, 12))
    assert "gather" in found.ops and "distances" not in found.ops and found.difference < TOLERANCE


def test_a_bias_put_together_of_several() -> None:
    class Parted(Attention):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(12, 36, bias=False)
            self.q_bias, self.v_bias = nn.Parameter(torch.randn(12)), nn.Parameter(torch.randn(12))
            self.register_buffer("k_bias", torch.zeros(12), persistent=False)

        def project(self, x: Tensor) -> Tensor:
            return F.linear(x, self.qkv.weight, torch.cat((self.q_bias, self.k_bias, self.v_bias)))

    found = read_module(nn.Sequential(nn.Linear(12, 12), Parted()), (5, 12))
    assert found.ops.count("learned") == 2 and "fixed" in found.ops and found.difference < TOLERANCE


class Windowed(nn.Module):
    """Attention within windows that may be moved, whose numbers of distances are not stored."""

    def __init__(self, shift: int, cosine: bool = False, mask: Tensor | None = None) -> None:
        super().__init__()
        self.norm, self.qkv, self.proj = nn.LayerNorm(12), nn.Linear(12, 36), nn.Linear(12, 12)
        self.windows, self.cosine = Windows((4, 4), (shift, shift), grid=False), cosine
        self.register_buffer("index", distance_index((4, 4), (1, 1), False), persistent=False)
        self.register_buffer("mask", self.windows.mask(torch.zeros(1, 8, 12, 1)) if mask is None else mask, persistent=False)
        if cosine:
            self.logit_scale = nn.Parameter(torch.zeros(2, 1, 1))
            steps = torch.stack(torch.meshgrid(torch.arange(-3, 4.0), torch.arange(-3, 4.0), indexing="ij"), -1)
            self.register_buffer("steps", steps.sign() * torch.log1p(steps.abs()), persistent=False)
            self.mlp = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2, bias=False))
        else:
            self.table = nn.Parameter(torch.randn(49, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        cut = self.windows.cut(self.norm(x))
        q, k, v = self.qkv(cut).reshape(-1, 16, 3, 2, 6).permute(2, 0, 3, 1, 4).unbind(0)
        if self.cosine:
            products = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
            products = products * self.logit_scale.clamp(max=log(100)).exp()
            table = 16 * torch.sigmoid(self.mlp(self.steps).view(-1, 2)[self.index.view(-1)])
        else:
            products = q * 6**-0.5 @ k.transpose(-2, -1)
            table = self.table[self.index.view(-1)]
        products = products + table.view(16, 16, 2).permute(2, 0, 1).unsqueeze(0)
        if self.mask is not None:
            products = products.view(-1, len(self.mask), 2, 16, 16) + self.mask.unsqueeze(1).unsqueeze(0)
            products = products.view(-1, 2, 16, 16)
        y = self.proj((products.softmax(-1) @ v).transpose(1, 2).reshape(-1, 16, 12))
        return (x + self.windows.joined(y, x.shape[1:-1])).permute(0, 3, 1, 2)


@pytest.mark.parametrize(("shift", "cosine"), [(0, False), (2, False), (2, True)])
def test_windows_whose_keys_are_not_ours(shift: int, cosine: bool) -> None:
    found = read_module(nn.Sequential(nn.Conv2d(3, 12, 1), Windowed(shift, cosine)), (3, 8, 12))
    (attention,) = (node for node in found.flat.graph if node.op == "attention")
    assert attention.attrs["rows"] and found.ops.count("shift_mask") == (shift > 0) and "distances" in found.ops
    assert found.difference < TOLERANCE


def test_another_mask_is_written_as_numbers_and_a_large_one_refused() -> None:
    found = read_module(Windowed(2, mask=torch.randn(6, 16, 16)), (12, 8, 12))
    assert "fixed" in found.ops and "shift_mask" not in found.ops and found.difference < TOLERANCE
    with pytest.raises(CannotRead, match="a constant of 6144 numbers"):
        module_object(Windowed(2, mask=torch.randn(24, 16, 16)), torch.empty(2, 12, 16, 24))


def test_positions_whose_bias_depends_on_the_query() -> None:
    class Decomposed(Attention):
        def __init__(self) -> None:
            super().__init__()
            self.high, self.wide = nn.Parameter(torch.randn(5, 6)), nn.Parameter(torch.randn(7, 6))
            self.register_buffer("rows", distance_index((3,), (1,), False), persistent=False)
            self.register_buffer("columns", distance_index((4,), (1,), False), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            n = x.shape[0]
            q, k, v = self.qkv(x).reshape(n, 12, 3, 2, 6).permute(2, 0, 3, 1, 4).unbind(0)
            each = q.reshape(n, 2, 3, 4, 6)
            down = torch.einsum("byhwc,hkc->byhwk", each, self.high[self.rows])
            across = torch.einsum("byhwc,wkc->byhwk", each, self.wide[self.columns])
            bias = (down.unsqueeze(-1) + across.unsqueeze(-2)).reshape(n, 2, 12, 12)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
            return self.proj(y.transpose(1, 2).reshape(n, 12, 12))

    found = read_module(Tokens(Decomposed()), (12, 3, 4))
    assert found.ops.count("matmul") == 2 and found.ops.count("distances") == 2 and found.difference < TOLERANCE


def test_queries_of_several_heads_share_their_keys() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v, self.proj = nn.Linear(12, 24), nn.Linear(12, 6), nn.Linear(12, 6), nn.Linear(24, 12)

        def forward(self, x: Tensor) -> Tensor:
            n, length, _ = x.shape
            q = self.q(x).reshape(n, length, 4, 6).transpose(1, 2)
            y = F.scaled_dot_product_attention(q, self.k(x).unsqueeze(1), self.v(x).unsqueeze(1))
            return self.proj(y.transpose(1, 2).reshape(n, length, 24))

    found = read_module(nn.Sequential(nn.Linear(12, 12), Shared()), (5, 12))
    assert "attention" in found.ops and found.difference < TOLERANCE


def test_weights_that_are_changed_after_the_softmax() -> None:
    class Gated(Attention):
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Parameter(torch.ones(2))

        def forward(self, x: Tensor) -> Any:
            n, length, width = x.shape
            q, k, v = self.qkv(x).reshape(n, length, 3, 2, width // 2).permute(2, 0, 3, 1, 4).unbind(0)
            weights = (q @ k.transpose(-2, -1)).softmax(-1) * torch.sigmoid(self.gate).view(1, -1, 1, 1)
            weights = weights / weights.sum(-1).unsqueeze(-1)
            return self.proj((weights @ v).transpose(1, 2).reshape(n, length, width))

    found = read_module(nn.Sequential(nn.Linear(12, 12), Gated()), (5, 12))
    assert found.ops.count("matmul") == 2 and "attention" not in found.ops and found.difference < TOLERANCE


class Mixed(nn.Module):
    """Kernels that are mixed for each sample (CondConv), or positions of all samples as rows."""

    def __init__(self, positions: bool) -> None:
        super().__init__()
        self.positions = positions
        self.weight = nn.Parameter(torch.zeros(6, 9))

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, 6) @ self.weight if self.positions else x.mean(1) @ self.weight


def test_products_whose_rows_are_samples_are_refused() -> None:
    with pytest.raises(CannotRead, match="kernels are mixed for each sample"):
        module_object(Mixed(positions=False), torch.empty(2, 5, 6))
    with pytest.raises(CannotRead, match="positions of all samples together"):
        module_object(Mixed(positions=True), torch.empty(2, 5, 6))


MODELS = ["levit_128s", "beit_base_patch16_224", "test_vit_relpos", "tiny_vit_5m_224", "swin_tiny_patch4_window7_224", "test_maxvit"]
MODELS += ["test_coatnet", "convit_tiny", "shvit_s1", "eva02_tiny_patch14_224", "swinv2_tiny_window8_256", "swinv2_cr_tiny_ns_224"]
MODELS += ["gcvit_xxtiny", "efficientformerv2_s0", "swiftformer_xs", "samvit_base_patch16_224", "qwen3_vit_88m"]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_network_of_each_family_of_timm(name: str) -> None:
    flat = read(f"timm:{name}")
    assert proved(flat, loads(folded(flat).text).graph).difference < TOLERANCE
