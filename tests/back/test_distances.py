"""The parts that an attention is written with where it has no operator of its own: rows, tables of distances, masks, fixed numbers."""

from __future__ import annotations

import pytest
import torch

from archc import loads
from archc.compiler.backends.torch.modules.windowed import Windows, distance_numbers


def last(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(2).transpose(1, 2)


@pytest.mark.parametrize("bias", ["", " | @bias", " | @each"])
def test_rows_attend_to_themselves(bias: str) -> None:
    torch.manual_seed(0)
    inputs = {"": "", " | @bias": "input bias: 2x5x5\n", " | @each": "input each: 2x3x5x5\n"}[bias]
    wide = loads(f"{inputs}input 24x3x5\nattention(2, rows=yes)<.{bias}>").lower().eval()
    x = torch.randn(2, 24, 3, 5)
    given = {"": [], " | @bias": [torch.randn(2, 2, 5, 5)], " | @each": [torch.randn(2, 2, 3, 5, 5)]}[bias]
    out = wide(*given, x)
    for row in range(3):
        alone = loads(f"{inputs.replace('2x3x5x5', '2x5x5')}input 24x5\nattention(2)<.{bias}>").lower().eval()
        parts = [part if part.dim() == 4 else part[:, :, row] for part in given]
        assert torch.allclose(out[:, :, row], alone(*parts, x[:, :, row]), atol=1e-6)


def test_keys_of_other_rows() -> None:
    torch.manual_seed(0)
    text = "input 8x3x5\ninput other: 8x3x4\nattention(2, rows=yes)<. | @other | @other>"
    x, other = torch.randn(2, 8, 3, 5), torch.randn(2, 8, 3, 4)
    out = loads(text).lower().eval()(x, other)
    alone = loads("input 8x5\ninput other: 8x4\nattention(2)<. | @other | @other>").lower().eval()
    assert torch.allclose(out[:, :, 1], alone(x[:, :, 1], other[:, :, 1]), atol=1e-6)


@pytest.mark.parametrize("window", [(7,), (3, 4), (2, 3, 2)])
def test_a_table_of_distances_is_that_of_swin(window: tuple[int, ...]) -> None:
    table = torch.randn(2, 3, *(2 * size - 1 for size in window))
    text = f"input {'x'.join(map(str, table.shape[1:]))}\ndistances"
    assert torch.equal(loads(text).lower()(table), table.flatten(2)[:, :, distance_numbers(window)])


def test_distances_without_a_sign_and_every_second_query() -> None:
    table = torch.randn(1, 2, 4, 3)
    out = loads("input 2x4x3\ndistances(step=2, absolute=yes)").lower()(table)
    queries = [(row, column) for row in (0, 2) for column in (0, 2)]
    for place, (row, column) in enumerate(queries):
        for key in range(12):
            assert torch.equal(out[0, :, place, key], table[0, :, abs(row - key // 3), abs(column - key % 3)])


def test_the_mask_of_a_shift_is_that_of_windows() -> None:
    x = torch.zeros(2, 5, 8, 12)
    mask = Windows((4, 4), (2, 0), grid=False).mask(torch.zeros(1, 8, 12, 1))
    out = loads("input 5x8x12\nshift_mask(window=4, shift=[2, 0])").lower()(x)
    assert mask is not None and torch.equal(out, mask[None, None].expand(2, -1, -1, -1, -1))
    assert not loads("input 5x4x4\nshift_mask(window=4, shift=0)").lower()(x[:, :, :4, :4]).any()


def test_fixed_numbers() -> None:
    x = torch.randn(2, 4, 3)
    assert torch.equal(loads("input 4x3\nfixed([0.1, 2, -3], channels=1)").lower()(x), torch.tensor([0.1, 2, -3]).expand(2, 1, 3))
    net = loads("input 4x3\nfixed(0.5)").lower()
    assert torch.equal(net(x), torch.full((2, 4, 3), 0.5)) and not net.state_dict()


def test_windows_in_parts_are_window_attention() -> None:
    torch.manual_seed(0)
    whole = loads("input 12x8x8\na: window_attention(2, window=4, shift=2)").lower().eval()
    cut, joined = '"c (h i) (w j) -> c (h w) (i j)", i=4, j=4', '"c (h w) (i j) -> c (h i) (w j)", h=2, i=4'
    parts = loads(
        f"""input 12x8x8
mask: shift_mask(window=4, shift=2)
bias: {{ table: learned(7x7, channels=2, batch=no); distances; rearrange("c q k -> c 1 q k"); expand(d=4) }}
mask2: @mask; expand(c=2)
sum: add<@bias | .>
@input; roll(h=-2, w=-2); qkv: channel_fc-36; rearrange({cut})
attention(2, rows=yes)<. | @sum>
rearrange({joined}); proj: channel_fc-12; roll(h=2, w=2)"""
    )
    ours = parts.lower().eval()
    state = whole.state_dict()
    table = state["a.relative_position_bias_table"].add_(torch.randn(49, 2))
    names = {f"{part}.{kind}": state[f"a.{part}.{kind}"] for part in ("qkv", "proj") for kind in ("weight", "bias")}
    ours.load_state_dict({**names, "bias.table": table.T.reshape(2, 7, 7)})
    x = torch.randn(2, 12, 8, 8)
    assert torch.allclose(whole(x), ours(x), atol=1e-5)
