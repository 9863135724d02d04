"""Tokens and attention as lowered: values against PyTorch's functions, networks against modules written from their papers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from archc import Network, load, loads
from archc.compiler.analysis.memory import usage
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.backends.torch.measure import activations
from archc.compiler.backends.torch.published import renamed
from archc.tests.support import ROOT
from archc.tests.support.pytorch import assert_agrees_with_torch, torchvision_models
from archc.tests.support.transformers import GPT2, Bert, ConvMixer, Mixer, attended


def last(x: Tensor) -> Tensor:
    """`(N, C, *sizes)` as `(N, L, C)`."""
    return x.flatten(2).transpose(1, 2)


def close(a: Tensor, b: Tensor) -> None:
    assert a.shape == b.shape
    assert torch.allclose(a, b, rtol=1e-4, atol=1e-5 * max(1.0, float(b.detach().abs().max())))


# ---- operators


@pytest.mark.parametrize("sizes", [(7,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize("options", ["", ", causal=yes", ", scale=0.3"])
def test_attention_is_its_equation(sizes: tuple[int, ...], options: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 24, *sizes)
    module = loads(f"input {'x'.join(map(str, x.shape[1:]))}\nattention(2{options})").lower().eval()
    q, k, v = last(x).chunk(3, 2)
    q = q * (0.3 * 2 if "scale" in options else 1)  # the equation divides by the root of 4 channels
    expected = attended(q, k, v, 2, "causal" in options)
    close(last(module(x)), expected)
    assert module(x).shape == (2, 8, *sizes)


def test_branches_are_queries_keys_and_values() -> None:
    torch.manual_seed(0)
    net = loads("input text: 8x7\ninput image: 8x3x4\nattention(4)<. | @text | @text; channel_fc-12>")
    module, (text, image) = net.lower().eval(), (torch.randn(2, 8, 7), torch.randn(2, 8, 3, 4))
    values = module.get_submodule("channel_fc1")(text)
    out = module(text, image)
    assert out.shape == (2, 12, 3, 4)
    close(last(out), attended(last(image), last(text), last(values), 4))


@pytest.mark.parametrize("heads", [1, 4])
def test_a_bias_is_added_to_the_products(heads: int) -> None:
    torch.manual_seed(0)
    bias = f"bias: learned(7x7, channels={heads}, init=normal(std=2))"
    packed = loads(f"input 24x7\nattention(4)<. | {bias}>").lower().eval()
    parted = loads(f"input 24x7\nattention(4)<slice(0, 8) | slice(8, 16) | slice(16, 24) | {bias}>").lower().eval()
    parted.load_state_dict(packed.state_dict())
    assert packed.bias.shape == (1, heads, 7, 7)
    x = torch.randn(2, 24, 7)
    close(packed(x), parted(x))
    q, k, v = (part.unflatten(2, (4, 2)).transpose(1, 2) for part in last(x).chunk(3, 2))
    weights = (q @ k.transpose(2, 3) / 2**0.5 + packed.bias).softmax(3)
    close(last(packed(x)), (weights @ v).transpose(1, 2).flatten(2))


def test_a_mask_of_padded_keys_is_a_bias_from_an_input() -> None:
    """As docs/language.md says it: the same as the `key_padding_mask` of PyTorch's layer."""
    torch.manual_seed(0)
    page = (ROOT / "docs/language.md").read_text(encoding="utf-8")
    (text,) = [part.partition("```")[0] for part in page.split("```arch\n")[1:] if part.startswith("input keep: 20")]
    ours, theirs = loads(text).lower().eval(), nn.MultiheadAttention(48, 4, batch_first=True).eval()
    linear = {"in_proj_weight": "channel_fc1.weight", "in_proj_bias": "channel_fc1.bias"}
    linear |= {"out_proj.weight": "channel_fc2.weight", "out_proj.bias": "channel_fc2.bias"}
    ours.load_state_dict({linear[key]: tensor for key, tensor in theirs.state_dict().items()})
    x, keep = torch.randn(3, 48, 20), torch.arange(20) < torch.tensor([[20], [7], [1]])
    expected, _ = theirs(last(x), last(x), last(x), key_padding_mask=~keep, need_weights=False)
    close(last(ours(keep.float(), x)), expected)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_projected_attention_is_pytorchs(causal: bool, bias: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 7, 12)
    words = f"causal={'yes' if causal else 'no'}, bias={'yes' if bias else 'no'}"
    ours = loads(f"input 12x7\na: multihead_attention(3, {words})").lower()
    theirs = nn.MultiheadAttention(12, 3, bias=bias, batch_first=True)
    ours.load_state_dict({f"a.{key}": tensor for key, tensor in theirs.state_dict().items()})
    mask = nn.Transformer.generate_square_subsequent_mask(7) if causal else None
    for training in (True, False):
        ours.train(training), theirs.train(training)
        expected, _ = theirs(x, x, x, need_weights=False, attn_mask=mask, is_causal=causal)
        assert torch.equal(last(ours(x.transpose(1, 2))), expected)


