"""ONNX files as networks: archc's own come back as they were, those of other writers compute the same, hostile ones are refused."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from archc import load, loads
from archc.compiler.frontends import read as read_source
from archc.compiler.frontends.item import CannotCompare, CannotRead
from archc.compiler.frontends.onnx import running
from archc.compiler.frontends.onnx.sources import read
from archc.compiler.frontends.onnx.windows import distances, mask_of
from archc.compiler.frontends.torch.proof import proved
from archc.compiler.frontends.unfolding import unfolded
from archc.compiler.passes import run
from archc.compiler.passes.drop_identities import drop_identities
from archc.compiler.passes.drop_training import drop_training
from archc.compiler.reading import read_text
from archc.tests.support import ROOT, commands
from archc.tests.support.onnx_reading import difference, differences, hollow, reread, stir
from archc.tests.support.pytorch import torchvision_models

ARCHS = ROOT / "archs"
CLOSE = 1e-5  # of the spread of the output
LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))

# ---- archc's own files

SMALL = [
    "cifar_resnet20", "squeezenet1_1", "mobilenet_v3_small", "convnext_tiny", "alexnet", "unet", "vit_b_32", "shufflenet_v2_x0_5",
    "lenet5", "vae_mnist", "seq2seq_attention", "vgg16_fcn",
]  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_networks_come_back(name: str, tmp_path: Path) -> None:
    assert reread(load(str(ARCHS / f"{name}.arch")).graph, tmp_path / "net.onnx") == []


@pytest.mark.slow
@pytest.mark.parametrize("functions", [False, True])
@pytest.mark.parametrize("path", sorted(ARCHS.glob("*.arch")), ids=lambda path: path.stem)
def test_every_network_comes_back(path: Path, functions: bool, tmp_path: Path) -> None:
    assert reread(load(str(path)).graph, tmp_path / "net.onnx", functions) == []


# ---- files of other writers


@pytest.mark.parametrize(
    "path", [path for path in LIGHT if path.stem in ("light_squeezenet", "light_shufflenet")], ids=lambda path: path.stem
)
def test_light_models(path: Path, tmp_path: Path) -> None:
    _held_against(path, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_every_light_model(path: Path, tmp_path: Path) -> None:
    _held_against(path, tmp_path)


def _held_against(path: Path, folder: Path) -> None:
    model = stir(onnx.load(path))
    onnx.save(model, folder / "net.onnx")
    flat = read(folder / "net.onnx")
    assert differences(read(path).graph, flat.graph) == []
    assert difference(folder / "net.onnx", flat) < CLOSE


def test_there_are_nine_light_models() -> None:
    assert len(LIGHT) == 9


def exported(module: torch.nn.Module, path: Path, *shape: int) -> None:
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point() and not tensor.any():
                tensor.normal_(0, 0.1, generator=torch.Generator().manual_seed(len(name)))
    torch.onnx.export(module.eval(), (torch.randn(1, *shape),), dynamo=True, verbose=False).save(path)  # type: ignore[union-attr]


class Mixed(torch.nn.Module):
    """A little of everything that exporters write in several nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.bn = torch.nn.BatchNorm2d(8)
        self.norm = torch.nn.LayerNorm(8)
        self.attn = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        self.mlp = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Linear(16, 8))
        self.gamma = torch.nn.Parameter(torch.full((8,), 0.5))
        self.head = torch.nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        x = torch.nn.functional.hardswish(self.bn(self.stem(x)))
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w).clamp(-1, 2)
        x = x.flatten(2).transpose(1, 2)
        y = self.norm(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        x = x + self.gamma * self.mlp(self.norm(x))
        return self.head(x.mean(1))


@pytest.mark.slow
def test_files_of_torchs_exporter(tmp_path: Path) -> None:
    exported(Mixed(), tmp_path / "net.onnx", 3, 8, 8)
    flat = read(tmp_path / "net.onnx")
    ops = [node.op for node in flat.graph]
    assert "hardswish" in ops and "gelu" in ops and "layer_norm" in ops and "attention" in ops and "layer_scale" in ops
    assert difference(tmp_path / "net.onnx", flat) < CLOSE
    assert {"stem", "mlp.0", "head"} <= {node.key for node in flat.graph}


EXPORTED = [
    "alexnet", "vgg11", "squeezenet1_1", "resnet18", "resnext50_32x4d", "densenet121", "googlenet", "inception_v3", "mobilenet_v2",
    "mobilenet_v3_small", "mnasnet0_5", "shufflenet_v2_x0_5", "efficientnet_b0", "efficientnet_v2_s", "regnet_x_400mf", "regnet_y_400mf",
    "convnext_tiny", "vit_b_32", "swin_t", "swin_v2_t", "maxvit_t",
]  # fmt: skip

UNFOLDED = {"alexnet", "vgg11", "squeezenet1_1", "convnext_tiny", "vit_b_32", "swin_t", "swin_v2_t"}  # they have no batch norms
FOLDED = set(EXPORTED) - UNFOLDED
LOST = re.compile(  # the exporter computes biases of positions and repeats class tokens, and folds batch norms away
    r"eps 0.001 is 1e-05|position continuous is table|^expand is new|^class_token .* is missing|\['class_token', 'tokens1'\] is of"
)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTED)
def test_networks_of_torchs_exporter(name: str, tmp_path: Path) -> None:
    exported(torchvision_models().get_model(name, weights=None), tmp_path / "net.onnx", 3, 224, 224)
    flat = read(tmp_path / "net.onnx")
    assert difference(tmp_path / "net.onnx", flat) < CLOSE
    source = read_source(f"torchvision:{name}{'?aux_logits=False' if name == 'inception_v3' else ''}", [(3, 224, 224)])
    ours = run(source.graph, (drop_training, drop_identities)).graph
    theirs = unfolded(flat) if flat.folded else flat
    assert bool(flat.folded) == (name in FOLDED)
    assert [found for found in differences(ours, theirs.graph) if not LOST.search(found)] == []
    if flat.folded:
        assert difference(tmp_path / "net.onnx", theirs) < CLOSE


