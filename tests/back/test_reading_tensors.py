"""Tensors of a source that its text holds otherwise: under other keys, in another shape, or as numbers of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archc.compiler.frontends import CannotRead
from archc.compiler.frontends.torch.sources import module_object
from archc.compiler.frontends.unfolding import unfolded
from archc.compiler.read import read_graph
from archc.tests.support.torch_reading import compared, read_module


class Alternating(nn.Module):
    """Convolutions and norms of two lists that alternate, each with the result before it."""

    def __init__(self, extra: str = "other") -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))
        self.bns = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(3))
        self.add_module(extra, nn.Conv2d(4, 4, 1))
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        for conv, bn in zip(self.convs, self.bns, strict=True):
            x = x + bn(conv(x)).relu()
        result: Tensor = self.get_submodule(self.extra)(x)
        return result


def test_lists_that_alternate_are_taken_apart() -> None:
    module = Alternating()
    read = read_module(module, (4, 6, 6))
    keys = [node.key for node in read.flat.graph if node.op in ("conv", "bn")]
    assert keys == ["convs0", "bns0", "convs1", "bns1", "convs2", "bns2", "other"]
    assert read.difference == 0
    assert read.flat.weights is not None
    held = read.flat.weights()
    assert np.array_equal(held["convs1.weight"], module.convs[1].weight.detach().numpy()) and "convs.1.weight" not in held
    text = read_graph(read.flat.graph, read.flat.title, read.flat.classes, free=True).text
    assert "for i in range(3) { add<. | convs{i}: conv3-4; bns{i}: bn; relu> }" in text


def test_a_list_is_taken_apart_in_every_module_of_a_class() -> None:
    class Once(Alternating):
        def forward(self, x: Tensor) -> Tensor:
            return self.bns[0](self.convs[0](x)) + self.bns[1](self.convs[1](x)) + self.bns[2](self.convs[2](self.other(x)))  # type: ignore[no-any-return]

    class Both(nn.Module):
        def __init__(self, other: type[Alternating]) -> None:
            super().__init__()
            self.a, self.b = Alternating(), other()

        def forward(self, x: Tensor) -> Tensor:
            return self.b(self.a(x))  # type: ignore[no-any-return]

    both = Both(Once)
    assert {node.key for node in read_module(both, (4, 6, 6)).flat.graph} >= {"a.convs0", "b.convs.0"}
    one = Both(Alternating)
    assert {node.key for node in read_module(one, (4, 6, 6)).flat.graph} >= {"a.convs0", "b.convs0"}


def test_lists_in_lists_get_numbers_with_a_dash() -> None:
    class Stages(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.ModuleList(nn.Conv2d(3 if i == 0 else 4, 4, 2, 2) for i in range(2))
            self.blocks = nn.ModuleList(nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(2)) for _ in range(2))
            self.position = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            for down, blocks, position in zip(self.down, self.blocks, self.position, strict=True):
                x = down(x)
                for number, block in enumerate(blocks):  # type: ignore[arg-type]
                    x = block(x)
                    x = position(x) if number == 0 else x
            return x

    read = read_module(Stages(), (3, 8, 8))
    keys = [node.key for node in read.flat.graph if node.op == "conv"]
    assert keys == [
        f"{label}{stage}{rest}" for stage in (0, 1) for label, rest in (("down", ""), ("blocks", "-0"), ("position", ""), ("blocks", "-1"))
    ]
    assert read.difference == 0


def test_a_name_that_is_taken_is_not_given_twice() -> None:
    with pytest.raises(CannotRead, match="depend on each other"):
        module_object(Alternating("convs0"), torch.empty(2, 4, 6, 6))


def test_norms_unfolded_after_lists_are_taken_apart() -> None:
    class Plain(Alternating):
        def forward(self, x: Tensor) -> Tensor:
            for conv, bn in zip(self.convs, self.bns, strict=True):
                x = bn(conv(x).relu())
            return self.other(x)  # type: ignore[no-any-return]

    module = Plain()
    flat = unfolded(module_object(module, torch.empty(2, 4, 6, 6)))
    assert "bns0.weight" in (flat.weights or dict)() and len(flat.unfolded) == 3
    assert compared(flat, module).difference < 1e-6


class Distances(nn.Module):
    """An attention with a bias of distances whose indices are stored with the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        place = torch.stack(torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij")).flatten(1)
        apart = (place[:, :, None] - place[:, None]).abs()
        self.bias = nn.Parameter(torch.randn(2, 6))
        self.register_buffer("index", apart[0] * 3 + apart[1])
        self.index: Tensor

    def forward(self, x: Tensor) -> Tensor:
        count, length, _ = x.shape
        q, k, v = self.qkv(x).reshape(count, length, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind()
        scores = q @ k.transpose(-2, -1) * 0.5 + self.bias[:, self.index]
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return]


def test_stored_indices_are_numbers_of_the_text() -> None:
    module = Distances()
    read = read_module(module, (6, 8))
    assert "distances" in read.ops and read.difference < 1e-6
    assert read.flat.weights is not None and "index" not in read.flat.weights()
    other = {key: tensor.numpy() for key, tensor in module.state_dict().items()}
    other["index"] = other["index"].T + 1
    assert read.flat.change is not None
    with pytest.raises(CannotRead, match="index has other values"):
        read.flat.change(other)


def test_stored_numbers_that_nothing_uses_are_refused() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.register_buffer("index", torch.arange(3))

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x)  # type: ignore[no-any-return]

    with pytest.raises(CannotRead, match=r"index .* stored and used by no operator"):
        module_object(Unused(), torch.empty(2, 4))


