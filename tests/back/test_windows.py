"""Attention within windows against torchvision's modules, and `rearrange` against einops."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import einops
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archc import load, loads
from archc.compiler.analysis.memory import usage
from archc.compiler.analysis.receptive import receptive_fields
from archc.compiler.backends.torch.measure import activations
from archc.compiler.backends.torch.modules import windowed
from archc.tests.support import ROOT
from archc.tests.support.pytorch import stirred, torchvision_models

SWIN = "position=continuous, similarity=cosine"


def agrees(text: str, peer: nn.Module, x: Tensor, run: Any, trained: bool = False) -> None:
    """The node `a` has the keys, shapes, outputs and gradients of a module of torchvision, bit for bit."""
    module = loads(text).lower().train(trained)
    peer.train(trained)
    state = peer.state_dict()
    state |= {key: tensor + 0.3 * torch.randn_like(tensor) for key, tensor in state.items() if tensor.is_floating_point()}
    peer.load_state_dict(state)
    ours = module.get_submodule("a")
    ours.load_state_dict(state, strict=True)
    assert {key: tensor.shape for key, tensor in ours.state_dict().items()} == {key: tensor.shape for key, tensor in state.items()}
    results = []
    for call in (module, lambda x: run(peer, x)):
        torch.manual_seed(7)
        results.append(call(x))
    assert torch.equal(*results)
    for result in results:
        result.square().sum().backward()
    theirs = dict(peer.named_parameters())
    for key, parameter in ours.named_parameters():
        assert (parameter.grad is None) == (theirs[key].grad is None)
        assert parameter.grad is None or torch.allclose(parameter.grad, theirs[key].grad, rtol=1e-4, atol=1e-4)  # type: ignore[arg-type]


def last(peer: nn.Module, x: Tensor) -> Tensor:
    result: Tensor = peer(x.movedim(1, -1)).movedim(-1, 1)
    return result


@pytest.mark.parametrize("trained", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize("size", [(14, 14), (13, 10), (6, 15)], ids=str)
def test_windows_are_torchvisions(size: tuple[int, int], shift: int, trained: bool) -> None:
    torchvision_models()
    from torchvision.models.swin_transformer import ShiftedWindowAttention, ShiftedWindowAttentionV2

    torch.manual_seed(0)
    x = torch.randn(2, 24, *size)
    text = f"input 24x{size[0]}x{size[1]}\na: window_attention(3, shift={shift}, pad=yes, dropout=0.3"
    for kind, options in ((ShiftedWindowAttention, ""), (ShiftedWindowAttentionV2, f", {SWIN}")):
        agrees(f"{text}{options})", kind(24, [7, 7], [shift, shift], 3, attention_dropout=0.3), x, last, trained)


def test_windows_of_three_sizes_are_torchvisions() -> None:
    torchvision_models()
    from torchvision.models.video.swin_transformer import ShiftedWindowAttention3d

    torch.manual_seed(0)
    text = "input 24x8x8x9\na: window_attention(3, window=[4, 7, 7], shift=[2, 3, 3], pad=yes)"
    agrees(text, ShiftedWindowAttention3d(24, [4, 7, 7], [2, 3, 3], 3), torch.randn(1, 24, 8, 8, 9), last)


@pytest.mark.parametrize("kind", ["window", "grid"])
def test_windows_and_grids_of_maxvit_are_torchvisions(kind: str) -> None:
    torchvision_models()
    from torchvision.models.maxvit import PartitionAttentionLayer

    torch.manual_seed(0)
    peer: Any = PartitionAttentionLayer(64, 32, 7, kind, (28, 28), 4, nn.GELU, nn.LayerNorm, 0.0, 0.0, 0.0)

    def run(attention: nn.Module, x: Tensor) -> Tensor:
        parts = attention(peer.partition_swap(peer.partition_op(x, peer.p)))
        result: Tensor = peer.departition_op(peer.departition_swap(parts), peer.p, 28 // peer.p, 28 // peer.p)
        return result

    options = f"keys=to_qkv, scale=in.c**-0.5, grid={'yes' if kind == 'grid' else 'no'}"
    agrees(f"input 64x28x28\na: window_attention(2, {options})", peer.attn_layer[1], torch.randn(2, 64, 28, 28), run)


def test_initial_values() -> None:
    torch.manual_seed(0)
    module: Any = loads(f"input 64x8x8\na: window_attention(2, 8, {SWIN}, init=normal(0.5), bias_init=constant(2))").lower().a
    assert all(abs(weight.std() - 0.5) < 0.05 for weight in (module.qkv.weight, module.proj.weight, module.cpb_mlp[0].weight))
    assert (module.qkv.bias == 2).all() and (module.cpb_mlp[0].bias == 2).all()
    assert torch.equal(module.logit_scale, torch.full((2, 1, 1), math.log(10)))
    table = loads("input 64x8x8\na: window_attention(32, 8)").lower().a.relative_position_bias_table  # type: ignore[union-attr]
    assert abs(table.std() - 0.02) < 0.002  # type: ignore[operator, arg-type]


@pytest.mark.parametrize(
    "options", ["shift=3", "shift=3, pad=yes", f"shift=2, {SWIN}", "grid=yes, keys=to_qkv", "position=none, bias=no, dropout=0.5"]
)
def test_counts_memory_and_export(options: str) -> None:
    net = loads(f"input 3x14x14\nconv1-24; layer_norm\na: window_attention(3, {options})")
    module, x = net.lower(), torch.randn(2, 3, 14, 14)
    with FlopCounterMode(display=False) as counter:
        module.eval()(x[:1])
    assert 2 * int(net.macs) == counter.get_total_flops()
    predicted = usage(net.graph, batch=2)
    assert predicted.saved == pytest.approx(activations(module, (x,), training=True), rel=0.01)
    assert predicted.peak == pytest.approx(activations(module, (x,), training=False), rel=0.06)
    assert predicted.buffers == sum(tensor.numel() * tensor.element_size() for tensor in module.buffers())
    exported = torch.export.export(module, (x,)).module()
    with torch.no_grad():
        assert torch.equal(exported(x), module(x))


@pytest.mark.parametrize("options", ["window=5", "window=5, shift=2", "window=5x3, shift=[4, 1], pad=yes"])
def test_a_position_depends_on_its_window(options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windowed, "APART", -math.inf)  # -100 leaves a trace
    net = loads(f"input 2x20x15\na: window_attention(1, {options}, position=none)")
    module = net.lower().double()
    field = receptive_fields(net.graph)["a"]
    for row, column in ((0, 0), (7, 7), (11, 3), (19, 14)):
        x = torch.randn(1, 2, 20, 15, dtype=torch.float64, requires_grad=True)
        module(x)[0, :, row, column].sum().backward()
        assert x.grad is not None
        seen = x.grad[0].abs().sum(0).nonzero()
        for axis, place in enumerate((row, column)):
            span = field.axes[axis].at(place)
            assert span is not None
            size = x.shape[2 + axis]
            assert (int(seen[:, axis].min()), int(seen[:, axis].max())) == (max(0, int(span[0])), min(size - 1, int(span[1])))


# ---- networks, small


def small(name: str) -> tuple[str, nn.Module]:
    """A small network of the family of a network, and torchvision's."""
    models = torchvision_models()
    from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2

    if name == "maxvit_t":
        widths = [32, 64]
        peer = models.maxvit.MaxVit((56, 56), 32, 7, widths, [2, 1], 32, 0.2, num_classes=10)
        return "stem=32, widths=[32, 64], depths=[2, 1], classes=10", peer
    if name == "swin3d_t":
        peer = models.video.SwinTransformer3d([2, 4, 4], 24, [2, 2], [2, 3], [8, 7, 7], stochastic_depth_prob=0.3, num_classes=10)
        return "width=24, depths=[2, 2], heads=[2, 3], drop=0.3, classes=10", peer
    settings: dict[str, Any] = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2} if "v2" in name else {}
    window = 8 if "v2" in name else 7
    peer = models.SwinTransformer([4, 4], 24, [2, 2], [2, 3], [window] * 2, stochastic_depth_prob=0.3, num_classes=10, **settings)
    version = "unit=post_norm, merging=norm_last, " if settings else ""
    return f"{version}width=24, depths=[2, 2], heads=[2, 3], window={window}, drop=0.3, classes=10", peer