# ---- small files


def saved(path: Path, nodes: list[Any], tensors: dict[str, Any] | None = None, shape: Any = (1, 3, 8, 8), **more: Any) -> Path:
    """Write a model with one input `x` and one output `y`."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    stored = [value if isinstance(value, TensorProto) else numpy_helper.from_array(value, name) for name, value in (tensors or {}).items()]
    graph = helper.make_graph(nodes, "net", inputs, outputs, stored)
    domains = [helper.make_opsetid("", 18), *more.pop("domains", [])]
    path.write_bytes(helper.make_model(graph, opset_imports=domains, **more).SerializeToString())
    return path


def node(op: str, inputs: str, outputs: str = "y", **attrs: Any) -> Any:
    return helper.make_node(op, inputs.split(), outputs.split(), name=f"{op}_1", **attrs)


def whole(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


def kernels(*shape: int) -> Any:
    return np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)


def test_weights_of_any_names_have_keys(tmp_path: Path) -> None:
    nodes = [node("Conv", "x a/conv_w_0 b", "c"), node("Relu", "c", "d"), node("GlobalAveragePool", "d", "e"), node("Flatten", "e", "f"),
             node("MatMul", "f matrix", "g"), node("Add", "g 17", "y")]  # fmt: skip
    tensors = {"a/conv_w_0": kernels(4, 3, 3, 3), "b": kernels(4), "matrix": kernels(4, 5), "17": kernels(5)}
    path = saved(tmp_path / "net.onnx", nodes, tensors, shape=("n", 3, 8, 8))
    flat = read(path)
    assert [(each.op, each.key) for each in flat.graph if each.op in ("conv", "fc")] == [("conv", "a.conv"), ("fc", "matrix")]
    assert difference(path, flat) < CLOSE


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_types_of_weights(kind: str, tmp_path: Path) -> None:
    import ml_dtypes

    array = kernels(4, 3, 1, 1).astype(getattr(ml_dtypes, kind, None) or kind)
    flat = read(saved(tmp_path / "net.onnx", [node("Conv", "x w")], {"w": array}))
    assert flat.weights is not None
    (found,) = flat.weights().values()
    assert found.dtype == array.dtype and (found == array).all()


def test_padding_before_a_maximum(tmp_path: Path) -> None:
    nodes = [
        node("Pad", "x p low", "a"),
        node("MaxPool", "a", "b", kernel_shape=[2, 2]),
        node("MaxPool", "b", kernel_shape=[3, 3], pads=[1, 0, 0, 1]),
    ]
    nodes[-1].name = "last"
    tensors = {"p": whole(0, 0, 1, 0, 0, 0, 0, 1), "low": np.array(-np.inf, np.float32)}
    flat = read(saved(tmp_path / "net.onnx", nodes, tensors))
    assert [each.op for each in flat.graph][1:] == ["pad", "maxpool", "pad", "maxpool"]
    assert difference(tmp_path / "net.onnx", flat) == 0


def test_bare_files_become_the_shorter_text(tmp_path: Path) -> None:
    nodes, tensors, last = [], {}, "x"
    for at in range(6):
        tensors |= {f"w{at}_a": kernels(3, 3, 3, 3), f"w{at}_b": kernels(3, 3, 1, 1)}
        nodes += [
            node("Conv", f"{last} w{at}_a", f"a{at}", pads=[1] * 4),
            node("Relu", f"a{at}", f"r{at}"),
            node("Conv", f"r{at} w{at}_b", f"c{at}"),
        ]
        nodes += [node("Add", f"c{at} {last}", f"s{at}" if at < 5 else "y")]
        last = f"s{at}"
    made = read_text(str(saved(tmp_path / "net.onnx", nodes, tensors)))
    assert made.reading.lines < 10 and " x6" in made.text, made.text
    assert made.tensors() is not None
    assert proved(made.flat, loads(made.text).graph, renamed=made.renamed).difference < CLOSE


def test_open_sizes_are_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.onnx", [node("Conv", "x w")], {"w": kernels(4, 3, 1, 1)}, shape=("n", 3, "h", "w"))
    with pytest.raises(CannotRead, match="--input"):
        read(path)
    assert [tuple(each.shape) for each in read(path, [(3, 9, 9)]).graph][-1] == (4, 9, 9)


# ---- attention within windows


def windowed(path: Path, mask: float = -100.0, bias: Any = None) -> Path:
    """Write shifted windows of 4x4 in a map of 4x8x8, two heads, as torch's exporter does: bias and mask are tensors."""
    parts: list[Any] = []
    sizes: dict[str, Any] = {}

    def then(op: str, inputs: str, outputs: str, *numbers: int, **attrs: Any) -> None:
        if numbers:
            sizes[f"{outputs}_n"] = whole(*numbers)
            inputs += f" {outputs}_n"
        parts.append(helper.make_node(op, inputs.split(), outputs.split(), **attrs))

    def roll(x: str, y: str, axis: int, start: int) -> None:
        for name, begin, end in ((f"{y}_1", start, 8), (f"{y}_2", 0, start)):
            sizes.update({f"{name}_b": whole(begin), f"{name}_e": whole(end), f"{name}_a": whole(axis)})
            then("Slice", f"{x} {name}_b {name}_e {name}_a", name)
        then("Concat", f"{y}_1 {y}_2", y, axis=axis)

    then("Transpose", "x", "last", perm=[0, 2, 3, 1])
    roll("last", "r1", 1, 2)
    roll("r1", "r2", 2, 2)
    then("Reshape", "r2", "w1", 1, 2, 4, 2, 4, 4)
    then("Transpose", "w1", "w2", perm=[0, 1, 3, 2, 4, 5])
    then("Reshape", "w2", "w3", 4, 16, 4)
    then("MatMul", "w3 a.qkv", "p1")
    then("Add", "p1 a.qkv.bias", "p2")
    then("Reshape", "p2", "p3", 4, 16, 3, 2, 2)
    then("Transpose", "p3", "p4", perm=[2, 0, 3, 1, 4])
    for place, name in enumerate("qkv"):
        sizes[f"at{place}"] = np.array(place)
        then("Gather", f"p4 at{place}", name, axis=0)
    sizes["factor"] = np.array(2**-0.5, np.float32)
    then("Mul", "q factor", "scaled")
    then("Transpose", "k", "turned", perm=[0, 1, 3, 2])
    then("MatMul", "scaled turned", "s1")
    then("Add", "s1 bias", "s2")
    then("Reshape", "s2", "s3", 1, 4, 2, 16, 16)
    then("Add", "s3 mask", "s4")
    then("Reshape", "s4", "s5", 4, 2, 16, 16)
    then("Softmax", "s5", "s6", axis=-1)
    then("MatMul", "s6 v", "o1")
    then("Transpose", "o1", "o2", perm=[0, 2, 1, 3])
    then("Reshape", "o2", "o3", 4, 16, 4)
    then("MatMul", "o3 a.proj", "o4")
    then("Add", "o4 a.proj.bias", "o5")
    then("Reshape", "o5", "m1", 1, 2, 2, 4, 4, 4)
    then("Transpose", "m1", "m2", perm=[0, 1, 3, 2, 4, 5])
    then("Reshape", "m2", "m3", 1, 8, 8, 4)
    roll("m3", "b1", 1, 6)
    roll("b1", "b2", 2, 6)
    then("Transpose", "b2", "y", perm=[0, 3, 1, 2])
    apart = np.where(mask_of((8, 8), (4, 4), (2, 2)), mask, 0.0).astype(np.float32)
    if bias is None:
        bias = kernels(49, 2)[distances((4, 4))].transpose(2, 0, 1)
    tensors = {"a.qkv": kernels(4, 12), "a.qkv.bias": kernels(12), "a.proj": kernels(4, 4), "a.proj.bias": kernels(4)}
    return saved(
        path, parts, {**sizes, **tensors, "bias": bias.reshape(1, 2, 16, 16), "mask": apart.reshape(1, 4, 1, 16, 16)}, (1, 4, 8, 8)
    )


