"""ONNX files: accepted by onnx's checker, with the shapes that it infers, equal to torch in onnxruntime, the same bytes every time."""

from __future__ import annotations

import os
import re
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from archc import load, loads
from archc.compiler.backends import Compiled
from archc.compiler.backends.onnx.write import OPSET, write
from archc.compiler.backends.weights import tensors_of
from archc.compiler.driver import check_text
from archc.compiler.files import CannotWrite
from archc.compiler.graph import ArchGraph
from archc.compiler.ops.record import Operator
from archc.compiler.results.compilation import Request, compilation
from archc.dsl.errors import ArchError
from archc.tests.support import FILES, ROOT
from archc.tests.support.onnx_files import (
    check_shapes,
    compiled,
    difference,
    dims,
    evaluated,
    expected,
    feed,
    has_spread,
    inlined,
    ran,
    state_keys,
    written,
)
from archc.tests.support.records import COMPUTED, example, graph_of

CLOSE = 1e-5  # of the spread of the output
# Rounding in a thousand layers; and in standardized weights before group norms, which are not folded into each other.
DEEP = {"cifar_resnet1202": 2e-5, "resnetv2_50x1_bit": 3e-5}


def assert_whole(network: Compiled, path: Path, close: float = CLOSE) -> onnx.ModelProto:
    """The file is right in all that can be checked: shapes, names, places, and what it computes."""
    model = written(network, path)
    check_shapes(model, network)
    assert {tensor.name for tensor in model.graph.initializer} <= state_keys(network)
    assert [value.name for value in model.graph.input] == [node.name for node in network.graph.inputs]
    assert [value.name for value in model.graph.output] == list(network.program().outputs)
    assert difference(ran(path, feed(network)), expected(network)) < close
    return model


# ---- operators

LARGE = 10_000_000  # weights


@pytest.mark.parametrize("operator", COMPUTED, ids=lambda operator: operator.name)
def test_every_record_is_written(operator: Operator, tmp_path: Path) -> None:
    graph = graph_of(operator)
    if sum(prod(shape) for node in graph for shape in node.operator.weights(node.call).values()) > LARGE:
        graph = loads(example(operator).partition("=>")[0], inputs="8x7x7").graph  # fewer of the same
    network = compiled(graph)
    model = assert_whole(network, tmp_path / "net.onnx")
    labels = {step.name for step in network.program().steps if step.kind != "input"}
    assert labels <= {node.name for node in model.graph.node}


