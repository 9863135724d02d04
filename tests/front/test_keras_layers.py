"""Keras: shared layers and models, constants of a normalization, names of layers, and damaged configurations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archc import loads
from archc.compiler.analysis.cost import cost
from archc.compiler.errors import UsageError
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.keras import read
from archc.compiler.frontends.keras.reader import Reader
from archc.compiler.graph import ArchGraph
from archc.compiler.reading import read_text
from archc.tests.support import caffe, darknet, keras


def graph_of(data: object) -> ArchGraph:
    return Reader("net").read(data).graph


def text_of(data: object, folder: Path, **options: Any) -> str:
    (folder / "net.json").write_text(json.dumps(data))
    return read_text(str(folder / "net.json"), **options).text


# ---- shared layers


def test_shared_layers_are_shared_parts(tmp_path: Path) -> None:
    reader = Reader("net")
    graph = reader.read(keras.siamese()).graph
    keys = {node.name: node.key for node in graph if node.key != node.name}
    assert keys == {
        **{f"tower{call}.{part}": f"tower.{part}" for call in (1, 2) for part in ("conv", "relu1", "bn")},
        **{f"proj{call}.{part}": f"proj.{part}" for call in (1, 2) for part in ("proj", "relu1")},
    }
    assert cost(graph).params == (3 * 9 + 1) * 4 + 2 * 4 + 5 * 5 + 11 * 2
    assert reader.stored["tower.conv"] == [("tower.conv.weight", "conv"), ("tower.conv.bias", "same")]
    assert reader.stored["proj"] == [("proj.proj.weight", "dense"), ("proj.proj.bias", "same")]
    text = text_of(keras.siamese(), tmp_path)
    assert "share tower {" in text and "share proj {" in text
    assert loads(text).params == cost(graph).params


def test_a_layer_may_be_called_on_its_own_result() -> None:
    dense = keras.shared(keras.layer("Dense", "step", units=4), ["x"], ["tanh:0"])
    tanh = keras.shared(keras.layer("Activation", "tanh", activation="tanh"), ["step:0"], ["step:1"])
    net = keras.functional([keras.source("x", 4), tanh, dense], ["x"], ["tanh"])
    assert [node.op for node in graph_of(net)] == ["input", "fc", "tanh"]  # the second call makes nothing that is used
    net["config"]["output_layers"] = [["tanh", 1, 0]]
    graph = graph_of(net)
    assert graph["step2.step"].key == graph["step1.step"].key == "step.step"
    assert [node.op for node in graph] == ["input", "fc", "tanh", "fc", "tanh"]


def test_the_names_of_calls_are_free() -> None:
    dense = keras.shared(keras.layer("Dense", "a", units=4), ["x"], ["a1"])
    graph = graph_of(keras.functional([keras.source("x", 4), dense, keras.layer("Dense", "a1", "a", units=4)], ["x"], ["a1"]))
    assert [node.name for node in graph] == ["x", "a_call1.a", "a1"]


def test_a_shared_layer_within_a_shared_model_is_refused() -> None:
    step = keras.shared(keras.layer("Dense", "step", units=4), ["y"], ["step:0"])
    inner = keras.functional([keras.source("y", 4), step], ["y"], ["step"], "inner")
    inner["config"]["output_layers"] = [["step", 1, 0]]
    outer = keras.functional([keras.source("x", 4), keras.shared(inner, ["x"], ["inner:0"])], ["x"], ["inner"])
    with pytest.raises(CannotRead, match=r"Dense in inner\.step: a shared layer within a shared model"):
        graph_of(outer)


# ---- normalization


def normalized(**config: Any) -> dict[str, Any]:
    return keras.functional([keras.source("x", 6, 6, 3), keras.layer("Normalization", "n", "x", **config)], ["x"], ["n"])


def test_a_normalization_by_one_number_is_arithmetic() -> None:
    graph = graph_of(normalized(axis=None, mean=0.5, variance=[[[[0.25]]]]))
    assert [(node.op, list(node.attrs.values())) for node in graph][1:] == [("shift", [-0.5]), ("scale", [2.0])]
    same = graph_of(normalized(axis=-1, mean=[1.0, 1.0, 1.0], variance=1.0))
    assert [node.op for node in same][1:] == ["shift"]


def test_a_normalization_by_channels_has_its_numbers_as_weights(tmp_path: Path) -> None:
    reader = Reader("net")
    graph = reader.read(normalized(axis=[-1], mean=[[[[1.0, 2.0, 3.0]]]], variance=[4.0, 5.0, 6.0])).graph
    assert [node.op for node in graph][1:] == ["bn"]
    assert reader.constants == {"n.running_mean": [1.0, 2.0, 3.0], "n.running_var": [4.0, 5.0, 6.0]}
    (tmp_path / "net.json").write_text(json.dumps(normalized(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0])))
    with pytest.raises(CannotRead, match="save the model as"):
        read(tmp_path / "net.json")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"mean": [1.0, 2.0], "variance": 1.0}, "`mean` has 2 numbers for 3 channels"),
        ({"mean": "x", "variance": 1.0}, "`mean` is numbers, not x"),
        ({"mean": 1.0}, "`variance` is numbers, not None"),
        ({"mean": 1.0, "variance": 0.0}, "a variance of less than"),
        ({"mean": 1.0, "variance": 1.0, "invert": True}, "the inverse"),
        ({"mean": 1.0, "variance": 1.0, "axis": 1}, "only the channels"),
    ],
)
def test_a_wrong_normalization(config: dict[str, Any], said: str) -> None:
    with pytest.raises(CannotRead, match=said):
        graph_of(normalized(**config))


# ---- names


def test_names_of_layers_are_kept_where_that_is_asked(tmp_path: Path) -> None:
    plain = text_of(keras.lenet(), tmp_path)
    assert "c1:" not in plain
    text = text_of(keras.lenet(), tmp_path, names=True)
    assert all(f"{label}: " in text for label in ("c1", "c3", "c5", "f6"))
    assert loads(text).graph["c1"].key == "c1"
    (tmp_path / "googlenet.prototxt").write_text(caffe.googlenet())
    made = read_text(str(tmp_path / "googlenet.prototxt"), names=True)
    assert "inception_3a" in made.text and made.reading.blocks >= 1
    (tmp_path / "net.cfg").write_text(darknet.small())
    with pytest.raises(UsageError, match="has no names of layers"):
        read_text(str(tmp_path / "net.cfg"), names=True)


# ---- damaged configurations


@pytest.mark.parametrize(
    "change",
    [
        {"layers": [1]},
        {"layers": [None]},
        {"layers": "x"},
        {"layers": [keras.source("x", 4), {**keras.layer("ReLU", "b"), "inbound_nodes": [1]}]},
        {"layers": [keras.source("x", 4), {**keras.layer("ReLU", "b"), "inbound_nodes": [{"args": 3, "kwargs": []}]}]},
        {"layers": [keras.source("x", 4), {**keras.layer("ReLU", "b"), "inbound_nodes": {"args": 3}}]},
        {"layers": [keras.source("x", 4), {**keras.layer("ReLU", "b"), "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__"}]}]}]},
        {"layers": [keras.source("x", 4), keras.layer("ZeroPadding2D", "b", "x", padding=["a"])]},
        {"layers": [keras.source("x", 4, 4, 3), keras.layer("Cropping2D", "b", "x", cropping=None)]},
        {"output_layers": [["x", "y", "z"]]},
        {"input_layers": 3},
    ],
)  # fmt: skip
def test_damaged_configurations_are_refused(change: dict[str, Any]) -> None:
    net = keras.functional([keras.source("x", 4), keras.layer("ReLU", "b", "x")], ["x"], ["b"])
    net["config"] |= change
    with pytest.raises(CannotRead):
        graph_of(net)
