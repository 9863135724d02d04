"""Rotary positions, read: the operators, their options, and results; what is nearly one is read otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archc.compiler.frontends import CannotRead, read
from archc.tests.support.pytorch import timm_model
from archc.tests.support.torch_reading import compared, read_module

CLOSE = 2e-6
HEAD, HIGH, WIDE = 8, 3, 4


def slow(*values: Any) -> Any:
    """A case that runs at night."""
    return pytest.param(*values, marks=pytest.mark.slow)


def laid_out(angles: Tensor, halves: bool) -> Tensor:
    return torch.cat((angles, angles), -1) if halves else angles.repeat_interleave(2, -1)


def turned(x: Tensor, halves: bool) -> Tensor:
    if halves:
        first, second = x.chunk(2, -1)
        return torch.cat((-second, first), -1)
    return torch.stack((-x[..., 1::2], x[..., ::2]), -1).reshape(x.shape)


def angles_of(
    temperature: float = 100.0, offset: float = 0.0, reference: tuple[int, int] | None = None, swap: bool = False, centered: bool = False
) -> Tensor:
    """Angles `(positions, pairs)` of a map."""
    sizes = (HIGH, WIDE)
    if centered:
        places = [(2 * ((torch.arange(size) + 0.5 + offset) / size) - 1) * 2 * torch.pi for size in sizes]
    else:
        scales = [1.0] * 2 if reference is None else [to / size for to, size in zip(reference, sizes, strict=True)]
        places = [(torch.arange(size) + offset) * scale for size, scale in zip(sizes, scales, strict=True)]
    bands = 1 / temperature ** (torch.arange(HEAD // 4) / (HEAD // 4))
    grid = torch.stack(torch.meshgrid(*places, indexing="ij"), -1)
    return ((grid.flip(-1) if swap else grid)[..., None] * bands).reshape(HIGH * WIDE, -1)


class Attention(nn.Module):
    """Attention of the positions of a map, after tokens that are not turned."""

    def __init__(self, angles: Tensor, halves: bool = False, skip: int = 0, heads: int = 2, normed: bool = False) -> None:
        super().__init__()
        self.heads, self.halves, self.skip = heads, halves, skip
        self.qkv = nn.Linear(heads * HEAD, 3 * heads * HEAD)
        self.q_norm, self.k_norm = (nn.LayerNorm(HEAD) if normed else nn.Identity() for _ in range(2))
        self.first = nn.Parameter(torch.randn(1, skip, heads * HEAD)) if skip else None
        self.register_buffer("table", torch.cat((laid_out(angles.sin(), halves), laid_out(angles.cos(), halves)), -1), persistent=False)

    def rotate(self, x: Tensor) -> Tensor:
        sin, cos = self.table.chunk(2, -1)
        rest = x[:, :, self.skip :]
        return torch.cat((x[:, :, : self.skip], rest * cos + turned(rest, self.halves) * sin), 2)

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        x = x.flatten(2).transpose(1, 2)
        if self.first is not None:
            x = torch.cat((self.first.expand(n, -1, -1), x), 1)
        q, k, v = self.qkv(x).reshape(n, x.shape[1], 3, self.heads, HEAD).permute(2, 0, 3, 1, 4).unbind(0)
        q, k = self.rotate(self.q_norm(q)), self.rotate(self.k_norm(k))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def options(found: Any, op: str) -> dict[str, Any]:
    """The options of an operator that are the same each time."""
    each = [dict(node.attrs) for node in found.flat.graph if node.op == op]
    assert each and all(given == each[0] for given in each)
    return each[0]


@pytest.mark.parametrize(("halves", "skip"), [(False, 1), slow(True, 1), slow(False, 0), slow(True, 0)])
def test_queries_and_keys_are_turned(halves: bool, skip: int) -> None:
    found = read_module(Attention(angles_of(), halves, skip), (16, HIGH, WIDE))
    assert found.ops.count("rotary") == 2 and not {"neg", "mul", "fixed"} & set(found.ops)
    assert options(found, "rotary") == {"heads": 2, "halves": halves, "skip": skip} and found.difference < CLOSE


@pytest.mark.parametrize(
    "given",
    [
        slow({"temperature": 10000.0}),
        slow({"temperature": 10.0, "swap": True}),
        slow({"offset": 1.0}),
        slow({"reference": (6, 6)}),
        {"reference": (6, 8), "offset": 0.5, "swap": True},
        {"centered": True},
    ],
)
def test_the_options_of_a_table_are_found(given: dict[str, Any]) -> None:
    found = read_module(Attention(angles_of(**given)), (16, HIGH, WIDE))
    usual = {"temperature": 100.0, "offset": 0.0, "reference": None, "swap": False, "centered": False}
    assert options(found, "rotary_positions") == usual | given | {"channels": HEAD // 2, "sizes": (HIGH, WIDE)}
    assert found.difference < CLOSE


@pytest.mark.slow
def test_each_head_is_normalized_before() -> None:
    found = read_module(Attention(angles_of(), normed=True), (16, HIGH, WIDE))
    assert found.ops.count("rotary") == 2 and found.difference < CLOSE


@pytest.mark.slow
def test_a_row_of_positions() -> None:
    angles = torch.arange(HIGH * WIDE)[:, None] / 10000 ** (torch.arange(HEAD // 2) / (HEAD // 2))
    found = read_module(Attention(angles, True), (16, HIGH, WIDE))
    assert options(found, "rotary_positions")["sizes"] == (HIGH * WIDE,) and found.difference < CLOSE


@pytest.mark.parametrize("change", ["numbers", slow("pairs"), slow("sign")])
def test_what_is_no_rotation_of_positions_is_read_in_its_parts(change: str) -> None:
    class Other(Attention):
        def rotate(self, x: Tensor) -> Tensor:
            sin, cos = self.table.chunk(2, -1)
            across = torch.stack((x[..., 1::2], x[..., ::2]), -1).reshape(x.shape) if change == "sign" else turned(x, False)
            return x * cos + across * sin

    module = Other(angles_of())
    with torch.no_grad():
        if change == "numbers":
            module.table[3, 4:6] += 0.1
        if change == "pairs":
            module.table[:, 1] *= 0.5
    found = read_module(module, (16, HIGH, WIDE))
    assert "rotary" not in found.ops and "fixed" in found.ops and found.difference < CLOSE


def test_other_angles_along_an_axis_beside_that_of_heads_are_refused_for_their_parts() -> None:
    class Rows(nn.Module):
        """Rows of a map, each with a table of its own, which nothing attends over."""

        def __init__(self) -> None:
            super().__init__()
            self.angles = nn.Parameter(torch.randn(HIGH, WIDE, HEAD // 2))

        def forward(self, x: Tensor) -> Tensor:
            x = x.reshape(len(x), 2, HEAD, HIGH, WIDE).permute(0, 1, 3, 4, 2)
            sin, cos = (laid_out(part, False) for part in (self.angles.sin(), self.angles.cos()))
            return x * cos + turned(x, False) * sin

    with pytest.raises(CannotRead, match="5 axes") as refused:
        read_module(Rows(), (2 * HEAD, HIGH, WIDE))
    assert refused.value.operator == "add"


def test_trained_frequencies() -> None:
    class Trained(Attention):
        """Frequencies of several layers and heads, of which each layer takes its own."""

        def __init__(self) -> None:
            super().__init__(angles_of(), skip=1)
            self.freqs = nn.Parameter(torch.randn(2, 3, 2, HEAD // 2))
            self.register_buffer("rows", torch.arange(HIGH).repeat_interleave(WIDE).float(), persistent=False)
            self.register_buffer("columns", torch.arange(WIDE).repeat(HIGH).float(), persistent=False)

        def rotate(self, x: Tensor) -> Tensor:
            rows, columns = (places[:, None] * self.freqs[axis][:, :, None] for axis, places in enumerate((self.rows, self.columns)))
            angles = rows + columns
            table = torch.cat((angles.sin().repeat_interleave(2, -1), angles.cos().repeat_interleave(2, -1)), -1)
            sin, cos = table[1].chunk(2, -1)
            rest = x[:, :, 1:]
            return torch.cat((x[:, :, :1], rest * cos + turned(rest, False) * sin), 2)

    found = read_module(Trained(), (16, HIGH, WIDE))
    assert found.ops.count("rotary") == 2 and "rotary_positions" not in found.ops and found.difference < CLOSE


@pytest.mark.parametrize("sizes", [(3, 3), slow((3, 5))])
def test_sums_of_what_is_repeated_along_different_parts_of_an_axis(sizes: tuple[int, int]) -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows, self.columns = nn.Parameter(torch.randn(sizes[0], 4)), nn.Parameter(torch.randn(sizes[1], 4))

        def forward(self, x: Tensor) -> Tensor:
            rows, columns = self.rows.repeat_interleave(sizes[1], 0), self.columns.repeat(sizes[0], 1)
            return x.flatten(2).transpose(1, 2) + (rows + columns)

    assert read_module(Outer(), (4, *sizes)).difference < CLOSE


NETWORKS = (
    *("eva02_tiny_patch14_224", "vit_small_patch16_dinov3", "vit_small_plus_patch16_dinov3", "vit_small_patch16_rope_224"),
    *("vit_small_patch16_rope_mixed_ape_224", "vit_pe_core_tiny_patch16_384"),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_timm(name: str) -> None:
    found = compared(read(f"timm:{name}"), timm_model(name), 1)
    assert "rotary" in found.ops and found.difference < CLOSE
