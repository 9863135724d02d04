"""Patches that overlap, and their sums: as `unfold` and `fold`, beside torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archc import loads
from archc.compiler.frontends import CannotRead, read
from archc.compiler.frontends.torch.sources import module_object
from archc.tests.support.pytorch import timm_model
from archc.tests.support.torch_reading import compared, read_module

SETTINGS = [
    {"kernel_size": 3, "padding": 1, "stride": 2},
    {"kernel_size": (3, 2), "padding": (1, 0), "stride": (2, 3)},
    {"kernel_size": (2, 3), "dilation": (2, 1), "stride": 1},
]


class Sums(nn.Module):
    """Patches, each times 2, and their sum in a map of `size`."""

    def __init__(self, settings: dict[str, object], size: tuple[int, int]) -> None:
        super().__init__()
        self.settings, self.size = settings, size

    def forward(self, x: Tensor) -> Tensor:
        return F.fold(F.unfold(x, **self.settings) * 2, self.size, **self.settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_patches_and_their_sum(settings: dict[str, object]) -> None:
    found = read_module(Sums(settings, (9, 8)), (4, 9, 8))
    assert found.ops == ["unfold", "scale", "fold"] and found.difference == 0


def test_a_sum_of_patches_is_torchs() -> None:
    x = torch.randn(2, 12, 5, 4)
    net = loads("input 12x5x4\nfold(3x2, stride=2x3, pad=1x0, out_pad=1x2, dilation=1x2)").lower()
    wanted = F.fold(x.flatten(2), (10, 14), (3, 2), (1, 2), (1, 0), (2, 3))
    assert torch.equal(net(x), wanted)
    row = loads("input 6x5\nfold(3, stride=2)").lower()
    x = torch.randn(2, 6, 5)
    assert torch.equal(row(x), F.fold(x, (1, 11), (1, 3), stride=(1, 2)).squeeze(2))


class Windows(nn.Module):
    """Windows along the axes `dims`, one after the other, and the largest value of each."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        for dim in self.dims:
            x = x.unfold(dim, 4, 3)
        return x.max(-1)[0].sum(-1)


@pytest.mark.parametrize(("dims", "count"), [((2, 3), 1), ((3, 2), 2)], ids=str)
def test_windows_along_both_axes_are_one_operator(dims: tuple[int, ...], count: int) -> None:
    found = read_module(Windows(*dims), (2, 13, 13))
    assert found.ops.count("unfold") == count and "reduce_max" in found.ops and found.difference < 1e-6


def test_windows_of_what_was_unfolded_otherwise_are_apart() -> None:
    class Spread(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            rows = F.unfold(x, (3, 1), dilation=(2, 1)).unflatten(2, (9, 13))
            return rows.unfold(3, 4, 3).sum(-1)

    found = read_module(Spread(), (2, 13, 13))
    assert found.ops.count("unfold") == 2 and found.difference < 1e-6


def test_windows_over_channels_and_samples_are_refused() -> None:
    class Over(nn.Module):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.dim = dim

        def forward(self, x: Tensor) -> Tensor:
            return x.unfold(self.dim, 2, 1).sum(-1)

    for dim, reason in ((0, "samples"), (1, "not along the height")):
        with pytest.raises(CannotRead, match=reason):
            module_object(Over(dim), torch.empty(2, 6, 13, 13))


def test_largest_values_of_a_whole_batch_are_refused() -> None:
    class Largest(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / x.max()

    with pytest.raises(CannotRead, match="of all samples"):
        module_object(Largest(), torch.empty(2, 4, 6))


def test_the_larger_of_two_tensors() -> None:
    class Larger(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.max(x, x.sin()) + torch.min(x, x.cos())

    assert read_module(Larger(), (4, 6)).difference == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["volo_d1_224", "halonet26t", "sehalonet33ts"])
def test_networks_of_timm(name: str) -> None:
    assert compared(read(f"timm:{name}"), timm_model(name), 1).difference < 1e-6
