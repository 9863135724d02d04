"""Normalizations that sources write out: global responses, variances, one trained factor. Each is read, and compared bit by bit."""

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

CLOSE = 1e-6  # of the largest value: a product and a sum in one instruction


class Response(nn.Module):
    """Woo et al. 2023, equations 1 to 3; `over` is where a length or its mean is taken, and `shortcut` whether the input is added."""

    def __init__(self, over: tuple[int, ...] = (2, 3), among: tuple[int, ...] = (1,), shortcut: bool = True) -> None:
        super().__init__()
        self.over, self.among, self.shortcut = over, among, shortcut
        self.weight, self.bias = nn.Parameter(torch.zeros(6)), nn.Parameter(torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        length = x.norm(p=2, dim=self.over, keepdim=True)
        relative = length / (length.mean(self.among, keepdim=True) + 1e-6)
        made = torch.addcmul(self.bias.view(1, -1, 1, 1), self.weight.view(1, -1, 1, 1), x * relative)
        return x + made if self.shortcut else x.relu() + made


def inside(module: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3), module)


def test_a_response_is_one_operator() -> None:
    found = read_module(inside(Response()), (3, 7, 6))
    assert found.ops == ["conv", "grn"] and found.difference < CLOSE
    assert found.flat.graph["1"].key == "1"


@pytest.mark.parametrize("other", [Response(over=(2,)), Response(among=(2, 3)), Response(shortcut=False)], ids=["rows", "mean", "input"])
def test_what_is_nearly_a_response_is_read_as_its_parts(other: nn.Module) -> None:
    found = read_module(inside(other), (3, 7, 6))
    assert "grn" not in found.ops and "layer_scale" in found.ops and found.difference < CLOSE


def test_responses_of_two_modules_are_not_mixed() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = Response(), Response()

        def forward(self, x: Tensor) -> Tensor:
            length = x.norm(p=2, dim=(2, 3), keepdim=True)
            relative = length / (length.mean(1, keepdim=True) + 1e-6)
            crossed = torch.addcmul(self.a.bias.view(1, -1, 1, 1), self.b.weight.view(1, -1, 1, 1), x * relative)
            return self.a(x) + self.b(x) + (x + crossed)

    found = read_module(nn.Sequential(nn.Conv2d(3, 6, 3), Shared()), (3, 7, 6))
    assert found.ops.count("grn") == 1 and found.difference < CLOSE
    with pytest.raises(CannotRead):  # a tensor that two operators hold
        module_object(inside(Mixed()), torch.empty(2, 3, 7, 6))


class Shared(nn.Module):
    """A response that is added to another tensor than the one it is of."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Response(), Response()

    def forward(self, x: Tensor) -> Tensor:
        y = x.tanh()
        length = y.norm(p=2, dim=(2, 3), keepdim=True)
        relative = length / (length.mean(1, keepdim=True) + 1e-6)
        made = torch.addcmul(self.second.bias.view(1, -1, 1, 1), self.second.weight.view(1, -1, 1, 1), y * relative)
        return self.first(x) + (x + made)


def test_a_factor_of_a_sum_and_a_product_is_refused() -> None:
    class Times(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.addcmul(x, x, x, value=2.0)

    with pytest.raises(CannotRead, match="multiplies the product by 2"):
        module_object(Times(), torch.empty(2, 3, 7, 6))


@pytest.mark.parametrize("given", [{"unbiased": False}, {"unbiased": True}, {"correction": 0}, {"correction": 1}, {}], ids=str)
@pytest.mark.parametrize("dim", [1, (2, 3), (1, 2, 3)], ids=str)
def test_variances(dim: Any, given: dict[str, Any]) -> None:
    class Norm(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * torch.rsqrt(torch.var(x, dim=dim, keepdim=True, **given) + 1e-3)

    found = read_module(Norm(), (4, 6, 5))
    assert "reduce_var" in found.ops and found.difference == 0


def test_another_divisor_and_a_variance_over_samples_are_refused() -> None:
    class Norm(nn.Module):
        def __init__(self, dim: int, correction: int) -> None:
            super().__init__()
            self.dim, self.correction = dim, correction

        def forward(self, x: Tensor) -> Tensor:
            return x * torch.var(x, dim=self.dim, correction=self.correction, keepdim=True)

    with pytest.raises(CannotRead, match="the number of values less 2"):
        module_object(Norm(1, 2), torch.empty(2, 4, 6, 5))
    with pytest.raises(CannotRead, match="reduces the batch"):
        module_object(Norm(0, 1), torch.empty(2, 4, 6, 5))


class Skip(nn.Module):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.gain = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).mul_(self.gain) * 0.2 + x


def test_one_trained_factor_is_stored_without_axes() -> None:
    found = read_module(Skip(()), (4, 6, 5))
    assert found.ops == ["conv", "gain", "scale", "add"] and found.difference == 0
    assert found.flat.graph["gain"].key == "gain"
    assert loads(found.text).lower().state_dict()["gain"].shape == ()


def test_one_trained_addend_is_refused() -> None:
    class Shift(Skip):
        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x) + self.gain

    with pytest.raises(CannotRead, match="of 0 axes"):
        module_object(Shift(()), torch.empty(2, 4, 6, 5))


MODELS = {"convnextv2_atto": CLOSE, "convnext_zepto_rms": 0, "ese_vovnet39b_evos": 0, "dm_nfnet_f0": 0, "resnetv2_50d_evos": 0}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_networks_of_timm(name: str) -> None:
    assert compared(read(f"timm:{name}"), timm_model(name), 1).difference <= MODELS[name]
