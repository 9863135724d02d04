"""Operators as lowered: the shapes and weights of every record's example are PyTorch's, and numbers where conventions differ."""

from __future__ import annotations

import itertools
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from archc import load, loads
from archc.compiler.backends.torch.lower import random_inputs
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.record import Operator
from archc.tests.support import ROOT

RECORDS = [operator for operator in OPERATORS.values() if not operator.opaque]


def example(operator: Operator) -> str:
    return operator.example.replace("; ", "\n", 1)


# ---- numbers of those operators that have conventions


def run(text: str, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = loads(text).lower().eval()(x)
    return result


@pytest.mark.parametrize(
    ("options", "value", "interior", "edge"),
    [
        ("k=2, form=sum", 1.0, 0.594492094, 0.594536673),
        ("k=2", 1.0, 0.594581261, 0.594590179),
        ("", 1.0, 0.999925007, 0.999955002),
        ("k=2, form=sum", 100.0, 23.236808, None),
        ("k=2", 100.0, 43.869134, None),
        ("", 100.0, 59.460356, None),
    ],
)
def test_lrn_conventions(options: str, value: float, interior: float, edge: float | None) -> None:
    # By arithmetic from the formulas of the AlexNet paper, cuda-convnet's layer file and Caffe.
    out = run(f"input 7x1x1\nlrn({options})", torch.full((1, 7, 1, 1), value))
    assert out[0, 3].item() == pytest.approx(interior, rel=1e-5)
    if edge is not None:
        assert out[0, 0].item() == pytest.approx(edge, rel=1e-5)


def test_spatial_lrn_is_caffes_formula() -> None:
    out = run("input 1x5x5\nlrn(size=3, alpha=9, beta=0.5, form=spatial)", torch.ones(1, 1, 5, 5))
    assert out[0, 0, 2, 2].item() == pytest.approx((1 + 9) ** -0.5)
    assert out[0, 0, 0, 0].item() == pytest.approx((1 + 4) ** -0.5)  # the padding counts in the divisor


def caffe_pool(size: int, kernel: int, stride: int, pad: int) -> int:
    """Caffe's rule (pooling_layer.cpp): round up; with padding only, leave out a window that starts past the input."""
    out = -((size + 2 * pad - kernel) // -stride) + 1
    return out - 1 if pad and (out - 1) * stride >= size + pad else out


def test_caffes_pools_differ_from_pytorchs_only_where_the_stride_leaps_over_the_kernel() -> None:
    different = set()
    for size in range(4, 12):
        for kernel, stride, pad in itertools.product(range(1, 5), range(1, 5), range(3)):
            if pad * 2 > kernel:
                continue
            ours = loads(f"input 1x{size}x{size}\nmaxpool{kernel}/{stride}(pad={pad}, ceil=yes)")["maxpool1"][1]
            assert ours == torch.nn.MaxPool2d(kernel, stride, pad, ceil_mode=True)(torch.zeros(1, 1, size, size)).shape[-1]
            if ours != caffe_pool(size, kernel, stride, pad):
                different.add((kernel, stride, pad))
    assert different
    assert all(pad == 0 and kernel < stride for kernel, stride, pad in different)


def test_the_mean_counts_padding_but_not_the_overhang() -> None:
    # Windows start at -1, 1 and 3; the last reaches one past the right padding, which ceil alone brings in.
    out = run("input 1x4x4\navgpool3/2(pad=1, ceil=yes)", torch.ones(1, 1, 4, 4))
    row = torch.tensor([2 / 3, 1, 1 / 2])
    assert torch.allclose(out[0, 0], row[:, None] * row[None, :])


def test_subsample_sums_scales_and_shifts() -> None:
    module = loads("input 1x2x2\nsubsample2").lower()
    module.subsample1.weight.data.fill_(2.0)
    module.subsample1.bias.data.fill_(0.5)
    assert module(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).item() == 20.5


def test_rbf_is_the_squared_distance() -> None:
    module = loads("input 3\nrbf-2").lower()
    module.rbf1.codes.copy_(torch.tensor([[1.0, 1.0, 1.0], [-1.0, 1.0, -1.0]]))
    assert module(torch.tensor([[1.0, 1.0, 0.0]])).tolist() == [[1.0, 5.0]]


def test_scaled_tanh_is_one_at_one() -> None:
    assert run("input 1\nscaled_tanh", torch.tensor([[1.0]])).item() == pytest.approx(1.0, abs=1e-4)


def test_connection_table_is_a_dense_convolution_with_zeros() -> None:
    module = loads("input 3x6x6\nconv3-2(from=[[0, 1], [2]])").lower()
    weight = torch.zeros(2, 3, 3, 3)
    weight[0, 0], weight[0, 1], weight[1, 2] = module.conv1.weight.detach()
    x = torch.randn(2, 3, 6, 6)
    assert torch.equal(module(x), torch.conv2d(x, weight, module.conv1.bias))


def test_stochastic_depth_drops_whole_samples_in_training_only() -> None:
    module = loads("input 4x2x2\nstochastic_depth(0.5)").lower().eval()
    x = torch.ones(64, 4, 2, 2)
    assert torch.equal(module(x), x)
    module.train()
    torch.manual_seed(0)
    kept = module(x).flatten(1)
    assert {tuple(set(row.tolist())) for row in kept} == {(0.0,), (2.0,)}


class _Pools(TorchDispatchMode):
    """Notes the arguments of every mean pool that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[object, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "avg_pool" in func.name() and "adaptive" not in func.name():
            self.given.append((*args[1:], *(kwargs or {}).values()))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("operator", RECORDS, ids=lambda operator: operator.name)
def test_no_operator_needs_what_the_exporter_to_onnx_drops(operator: Operator) -> None:
    """ONNX has no `divisor_override`, the seventh argument of a mean pool; torch's exporter leaves it out without a word."""
    net = loads(example(operator))
    with _Pools() as pools, torch.device("meta"):
        net.lower().eval()(*random_inputs(net.graph, 2, "meta"))
    assert all(len(given) < 6 or given[5] is None for given in pools.given)
    assert pools.given or operator.name not in ("avgpool", "subsample")


def test_lenet5_is_exported_as_it_runs(tmp_path: Path) -> None:
    module, x = load(ROOT / "archs/lenet5.arch").lower().eval(), torch.randn(3, 1, 32, 32)
    program = torch.export.export(module, (x,))
    pools = [node for node in program.graph.nodes if "avg_pool2d" in str(node.target)]
    assert len(pools) == 2 and all(len(node.args) < 7 and "divisor_override" not in node.kwargs for node in pools)
    with torch.no_grad():
        expected = module(x)
    assert torch.equal(program.module()(x), expected)
    if find_spec("onnx") is None or find_spec("onnxscript") is None:
        return
    torch.onnx.export(module, (x,), tmp_path / "lenet5.onnx", dynamo=True)
    evaluator = import_module("onnx.reference").ReferenceEvaluator(str(tmp_path / "lenet5.onnx"))
    (found,) = evaluator.run(None, {evaluator.input_names[0]: x.numpy()})
    assert torch.allclose(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-3)