def test_windows_of_other_writers(tmp_path: Path) -> None:
    flat = read(windowed(tmp_path / "net.onnx"))
    (found,) = [each for each in flat.graph if not each.is_input]
    assert (found.op, found.attrs["window"], found.attrs["shift"], found.attrs["heads"]) == ("window_attention", (4, 4), (2, 2), 2)
    assert proved(flat, flat.graph).difference < CLOSE
    assert flat.weights is not None
    assert next(array for key, array in flat.weights().items() if key.endswith("table")).tobytes() == kernels(49, 2).tobytes()


@pytest.mark.parametrize("more", [{"mask": -50.0}, {"bias": kernels(2, 16, 16)}], ids=["mask", "bias"])
def test_windows_with_other_constants_are_refused(more: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match=r"mask|distance"):
        read(windowed(tmp_path / "net.onnx", **more))


def test_equal_tensors_that_are_stored_once(tmp_path: Path) -> None:
    nodes = [node("LayerNormalization", "x ones zeros", "a"), node("Relu", "a", "b"), node("LayerNormalization", "b ones zeros", "y")]
    path = saved(tmp_path / "net.onnx", nodes, {"ones": np.ones(8, np.float32), "zeros": np.zeros(8, np.float32)}, ("n", 4, 8))
    assert read_text(str(path)).text.count("layer_norm") == 2
    assert len({each.key for each in read(path).graph if each.op == "layer_norm"}) == 2


