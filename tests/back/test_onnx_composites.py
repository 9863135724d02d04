"""ONNX of what is more than one operator: attention, recurrence, computed weights, tokens, noise, resizing. onnxruntime equals torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from archc.compiler.backends import Compiled
from archc.compiler.backends.onnx.write import write
from archc.compiler.backends.torch.lower import lower
from archc.compiler.driver import check_text
from archc.compiler.graph import ArchGraph
from archc.compiler.shapes.dim import evaluate
from archc.dsl.errors import ArchError
from archc.tests.support.pytorch import stirred

OPEN = {"L": 11, "H": 8, "W": 14}  # the sizes at which files with open ones are run
OTHERS = {"L": 6, "H": 21, "W": 9}
CLOSE = 1e-5  # of the spread of the output


def graph_of(text: str) -> ArchGraph:
    report = check_text(text.replace("; ", "\n") + "\n")
    assert report.ok, report.diagnostics
    return report.graph


def compiled(graph: ArchGraph, batch: int = 2, dtype: str = "float32", **settings: Any) -> Compiled:
    """A network with stirred weights, in evaluation mode, and random inputs."""
    torch.manual_seed(0)
    module = lower(graph).eval()
    stirred(module)
    for tensor in module.parameters():  # the last layer of some networks is 0 at first
        if not tensor.any():
            nn.init.normal_(tensor, std=0.02)
    kind = getattr(torch, dtype)
    return Compiled(graph, 0, module.to(kind), random_inputs(graph, batch, kind), dtype, settings)


def random_inputs(graph: ArchGraph, batch: int, kind: torch.dtype = torch.float32, sizes: Mapping[str, int] = OPEN) -> list[Tensor]:
    inputs = []
    for node in graph.inputs:
        shape = (batch, *(evaluate(size, sizes) for size in node.shape))
        count = graph.whole_numbers(node.name)
        inputs.append(torch.randn(shape).to(kind) if count is None else torch.randint(0, count, shape))
    return inputs


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def tensors(network: Compiled) -> dict[str, Any]:
    return {node.name: x.numpy() for node, x in zip(network.graph.inputs, network.inputs, strict=True)}


def expected(network: Compiled) -> list[Any]:
    with torch.no_grad():
        found = network.module(*network.inputs)
    return [x.detach().numpy() for x in (found.values() if isinstance(found, dict) else [found])]


def difference(found: list[Any], wanted: list[Any]) -> float:
    """The largest difference above one unit in the last place, as a part of the spread of the output, its standard deviation."""
    worst = 0.0
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        assert np.isfinite(theirs).all()
        last = float(np.finfo(theirs.dtype).eps * np.abs(theirs).max())
        ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
        spread = float(theirs.std()) or 1.0
        worst = max(worst, (float(np.abs(ours - theirs).max()) - last) / spread)
    return worst


def agrees(network: Compiled, path: Path, close: float = CLOSE) -> onnx.ModelProto:
    """Write a network; check the file, its weights and its result; return the model."""
    write(network, path)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    state = network.module.state_dict()
    for tensor in model.graph.initializer:
        assert np.array_equal(numpy_helper.to_array(tensor), state[tensor.name].numpy())
    assert {tensor.name for tensor in model.graph.initializer} == set(state)
    assert difference(session(path).run(None, tensors(network)), expected(network)) <= close
    return model


ATTENTION = [
    "input 12x6; multihead_attention(3)",
    "input 12x6; multihead_attention(3, causal=yes)",
    "input 12x6; multihead_attention(3, bias=no)",
    "input 12x3x5; multihead_attention(4)",
    "input a: 12x5; input b: 12x7; multihead_attention(3)<@a | @b>",
    "input a: 12x5; input b: 9x7; multihead_attention(3)<@a | @b>",
    "input a: 12x5; input b: 12x7; input c: 12x7; multihead_attention(3)<@a | @b | @c>",
    "input a: 12x5; input b: 9x7; input c: 8x7; multihead_attention(3)<@a | @b | @c>",
    "input a: 12x5; input b: 9x7; input c: 8x7; multihead_attention(3, bias=no)<@a | @b | @c>",
    "input 36x7; attention(3)",
    "input 36x7; attention(3, causal=yes, scale=0.3)",
    "input 36x2x3; attention(2)",
    "input a: 12x5; input b: 12x7; input c: 15x7; attention(3)<@a | @b | @c>",
    "input a: 12x5; input b: 12x7; input c: 15x7; input d: 3x5x7; attention(3)<@a | @b | @c | @d>",
    "input a: 36x5; input d: 1x5x5; attention(3, scale=0.5)<@a | @d>",
    "input a: 36x5; attention(3)<. | learned([5, 5], channels=3)>",
]
WINDOWS = [
    "input 12x14x14; window_attention(3, window=7)",
    "input 12x14x14; window_attention(3, window=7, shift=3)",
    "input 12x15x9; window_attention(3, window=4, pad=yes)",
    "input 12x15x9; window_attention(3, window=4, shift=1, pad=yes, bias=no)",
    "input 12x5x12; window_attention(3, window=5x4, shift=2)",  # one window covers the height, which is not shifted
    "input 12x12x8; window_attention(3, window=4, grid=yes, keys=to_qkv)",
    "input 12x10x8; window_attention(3, window=4, grid=yes, pad=yes, position=none)",
    "input 12x12x8; window_attention(3, window=4, position=continuous, similarity=cosine)",
    "input 12x12x8; window_attention(3, window=4, shift=2, position=continuous, similarity=cosine)",
    "input 12x12x8; window_attention(3, window=4, shift=2, similarity=cosine, bias=no)",
    "input 12x12; window_attention(3, window=4, shift=2)",
    "input 12x4x6x6; window_attention(3, window=2x3x3, shift=1)",
    "input 12x4x6x7; window_attention(2, window=2x3x3, shift=1x0x2, position=none, pad=yes, scale=0.2)",
    "input 12x4x6x6; window_attention(3, window=2x3x3, grid=yes, position=continuous)",
]
POOLED = [
    "input 12x25; pooled_attention(3, sizes=2x3x4)",
    "input 12x31; pooled_attention(3, sizes=2x3x5, stride_q=1x2x2, stride_kv=1x2x2, out=24)",
    "input 12x31; pooled_attention(2, sizes=2x3x5, kernel_q=1, stride_kv=2, residual=no)",
    "input 12x25; pooled_attention(3, sizes=2x3x4, kernel_q=1, kernel_kv=1, relative=no, residual=no)",
    "input 12x25; pooled_attention(3, sizes=2x3x4, kernel_q=1, stride_q=1x1x2, kernel_kv=1, relative=yes)",
]
RECURRENT = [
    f"input 6x20; {item}"
    for name in ("lstm", "gru")
    for item in (
        f"{name}-5",
        f"{name}-5(bias=no)",
        f"{name}-5(last=yes)",
        f"{name}-5(bidirectional=yes)",
        f"{name}-5(layers=3, bidirectional=yes)",
        f"{name}-5(layers=2, bidirectional=yes, last=yes)",
    )
] + [
    "input x: 6x20; input h: 5; input c: 5; lstm(5)<@x | @h | @c>",
    "input x: 6x20; input h: 20; input c: 20; lstm(5, layers=2, bidirectional=yes, last=yes)<@x | @h | @c>",
    "input x: 6x20; input h: 5; gru(5)<@x | @h>",
    "input x: 6x20; input h: 20; gru(5, layers=2, bidirectional=yes)<@x | @h>",
]
COMPUTED = [
    f"input 6x{sizes}; {item}"
    for sizes in ("9", "8x9", "5x6x7")
    for item in (
        "conv3-8(weight=standardized, pad=1)",
        "conv3-8/2(weight=standardized(eps=0.01), groups=2, bias=no)",
        "conv3-8(weight=scaled(gamma=1.7), groups=2)",
        "conv3-8(weight=spectral, pad=1, pad_mode=reflect)",
        "convt3-8/2(weight=spectral, pad=1, out_pad=1)",
        "convt3-4(weight=spectral, groups=2, bias=no, dilation=2)",
    )
] + ["input 6; fc-8(weight=spectral)", "input 6; fc-8(weight=spectral, bias=no)"]
CLASSIC = [
    "input 3x8x9; conv3-4(from=[[0], [1, 2], [0, 1, 2], [2]])",
    "input 3x8x9; conv3-4/2(from=[[0], [1, 2], [0, 1, 2], [2]], pad=1, pad_mode=circular, bias=no)",
    "input 3x9; conv3-2(from=[[2, 0], [1]], dilation=2)",
    "input 3x8x9; subsample2",
    "input 3x9x9; subsample(kernel=3x2, stride=2x3)",
    "input 3x4x5; scaled_tanh",
    "input 3x4x5; scaled_tanh(amplitude=0.5, slope=3)",
    "input 20; rbf-5",
    *(f"input 6x{sizes}; lrn(size={size}, alpha=0.3, k=2, form=sum)" for sizes in ("7", "5x4", "2x3x4") for size in (1, 2, 3, 4, 5, 9)),
    "input 6x7x8; lrn(size=3, alpha=0.3, beta=0.5, form=spatial)",
]
TOKENS = [
    "input 16; embedding(10, 6)",
    "input 8x6; embedding(10, 8)",
    "input 8x6; learned",
    "input 8x6; add<sine_positions(8) | .>",
    "input 8x4x6; add<sine_positions(4, scale=6.0) | .>",
    "input 8x6; sine_positions(4, sizes=[2, 3])",
    "input 24x13; rotary(3, skip=1)<. | rotary_positions(4, sizes=[3, 4], reference=[2, 2], offset=1)>",
    "input 24x3x4; rotary(3, halves=yes)<. | rotary_positions(4, centered=yes, swap=yes)>",
    "input 24x5; rotary(2)<. | learned>",
    "input 2x5x6; pad(h=[1, 2], w=2, mode=reflect)",
    "input 8x6; learned(3, batch=no)",
    "input 8x4x6; learned",
    "input 8x4x6; learned([2, 3], channels=5)",
    "input 8; learned(channels=3)",
    "input 8x6; concat(axis=w)<learned(1) | .>",
    "input 8x6; add<. | learned>",
    "input 8x4x6; layer_scale(0.3)",
    "input 8x4x6; normal_noise",
    "input 8x4x6; bernoulli(0.3)",
    "input 8x4x6; stochastic_depth(0.3)",
    "input 8x4x6; rrelu(lower=0.1, upper=0.7)",
    *(f"input 8x4x6; {item}" for item in ("gelu", "gelu(approximate=tanh)", "layer_norm", "layer_norm(affine=no)", "channel_fc-5")),
    "input 6x9; unfold3/2(pad=1)",
    "input 6x9x8; unfold(kernel=3x2, stride=2x1, pad=1x0, dilation=1x2)",
    "input 6x9x8; crop(4x5)",
]
RESIZING = [
    *(f"input 4x{size}; upsample(size={to})" for size, to in (("14", 2), ("5", 7), ("21", 3), ("41", 82), ("7", 7), ("14x20", "4x12"))),
    *(f"input 4x{size}; upsample{factor}" for size in ("5", "5x6", "3x2x4") for factor in (2, 3)),
    *(
        f"input 4x5x7; upsample({size}, mode={mode}, align_corners={corners})"
        for mode in ("bilinear", "bicubic")
        for corners in ("no", "yes")
        for size in ("scale=2", "scale=3x2", "size=9x4", "size=1x1")
    ),
    *(f"input 4x5x7; upsample({size}, mode={mode}, antialias=yes)" for mode in ("bilinear", "bicubic") for size in ("scale=2", "size=3x9")),
    *(f"input 4x5; upsample({size}, mode=linear{more})" for size in ("scale=2", "size=3") for more in ("", ", align_corners=yes")),
    *(
        f"input 4x{size}; adaptive_{kind}pool({to})"
        for kind in ("avg", "max")
        for size, to in (("7", 3), ("7", 1), ("10x7", "4x3"), ("10x7", "5x9"), ("9x7", "3x1"), ("8x6", "4x3"), ("4x5x6", "3x2x6"))
    ),
    *(
        f"input 4x{size}; {kind}pool{kernel}/{stride}(pad={pad}, ceil={ceil}{more})"
        for kind, more in (("max", ""), ("avg", ""), ("avg", ", count_pad=no"))
        for size in ("7", "6x7")
        for kernel, stride, pad in ((2, 2, 0), (2, 2, 1), (3, 2, 0), (3, 2, 1), (3, 3, 0), (2, 3, 1))
        for ceil in ("no", "yes")
    ),
    "input 12x4x6; pixel_shuffle2",
    "input 3x4x6; space_to_depth2",
    "input 12x4x6; channel_shuffle(3)",
]
FAMILIES = {
    "attention": ATTENTION,
    "windows": WINDOWS,
    "pooled": POOLED,
    "recurrent": RECURRENT,
    "computed": COMPUTED,
    "classic": CLASSIC,
    "tokens": TOKENS,
    "resizing": RESIZING,
}
STEPS = {"resizing": 4, "computed": 3, "classic": 2, "recurrent": 2}  # by day one of so many; each next one differs in one setting
CASES = [
    pytest.param(text, id=text, marks=[pytest.mark.slow] if number % STEPS.get(name, 1) else [])
    for name, family in FAMILIES.items()
    for number, text in enumerate(family)
]


@pytest.mark.parametrize("text", CASES)
def test_the_file_computes_what_torch_computes(text: str, tmp_path: Path) -> None:
    agrees(compiled(graph_of(text)), tmp_path / "net.onnx")


OPSETS = [ATTENTION[1], ATTENTION[5], ATTENTION[11], ATTENTION[13], WINDOWS[0], WINDOWS[1], WINDOWS[7], POOLED[0], RECURRENT[4], TOKENS[-6]]


@pytest.mark.parametrize("text", OPSETS)
@pytest.mark.parametrize("opset", [18, 24])
def test_other_opsets(opset: int, text: str, tmp_path: Path) -> None:
    agrees(compiled(graph_of(text), opset=opset), tmp_path / "net.onnx")


@pytest.mark.parametrize("opset", [None, 18, 23, 24, 25])
def test_attention_is_the_operator_where_onnxruntime_has_a_kernel(opset: int | None, tmp_path: Path) -> None:
    """Elsewhere onnxruntime replaces it by its definition, sixty nodes."""
    settings = {} if opset is None else {"opset": opset}
    model = agrees(compiled(graph_of(ATTENTION[1]), **settings), tmp_path / "net.onnx")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "run.onnx")
    onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), options)
    operators = [node.op_type for node in onnx.load(tmp_path / "run.onnx").graph.node]
    assert ("Attention" in operators) == (opset in (23, 24))
    assert len(operators) <= len(model.graph.node)


OPENED = [
    "input 12xL; multihead_attention(3)",
    "input 12xHxW; multihead_attention(3, causal=yes)",
    "input 36xHxW; attention(3)",
    "input 6xL; lstm-5(layers=2, bidirectional=yes)",
    "input 6xL; gru-5(last=yes)",
    "input L; embedding(10, 6)",
    "input 8xL; concat(axis=w)<learned(1) | .>",
    "input 8xHxW; normal_noise",
    "input 6xHxW; conv3-8(weight=scaled)",
    "input 3xHxW; subsample2",
    "input 8xHxW; upsample(size=7x9, mode=bilinear)",
    "input 8xHxW; upsample(scale=2)",
    "input 8xHxW; upsample(size=7x9)",
    "input 8xHxW; adaptive_avgpool(7x3)",
    "input 8xHxW; adaptive_avgpool(1x9)",
    "input 8xLxHxW; adaptive_maxpool(4x1x10)",
    "input 8xHxW; crop(5)",
    "input 4xHxW; unfold3/2(pad=1, dilation=2)",
    "input 4xL; unfold(kernel=2, stride=4)",
    "input 4xHxW; unfold2; crop(3)",
    *(
        f"input 4xHxW; {kind}pool{kernel}/{stride}(pad={pad}, ceil=yes{more})"
        for kind, more in (("max", ""), ("avg", ""), ("avg", ", count_pad=no"))
        for kernel, stride, pad in ((3, 2, 1), (2, 3, 1), (2, 2, 1))
    ),
    "input 4xLx3; avgpool3/2(pad=1, ceil=yes)",
]
OPEN_WINDOWS = [
    "input 12xHxW; window_attention(3, window=4, pad=yes)",
    "input 12xHxW; window_attention(3, window=4, shift=1, pad=yes)",
    "input 12xHxW; window_attention(3, window=8x5, shift=3x2, pad=yes)",  # at some sizes one window covers an axis, which is not shifted
    "input 12xHx9; window_attention(3, window=4x3, shift=1, pad=yes, similarity=cosine, position=continuous)",
    "input 12xHxW; window_attention(3, window=3x4, grid=yes, pad=yes)",
    "input 12xL; window_attention(3, window=4, shift=2, pad=yes, position=none)",
    "input 4xLxHxW; window_attention(2, window=2x3x3, shift=1x0x2, pad=yes)",
]


@pytest.mark.parametrize("text", [*OPENED, *OPEN_WINDOWS])
def test_sizes_stay_open(text: str, tmp_path: Path) -> None:
    network = compiled(graph_of(text))
    agrees(network, tmp_path / "net.onnx")
    other = Compiled(network.graph, 0, network.module, random_inputs(network.graph, 3, sizes=OTHERS))
    assert difference(session(tmp_path / "net.onnx").run(None, tensors(other)), expected(other)) <= CLOSE


def test_blocks_of_open_maps_become_channels(tmp_path: Path) -> None:
    agrees(compiled(graph_of("input 3xHxW; space_to_depth2")), tmp_path / "net.onnx")


def test_sizes_that_no_window_divides_fail_when_the_file_runs(tmp_path: Path) -> None:
    network = compiled(graph_of("input 12xHxW; window_attention(3, window=4)"))
    sizes = {"H": 8, "W": 12}
    first = Compiled(network.graph, 0, network.module, random_inputs(network.graph, 2, sizes=sizes))
    agrees(first, tmp_path / "net.onnx")
    bad = Compiled(network.graph, 0, network.module, random_inputs(network.graph, 2, sizes={"H": 8, "W": 11}))
    with pytest.raises(Exception, match=r"(?i)bounds"):
        session(tmp_path / "net.onnx").run(None, tensors(bad))


@pytest.mark.parametrize("causal", ["no", "yes"])
def test_the_operator_keeps_open_rows(causal: str, tmp_path: Path) -> None:
    agrees(compiled(graph_of(f"input 36xL; attention(3, causal={causal})"), opset=24), tmp_path / "net.onnx")


# ---- numbers


def test_noise_that_is_always_drawn_has_its_distribution(tmp_path: Path) -> None:
    text = "input 8x40x50; normal: normal_noise(when=always); output normal; ones: bernoulli(0.3, when=always); output ones"
    network = compiled(graph_of(text), opset=21)
    write(network, tmp_path / "net.onnx")
    run = session(tmp_path / "net.onnx")
    first, second = (run.run(None, tensors(network)) for _ in range(2))
    for normal, ones in (first, second):
        assert abs(normal.mean()) < 0.05
        assert abs(normal.std() - 1) < 0.05
        assert set(np.unique(ones)) == {0.0, 1.0}
        assert abs(ones.mean() - 0.3) < 0.05
    assert not np.array_equal(first[0], second[0])
    assert not np.array_equal(first[1], second[1])


@pytest.mark.parametrize("item", ["normal_noise(when=always)", "bernoulli(0.3, when=always)"])
def test_noise_that_onnxruntime_does_not_draw_is_refused(item: str, tmp_path: Path) -> None:
    with pytest.raises(ArchError, match="--opset 21"):
        write(compiled(graph_of(f"input 8; {item}")), tmp_path / "net.onnx")


def test_masked_products_leave_no_subnormal_weights(tmp_path: Path) -> None:
    """Weights of e^-100 are subnormal numbers, whose products take a hundred times as long."""
    network = compiled(graph_of(WINDOWS[1]))
    write(network, tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    (weights,) = (node.output[0] for node in model.graph.node if node.op_type == "Softmax")
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(weights))
    found = ReferenceEvaluator(model).run([weights], tensors(network))[0]
    assert found[found > 0].min() >= np.finfo(np.float32).tiny
    assert (found < 1e-30).any()  # some are masked


HALF = [ATTENTION[0], ATTENTION[4], WINDOWS[1], WINDOWS[8], RECURRENT[0], COMPUTED[0], COMPUTED[2], CLASSIC[0], TOKENS[0], TOKENS[7]]


@pytest.mark.parametrize("text", HALF)
def test_half_precision(text: str, tmp_path: Path) -> None:
    agrees(compiled(graph_of(text), dtype="float16"), tmp_path / "net.onnx", close=0.03)  # 0.0105 for shifted windows with cosines


# ---- whole networks