# Settings that change what is written, and that no example has.
FORMS = [
    "input 3x7x9\nconv3x2-4/2x1(pad=1x0, dilation=1x2, pad_mode=reflect)",
    "input 3x7x9\nconv3-4(pad=2, pad_mode=replicate)",
    "input 3x7x9\nconv3-4(pad=2, pad_mode=circular)",
    "input 3x9\nconv3-4/2(pad=1, groups=1, bias=no)",
    "input 4x5x6x7\nconv3-6(pad=1, groups=2)",
    "input 4x6\nconvt3-6/2(pad=1, out_pad=1, groups=2)",
    "input 4x5x4x3\nconvt2-2/2",
    "input 4x5x6\nconvt3-2/2(dilation=2)",
    "input 2x11x8\nmaxpool3/2(ceil=yes)",
    "input 2x11x8\nmaxpool2/3(ceil=yes, dilation=2)",
    "input 2x13\nmaxpool3/2(pad=1, ceil=yes)",
    "input 2x6x7x8\nmaxpool3/2(pad=1)",
    "input 2x11x8\navgpool3/2(pad=1, ceil=yes)",
    "input 2x11x8\navgpool3/2(pad=1, ceil=yes, count_pad=no)",
    "input 2x10x8\navgpool3/2(ceil=yes)",
    "input 2x9\navgpool3/2(pad=1)",
    "input 2x6x7x8\navgpool2/2",
    "input 2x7x10\nadaptive_avgpool(3x5)",
    "input 2x7x10\nadaptive_maxpool(3x5)",
    "input 2x7x10\nadaptive_avgpool(1x4)",
    "input 2x8\nadaptive_avgpool4",
    "input 2x6x4x8\nadaptive_maxpool(2x1x3)",
    "input 2x5x4\nupsample(size=11x7)",
    "input 2x5x4\nupsample(size=10x12)",
    "input 2x5x4\nupsample(scale=3, mode=bilinear)",
    "input 2x5x4\nupsample(size=11x7, mode=bilinear, align_corners=yes)",
    "input 2x5x4\nupsample(size=11x9, mode=bicubic)",
    "input 2x5x4\nupsample(scale=2, mode=bicubic, align_corners=yes)",
    "input 2x5\nupsample(scale=2)",
    "input 2x3x4x5\nupsample(scale=2)",
    "input 2x9x8\ncrop(4x5)",
    "input 8x4x4\nprelu",
    "input 8\nprelu(8)",
    "input 8x4x4\ngelu(approximate=tanh)",
    "input 8x4x4\nelu(0.3)\ncelu(0.7)",
    "input 8x4x4\nsoftmax(axis=h)\nlog_softmax(axis=w)",
    "input 8x4x4\nclamp(min=-0.5)",
    "input 8x4x4\nhardshrink(0.3)\nsoftshrink(0.1)",
    "input 8x4x4\npow(3.0)",
    "input 8\nbn\nlayer_norm\nrms_norm\nl2_norm",
    "input 8x5\nbn(affine=no)\ngroup_norm(4)\nlayer_norm(affine=no)\nrms_norm(affine=no)\ninstance_norm",
    "input 8x3x4x5\nbn\ngroup_norm(2, affine=no)\nlayer_norm\ninstance_norm(affine=yes)\nrms_norm",
    "input 8x5x5\nlrn(4, alpha=0.1, beta=0.75, k=2)",
    "input 8x5x5\nlrn(5, alpha=0.1, beta=0.75, k=2, form=spatial)",
    "input 8x5\nlrn(3, alpha=0.1, beta=0.75, k=2)",
    "input 8x6\nchannel_fc-4(bias=no)",
    "input 8\nchannel_fc-4",
    "input 8x6x6\nl2_norm(axis=w)",
    "input 8x6x6\nl2_norm(axis=[c, h])",
    "input 8x6\nstack(axis=w)<. | relu | tanh>",
    "input 8x6x7\nreduce_mean(axis=[c, w], keep=no)",
    "input 8x6x7\nreduce_norm(axis=[h, w])",
    "input 8x6x7\nreduce_var(axis=[h, w])",
    "input 8x6x7\nreduce_var(axis=[c, w], keep=no, unbiased=yes)",
    "input 8x6\ngrn\ngain(0.5)",
    "input 8x6\nmatmul(transpose_b=yes)<. | .>",
    "input 8x6x7\nroll(h=2, w=-3)\nflip(axis=c)",
    "input 8x6x7\nslice(1, 6, step=2, axis=w)\ngather([0, 3, 1], axis=h)",
    "input 8x6\ntoken(-2)",
    "input 3x7x9\nunfold(3x2, stride=2x1, pad=1x0, dilation=1x2)",
    "input 3x9\nunfold(3, stride=2)",
    "input 4x2x5\nlstm-3(rows=yes, bidirectional=yes, layers=2)",
    "input 4x2x5\ngru-3(rows=yes, last=yes)",
    "input 12x5x4\nfold(3x2, stride=2x3, pad=1x0, out_pad=1x2, dilation=1x2)",
    "input 6x5\nfold(3, stride=2)",
    "input 3x1x5\nexpand(h=4)",
    "input 8x3x4x5\ntokens",
    "input 8x4x4\npad(c=[1, 2], h=[0, 3], value=0.5)",
    "input 8x4x4\nadd(broadcast=yes)<. | adaptive_avgpool1>",
    "input 3x6x6\nconv3-2(from=[[0, 1], [2]], pad=1, pad_mode=circular)",
    "input 3x6\nconv3-2(from=[[0, 1], [2]])",
    "input 3x6x6\nconv3-4(weight=standardized)\nconv3-4(weight=scaled)",
    "input 3x6x6\nconv3-4(weight=spectral)\nconvt3-4(weight=spectral)\nfc-4(weight=spectral)",
    "input 8x6x6\nlearned(batch=no)",
    "input 8x4x4\nscale(0.5)\nshift(1.5)\nneg",
    "input a: 4x5x5\nrelu\noutput same: .\noutput again: .\nconv3-4",
]