def test_projected_attention_to_others_is_pytorchs() -> None:
    torch.manual_seed(0)
    net = loads("input text: 10x7\ninput image: 12x3x4\na: multihead_attention(3)<. | @text>\nb: multihead_attention(3)<. | @text | @text>")
    theirs = nn.MultiheadAttention(12, 3, kdim=10, vdim=10, batch_first=True).eval()
    ours = net.lower().eval()
    ours.load_state_dict({f"{part}.{key}": tensor for part in "ab" for key, tensor in theirs.state_dict().items()})
    text, image = torch.randn(2, 10, 7), torch.randn(2, 12, 3, 4)
    first = theirs(last(image), last(text), last(text), need_weights=False)[0]
    second = theirs(first, last(text), last(text), need_weights=False)[0]
    assert torch.equal(last(ours(text, image)), second)


def test_dropout_of_attention_is_for_training() -> None:
    x = torch.randn(2, 24, 7)
    for text in ("attention(2, dropout=0.5)", "multihead_attention(2, dropout=0.5)"):
        module = loads(f"input 24x7\n{text}").lower()
        assert not torch.equal(module(x), module(x))
        assert torch.equal(module.eval()(x), module(x))


@pytest.mark.parametrize("text", ["learned", "learned(3)", "learned(channels=2)", "learned(batch=no)"])
@pytest.mark.parametrize("shape", [(4,), (4, 5), (4, 3, 5), (4, 2, 3, 5)])
def test_a_learned_tensor_is_the_same_for_every_sample(text: str, shape: tuple[int, ...]) -> None:
    if shape == (4,) and "3" in text:
        return
    net = loads(f"input {'x'.join(map(str, shape))}\na: {text}")
    module = net.lower()
    assert_agrees_with_torch(net.graph)
    ((key, stored),) = module.state_dict().items()
    assert key == "a"
    out = module(torch.randn(3, *shape))
    assert out.shape == (3, *net.graph["a"].shape) and torch.equal(out[0], out[2])
    plain = stored if "batch" in text else stored[0]
    assert torch.equal(out[0], plain.T if len(shape) == 2 else plain)
    out.sum().backward()
    assert torch.equal(module.a.grad, torch.full_like(stored, 3.0))