# ---- steps of archc's own files


@pytest.mark.parametrize("text", [
    "input 8x14x14\nwindow_attention(2, window=7, shift=3)\nx: window_attention(2, window=4, pad=yes, position=none, scale=0.3)",
    "input 8x8x8\nwindow_attention(4, window=4, grid=yes, keys=to_qkv)",
        "input 8x8x8\nwindow_attention(2, window=4, position=continuous, similarity=cosine)",
    "input 8x17\npooled_attention(2, sizes=1x4x4, out=12, stride_kv=1x2x2)\npooled_attention(3, sizes=1x4x4, relative=no, residual=no)",
    "input 4x6x6\nmaxpool2/5(dilation=3, ceil=yes)",
    "input 8x6\nlstm-5(layers=2, bidirectional=yes)\ngru-4(last=yes, bias=no)\nfc-3",
    "input 6x9x9\nunfold3/2(pad=1, dilation=2)\nconv3-8(weight=scaled(gamma=1.5))\nconv3-4(pad=1, pad_mode=reflect, weight=spectral)",
    "input 6x9x9\nconv3-8(pad=2, pad_mode=circular)\nsubsample3\nconvt2-4(weight=spectral)\nflatten\nfc-3(weight=spectral)\nrbf-2",
    "input 4x8x8\na: conv1-4\nb: roll(h=3, w=-2)\nc: stack(axis=d)<. | @a>\nm: mean<. | @c | .>\ncelu(2)",
    "input 6x9x9\nlrn\nlrn(size=4, alpha=0.3, beta=0.5, k=2)\nlrn(size=3, form=spatial)\nlrn(size=9, alpha=1, beta=1)",
        "input 4x8x8\nz: mul<. | normal_noise>\nthreshold(0.1, 2)",
])  # fmt: skip
def test_steps_of_several_nodes_come_back(text: str, tmp_path: Path) -> None:
    graph = loads(text).graph
    assert reread(graph, tmp_path / "net.onnx") == []
    assert reread(graph, tmp_path / "net.onnx", functions=True) == []