@pytest.mark.parametrize("text", FORMS, ids=lambda text: text.partition("\n")[2].replace("\n", ";"))
def test_other_settings_are_written(text: str, tmp_path: Path) -> None:
    assert_whole(compiled(loads(text).graph), tmp_path / "net.onnx")


# ---- networks

SMALL: dict[str, dict[str, Any]] = {
    "lenet5": {},
    "cifar_resnet20": {},
    "vae_mnist": {},
    "squeezenet1_1": {"inputs": "3x64x64"},
    "mobilenet_v3_small": {"inputs": "3x64x64"},
    "shufflenet_v2_x0_5": {"inputs": "3x64x64"},
    "efficientnet_b0": {"inputs": "3x64x64"},
}
STD = {
    "vit": ("vit(patch=8, width=32, depth=2, heads=4)", "3x32x32"),
    "convnext": ("convnext(widths=[16, 32, 32, 64], depths=[1, 1, 2, 1], resize=236)", "3x64x64"),
    "densenet": ("densenet(depths=[2, 2, 2, 2])", "3x64x64"),
}


def small(name: str) -> Any:
    if name in SMALL:
        return load(ROOT / f"archs/{name}.arch", **SMALL[name]).graph
    call, inputs = STD[name]
    return loads(f'use "std/{name}.arch"\narch small = {call}\n', inputs=inputs).graph


def by_day(*names: str) -> list[Any]:
    """All small networks; those that are not named are for the night."""
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in (*SMALL, *STD)]


@pytest.mark.parametrize("name", by_day("lenet5", "vae_mnist", "mobilenet_v3_small", *STD))
def test_small_networks_are_whole(name: str, tmp_path: Path) -> None:
    """Inlined and as functions, and at each level, they compute what torch does."""
    network = compiled(small(name))
    wanted = expected(network)
    assert has_spread(wanted)
    inputs = feed(network)
    model = assert_whole(network, tmp_path / "net.onnx")
    for level, functions in ((0, True), (1, False), (2, True)):
        path = tmp_path / f"{level}{functions}.onnx"
        other = Compiled(network.graph, level, network.module, network.inputs, settings={"functions": functions})
        found = written(other, path)
        check_shapes(found, other)
        assert difference(ran(path, inputs), wanted) < CLOSE
        batch_norms = [sum(node.op_type == "BatchNormalization" for node in inlined(one).graph.node) for one in (model, found)]
        assert level < 2 or batch_norms[0] == 0 or batch_norms[1] < batch_norms[0]


@pytest.mark.parametrize("name", by_day("lenet5", "vae_mnist", "vit"))
def test_the_reference_evaluator_agrees(name: str, tmp_path: Path) -> None:
    network = compiled(small(name), batch=1, opset=26)
    model = written(network, tmp_path / "net.onnx")
    assert difference(evaluated(model, feed(network)), expected(network)) < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_network_is_whole(path: Path, tmp_path: Path) -> None:
    graph = load(path, inputs="3x256x224" if path.stem == "vgg16_fcn" else {}).graph
    for level, functions in ((0, False), (2, True)):
        network = compiled(graph, level, batch=1, functions=functions)
        model, wanted = written(network, tmp_path / "net.onnx", apart=False), expected(network)
        assert has_spread(wanted)
        assert difference(ran(tmp_path / "net.onnx", feed(network), 2), wanted) < DEEP.get(path.stem, CLOSE)
        if not functions:
            check_shapes(model, network)


# ---- what a file holds

BLOCKS = """
block unit(c) {
  conv3-{c}(pad=1)
  relu
}
input image: 3xHxW
unit(8)
unit(8)
unit(8)
output map: .
adaptive_avgpool1
output scores: fc-2
"""


