"""Files of Darknet, Caffe and Keras as graphs: counts as published, structure as of our own files, and wrong or hostile files refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path

import pytest
from typer.testing import CliRunner

from archc.compiler.analysis.cost import cost
from archc.compiler.analysis.diff import diff
from archc.compiler.driver import check_text
from archc.compiler.errors import UsageError
from archc.compiler.frontends import darknet as darknet_front
from archc.compiler.frontends import keras as keras_front
from archc.compiler.frontends.caffe import reader as caffe_front
from archc.compiler.frontends.caffe.prototext import parse
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.keras import reader as keras_reader
from archc.compiler.graph import ArchGraph
from archc.compiler.library import load
from archc.compiler.reading import read_text
from archc.tests.support import ROOT, caffe, darknet, keras
from archc.ui.verbs.app import app
from archc.ui.verbs.sources import checked


def of_darknet(text: str) -> tuple[ArchGraph, int]:
    """Return the graph, and the size of its `.weights` file."""
    reader = darknet_front.Reader("net", darknet_front.sections(text))
    graph = reader.read().graph
    return graph, 20 + 4 * sum(prod(shape) for layer in reader.stored for _, shape in layer.tensors)


def of_caffe(text: str) -> ArchGraph:
    return caffe_front.Reader("net", parse(text)).read().graph


# The sizes of the files that the authors publish, in bytes, and the BFLOPs that Darknet prints, with 2 for a multiply-accumulate.
@pytest.mark.parametrize(
    ("text", "params", "size", "flops"),
    [
        (darknet.darknet53, 41_609_928, 166_582_580, 18.57),
        (darknet.yolov3, 61_949_149, 248_007_048, 65.86),
        (darknet.yolov3_tiny, 8_852_366, 35_434_956, 5.56),
    ],
)
def test_darknet_as_published(text: Callable[[], str], params: int, size: int, flops: float) -> None:
    graph, stored = of_darknet(text())
    assert cost(graph).params == params
    assert stored == size
    assert 2 * cost(graph).macs / 1e9 == pytest.approx(flops, abs=0.006)  # type: ignore[operator]


def test_darknet_outputs_are_the_raw_predictions() -> None:
    graph, _ = of_darknet(darknet.yolov3())
    shapes = [graph[output.node].shape for output in graph.outputs.values()]
    assert shapes == [(255, 13, 13), (255, 26, 26), (255, 52, 52)]


@pytest.mark.parametrize(
    ("text", "name", "differs"),
    [
        (caffe.lenet, "", set()),
        (caffe.alexnet, "alexnet", {"conv", "fc", "lrn -> lrn(k=2, form=sum)"}),  # the paper's constants of the normalization
        (caffe.vgg16, "vgg16", {"conv", "fc"}),  # which our file also initializes
    ],
)
def test_caffe_is_the_network_of_our_file(text: Callable[[], str], name: str, differs: set[str]) -> None:
    graph = of_caffe(text())
    if not name:
        assert cost(graph).params == 431_080  # as Caffe prints it
        return
    ours = load(ROOT / "archs" / f"{name}.arch").graph
    assert (cost(graph).params, cost(graph).macs) == (cost(ours).params, cost(ours).macs)
    changes = [change for change in diff(graph, ours).changes if change.kind != "renamed"]
    assert {change.subject for change in changes if change.kind != "removed"} == differs
    assert [change.what for change in changes if change.kind == "removed"] == ["softmax"]


@pytest.mark.parametrize(
    ("text", "params", "macs"),
    [
        (partial(caffe.alexnet, reference=True), 60_965_224, 724_406_816),
        (caffe.googlenet, 6_998_552, 1_582_671_872),
        (caffe.resnet50, 25_557_032, 3_857_973_248),
    ],
)
def test_caffe_counts(text: Callable[[], str], params: int, macs: int) -> None:
    graph = of_caffe(text())
    assert (cost(graph).params, cost(graph).macs) == (params, macs)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the first section"),
        ("[convolutional]\nsize=3\n", "the first section"),
        ("[net]\nwidth=4\n", "channels, height and width"),
        ("[net]\nwidth=4\nheight=4\nchannels=3\n[convolutional]\nfilters=x\n", "`filters` is a whole number, not x"),
        ("[net]\nwidth=4\nheight=4\nchannels=3\n[convolutional]\nfilters=2\nsparse=1\n", "`sparse` is not known"),
        ("[net]\nwidth=4\nheight=4\nchannels=3\n[capsule]\n", "[capsule] in line 5"),
        ("[net]\nwidth=4\nheight=4\nchannels=3\n[route]\nlayers=-2\n", "no earlier section -2"),
        ("[net]\nwidth=4\nheight=4\nchannels=3\n[convolutional]\nfilters=2\nsize=9\n", "does not accept it"),
        ("[net]\nwidth=4\nheight=4\nchannels=3\n[convolutional]\nfilters=2\ngroups=2\n", "3 channels cannot be divided into 2 groups"),
        ("[net]\nwidth=4\nheight=4\nchannels=3\n[convolutional]\nactivation=stair\n", "activation stair is not known"),
        ("[net]\nwidth=99999999999999999999\nheight=4\nchannels=3\n", "whole number"),
        ("hello\n", "neither a section nor a setting"),
    ],
)
def test_wrong_darknet(text: str, said: str) -> None:
    with pytest.raises(CannotRead) as refused:
        of_darknet(text)
    assert said in str(refused.value)


HEAD = caffe.head("net", 3, 8, 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no layer"),
        ("layer {", "prototxt in line"),
        ("layer { name: 'a' }}", "not protobuf's text format"),
        (HEAD + caffe.layer("Capsule", "a", "data"), "Capsule in a, line 3"),
        (HEAD + caffe.layer("ReLU", "a", "b"), "takes b, which no layer before it makes"),
        (HEAD + caffe.conv("a", "data", 4, 9), "does not accept it"),
        (HEAD + caffe.conv("a", "data", 4, 3, group=2), "3 channels cannot be divided into 2 groups"),
        (HEAD + caffe.conv("a", "data", 4, 3, sparsity=2), "`sparsity` is not known"),
        (HEAD + caffe.layer("Scale", "a", "data"), "directly after a BatchNorm"),
        (HEAD + caffe.conv("a", "data", 4, 3) + caffe.conv("a", "a", 4, 3), "two layers have this name"),
        ("a {" * 60 + "}" * 60, "nested more than 50 deep"),
        ("layer { name: 'd' type: 'Data' top: 'data' }", "shape of what it reads is not in the file"),
        ("layer " * 100_000, "not protobuf's text format"),
    ],
)
def test_wrong_caffe(text: str, said: str) -> None:
    with pytest.raises(CannotRead) as refused:
        of_caffe(text)
    assert said in str(refused.value)


def of_keras(data: object) -> ArchGraph:
    return keras_reader.Reader("net").read(data).graph


@pytest.mark.parametrize(
    ("config", "params"),
    [
        (keras.lenet, 61_706),
        (keras.vgg16, 138_357_544),  # as keras.applications documents them, without the statistics of batch norms
        (keras.resnet50, 25_583_592),
    ],
)
def test_keras_counts(config: Callable[[], object], params: int) -> None:
    assert cost(of_keras(config())).params == params


def test_keras_flattens_in_its_own_order() -> None:
    flattening = next(node for node in of_keras(keras.lenet()) if node.op == "rearrange")
    assert str(flattening.attrs["pattern"]).strip('"') == "c h w -> (h w c)"


def test_keras_pads_the_end_more() -> None:
    net = keras.sequential([keras.source("x", 8, 8, 3), keras.layer("Conv2D", "a", filters=4, kernel_size=3, strides=2, padding="same")])
    pads = [node.attrs for node in of_keras(net) if node.op == "pad"]
    assert [(attrs["h"], attrs["w"]) for attrs in pads] == [((0, 1), (0, 1))]


SMALL = [keras.source("x", 8, 8, 3), keras.layer("Conv2D", "a", "x", filters=4, kernel_size=3)]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "lacks class_name and config"),
        ({"class_name": "Mine", "config": {"layers": []}}, "a class of its own is code"),
        (keras.sequential([]), "no layer in it"),
        (keras.sequential([keras.layer("Dense", "a", units=3)]), "the shape of its input is not in the file"),
        (keras.sequential([keras.source("x", 4), keras.layer("Lambda", "a", function="x")]), "Lambda in a"),
        (keras.sequential([keras.source("x", 4), keras.layer("Dense", "a", units="3")]), "`units` is a whole number, not 3"),
        (keras.sequential([keras.source("x", 4), keras.layer("Dense", "a", units=3, activation="stairs")]), "activation stairs"),
        (keras.sequential([keras.source("x", 4), keras.layer("Dense", "a", units=3, sparsity=2)]), "its setting `sparsity` (2)"),
        (keras.sequential([keras.source("x", 4, 4), keras.layer("Conv1D", "a", filters=2, kernel_size=5)]), "does not accept it"),
        (keras.functional(SMALL, ["x"], ["b"]), "its output b is no layer"),
        (keras.functional([*SMALL, keras.layer("ReLU", "b", "c")], ["x"], ["b"]), "its operands are not in the file"),
        (keras.functional([keras.source("x", None, None, 3)], ["x"], ["x"]), "build the model for an input of fixed sizes"),  # type: ignore[arg-type]
        (keras.functional([*SMALL, keras.layer("Reshape", "b", "a", target_shape=[4, 36])], ["x"], ["b"]), "a reshape"),
        (keras.functional([*SMALL, keras.layer("Conv2D", "b", "a", filters=2, kernel_size=3, data_format="channels_first")], ["x"], ["b"]),
         "only the layout channels_last"),
    ],
)  # fmt: skip
def test_wrong_keras(data: object, said: str) -> None:
    with pytest.raises(CannotRead) as refused:
        of_keras(data)
    assert said in str(refused.value)


def test_hostile_keras_files(tmp_path: Path) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    bomb = tmp_path / "bomb.keras"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (keras_front.MAX_BYTES + 1))
    empty = tmp_path / "empty.keras"
    empty.write_bytes(b"")
    for path, said in ((deep, "nested more than"), (bomb, "larger than 64 MiB"), (empty, "no `.keras` archive")):
        with pytest.raises(CannotRead, match=said):
            keras_front.read(path)


@pytest.mark.parametrize(
    ("name", "text", "most"),
    [
        ("yolov3.cfg", darknet.yolov3, 19),
        ("darknet53.cfg", darknet.darknet53, 12),
        ("vgg16.prototxt", caffe.vgg16, 14),
        ("googlenet.prototxt", caffe.googlenet, 18),
        ("resnet50.prototxt", caffe.resnet50, 17),
        ("resnet50.json", lambda: json.dumps(keras.resnet50()), 18),
    ],
)
def test_files_become_short_texts(name: str, text: Callable[[], str], most: int, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text())
    made = read_text(str(path))
    report = check_text(made.text)
    assert report.ok and len(report.claims) >= 2
    assert cost(report.graph) == cost(made.flat.graph)
    assert made.reading.lines <= most


def test_tools_take_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lenet.prototxt").write_text(caffe.lenet())
    monkeypatch.chdir(tmp_path)
    report = checked(Path("lenet.prototxt"))
    assert report.ok and cost(report.graph).params == 431_080
    with pytest.raises(CannotRead, match="No such file"):
        checked(Path("none.prototxt"))
    for what, says in {"lenet.prototxt": "output      20x24x24, by conv5-20", "lenet.prototxt:conv1": "5*5*1*20 + 20 = 520"}.items():
        told = CliRunner().invoke(app, ["explain", what])
        assert told.exit_code == 0 and says in told.output, told.output
    (tmp_path / "other.prototxt").write_text(caffe.lenet())
    told = CliRunner().invoke(app, ["diff", "lenet.prototxt", "other.prototxt"])
    assert told.exit_code == 0 and "are the same network" in told.output
    told = CliRunner().invoke(app, ["read", "lenet.prototxt", "-o", "lenet.arch", "-o", "lenet.safetensors"])
    assert told.exit_code == 1 and "holds no weights" in told.output and not (tmp_path / "lenet.arch").exists()
    with pytest.raises(UsageError, match="has its weights itself"):
        read_text("lenet.json", weights="x")