def changed(model: onnx.ModelProto, op: str, **attrs: Any) -> onnx.ModelProto:
    """A model in which the first node of an operator has other attributes."""
    node = next(node for node in model.graph.node if node.op_type == op)
    kept = [attribute for attribute in node.attribute if attribute.name not in attrs]
    del node.attribute[:]
    node.attribute.extend([*kept, *(helper.make_attribute(name, value) for name, value in attrs.items())])
    return model


def test_labels_are_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(changed(hollow(loads("input 4x6\ngru: gru-5").graph, False), "GRU", linear_before_reset=0).SerializeToString())
    with pytest.raises(CannotRead, match="GRU in gru"):
        read(path)
    path.write_bytes(
        changed(hollow(loads("input 8x8x8\nwindow_attention(2, window=4)").graph, False), "Gather", axis=1).SerializeToString()
    )
    with pytest.raises(CannotRead):
        read(path)


def test_open_sizes_of_own_files(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    assert reread(loads("input 3xHxW\nconv3-8/2(pad=1)\nmaxpool2\nadaptive_avgpool1\nfc-2").graph, path) == []
    graph = loads("input 3xHxW\nconv3-8\nupsample(size=9)").graph
    path.write_bytes(hollow(graph, False).SerializeToString())
    with pytest.raises(CannotRead, match="--input"):
        read(path)


# ---- the proof


def network(path: Path) -> Path:
    nodes = [node("Conv", "x w b", "c"), node("BatchNormalization", "c s t m v", "n"), node("Relu", "n", "r"), node("Flatten", "r", "f"),
             node("MatMul", "f matrix", "y")]  # fmt: skip
    tensors = {"w": kernels(4, 3, 3, 3), "b": kernels(4), "s": kernels(4), "t": kernels(4), "m": kernels(4), "v": np.abs(kernels(4))}
    return saved(path, nodes, {**tensors, "matrix": kernels(144, 5)}, shape=("n", 3, 8, 8))


def test_a_file_is_held_against_what_was_read(tmp_path: Path) -> None:
    flat = read(network(tmp_path / "net.onnx"))
    assert flat.weights is not None
    before = flat.weights()
    found = proved(flat, flat.graph)
    assert found.difference < CLOSE and found.by.startswith("onnxruntime ") and found.keys == 8
    assert all((flat.weights()[key] == array).all() for key, array in before.items())
    other = loads("input 3x8x8\nconv: conv3-4\nbn: bn\nsigmoid\nflatten\nmatrix: fc-5(bias=no)").graph
    assert proved(flat, other).difference > 0.05


def test_a_file_is_held_against_without_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "find_spec", lambda name: None)
    flat = read(network(tmp_path / "net.onnx"))
    found = proved(flat, flat.graph)
    assert found.difference < CLOSE and found.by.startswith("the evaluator of onnx")
    monkeypatch.setattr(running, "SMALL", 1)
    with pytest.raises(CannotCompare, match="onnxruntime is not installed"):
        proved(flat, flat.graph)