@pytest.mark.parametrize("name", ["swin_t", "swin_v2_t", "maxvit_t", "swin3d_t"])
def test_small_networks_are_torchvisions(name: str) -> None:
    family = name.split("_")[0]
    arguments, peer = small(name)
    sizes = {"maxvit_t": (56, 56), "swin3d_t": (16, 56, 56)}.get(name, (40, 40))
    shape = "x".join(map(str, (3, *sizes)))
    net = loads(f'use "std/{family}.arch"\narch small = {family}({arguments})\n', inputs=shape)
    module = net.lower()
    state = stirred(peer)
    assert {key: tensor.shape for key, tensor in module.state_dict().items()} == {key: tensor.shape for key, tensor in state.items()}
    module.load_state_dict(state, strict=True)
    x = torch.randn(2, 3, *sizes)
    for trained in (False, True):
        module.train(trained)
        peer.train(trained)
        with torch.no_grad():
            results = []
            for network in (module, peer):
                torch.manual_seed(7)
                results.append(network(x))
        assert torch.equal(*results)
    assert all(torch.equal(module.state_dict()[key], tensor) for key, tensor in peer.state_dict().items())


@pytest.mark.parametrize("size", ["t", pytest.param("s", marks=pytest.mark.slow), pytest.param("b", marks=pytest.mark.slow)])
def test_video_networks_have_torchvisions_keys_and_counts(size: str) -> None:
    models, path = torchvision_models().video, ROOT / f"archs/swin3d_{size}.arch"
    net = load(path)
    with torch.device("meta"):
        expected = {key: tensor.shape for key, tensor in getattr(models, f"swin3d_{size}")().state_dict().items()}
        assert {key: tensor.shape for key, tensor in net.lower().state_dict().items()} == expected
    published = getattr(models, f"Swin3D_{size.upper()}_Weights").DEFAULT.meta
    assert net.params == published["num_params"]
    assert f"{int(load(path, inputs='3x16x224x224').macs) / 1e9:.3f}" == f"{published['_ops']:.3f}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["swin_t", "swin_v2_t", "maxvit_t"])