class InBatch(nn.Module):
    """Windows of a map that are put into the batch, over each of which kernels move."""

    def __init__(self, side: int = 4) -> None:
        super().__init__()
        self.side = side
        self.wide, self.norm = nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6)
        self.each = nn.Conv2d(6, 6, 3, padding=1, groups=6)

    def forward(self, x: Tensor) -> Tensor:
        count, channels, high, wide = x.shape
        x = x.reshape(count, channels, high // self.side, self.side, wide // self.side, self.side).permute(0, 2, 4, 1, 3, 5)
        x = x.reshape(-1, channels, self.side, self.side)
        x = self.each(self.norm(self.wide(x)))
        x = F.max_pool2d(x, 2) + F.avg_pool2d(x, 2)
        x = x.reshape(count, high // self.side, wide // self.side, 6, self.side // 2, self.side // 2).permute(0, 3, 1, 4, 2, 5)
        return x.reshape(count, 6, high // 2, wide // 2)


def test_kernels_over_windows_that_are_put_into_the_batch() -> None:
    module = InBatch()
    read = read_module(module, (3, 8, 12))
    kernels = {node.key: node.attrs["kernel"] for node in read.flat.graph if node.op == "conv"}
    assert kernels == {"wide": (1, 1), "each": (1, 3, 3)}
    assert read.difference < 1e-6
    assert read.flat.weights is not None
    held = read.flat.weights()["each.weight"]
    assert held.shape == (6, 1, 1, 3, 3) and np.array_equal(held[:, :, 0], module.each.weight.detach().numpy())


def test_boxes_of_a_video_that_are_put_into_the_batch_have_too_many_axes() -> None:
    class Boxes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(2, 2, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x.reshape(-1, 2, 4, 4, 4))  # type: ignore[no-any-return]

    with pytest.raises(CannotRead, match="put into the batch"):
        module_object(Boxes(), torch.empty(2, 6, 4, 4, 4).reshape(2, 3, 2, 4, 16))


def test_a_trained_tensor_is_tiled() -> None:
    class Tiled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole, self.window = nn.Parameter(torch.randn(1, 3, 4, 6)), nn.Parameter(torch.randn(1, 3, 2, 2))

        def forward(self, x: Tensor) -> Tensor:
            return x + (self.whole + self.window.tile((2, 3)))

    read = read_module(Tiled(), (3, 4, 6))
    assert read.difference == 0


class Pooled(nn.Module):
    """An attention whose queries, keys and values are pooled for each head, with biases of queries along each axis of the map."""

    def __init__(self, side: int, token: int, stride: int = 2) -> None:
        super().__init__()
        self.side, self.token, self.stride = side, token, stride
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.pools = nn.ModuleList(nn.Conv2d(4, 4, 3, step, 1, groups=4, bias=False) for step in (1, stride, stride))
        self.norms = nn.ModuleList(nn.LayerNorm(4) for _ in range(3))
        self.high, self.wide = (nn.Parameter(torch.randn(2 * side - 1, 4)) for _ in range(2))

    def pooled(self, x: Tensor, number: int) -> Tensor:
        first, x = x[:, :, : self.token], x[:, :, self.token :]
        x = x.reshape(-1, self.side, self.side, 4).permute(0, 3, 1, 2)
        x = self.pools[number](x)
        x = x.reshape(-1, 2, 4, x.shape[2] * x.shape[3]).transpose(2, 3)
        return self.norms[number](torch.cat((first, x), 2))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        count, length, _ = x.shape
        q, k, v = (
            self.pooled(part, number)
            for number, part in enumerate(self.qkv(x).reshape(count, length, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind())
        )
        scores = (q * 0.5) @ k.transpose(-2, -1)
        n, m = self.side, self.side // self.stride
        place = (torch.arange(n)[:, None] - torch.arange(m) * self.stride) + (m - 1) * self.stride
        own = q[:, :, self.token :].reshape(count, 2, n, n, 4)
        high = torch.einsum("byhwc,hkc->byhwk", own, self.high[place])
        wide = torch.einsum("byhwc,wkc->byhwk", own, self.wide[place])
        t = self.token
        scores[:, :, t:, t:] = (scores[:, :, t:, t:].view(count, -1, n, n, m, m) + high.unsqueeze(-1) + wide.unsqueeze(-2)).view(
            count, -1, n * n, m * m
        )
        x = scores.softmax(-1) @ v
        x[:, :, t:] += q[:, :, t:]
        return self.proj(x.transpose(1, 2).reshape(count, -1, 8))  # type: ignore[no-any-return]


@pytest.mark.parametrize("token", [0, 1])
def test_an_attention_that_is_pooled_for_each_head(token: int) -> None:
    read = read_module(Pooled(4, token), (16 + token, 8))
    attentions = [node for node in read.flat.graph if node.op == "attention"]
    if token == 0:  # with a class token it is read in its parts, as products
        assert [node.attrs["heads"] for node in attentions] == [2]
    assert read.difference < 1e-6


class Written(nn.Module):
    def __init__(self, by: str) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        x = x + 1
        match self.by:
            case "range":
                x[:, :, 1:3] += x[:, :, 2:4]
            case "all":
                x[:, :, 0:] = x.relu()
            case "steps":
                x[:, :, ::2] = 2 * x[:, :, ::2]
            case "before":
                y = x[:, 1:]
                x[:, :, 1:3] = 2 * x[:, :, 1:3]
                return x[:, 1:] + y
            case "twice":
                x[:, 1:, 1:3] *= 2
                x[:, 1:, 1:3].add_(1)
        return x


def test_values_that_are_written_into_a_tensor() -> None:
    assert read_module(Written("range"), (3, 6)).difference == 0
    assert read_module(Written("all"), (3, 6)).ops == ["shift", "relu"]
    twice = read_module(Written("twice"), (3, 6))
    assert twice.difference == 0
    with pytest.raises(CannotRead, match="some positions of an axis"):
        module_object(Written("steps"), torch.empty(2, 3, 6))
    with pytest.raises(CannotRead, match="another view of it reads later"):
        module_object(Written("before"), torch.empty(2, 3, 6))