def test_the_verb_compares(tmp_path: Path) -> None:
    done = commands.archc("read", str(network(tmp_path / "net.onnx")), "--json")
    found = json.loads(done.stdout)
    assert found["operators"] == 5 and found["keys"] == 8 and found["difference"] < CLOSE and found["compared"].startswith("onnxruntime")
    done = commands.archc("read", str(tmp_path / "net.onnx"), "--no-proof", "-o", str(tmp_path / "net.arch"))
    assert "8 keys" in done.stderr and "difference" not in done.stderr


# ---- hostile files

OUTSIDE = ["../secret", "/etc/passwd", "a/../../secret", "..\\secret", "C:\\secret", "", "link", "missing"]


@pytest.mark.parametrize("location", OUTSIDE)
def test_tensors_outside_of_the_folder_are_refused(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"\0" * 48)
    os.symlink(tmp_path / "secret", folder / "link")
    tensor = TensorProto(name="w", dims=(4, 3, 1, 1), data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    path = saved(folder / "net.onnx", [node("Conv", "x w")], {"w": tensor})
    with pytest.raises(CannotRead):
        read(path).weights()  # type: ignore[misc]


def test_tensors_in_the_folder_are_read(tmp_path: Path) -> None:
    array = kernels(4, 3, 1, 1)
    (tmp_path / "net.data").write_bytes(b"pad!" + array.tobytes())
    tensor = TensorProto(name="w", dims=array.shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "net.data"), ("offset", "4"), ("length", str(array.nbytes))):
        tensor.external_data.add(key=key, value=value)
    flat = read(saved(tmp_path / "net.onnx", [node("Conv", "x w")], {"w": tensor}))
    assert flat.weights is not None and (next(iter(flat.weights().values())) == array).all()
    (tmp_path / "net.data").write_bytes(b"short")
    with pytest.raises(CannotRead, match="too short"):
        flat.weights()


def huge(**more: Any) -> TensorProto:
    return TensorProto(name="w", data_type=TensorProto.FLOAT, **more)


def inner() -> Any:
    return helper.make_graph([], "inner", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, [])])


CALL = helper.make_opsetid("f", 1)
MINE = helper.make_opsetid("me", 1)


def called(name: str) -> Any:
    return helper.make_node(name, ["x"], ["y"], domain="f")


LOOP = helper.make_function("f", "again", ["a"], ["b"], [helper.make_node("again", ["a"], ["b"], domain="f")], [CALL])
TWICE = [
    helper.make_function(
        "f", f"f{depth}", ["a"], ["c"],
        [helper.make_node(f"f{depth + 1}", [a], [b], domain="f") for a, b in (("a", "b"), ("b", "c"))], [CALL],
    )
    for depth in range(40)
] + [helper.make_function("f", "f40", ["a"], ["c"], [helper.make_node("Relu", ["a"], ["c"])], [helper.make_opsetid("", 18)])]  # fmt: skip

