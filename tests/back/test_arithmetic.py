"""Arithmetic, reductions, matrix products, norms and noise: numbers, gradients and memory are PyTorch's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from archc import loads
from archc.compiler.analysis.memory import usage
from archc.compiler.backends.torch.measure import activations
from archc.compiler.driver import check_text
from archc.tests.support.programs import fewer
from archc.tests.support.pytorch import assert_agrees_with_torch

Function = Callable[[Tensor], Tensor]

ITEMS: dict[str, Function] = {
    "neg": lambda x: -x,
    "abs": torch.abs,
    "exp": torch.exp,
    "abs; log": lambda x: x.abs().log(),
    "abs; sqrt": lambda x: x.abs().sqrt(),
    "square": lambda x: x * x,
    "abs; pow(0.3)": lambda x: x.abs() ** 0.3,
    "pow(3)": lambda x: x**3,
    "sin": torch.sin,
    "cos": torch.cos,
    "scale(0.17)": lambda x: x * 0.17,
    "scale(-2)": lambda x: x * -2.0,
    "shift(1.5)": lambda x: x + 1.5,
    "clamp(-0.5, 1)": lambda x: x.clamp(-0.5, 1.0),
    "clamp(min=0.2)": lambda x: x.clamp_min(0.2),
    "clamp(max=0.2)": lambda x: x.clamp_max(0.2),
    "sub<. | tanh>": lambda x: x - x.tanh(),
    "sub<. | tanh | exp>": lambda x: x - x.tanh() - x.exp(),
    "div<. | exp>": lambda x: x / x.exp(),
    "div<. | exp | exp>": lambda x: x / x.exp() / x.exp(),
    "mean<. | tanh>": lambda x: (x + x.tanh()) / 2,
    "mean<. | tanh | exp>": lambda x: (x + x.tanh() + x.exp()) / 3,
    "max<. | neg>": lambda x: torch.maximum(x, -x),
    "max<. | neg | exp>": lambda x: torch.maximum(torch.maximum(x, -x), x.exp()),
    "min<. | neg>": lambda x: torch.minimum(x, -x),
    "add(broadcast=yes)<reduce_mean(axis=c) | .>": lambda x: x.mean(1, keepdim=True) + x,
    "sub(broadcast=yes)<. | adaptive_avgpool1>": lambda x: x - F.adaptive_avg_pool2d(x, 1),
    "mul<. | reduce_max(axis=c)>": lambda x: x * x.amax(1, keepdim=True),
    "mul<reduce_sum(axis=[c, h, w]) | . | reduce_mean(axis=[h, w])>": lambda x: x.sum((1, 2, 3), True) * x * x.mean((2, 3), True),
    "div<. | reduce_norm(axis=c)>": lambda x: x / x.norm(dim=1, keepdim=True),
    "reduce_min(axis=[c, w], keep=no)": lambda x: x.amin((1, 3)),
    "reduce_sum(axis=[w, c])": lambda x: x.sum((1, 3), keepdim=True),
    "reduce_mean(axis=h, keep=no); matmul(transpose_a=yes)<. | .>": lambda x: x.mean(2).mT @ x.mean(2),
    "matmul(transpose_a=yes, transpose_b=yes)<. | tanh>": lambda x: x.mT @ x.tanh().mT,
    "matmul(transpose_b=yes)<. | .>": lambda x: x @ x.mT,
    "reduce_var(axis=c)": lambda x: x.var(1, unbiased=False, keepdim=True),
    "reduce_var(axis=[w, h], unbiased=yes, keep=no)": lambda x: x.var((2, 3)),
    "softmax(axis=h)": lambda x: x.softmax(2),
    "log_softmax(axis=w)": lambda x: x.log_softmax(3),
    "softmax(axis=[h, w])": lambda x: x.flatten(2).softmax(2).reshape(x.shape),
    "log_softmax(axis=[w, h])": lambda x: x.flatten(2).log_softmax(2).reshape(x.shape),
    "softmin(axis=[c, h, w])": lambda x: (-x).flatten(1).softmax(1).reshape(x.shape),
    "softmax(axis=[c, h])": lambda x: x.flatten(1, 2).softmax(1).reshape(x.shape),
    "softmax(axis=[c, w])": lambda x: x.transpose(1, 2).flatten(2).softmax(2).reshape(x.transpose(1, 2).shape).transpose(1, 2),
    "l2_norm(axis=[h, w])": lambda x: F.normalize(x, dim=(2, 3)),
    "softmin": lambda x: (-x).softmax(1),
    "l2_norm": lambda x: F.normalize(x, dim=1),
    "l2_norm(axis=h, eps=2)": lambda x: F.normalize(x, dim=2, eps=2.0),
    "rms_norm": lambda x: F.rms_norm(x.movedim(1, -1), (6,), torch.ones(6)).movedim(-1, 1),
    "rms_norm(0.1, affine=no)": lambda x: F.rms_norm(x.movedim(1, -1), (6,), None, 0.1).movedim(-1, 1),
    "instance_norm": F.instance_norm,
    "instance_norm(affine=yes, eps=0.1)": lambda x: F.instance_norm(x, weight=torch.ones(6), bias=torch.zeros(6), eps=0.1),
    "mish": F.mish,
    "selu": F.selu,
    "celu(0.5)": lambda x: F.celu(x, 0.5),
    "softsign": F.softsign,
    "tanhshrink": F.tanhshrink,
    "softshrink(0.3)": lambda x: F.softshrink(x, 0.3),
    "hardshrink": F.hardshrink,
    "hardtanh(-2, 0.5)": lambda x: F.hardtanh(x, -2.0, 0.5),
    "threshold(0.1, -3)": lambda x: F.threshold(x, 0.1, -3.0),
    "logsigmoid": F.logsigmoid,
    "glu": lambda x: F.glu(x, 1),
    "rrelu": F.rrelu,
    "rrelu(0, 0.5)": lambda x: F.rrelu(x, 0.0, 0.5),
    "normal_noise": torch.zeros_like,
    "bernoulli(0.5)": torch.zeros_like,
}


@pytest.mark.parametrize("text", ITEMS)
def test_numbers_and_gradients(text: str) -> None:
    net = loads(f"input 6x5x5\nx: .\n{text}")
    x = torch.randn(2, 6, 5, 5)
    for level in (0, 1):
        module = net.lower(level=level).eval()
        ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        got, expected = module(ours), ITEMS[text](theirs)
        assert torch.equal(got, expected)
        if expected.requires_grad:
            got.square().sum().backward()
            expected.square().sum().backward()
            assert torch.equal(ours.grad, theirs.grad) if ours.grad is not None else theirs.grad is None
    assert_agrees_with_torch(net.graph)


@pytest.mark.parametrize("text", [text for text in ITEMS if "keep=no" not in text])
def test_between_layers_all_levels_compute_the_same(text: str) -> None:
    """Where activations overwrite their operand, and where layers take in what follows them, nothing changes."""
    net = loads(f"input 3x6x6\nx: conv3-6(pad=1)\n{text}\nrelu\nadaptive_avgpool3\nconv1-4; relu")
    torch.manual_seed(0)
    x, written = torch.randn(2, 3, 6, 6), net.lower()
    found = []
    for level in (0, 1):
        module = net.lower(level=level)
        module.load_state_dict(written.state_dict())
        torch.manual_seed(1)
        module(x).sum().backward()
        found.append([parameter.grad for parameter in module.parameters()])
        assert torch.equal(module.eval()(x), written.eval()(x))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True) if a is not None and b is not None)
    with torch.no_grad():
        torch.testing.assert_close(net.optimize(written.eval(), batch=2, level=2)(x), written(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("text", ITEMS)
def test_memory(text: str) -> None:
    net = loads(f"input 3x8x8\nx: conv1-6\n{text}")
    module, inputs = net.lower(), (torch.randn(2, 3, 8, 8),)
    predicted = usage(net.graph, batch=2)
    assert predicted.saved == pytest.approx(activations(module, inputs, training=True), rel=0.05)
    assert predicted.peak == pytest.approx(activations(module, inputs, training=False), rel=0.05)


# ---- shapes that are repeated


@st.composite
def shapes(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """Shapes of branches of one rank, most of which are one of them or are repeated to it."""
    whole = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)))
    forms = [whole, (whole[0], *(1,) * (len(whole) - 1)), (1, *whole[1:]), (1,) * len(whole)]
    others = draw(st.lists(st.sampled_from([*forms, (*whole[:-1], 4)]), min_size=1, max_size=2))
    return draw(st.permutations([whole, *others]))


@fewer
@given(shapes(), st.sampled_from(["mul", "div", "add(broadcast=yes)", "sub(broadcast=yes)", "add", "sub", "mean", "max", "min"]))
def test_what_is_repeated_is_so_by_torch_too(branches: list[tuple[int, ...]], merge: str) -> None:
    """What is accepted has torch's shape and one branch of that shape; what is refused differs in another way."""
    names = [f"x{number}" for number in range(len(branches))]
    lines = [f"input {name}: {'x'.join(map(str, shape))}" for name, shape in zip(names, branches, strict=True)]
    report = check_text("\n".join([*lines, f"{merge}<{' | '.join(f'@{name}' for name in names)}>"]))
    assert report.ok is _fit(branches, strict=len(branches[0]) == 1 or not merge.startswith(("mul", "div", "add(", "sub(")))
    if report.ok:
        assert_agrees_with_torch(report.graph)
        assert report.graph[f"{merge.partition('(')[0]}1"].shape == torch.broadcast_shapes(*branches)