def test_a_learned_tensor_is_started_as_asked() -> None:
    torch.manual_seed(0)
    starts = {"normal(std=0.5)": 0.5, "trunc_normal(std=2)": 2 * 0.88, "constant(3)": 0.0, "uniform(bound=3)": 3**0.5}
    for start, deviation in starts.items():
        tensor = loads(f"input 100x100\na: learned(init={start})").lower().a
        assert float(tensor.detach().std()) == pytest.approx(deviation, rel=0.05)
    assert float(loads("input 100x100\na: learned").lower().a.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_a_learned_tensor_is_not_overwritten_and_is_of_one_size() -> None:
    net = loads("input 4x5\na: learned; relu; add<. | learned>")
    module = net.lower(level=1)
    before = module.a.clone()
    module(torch.randn(2, 4, 5))
    assert torch.equal(module.a, before)
    one = loads("input 4x1\nadd<. | learned>").lower()
    with pytest.raises(ValueError, match="1"):  # the sum alone would repeat it
        one(torch.randn(2, 4, 5))


@pytest.mark.parametrize("text", ["tokens", "tokens; map(3x4)", "tokens; transpose", "tokens; token(2)", "tokens; token(-1)"])
def test_positions_keep_their_order(text: str) -> None:
    x = torch.randn(2, 5, 3, 4)
    rows = x.reshape(2, 5, 12)
    expected = {
        "tokens": rows,
        "tokens; map(3x4)": x,
        "tokens; transpose": rows.transpose(1, 2),
        "tokens; token(2)": rows[:, :, 2],
        "tokens; token(-1)": rows[:, :, -1],
    }
    for layout in (torch.contiguous_format, torch.channels_last):
        assert torch.equal(loads(f"input 5x3x4\n{text}").lower()(x.contiguous(memory_format=layout)), expected[text])


def test_whole_numbers() -> None:
    net = loads("share words { table: embedding(11, 6) }\ninput ids: 7\ninput more: 3x7\n@ids; words; words")
    module = net.lower()
    (ids, _) = random_inputs(net.graph, 400, dtype=torch.float16)
    assert ids.dtype == torch.int64 and (int(ids.min()), int(ids.max())) == (0, 10)
    table = module.state_dict()["words.table.weight"]
    ids = ids[:2]
    close(module(ids, torch.randn(2, 3, 7)).transpose(1, 2), F.embedding(ids, table) @ table.T)
    with pytest.raises((ValueError, RuntimeError, IndexError)) as caught:
        module(ids + 11, torch.randn(2, 3, 7))
    assert any("0 to 10" in note for note in caught.value.__notes__)
    with pytest.raises((ValueError, RuntimeError)) as caught:
        module(ids.float(), torch.randn(2, 3, 7))
    assert any("whole numbers" in note for note in caught.value.__notes__)


def test_what_runs_networks_feeds_whole_numbers() -> None:
    net = loads("input 7\nembedding(11, 6); multihead_attention(2); token(0); fc-3")
    bench = net.bench(runs=1, device="cpu")
    assert bench is not None
    module = net.lower().eval()
    (ids,) = random_inputs(net.graph, 2)
    for level in (1, 2):
        with torch.no_grad():
            close(net.optimize(module, level=level)(ids), module(ids))
    exported = torch.export.export(module, (ids,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))
    assert torch.equal(exported.module()(ids), module(ids))
    assert net.memory(measure=True) is not None


COUNTED = [
    "input 24x9\nmultihead_attention(4)",
    "input 24x3x3\nmultihead_attention(4, bias=no)",
    "input 24x9\nattention(4)",
    "input text: 10x7\ninput image: 12x3x4\nmultihead_attention(3)<. | @text>",
    "input text: 12x7\ninput image: 12x3x4\nattention(3)<. | @text | @text; channel_fc-6>",
    "input 7\nembedding(11, 6)",
    "share words { table: embedding(11, 6) }\ninput 7\nwords; words",
    "input 24x9\nattention(4)<. | learned(9x9, channels=4)>",
]


@pytest.mark.parametrize("text", COUNTED)
def test_macs_are_half_of_pytorchs_flops(text: str) -> None:
    net = loads(text)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        net.lower()(*random_inputs(net.graph, 1, "meta"))
    assert counter.get_total_flops() == 2 * net.macs


# ---- networks

SMALL: Mapping[str, tuple[Any, Any, dict[str, int]]] = {
    "gpt2": (lambda: GPT2(48, 2, 4, 90, 10), "10", {"width": 48, "depth": 2, "heads": 4, "words": 90}),
    "bert_base": (
        lambda: Bert(48, 2, 4, 90, 12),
        {"input_ids": "12", "token_type_ids": "12"},
        {"width": 48, "depth": 2, "heads": 4, "words": 90},
    ),
    "mlp_mixer_b_16": (lambda: Mixer(48, 2, 64, 10), "3x64x64", {"width": 48, "depth": 2, "classes": 10}),
    "convmixer_768_32": (lambda: ConvMixer(48, 2, 10), "3x70x70", {"width": 48, "depth": 2, "classes": 10}),
}


def stirred(module: nn.Module) -> dict[str, Tensor]:
    state = module.state_dict()
    for tensor in state.values():
        if tensor.is_floating_point() and tensor.dim() == 1:
            tensor.add_(torch.rand_like(tensor) * 0.1)
    return state


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_are_those_of_their_papers(name: str) -> None:
    torch.manual_seed(0)
    oracle, inputs, settings = SMALL[name]
    theirs = oracle().eval()
    net = load(ROOT / f"archs/{name}.arch", inputs=inputs, settings=settings)
    ours = net.lower().eval()
    ours.load_state_dict(stirred(theirs), strict=True)
    xs = random_inputs(net.graph, 2)
    with torch.no_grad():
        found, expected = ours(*xs), theirs(*xs)
    if name == "gpt2":
        expected = expected.transpose(1, 2)
    both = [(found[key], expected[key]) for key in expected] if isinstance(found, dict) else [(found, expected)]
    for a, b in both:
        close(a, b)


@pytest.mark.parametrize("name", SMALL)
def test_whole_networks_have_the_keys_of_their_papers(name: str) -> None:
    whole = {
        "gpt2": lambda: GPT2(768, 12, 12, 50257, 1024),
        "bert_base": lambda: Bert(768, 12, 12, 30522, 512),
        "mlp_mixer_b_16": lambda: Mixer(768, 12, 224, 1000),
        "convmixer_768_32": lambda: ConvMixer(768, 32, 1000),
    }
    with torch.device("meta"):
        theirs = whole[name]().state_dict()
        ours = lower(load(ROOT / f"archs/{name}.arch").graph).state_dict()
    assert {key: tensor.shape for key, tensor in ours.items()} == {key: tensor.shape for key, tensor in theirs.items()}


def small_vit() -> tuple[Network, nn.Module]:
    models = torchvision_models()
    theirs = models.vision_transformer.VisionTransformer(
        image_size=64, patch_size=16, num_layers=2, num_heads=4, hidden_dim=48, mlp_dim=192, num_classes=10
    )
    settings = {"width": 48, "depth": 2, "heads": 4, "classes": 10}
    return load(ROOT / "archs/std/vit.arch", inputs="3x64x64", settings=settings), theirs


def test_a_vision_transformer_and_its_gradients_are_torchvisions() -> None:
    torch.manual_seed(0)
    net, theirs = small_vit()
    ours = net.lower()
    state = stirred(theirs)
    nn.init.normal_(state["heads.head.weight"], std=0.1)
    ours.load_state_dict(state, strict=True)
    x, target = torch.randn(3, 3, 64, 64), torch.tensor([1, 2, 3])
    for module in (ours, theirs):
        F.cross_entropy(module.train()(x), target).backward()
    expected = dict(theirs.named_parameters())
    for key, parameter in ours.named_parameters():
        assert parameter.grad is not None and torch.equal(parameter.grad, expected[key].grad), key
    with torch.no_grad():
        assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_published_weights_have_the_keys_of_the_present() -> None:
    """torchvision's files name the layers of an MLP as its first version did, and its modules rename them when they load."""
    _, theirs = small_vit()
    old = {key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): tensor for key, tensor in theirs.state_dict().items()}
    assert old.keys() != theirs.state_dict().keys()
    assert renamed(old).keys() == theirs.state_dict().keys()