REFUSED: dict[str, tuple[list[Any], dict[str, Any], dict[str, Any], str]] = {
    "a circle": ([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")], {}, {}, "circle"),
    "a missing value": ([node("Relu", "nothing")], {}, {}, "nothing makes"),
    "a value twice": ([node("Relu", "x"), node("Relu", "x")], {}, {}, "twice"),
    "a huge tensor": ([node("Conv", "x w")], {"w": huge(dims=(2**40, 2**40))}, {}, "shape of w"),
    "a negative size": ([node("Conv", "x w")], {"w": huge(dims=(-1, 3))}, {}, "shape of w"),
    "too few data": ([node("Conv", "x w")], {"w": huge(dims=(4, 3, 1, 1), raw_data=b"1234")}, {}, "another shape"),
    "no data": ([node("Conv", "x w")], {"w": huge(dims=(4, 3, 1, 1))}, {}, "another shape"),
    "an If": ([helper.make_node("If", ["x"], ["y"], name="if", then_branch=inner(), else_branch=inner())], {}, {}, "If in if"),
    "another domain": ([helper.make_node("Fancy", ["x"], ["y"], name="f1", domain="me")], {}, {"domains": [MINE]}, "Fancy in f1"),
    "training": ([helper.make_node("Adam", ["x"], ["y"], name="a", domain="ai.onnx.preview.training")], {}, {}, "trains"),
    "a function that calls itself": ([called("again")], {}, {"functions": [LOOP], "domains": [CALL]}, "deep"),
    "functions that call others twice": ([called("f0")], {}, {"functions": TWICE, "domains": [CALL]}, "more than"),
    "a huge constant": ([node("ConstantOfShape", "s", "c"), node("Add", "x c")], {"s": whole(2**30, 2**30)}, {}, "shape"),
    "a huge range": (
        [node("Range", "a b c", "r"), node("Expand", "x r")],
        {"a": np.array(0), "b": np.array(2**40), "c": np.array(1)}, {}, "Range",
    ),
    "an unknown operator": ([node("NonZero", "x")], {}, {}, "NonZero in NonZero_1"),
    "a wrong reshape": ([node("Reshape", "x s")], {"s": np.array([1, 7, -1], np.int64)}, {}, "reshape"),
    "no operand": ([helper.make_node("Sub", ["x"], ["y"])], {}, {}, "number of operands"),
    "no attribute": ([node("Concat", "x x")], {}, {}, "lacks the attribute axis"),
    "an attribute of another kind": ([node("Softmax", "x", axis="one")], {}, {}, "another kind"),
    "no axis": ([node("Softmax", "x", axis=9)], {}, {}, "axis"),
    "no dependence": ([node("Identity", "w")], {"w": kernels(3)}, {}, "does not depend"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_hostile_files_are_refused(case: str, tmp_path: Path) -> None:
    nodes, tensors, more, message = REFUSED[case]
    with pytest.raises(CannotRead, match=message):
        read(saved(tmp_path / "net.onnx", nodes, tensors, **more))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path / "net.onnx", [node("Conv", "x w")], {"w": kernels(4, 3, 1, 1)}).read_bytes()
    for data in (b"", b"\xff" * 100, b"not onnx", whole[: len(whole) // 2], whole[:-1]):
        (tmp_path / "net.onnx").write_bytes(data)
        with pytest.raises(CannotRead):
            read(tmp_path / "net.onnx")


def test_only_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for path in (tmp_path, tmp_path / "pipe.onnx", tmp_path / "missing.onnx"):
        with pytest.raises(OSError, match=r"regular|directory"):
            read(path)


@pytest.mark.slow
def test_long_networks_are_read(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", [f"v{at}" if at else "x"], [f"v{at + 1}"]) for at in range(100_000)]
    nodes.append(node("Relu", f"v{len(nodes)}"))
    assert len(list(read(saved(tmp_path / "net.onnx", nodes)).graph)) == len(nodes) + 1


FLIPPED = [
    "input 3x8x8\nconv3-4(pad=1)\nbn\nrelu\nmaxpool2\nfc-3", "input 8x4\nresidual<layer_norm; multihead_attention(2)>\nfc-2",
    "input 8x8x8\nwindow_attention(2, window=4, shift=2)", "input 4x5\ngru-3\nlstm-2(last=yes)",
    "input 3xHxW\nconv3-4(pad=1, pad_mode=reflect)\nadaptive_avgpool1\nfc-2", "input 4x6x6\nunfold3\nroll(h=1)\nconv3-2(weight=scaled)",
]  # fmt: skip


@pytest.mark.slow
def test_flipped_bytes_raise_nothing_else(tmp_path: Path) -> None:
    draw = random.Random(0)
    for text in FLIPPED:
        reread(loads(text).graph, tmp_path / "net.onnx")
        whole = (tmp_path / "net.onnx").read_bytes()
        for _ in range(500):
            data = bytearray(whole)
            for _ in range(draw.choice((1, 1, 2, 8))):
                data[draw.randrange(len(data))] = draw.randrange(256)
            (tmp_path / "flipped.onnx").write_bytes(data)
            with contextlib.suppress(CannotRead):
                read(tmp_path / "flipped.onnx")
