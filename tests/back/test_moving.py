"""Operators that move values, recurrent layers and computed weights against torch and timm: shapes, values, a step of training."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from archc import loads
from archc.compiler.analysis.fusion import fusions
from archc.compiler.analysis.memory import usage
from archc.compiler.analysis.printing import listing
from archc.compiler.backends.torch.measure import activations
from archc.compiler.backends.torch.optimize import optimized
from archc.compiler.driver import check_text
from archc.compiler.passes import INFERENCE, run
from archc.compiler.shapes.dim import evaluate
from archc.tests.support.programs import fewer
from archc.tests.support.pytorch import torchvision_models

Function = Callable[[Tensor], Tensor]


def _unfolded(x: Tensor, *window: Any) -> Tensor:
    kernel, stride, pad, dilation = window
    sizes = [(size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1 for size in x.shape[2:]]
    return nn.functional.unfold(x, kernel, dilation, pad, stride).reshape(len(x), -1, *sizes)


MOVES: dict[str, Function] = {
    "slice(2, 6)": lambda x: x[:, 2:6],
    "slice(1, 8, step=3)": lambda x: x[:, 1:8:3],
    "slice(0, in.h, step=2, axis=h)": lambda x: x[:, :, ::2],
    "slice(1, in.w, 2, w)": lambda x: x[:, :, :, 1::2],
    "roll(h=3)": lambda x: x.roll(3, 2),
    "roll(h=-3, w=25, c=1)": lambda x: x.roll((1, -3, 25), (1, 2, 3)),
    "roll": lambda x: x,
    "flip(axis=w)": lambda x: x.flip(3),
    "gather([3, 3, 0])": lambda x: x.index_select(1, torch.tensor([3, 3, 0])),
    "gather([11, 0, 5, 4], axis=h)": lambda x: x.index_select(2, torch.tensor([11, 0, 5, 4])),
    "transpose(h, w)": lambda x: x.transpose(2, 3),
    "transpose(w, c)": lambda x: x.transpose(1, 3),
    "adaptive_avgpool1; expand(h=5, w=3)": lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 5, 3),
    "slice(0, 1); expand(c=7, h=in.h)": lambda x: x[:, :1].expand(-1, 7, -1, -1),
    "space_to_depth2": lambda x: nn.functional.pixel_unshuffle(x, 2),
    "pixel_shuffle(2)": lambda x: nn.functional.pixel_shuffle(x, 2),
    "unfold3": lambda x: _unfolded(x, 3, 1, 0, 1),
    "unfold3/2(pad=same, dilation=2)": lambda x: _unfolded(x, 3, 2, 2, 2),
    "upsample2(mode=bicubic)": lambda x: nn.functional.interpolate(x, scale_factor=2, mode="bicubic"),
    "upsample(size=[5, 31], mode=bicubic, align_corners=yes)": lambda x: nn.functional.interpolate(x, (5, 31), None, "bicubic", True),
    # Swin's patch merging, and YOLO's focus: blocks of positions as channels, in orders of their own.
    "concat<for_rows(0, 0) | for_rows(1, 0) | for_rows(0, 1) | for_rows(1, 1)>": lambda x: torch.cat(
        [x[:, :, i::2, j::2] for j in (0, 1) for i in (0, 1)], 1
    ),
}
BLOCK = "block for_rows(i, j) { slice(i, in.h, step=2, axis=h); slice(j, in.w, step=2, axis=w) }\n"


@pytest.mark.parametrize("text", MOVES)
def test_values_are_torchs(text: str) -> None:
    """At every level, and followed by an activation that may overwrite."""
    net, x = loads(f"input 8x12x10\n{BLOCK if 'for_rows' in text else ''}conv1-8(bias=no)\n{text}\nrelu"), torch.randn(2, 8, 12, 10)
    module = net.lower()
    before = module.get_submodule("conv1")(x)
    expected = MOVES[text](before).relu()
    assert tuple(expected.shape[1:]) == list(net.graph)[-1].shape
    assert torch.equal(module(x), expected) or ("avgpool" in text and torch.allclose(module(x), expected))
    tuned = net.lower(level=1)
    tuned.load_state_dict(module.state_dict())
    assert torch.equal(tuned(x), module(x))
    assert torch.allclose(optimized(module.eval(), net.graph, (x,))(x), expected, atol=1e-6)


@fewer
@given(st.data())
def test_slices_of_any_axis_are_pythons(data: st.DataObject) -> None:
    """Shapes with open sizes, too: each formula gives the size that torch has, and sizes that are not legal are refused."""
    rank = data.draw(st.integers(1, 3))
    sizes = [data.draw(st.integers(2, 9)) for _ in range(1 + rank)]
    axis = data.draw(st.integers(0, rank))
    word = ("c", *("d", "h", "w")[3 - rank :])[axis]
    start, step = data.draw(st.integers(0, 8)), data.draw(st.integers(1, 4))
    whole = data.draw(st.booleans())
    stop = data.draw(st.integers(1, 9))
    item = f"slice({start}, {f'in.{word}' if whole else stop}, step={step}, axis={word})"
    names = [str(sizes[0]), *("D", "H", "W")[3 - rank :]]
    opened = check_text(f"input {'x'.join(names)}\n{item}")
    closed = check_text(f"input {'x'.join(map(str, sizes))}\n{item}")
    legal = start < (sizes[axis] if whole else stop) <= sizes[axis]
    assert closed.ok is legal, [d.message for d in closed.diagnostics]
    given_sizes = dict(zip(names[1:], sizes[1:], strict=True))
    if opened.ok and axis:
        assert all(found.admits(given_sizes[found.name]) is legal for found in opened.legal if found.name == names[axis])
    if not legal:
        return
    x = torch.arange(2 * torch.Size(sizes).numel()).reshape(2, *sizes)
    last = sizes[axis] if whole else stop
    expected = x.movedim(1 + axis, 0)[start:last:step].movedim(0, 1 + axis)
    assert list(closed.graph)[-1].shape == tuple(expected.shape[1:])
    assert tuple(evaluate(dim, given_sizes) for dim in list(opened.graph)[-1].shape) == tuple(expected.shape[1:])
    assert torch.equal(loads(f"input {'x'.join(map(str, sizes))}\n{item}").lower()(x), expected)


@fewer
@given(st.data())
def test_stacks_along_any_axis_are_torchs(data: st.DataObject) -> None:
    """With open sizes, too; an axis that the result does not have is refused."""
    rank, branches = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 4))
    sizes = [data.draw(st.integers(1, 5)) for _ in range(1 + rank)]
    word = data.draw(st.sampled_from("cdhw"))
    body = " | ".join((".", "neg", "scale(2)", "abs")[:branches])
    item = f"stack(axis={word})<{body}>"
    report = check_text(f"input {'x'.join(map(str, sizes))}\n{item}")
    axes = {0: "cw", 1: "chw", 2: "cdhw", 3: ""}[rank]
    assert report.ok is (word in axes), [d.message for d in report.diagnostics]
    if not report.ok:
        return
    x = torch.randn(2, *sizes)
    expected = torch.stack([x, -x, 2 * x, x.abs()][:branches], 1 + axes.index(word))
    net = loads(f"input {'x'.join(map(str, sizes))}\n{item}")
    assert torch.equal(net.lower()(x), expected)
    assert list(net.graph)[-1].shape == tuple(expected.shape[1:])
    names = [str(sizes[0]), *("D", "H", "W")[3 - rank :]]
    opened = check_text(f"input {'x'.join(names)}\n{item}")
    at = dict(zip(names[1:], sizes[1:], strict=True))
    assert tuple(evaluate(dim, at) for dim in list(opened.graph)[-1].shape) == tuple(expected.shape[1:])


@fewer
@given(st.data())
def test_chains_with_open_sizes_have_torchs_shapes(data: st.DataObject) -> None:
    items = st.sampled_from(
        ["slice(1, in.h, step=3, axis=h)", "slice(0, in.w - 1, axis=w)", "roll(h=2)", "flip(axis=w)", "transpose(h, w)", "space_to_depth2",
         "pixel_shuffle2", "unfold2/2", "gather([0, 1, 1], axis=w)", "upsample2(mode=bicubic)", "slice(0, 4, 2)", "gather([1, 0, 2, 3])"]
    )  # fmt: skip
    text = "\n".join(data.draw(st.lists(items, min_size=1, max_size=4)))
    h, w = data.draw(st.integers(4, 24)), data.draw(st.integers(4, 24))
    opened, closed = check_text(f"input 8xHxW\n{text}"), check_text(f"input 8x{h}x{w}\n{text}")
    if not opened.ok:
        assert not closed.ok
        return
    assert closed.ok is all(condition.holds({"H": h, "W": w}) for _, condition in opened.graph.conditions)
    if not closed.ok:
        return
    with torch.device("meta"):
        found = loads(f"input 8x{h}x{w}\n{text}").lower()(torch.empty(2, 8, h, w))
    assert tuple(found.shape[1:]) == tuple(evaluate(dim, {"H": h, "W": w}) for dim in list(opened.graph)[-1].shape)


HELD = [
    *("slice(0, 16, step=2, axis=h)", "slice(0, 16, step=2, axis=h); flatten; fc-10", "slice(0, 8, step=2); flatten; fc-10"),
    *("roll(h=3)", "roll(h=3, w=-2)", "flip(axis=w); channel_fc-4", "gather([0, 2, 1])", "gather([0, 2, 1], axis=h); channel_fc-4"),
    *("transpose(h, w)", "transpose(h, w); channel_fc-4", "transpose(c, w); flatten; fc-3", "space_to_depth2", "pixel_shuffle2"),
    *("stack(axis=d)<. | neg>", "stack(axis=d)<. | neg>; conv1-4", "stack(axis=w)<conv1-2 | conv1-2>; flatten; fc-3"),
    *("unfold3", "unfold3; channel_fc-4", "adaptive_avgpool1; expand(h=5, w=5); conv1-4", "upsample2(mode=bicubic)"),
]


@pytest.mark.parametrize("text", HELD)
@pytest.mark.parametrize("before", ["conv1-8", "conv1-8; layer_norm"])
def test_memory_is_what_is_measured(before: str, text: str) -> None:
    net = loads(f"input 3x16x16\n{before}\n{text}")
    module, x = net.lower(), (torch.randn(2, 3, 16, 16),)
    predicted = usage(net.graph, batch=2)
    assert predicted.saved == pytest.approx(activations(module, x, training=True), rel=0.001)
    assert predicted.peak == pytest.approx(activations(module, x, training=False), rel=0.001)


# ---- recurrence

RECURRENT = {
    "lstm-6": {},
    "lstm-6(layers=3, bias=no)": {"num_layers": 3, "bias": False},
    "lstm-6(layers=2, bidirectional=yes, dropout=0.3)": {"num_layers": 2, "bidirectional": True, "dropout": 0.3},
    "gru-6": {},
    "gru-6(bidirectional=yes)": {"bidirectional": True},
    "gru-6(layers=2, dropout=0.5, bias=no)": {"num_layers": 2, "dropout": 0.5, "bias": False},
}


def _alike(module: nn.Module, peer: Callable[[Tensor], Tensor], theirs: nn.Module, x: Tensor, steps: int = 2, prefix: str = "") -> None:
    """In evaluation, and in steps of training, outputs, gradients, weights and buffers are equal."""
    for each in (module, theirs):
        each.eval()
    assert torch.equal(module(x), peer(x))
    optimizers = [torch.optim.SGD(each.parameters(), 0.1) for each in (module.train(), theirs.train())]
    for step in range(steps):
        results = []
        for run_of, optimizer in zip((module, peer), optimizers, strict=True):
            torch.manual_seed(step)
            optimizer.zero_grad()
            result = run_of(x)
            result.square().sum().backward()
            optimizer.step()
            results.append(result)
        assert torch.equal(*results)
        ours = module.state_dict()
        assert {prefix + key for key in theirs.state_dict()} == set(ours)
        assert all(torch.equal(ours[prefix + key], tensor) for key, tensor in theirs.state_dict().items())


@pytest.mark.parametrize("text", RECURRENT)
@pytest.mark.parametrize("last", [False, True])
def test_recurrent_layers_are_torchs(text: str, last: bool) -> None:
    kind = nn.LSTM if text.startswith("lstm") else nn.GRU
    theirs: Any = kind(5, 6, batch_first=True, **RECURRENT[text])
    written = (text[:-1] + ", last=yes)" if text.endswith(")") else f"{text}(last=yes)") if last else text
    net = loads(f"input 5x7\nr: {written}")
    module = net.lower()
    module.load_state_dict({f"r.{key}": tensor for key, tensor in theirs.state_dict().items()}, strict=True)

    def peer(x: Tensor) -> Tensor:
        states, ends = theirs(x.movedim(1, -1))
        ends = ends[0] if isinstance(ends, tuple) else ends
        if last:
            return torch.cat(list(ends[-2:]), 1) if theirs.bidirectional else ends[-1]
        return states.movedim(-1, 1)

    _alike(module, peer, theirs, torch.randn(3, 5, 7), prefix="r.")
    assert net.macs == 7 * sum(p.numel() for name, p in theirs.named_parameters() if name.startswith("weight"))


@pytest.mark.parametrize("options", ["", ", layers=2", ", layers=2, bidirectional=yes", ", last=yes"])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_recurrence_from_a_state(kind: str, options: str) -> None:
    layers, directions = 1 + ("layers" in options), 1 + ("bidirectional" in options)
    size = 6 * layers * directions
    names = ["h", "c"] if kind == "lstm" else ["h"]
    inputs = "\n".join(f"input {name}: {size}" for name in names)
    net = loads(f"input x: 5x7\n{inputs}\nr: {kind}(6{options})<@x | {' | '.join(f'@{name}' for name in names)}>")
    theirs: Any = (nn.LSTM if kind == "lstm" else nn.GRU)(5, 6, layers, batch_first=True, bidirectional=directions == 2)
    module = net.lower()
    module.load_state_dict({f"r.{key}": tensor for key, tensor in theirs.state_dict().items()}, strict=True)
    x, *start = torch.randn(3, 5, 7), *(torch.randn(3, size) for _ in names)
    layered = [state.reshape(3, -1, 6).transpose(0, 1).contiguous() for state in start]
    states, ends = theirs(x.transpose(1, 2), tuple(layered) if kind == "lstm" else layered[0])
    expected = (ends[0] if kind == "lstm" else ends)[-1] if "last" in options else states.transpose(1, 2)
    assert torch.equal(module(x, *start), expected)
    again = check_text(listing(net.graph))
    assert again.ok and [(node.op, node.attrs, node.shape) for node in again.graph] == [(n.op, n.attrs, n.shape) for n in net.graph]


def test_the_state_after_the_last_token_is_a_slice_too() -> None:
    module = loads("input 5x7\nr: gru-6\nslice(in.w - 1, in.w, axis=w); flatten").lower()
    other = loads("input 5x7\nr: gru-6(last=yes)").lower()
    other.load_state_dict(module.state_dict())
    x = torch.randn(2, 5, 7)
    assert torch.equal(module(x), other(x))


def test_recurrence_on_any_length() -> None:
    report = check_text("input 5xL\nlstm-6(bidirectional=yes); conv3-4(pad=1)")
    assert [str(dim) for dim in list(report.graph)[-1].shape] == ["4", "L"]
    net = loads("input 5x9\nlstm-6(bidirectional=yes); conv3-4(pad=1)")
    assert evaluate(report.cost().macs, {"L": 9}) == net.macs == 9 * (2 * 4 * 6 * (5 + 6) + 3 * 12 * 4)
    assert net.lower()(torch.randn(2, 5, 30)).shape == (2, 4, 30)


@pytest.mark.parametrize("text", ["gru-16", "gru-16(last=yes)", "lstm-128"])
def test_memory_of_recurrence_is_about_what_is_measured(text: str) -> None:
    net = loads(f"input 3x40\nconv1-8\n{text}")
    module, x = net.lower(), (torch.randn(2, 3, 40),)
    predicted = usage(net.graph, batch=2)
    assert predicted.saved == pytest.approx(activations(module, x, training=True), rel=0.1)
    assert predicted.peak == pytest.approx(activations(module, x, training=False), rel=0.1)


# ---- weights that are computed from weights


FORMS: dict[str, dict[str, Any]] = {"": {}, "bias=yes": {"bias": True}, "groups=4": {"groups": 4}, "dilation=2": {"dilation": 2}}


@pytest.mark.parametrize("options", FORMS)
@pytest.mark.parametrize("word", ["standardized", "standardized(eps=0.001)", "scaled", "scaled(gamma=1.7, eps=1e-5)"])
def test_standardized_convolutions_are_timms(word: str, options: str) -> None:
    torchvision_models()  # before timm imports it
    from timm.layers import ScaledStdConv2d, StdConv2d

    extra = {"eps": 0.001} if "0.001" in word else {"gamma": 1.7, "eps": 1e-5} if "1.7" in word else {}
    settings = {"bias": False, **FORMS[options], **extra, "padding": FORMS[options].get("dilation", 1)}
    theirs = (ScaledStdConv2d if word.startswith("scaled") else StdConv2d)(8, 12, 3, **settings)
    given_options = ", ".join(filter(None, ["pad=same", f"weight={word}", "" if "bias" in options else "bias=no", options]))
    module = loads(f"input 8x9x9\nc: conv3-12({given_options})").lower()
    module.load_state_dict({f"c.{key}": tensor for key, tensor in theirs.state_dict().items()}, strict=True)
    _alike(module, theirs, theirs, torch.randn(2, 8, 9, 9), prefix="c.")


SPECTRAL: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "conv3-6(pad=1, weight=spectral)": ("4x9", lambda: nn.Conv1d(4, 6, 3, padding=1)),
    "conv3-6/2(pad=1, pad_mode=reflect, bias=no, weight=spectral)": (
        "4x9x8",
        lambda: nn.Conv2d(4, 6, 3, 2, 1, padding_mode="reflect", bias=False),
    ),
    "conv2-6(weight=spectral)": ("4x5x4x3", lambda: nn.Conv3d(4, 6, 2)),
    "convt4-6/2(pad=1, weight=spectral)": ("4x9", lambda: nn.ConvTranspose1d(4, 6, 4, 2, 1)),
    "convt3-6/2(pad=1, out_pad=1, groups=2, weight=spectral)": ("4x5x6", lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2)),
    "fc-6(weight=spectral)": ("10", lambda: nn.Linear(10, 6)),
}


@pytest.mark.parametrize("text", SPECTRAL)
def test_spectral_norm_is_torchs(text: str) -> None:
    size, build = SPECTRAL[text]
    theirs = spectral_norm(build())
    module = loads(f"input {size}\nc: {text}").lower()
    module.load_state_dict({f"c.{key}": tensor for key, tensor in theirs.state_dict().items()}, strict=True)
    x = torch.randn(2, *map(int, size.split("x")))
    _alike(module, theirs, theirs, x, steps=3, prefix="c.")
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(twin.eval()(x), module.eval()(x))


def test_the_largest_singular_value_is_that_of_the_initialization() -> None:
    module = loads("input 4x9x9\nc: conv3-6(weight=spectral, init=normal(std=3))").lower()
    layer: Any = module.get_submodule("c")
    assert torch.linalg.matrix_norm(layer.eval().divided().detach().flatten(1), 2) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("word", ["standardized", "scaled", "spectral"])
def test_rewrites_leave_computed_weights_alone(word: str) -> None:
    """A batch norm is not folded into them, siblings are not merged, and no fused call of another library is made of them."""
    text = f"default conv(weight={word})\ninput 8x9x9\na: conv3-8(pad=1, bias=no, norm=bn, act=relu)\nconcat<conv1-4 | conv1-4>\n"
    net, x = loads(text), torch.randn(2, 8, 9, 9)
    program = run(net.graph, INFERENCE[2])
    assert [node.op for node in program.graph] == [node.op for node in net.graph] and not program.recipes
    assert not fusions(program.graph)
    module = net.lower()
    module(x)  # so that the statistics are not those of the start
    expected = module.eval()(x)
    for level in (1, 2):
        assert torch.allclose(optimized(module, net.graph, (x,), level)(x), expected, atol=1e-5)
    plain = run(loads(text.replace(f"weight={word}", "weight=plain")).graph, INFERENCE[2])
    assert len(plain.recipes) == 2 and fusions(plain.graph)


def test_memory_of_computed_weights_is_what_is_measured() -> None:
    for item in ("conv3-8(weight=standardized)", "conv3-8(weight=scaled)", "conv3-8(weight=spectral)", "convt3-8(weight=spectral)"):
        net = loads(f"input 3x16x16\nconv1-8\n{item}")
        module, x = net.lower(), (torch.randn(2, 3, 16, 16),)
        predicted = usage(net.graph, batch=2)
        assert predicted.saved == pytest.approx(activations(module, x, training=True), rel=0.001)
        assert predicted.peak == pytest.approx(activations(module, x, training=False), rel=0.001)