def test_a_vision_transformer_begins_as_torchvisions() -> None:
    torch.manual_seed(0)
    net, theirs = small_vit()
    ours = net.lower().state_dict()
    for key, tensor in theirs.state_dict().items():
        if tensor.numel() > 500:
            assert float(ours[key].std()) == pytest.approx(float(tensor.std()), rel=0.1, abs=1e-12), key
        elif float(tensor.abs().max()) == 0:
            assert float(ours[key].abs().max()) == 0, key


# ---- memory

STORED = [
    *("layer_norm; multihead_attention(1); layer_norm", "layer_norm; multihead_attention(3, bias=no)"),
    *("layer_norm; multihead_attention(3, causal=yes)", "layer_norm\nattention(3)<channel_fc-12 | channel_fc-12 | channel_fc-12>"),
    *("channel_fc-36; attention(3); channel_fc-12", "channel_fc-36; attention(3, causal=yes)", "add<. | learned>; channel_fc-12"),
    *("concat(axis=w)<learned(1) | .>; add<. | learned>; layer_norm; token(0); fc-3", "transpose; channel_fc-5; transpose; channel_fc-3"),
    "channel_fc-36\nattention(3, dropout=0.1)<. | learned([20, 20], channels=3)>; channel_fc-12",
    "channel_fc-36\nattention(3)<. | learned([20, 20], channels=3)>; channel_fc-12",
    "layer_norm\nattention(3, dropout=0.1)<channel_fc-12 | channel_fc-12 | channel_fc-12>; channel_fc-8",
]


@pytest.mark.parametrize("text", STORED)
def test_predicted_memory_is_what_is_measured(text: str) -> None:
    net = loads(f"input 12x20\nchannel_fc-12\n{text}")
    predicted, module, inputs = usage(net.graph, batch=2), net.lower(), tuple(random_inputs(net.graph, 2))
    assert predicted.saved == activations(module, inputs, training=True)
    assert predicted.peak == pytest.approx(activations(module, inputs, training=False), rel=0.06)
