"""Rotary positions compute what their papers say: pairs turned by angles, from tables of sines and cosines."""

from __future__ import annotations

import math

import pytest
import torch

from archc import loads


def turned(x: torch.Tensor, angles: torch.Tensor, heads: int, halves: bool, skip: int) -> torch.Tensor:
    """Channels `(N, C, L)` as complex numbers, pair by pair, times those of angles `(pairs, L)`."""
    out = x.clone()
    head = x.shape[1] // heads
    for number in range(heads * head // 2):
        which, pair = divmod(number, head // 2)
        a, b = (pair, pair + head // 2) if halves else (2 * pair, 2 * pair + 1)
        a, b = a + which * head, b + which * head
        value = torch.complex(x[:, a, skip:], x[:, b, skip:]) * torch.polar(torch.ones_like(angles[pair]), angles[pair])
        out[:, a, skip:], out[:, b, skip:] = value.real, value.imag
    return out


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("skip", [0, 2])
def test_pairs_are_turned_by_the_angles_of_their_positions(halves: bool, skip: int) -> None:
    x = torch.randn(2, 24, 12 + skip)
    options = f"3, halves={'yes' if halves else 'no'}, skip={skip}"
    out = loads(f"input 24x{12 + skip}\nrotary({options})<. | rotary_positions(4, temperature=50, sizes=3x4)>").lower()(x)
    rows, columns = (grid.flatten().float() for grid in torch.meshgrid(torch.arange(3), torch.arange(4), indexing="ij"))
    angles = torch.stack([places / 50 ** (i / 2) for places in (rows, columns) for i in range(2)])
    assert torch.allclose(out, turned(x, angles, 3, halves, skip), atol=1e-6)


def test_a_table_for_each_head() -> None:
    x, table = torch.randn(2, 24, 5), torch.randn(1, 24, 5)
    out = loads("input table: 24x5\ninput x: 24x5\nrotary(3)<. | @table>").lower()(table, x)
    for head in range(3):
        sin, cos = table[:, 4 * head : 4 * head + 4], table[:, 12 + 4 * head : 12 + 4 * head + 4]
        a, b = x[:, 8 * head : 8 * head + 8 : 2], x[:, 8 * head + 1 : 8 * head + 8 : 2]
        assert torch.allclose(out[:, 8 * head : 8 * head + 8 : 2], a * cos - b * sin, atol=1e-6)
        assert torch.allclose(out[:, 8 * head + 1 : 8 * head + 8 : 2], b * cos + a * sin, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "first", "last"),
    [
        ("", 0.0, 5.0),
        ("offset=1", 1.0, 6.0),
        ("reference=[3]", 0.0, 2.5),
        ("reference=[3], offset=1", 0.5, 3.0),
        ("centered=yes", -2 * math.pi * 5 / 6, 2 * math.pi * 5 / 6),
    ],
)
def test_coordinates(options: str, first: float, last: float) -> None:
    table = loads(f"input 4x6\nrotary_positions(4, temperature=100{f', {options}' if options else ''})").lower()(torch.zeros(1, 4, 6))[0]
    angles = torch.stack([torch.tensor([p, p / 10]) for p in (first, last)], 1)
    assert torch.allclose(table[:, [0, -1]], torch.cat((angles.sin(), angles.cos())), atol=1e-6)


def test_the_last_axis_first() -> None:
    x = torch.zeros(1, 4, 3, 5)
    plain, swapped = (loads(f"input 4x3x5\nrotary_positions(4, swap={word})").lower()(x) for word in ("no", "yes"))
    assert torch.equal(swapped, plain[:, [2, 3, 0, 1, 6, 7, 4, 5]])


def test_a_table_is_as_precise_in_half_precision() -> None:
    net = loads("input 8x500\nrotary_positions(8)").lower()
    assert torch.allclose(net(torch.zeros(1, 8, 500).half()).float(), net(torch.zeros(1, 8, 500)), atol=1e-3)