def test_a_step_of_training_is_torchvisions(name: str) -> None:
    net, peer = load(ROOT / f"archs/{name}.arch"), getattr(torchvision_models(), name)().train()
    module = net.lower()
    module.load_state_dict(peer.state_dict(), strict=True)
    x = torch.randn(2, *(int(dim) for dim in net.graph.inputs[0].shape))
    with torch.no_grad():
        torch.manual_seed(7)
        result = module(x)
        torch.manual_seed(7)
        assert torch.equal(result, peer(x))
    assert all(torch.equal(module.state_dict()[key], tensor) for key, tensor in peer.state_dict().items())


# ---- rearrange


def random_sides(random: Random) -> tuple[list[list[str]], list[list[str]], dict[str, int]]:
    names = random.sample("acdefgh", random.randint(1, 6))

    def grouped() -> list[list[str]]:
        order = random.sample(names, len(names))
        count = random.randint(1, min(4, len(names)))
        cuts = sorted(random.sample(range(1, len(names)), count - 1))
        axes = [order[first:end] for first, end in zip([0, *cuts], [*cuts, len(names)], strict=True)]
        if len(axes) < 4 and random.random() < 0.3:
            axes.insert(random.randint(0, len(axes)), [])
        return axes

    return grouped(), grouped(), {name: random.randint(1, 4) for name in names}


def written(axes: list[list[str]], random: Random) -> str:
    return " ".join(axis[0] if len(axis) == 1 else f"({' '.join(axis)})" if axis else random.choice(["1", "()"]) for axis in axes)