def _fit(branches: list[tuple[int, ...]], strict: bool) -> bool:
    """Whether some branch has the shape of the result, and each other is that, one value per channel, or one map."""
    if strict or len({len(shape) for shape in branches}) > 1:
        return len(set(branches)) == 1
    ones = (1,) * (len(branches[0]) - 1)
    return any(all(shape[0] in (1, whole[0]) and shape[1:] in (ones, whole[1:]) for shape in branches) for whole in branches)


@fewer
@given(st.data())
def test_reductions_and_products_have_the_shapes_of_torch(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    words = {2: "cw", 3: "chw", 4: "cdhw"}[len(sizes)]
    axes = data.draw(st.sets(st.sampled_from(words), min_size=1))
    keep = data.draw(st.booleans()) or len(axes) == len(words)
    listed = ", ".join(data.draw(st.permutations(sorted(axes))))
    name = data.draw(st.sampled_from(["mean", "sum", "max", "min", "norm"]))
    lines = [f"input {'x'.join(map(str, sizes))}", f"conv1-3\nreduce_{name}(axis=[{listed}], keep={'yes' if keep else 'no'})"]
    report = check_text("\n".join(lines))
    assert report.ok, report.diagnostics
    assert_agrees_with_torch(report.graph)
    usage(report.graph)
    turned = [data.draw(st.booleans()) for _ in range(2)]
    shapes = "32" if turned[0] else "23", "43" if turned[1] else "34"
    options = ", ".join(f"transpose_{name}={'yes' if on else 'no'}" for name, on in zip("ab", turned, strict=True))
    before = data.draw(st.sampled_from(["", "5x", "2x5x"]))
    first, second = (f"{before}{shape[0]}x{shape[1]}" for shape in shapes)
    product = check_text(f"input a: {first}\ninput b: {second}\nmatmul({options})<@a | @b> => {before}2x4")
    assert product.ok, product.diagnostics
    assert_agrees_with_torch(product.graph)
    assert product.cost().macs == 24 * {"": 1, "5x": 5, "2x5x": 10}[before]


# ---- noise


def test_noise_is_drawn_in_training_or_always() -> None:
    x = torch.zeros(64, 50)
    for text, mean, deviation in (("normal_noise", 0.0, 1.0), ("bernoulli(0.3)", 0.3, 0.458), ("normal_noise; scale(0.1)", 0.0, 0.1)):
        module = loads(f"input 50\n{text}").lower()
        drawn = module(x)
        assert drawn.mean().item() == pytest.approx(mean, abs=0.05) and drawn.std().item() == pytest.approx(deviation, abs=0.05)
        assert not torch.equal(drawn, module(x))
        assert not module.eval()(x).any()
    always = loads("input 50\nbernoulli(0.5, when=always)").lower().eval()
    assert set(always(x).unique().tolist()) == {0.0, 1.0}


def test_no_gradient_passes_through_noise() -> None:
    module = loads("input 4\nfc-4\nmul<. | normal_noise>").lower()
    x = torch.randn(2, 4, requires_grad=True)
    torch.manual_seed(0)
    module(x).sum().backward()
    torch.manual_seed(0)
    assert torch.equal(module.fc1.bias.grad, torch.randn(2, 4).sum(0))