def test_names_places_and_sizes_are_those_of_the_file(tmp_path: Path) -> None:
    network = compiled(loads(BLOCKS, inputs="3x8x8").graph)
    model = written(network, tmp_path / "net.onnx")
    nodes = {node.name: node for node in model.graph.node}
    assert {"unit1.conv1", "unit3.relu1", "adaptive_avgpool1", "scores"} <= set(nodes)
    assert nodes["unit1.conv1"].doc_string == "text.arch:3" and nodes["scores"].doc_string == "text.arch:12"
    assert list(nodes["unit1.conv1"].input) == ["image", "unit1.conv1.weight", "unit1.conv1.bias"]
    assert {tensor.name for tensor in model.graph.initializer} == state_keys(network)
    assert [value.name for value in model.graph.output] == ["map", "scores"]
    assert dims(model.graph.input[0]) == ["batch", 3, 8, 8]


def test_open_sizes_are_dimensions_by_name(tmp_path: Path) -> None:
    graph = loads(BLOCKS).graph
    closed = compiled(loads(BLOCKS, inputs="3x8x8").graph)
    path = tmp_path / "net.onnx"
    write(Compiled(graph, 0, closed.module, closed.inputs), path)
    model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    assert dims(model.graph.input[0]) == ["batch", 3, "H", "W"]
    assert dims(model.graph.output[0]) == ["batch", 8, "H", "W"]
    for inputs in ("3x8x8", "3x5x11"):
        network = compiled(loads(BLOCKS, inputs=inputs).graph)
        network.module.load_state_dict(closed.module.state_dict())
        assert difference(ran(path, feed(network)), expected(network)) < CLOSE


OPEN = """
input 8xHxW
channel_shuffle(2)
conv3-16/2(pad=1)
pixel_shuffle(2)
group_norm(2)
concat<maxpool3/1(pad=1) | upsample(scale=2); avgpool2/2>
lrn(3, alpha=0.1, beta=0.75, k=2)
layer_norm
"""