@pytest.mark.parametrize("seed", range(4))
def test_random_patterns(seed: int) -> None:
    random = Random(seed)
    for _ in range(60):
        left, right, sizes = random_sides(random)
        given = [name for axis in left for name in random.sample(axis, max(0, len(axis) - random.randint(0, 1)))]
        shape = [math.prod(sizes[name] for name in axis) for axis in left]
        listed = "".join(f", {name}={sizes[name]}" for name in given)
        before, after = written(left, random), written(right, random)
        text = f'input {"x".join(map(str, shape))}\na: rearrange("{before} -> {after}"{listed})'
        net = loads(text)
        x = torch.randn(2, *shape)
        expected = einops.rearrange(x, f"batch {before} -> batch {after}", **{name: sizes[name] for name in given})
        assert net.graph["a"].shape == tuple(expected.shape[1:]), text
        assert torch.equal(net.lower()(x), expected), text


def _shortened(left: list[list[str]], right: list[list[str]], random: Random) -> tuple[list[list[str]], list[list[str]]]:
    """Write `...` for some axes of one name, in a row, in patterns that have these in a row on the right, too; or for no axis."""
    for first, end in random.sample([(i, j) for i in range(len(left) + 1) for j in range(i, len(left) + 1)], 12 if len(left) > 3 else 1):
        names = [name for axis in left[first:end] for name in axis]
        if any(len(axis) != 1 for axis in left[first:end]):
            continue
        axes = [[name] for name in names]
        for place, axis in enumerate(right):
            if names and right[place : place + len(axes)] == axes:
                return [*left[:first], ["..."], *left[end:]], [*right[:place], ["..."], *right[place + len(axes) :]]
            for start in range(len(axis) if names else 0):
                if len(axis) > 1 and axis[start : start + len(names)] == names:
                    short = [*axis[:start], "...", *axis[start + len(names) :]]
                    return [*left[:first], ["..."], *left[end:]], [
                        *right[:place],
                        short if len(short) > 1 else ["(...)"],
                        *right[place + 1 :],
                    ]
    return [*left, ["..."]], [*right, ["..."]]


@pytest.mark.parametrize("seed", range(3))
def test_patterns_with_dots_are_those_of_einops(seed: int) -> None:
    random, inside = Random(seed), 0
    for _ in range(60):
        left, right, sizes = random_sides(random)
        given = [name for axis in left for name in axis if len(axis) > 1]
        shape = [math.prod(sizes[name] for name in axis) for axis in left]
        short_left, short_right = _shortened(left, right, random)
        inside += any("..." in name for axis in short_right for name in axis if axis != ["..."])
        pattern = f"{written(short_left, random)} -> {written(short_right, random)}"
        listed = "".join(f", {name}={sizes[name]}" for name in given)
        net = loads(f'input {"x".join(map(str, shape))}\na: rearrange("{pattern}"{listed})')
        x = torch.randn(2, *shape)
        before, _, after = pattern.partition(" -> ")
        expected = einops.rearrange(x, f"batch {before} -> batch {after}", **{name: sizes[name] for name in given})
        assert net.graph["a"].shape == tuple(expected.shape[1:]), pattern
        assert torch.equal(net.lower()(x), expected), pattern
    assert inside > 3


def test_well_known_rearrangements() -> None:
    x = torch.randn(2, 12, 6, 8)
    head = "input 12x6x8\n"
    shuffled = loads(f'{head}rearrange("(g c) h w -> (c g) h w", g=3)').lower()
    assert torch.equal(shuffled(x), nn.ChannelShuffle(3)(x))
    blocks = loads(f'{head}rearrange("c (h i) (w j) -> (c i j) h w", i=2, j=2)').lower()
    assert torch.equal(blocks(x), nn.PixelUnshuffle(2)(x))
    back = loads(f'{head}rearrange("(c i j) h w -> c (h i) (w j)", i=2, j=2)').lower()
    assert torch.equal(back(x), nn.PixelShuffle(2)(x))


def test_an_activation_does_not_write_into_the_input_of_a_view() -> None:
    """A permutation is a view; at level 1 an activation after it may not overwrite what others read."""
    net = loads('input 4x5x5\na: conv1-4\nadd<rearrange("c h w -> c w h"); relu | @a>')
    x = torch.randn(2, 4, 5, 5)
    slow, fast = net.lower().eval(), net.lower(level=1).eval()
    fast.load_state_dict(slow.state_dict())
    with torch.no_grad():
        assert torch.equal(slow(x), fast(x))
