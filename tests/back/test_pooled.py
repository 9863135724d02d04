"""Attention that pools, and multiscale vision transformers, against torchvision's modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archc import load, loads
from archc.compiler.analysis.memory import usage
from archc.compiler.backends.torch.measure import activations
from archc.tests.support import ROOT
from archc.tests.support.pytorch import stirred, torchvision_models

# kernels and strides of queries, and of keys and values; tables; queries that are added
OPTIONS = {
    "version 2": ([3, 3, 3], [1, 2, 2], [3, 3, 3], [1, 4, 4], True, True),
    "version 2, last stage": ([3, 3, 3], [1, 2, 2], [3, 3, 3], [1, 1, 1], True, True),
    "version 1": ([1, 1, 1], [1, 1, 1], [3, 3, 3], [1, 2, 2], False, False),
    "version 1, stride": ([3, 3, 3], [1, 2, 2], [3, 3, 3], [1, 2, 2], False, False),
    "nothing pooled": ([1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1], True, True),
    "mixed": ([1, 1, 1], [1, 2, 2], [2, 1, 4], [2, 2, 2], False, True),
}


def written(options: tuple[Any, ...]) -> str:
    kernel_q, stride_q, kernel_kv, stride_kv, relative, residual = options
    flags = f"relative={'yes' if relative else 'no'}, residual={'yes' if residual else 'no'}"
    return f"kernel_q={kernel_q}, stride_q={stride_q}, kernel_kv={kernel_kv}, stride_kv={stride_kv}, {flags}"


@pytest.mark.parametrize("name", OPTIONS)
def test_it_is_torchvisions(name: str) -> None:
    """Keys, shapes and results are equal, gradients nearly so."""
    torchvision_models()
    from torchvision.models.video.mvit import MultiscaleAttention

    torch.manual_seed(0)
    kernel_q, stride_q, kernel_kv, stride_kv, relative, residual = OPTIONS[name]
    norm = partial(nn.LayerNorm, eps=1e-6)
    peer = MultiscaleAttention(
        [4, 8, 8], 12, 24, 2, kernel_q, kernel_kv, stride_q, stride_kv, residual, False, relative, norm_layer=norm
    )  # fmt: skip
    module = loads(f"input 12x257\na: pooled_attention(2, 4x8x8, out=24, {written(OPTIONS[name])})").lower()
    ours: Any = module.get_submodule("a")
    state = {key: tensor + 0.3 * torch.randn_like(tensor) for key, tensor in peer.state_dict().items()}
    peer.load_state_dict(state)
    assert {key: tensor.shape for key, tensor in ours.state_dict().items()} == {key: tensor.shape for key, tensor in state.items()}
    ours.load_state_dict(state, strict=True)
    x = torch.randn(2, 12, 257)
    expected, sizes = peer(x.movedim(1, -1), (4, 8, 8))
    result: Tensor = module(x)
    assert result.shape[2] == 1 + torch.Size(sizes).numel()
    assert torch.equal(result, expected.movedim(-1, 1))
    for tensor in (result, expected):
        tensor.square().sum().backward()
    theirs = dict(peer.named_parameters())
    for key, parameter in ours.named_parameters():
        assert torch.allclose(parameter.grad, theirs[key].grad, rtol=1e-3, atol=1e-3)


def test_initial_values() -> None:
    torch.manual_seed(0)
    module: Any = loads("input 64x65\na: pooled_attention(2, 1x8x8, stride_kv=1x2x2)").lower().a
    for weight in (module.qkv.weight, module.project[0].weight, module.rel_pos_h, module.rel_pos_w, module.rel_pos_t):
        assert abs(weight.std() - 0.02) < 0.005
    assert (module.qkv.bias == 0).all() and (module.project[0].bias == 0).all()
    assert (module.pool_q.norm_act[0].weight == 1).all() and (module.pool_q.norm_act[0].bias == 0).all()


@pytest.mark.parametrize("name", OPTIONS)
def test_counts_memory_and_export(name: str) -> None:
    net = loads(f"input 3x257\nchannel_fc-24; layer_norm\na: pooled_attention(2, 4x8x8, out=48, {written(OPTIONS[name])})")
    module, x = net.lower(), torch.randn(2, 3, 257)
    with FlopCounterMode(display=False) as counter:
        module.eval()(x[:1])
    assert 2 * int(net.macs) == counter.get_total_flops()
    predicted = usage(net.graph, batch=2)
    assert predicted.saved == pytest.approx(activations(module, (x,), training=True), rel=0.01)
    assert predicted.peak == pytest.approx(activations(module, (x,), training=False), rel=0.06)
    exported = torch.export.export(module, (x,)).module()
    with torch.no_grad():
        assert torch.equal(exported(x), module(x))


Small = Callable[[str, tuple[int, int, int]], nn.Module]
KEPT = (0, 1, 2, 3, 13, 14)  # of the 16 units: the first and the last of stages
ARGUMENTS = {"mvit_v2_s": "unit=second", "mvit_v1_b": "unit=first, absolute=yes"}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Small:
    """Return a function that makes torchvision's network of a name with fewer units and channels, for a video of a size."""
    torchvision_models()
    from torchvision.models.video import mvit

    whole = mvit.MViT

    def build(name: str, video: tuple[int, int, int]) -> nn.Module:
        def less(block_setting: Any, **settings: Any) -> nn.Module:
            kept = (block_setting[unit] for unit in KEPT)
            units = [replace(unit, input_channels=unit.input_channels // 4, output_channels=unit.output_channels // 4) for unit in kept]
            network: nn.Module = whole(block_setting=units, **settings | {"spatial_size": video[1:], "temporal_size": video[0]})
            return network

        monkeypatch.setattr(mvit, "MViT", less)
        network: nn.Module = getattr(mvit, name)()
        return network

    return build


def agree(module: nn.Module, peer: nn.Module, x: Tensor) -> None:
    """With the same weights, results are equal bit for bit, in evaluation and in training."""
    state = stirred(peer)
    assert {key: tensor.shape for key, tensor in module.state_dict().items()} == {key: tensor.shape for key, tensor in state.items()}
    module.load_state_dict(state, strict=True)
    for trained in (False, True):
        module.train(trained)
        peer.train(trained)
        results = []
        for network in (module, peer):
            torch.manual_seed(7)
            with torch.no_grad():
                results.append(network(x))
        assert torch.equal(*results)


VIDEOS = [("mvit_v2_s", (4, 64, 64)), ("mvit_v2_s", (10, 32, 32)), ("mvit_v1_b", (4, 64, 64)), ("mvit_v1_b", (6, 32, 96))]


@pytest.mark.parametrize(("name", "video"), VIDEOS, ids=str)
def test_small_networks_are_torchvisions(name: str, video: tuple[int, int, int], small: Small) -> None:
    text = f'use "std/mvit.arch"\narch small = mvit({ARGUMENTS[name]}, width=24, depths=[1, 2, 2, 1])\n'
    agree(loads(text, inputs="x".join(map(str, (3, *video)))).lower(), small(name, video), torch.randn(2, 3, *video))


@pytest.mark.slow
@pytest.mark.parametrize("name", ARGUMENTS)
def test_networks_are_torchvisions(name: str) -> None:
    agree(load(ROOT / f"archs/{name}.arch").lower(), getattr(torchvision_models().video, name)(), torch.randn(1, 3, 16, 224, 224))


@pytest.mark.parametrize("name", ARGUMENTS)
def test_networks_have_torchvisions_keys_and_counts(name: str) -> None:
    models, net = torchvision_models().video, load(ROOT / f"archs/{name}.arch")
    with torch.device("meta"):
        expected = {key: tensor.shape for key, tensor in getattr(models, name)().state_dict().items()}
        assert {key: tensor.shape for key, tensor in net.lower().state_dict().items()} == expected
    published = {"mvit_v2_s": models.MViT_V2_S_Weights, "mvit_v1_b": models.MViT_V1_B_Weights}[name].DEFAULT.meta
    assert net.params == published["num_params"]
    assert f"{int(net.macs) / 1e9:.3f}" == f"{published['_ops']:.3f}"