def test_operators_without_numbers_leave_sizes_open(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    first = compiled(loads(OPEN, inputs="8x8x8").graph)
    write(Compiled(loads(OPEN).graph, 0, first.module, first.inputs), path)
    for inputs in ("8x8x8", "8x6x12"):
        network = compiled(loads(OPEN, inputs=inputs).graph)
        network.module.load_state_dict(first.module.state_dict())
        assert difference(ran(path, feed(network)), expected(network)) < CLOSE


@pytest.mark.parametrize("operator", COMPUTED, ids=lambda operator: operator.name)
def test_open_sizes_are_written_or_refused_at_the_line(operator: Operator, tmp_path: Path) -> None:
    """Whatever the sizes of its operands are: the positions are open, and then the channels too."""
    for first in (1, 0):
        report = check_text(opened(example(operator).partition("=>")[0], first))
        if not report.ok:
            continue  # it needs numbers itself
        path = tmp_path / f"{first}.onnx"
        refusal = refused(report.graph, path)
        if refusal is None:
            onnx.checker.check_model(str(path), full_check=True)
        else:
            (diagnostic,) = refusal.diagnostics
            assert diagnostic.span is not None and "--input" in str(refusal) and not path.exists()


def refused(graph: ArchGraph, path: Path) -> ArchError | None:
    """Write a network whose weights are all 1; return why it is refused, if it is."""
    try:
        arrays = {key: np.ones(shape, np.int64 if whole else np.float32) for key, (shape, whole) in tensors_of(graph).items()}
        write(Compiled(graph, arrays=arrays), path)
    except ArchError as error:
        return error
    return None


def opened(text: str, first: int) -> str:
    """A text whose inputs have a name in place of each size from the given axis on."""
    names = iter("ABCDEFGHIJKLMNOP")

    def named(found: re.Match[str]) -> str:
        return found[1] + "x".join(next(names) if axis >= first else size for axis, size in enumerate(found[2].split("x")))

    return re.sub(r"(input (?:\w+: )?)([\dx]+)", named, text)


def test_equal_blocks_are_one_function_with_their_weights_as_inputs(tmp_path: Path) -> None:
    network = compiled(loads(BLOCKS, inputs="3x8x8").graph, functions=True)
    model = assert_whole(network, tmp_path / "net.onnx")
    (function,) = model.functions
    assert (function.domain, function.name) == ("archc", "unit")
    assert list(function.input) == ["x", "conv1.weight", "conv1.bias"]
    calls = [node for node in model.graph.node if node.domain]
    assert [node.name for node in calls] == ["unit1", "unit2", "unit3"]
    assert list(calls[1].input) == ["unit1.relu1", "unit2.conv1.weight", "unit2.conv1.bias"]
    assert [node.name for node in function.node] == ["conv1", "relu1"]


def test_bytes_depend_neither_on_the_run_nor_on_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for folder in ("first", "second/inner"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "net.arch").write_text(BLOCKS)
        monkeypatch.chdir(tmp_path / folder)
        for functions in (False, True):
            write(compiled(load("net.arch", inputs="3x8x8").graph, functions=functions), tmp_path / folder / "net.onnx")
            found.append((tmp_path / folder / "net.onnx").read_bytes())
    assert found[:2] == found[2:] and found[0] != found[1]
    assert not any(word.encode() in data for data in found for word in (str(tmp_path), os.environ.get("USER") or "root "))


def test_weights_of_float16_and_bfloat16(tmp_path: Path) -> None:
    network = compiled(small("convnext"), dtype="float16")
    assert_whole(network, tmp_path / "net.onnx", close=0.02)
    model = written(compiled(small("vit"), dtype="bfloat16"), tmp_path / "net.onnx")
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert kinds == {onnx.TensorProto.BFLOAT16}


def test_weights_above_the_limit_are_beside_the_model(tmp_path: Path) -> None:
    network = compiled(small("vae_mnist"))
    one = written(network, tmp_path / "one.onnx")
    path = tmp_path / "net.onnx"
    two = written(Compiled(network.graph, 0, network.module, network.inputs, settings={"most": 100_000}), path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net.onnx", "net.onnx.data", "one.onnx"]
    assert path.stat().st_size < 100_000
    assert [node.name for node in two.graph.node] == [node.name for node in one.graph.node]
    assert np.array_equal(onnx.numpy_helper.to_array(two.graph.initializer[0]), onnx.numpy_helper.to_array(one.graph.initializer[0]))
    assert difference(ran(path, feed(network)), expected(network)) < CLOSE


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    network = compiled(small("lenet5"))
    with pytest.raises(CannotWrite):
        write(network, tmp_path / "none" / "net.onnx")
    path = tmp_path / "net.onnx"
    path.write_text("old")
    with pytest.raises(ArchError, match="E0616"):
        write(Compiled(loads("input 8x4x4\nlayer_norm").graph, 0, network.module, network.inputs, settings={"opset": 15}), path)
    assert path.read_text() == "old"


# ---- opsets


@pytest.mark.parametrize("opset", [13, 15, 18, 21, OPSET])
def test_the_opset_is_the_one_that_is_asked_for(opset: int, tmp_path: Path) -> None:
    network = compiled(loads("input 8x6x6\nconv3-8\nbn\ngelu\nreduce_mean(axis=h)\nmish\nfc-3").graph, opset=opset)
    model = assert_whole(network, tmp_path / "net.onnx")
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]


def test_what_an_opset_cannot_say_is_refused_at_its_line(tmp_path: Path) -> None:
    network = compiled(loads("input 8x6x6\nrelu\nlayer_norm").graph, opset=15)
    with pytest.raises(ArchError) as error:
        write(network, tmp_path / "net.onnx")
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.span is not None and diagnostic.span.line == 3
    assert "layer_norm" in diagnostic.message and "opset 15" in diagnostic.message and "opset 17" in diagnostic.message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("opset", [0, 99, "20"])
def test_opsets_that_do_not_exist_are_refused(opset: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(f"not {opset}")):
        write(compiled(small("lenet5"), opset=opset), tmp_path / "net.onnx")


def test_a_second_file_is_said_before_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archc.compiler.backends.onnx.write.MOST", 1000)
    path = tmp_path / "net.onnx"
    said: list[str] = []

    def note(text: str) -> None:
        said.append(f"{text}; there {'is' if path.exists() else 'is not'} a file")

    made = compilation(load(ROOT / "archs/lenet5.arch").graph, Request((path,)), note)
    assert any("its weights are written to net.onnx.data" in text and "there is not a file" in text for text in said)
    assert made.written[0].size == path.stat().st_size + (tmp_path / "net.onnx.data").stat().st_size > 240_000
