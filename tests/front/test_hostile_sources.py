"""Damaged and hostile files of other frameworks are refused with a reason: no traceback, no memory that a file only claims to need."""

from __future__ import annotations

import copy
import json
import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archc.compiler.frontends import read as read_source
from archc.compiler.frontends.caffe.prototext import parse
from archc.compiler.frontends.caffe.reader import Reader as CaffeReader
from archc.compiler.frontends.darknet import Reader as DarknetReader
from archc.compiler.frontends.darknet import sections
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.keras.reader import Reader as KerasReader
from archc.tests.support import caffe, darknet, keras
from archc.tests.support.refusals import outcome

VALUES: tuple[Any, ...] = (None, True, -1, 0, 3, 2**70, 1.5, 1e308, "x", "", [], [1], [[2]], {}, {"class_name": "x", "config": {}})
TOKENS = ("-1", "0", "2.5", "1e99", "nan", "x", '"x"', "true", "{ }", "{ x: 1 }", "[1, 2]", "99999999999999999999999", "9" * 5000, "")


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container in a value with each of its keys."""
    for key, held in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from places(held)


def small_keras() -> dict[str, Any]:
    layers = [
        keras.source("x", 8, 8, 3),
        keras.layer("ZeroPadding2D", "pad", "x", padding=[[1, 1], [1, 1]]),
        keras.layer("Conv2D", "a", "pad", filters=4, kernel_size=[3, 3], strides=[2, 2], padding="same", activation="relu"),
        keras.layer("BatchNormalization", "bn", "a", axis=-1, epsilon=1e-3),
        keras.layer("MaxPooling2D", "pool", "bn", pool_size=[2, 2], strides=[2, 2]),
        keras.layer("SeparableConv2D", "s", "pool", filters=4, kernel_size=[1, 1]),
        keras.layer("Add", "sum", "pool", "s"),
        keras.layer("Cropping2D", "crop", "sum", cropping=[[0, 1], [1, 0]]),
        keras.layer("UpSampling2D", "up", "crop", size=[2, 2], interpolation="nearest"),
        keras.layer("Rescaling", "scale", "up", scale=2.0, offset=1.0),
        keras.layer("Concatenate", "both", "scale", "up", axis=-1),
        keras.layer("Normalization", "norm", "both", mean=1.0, variance=[2.0], axis=None),
        keras.layer("GlobalAveragePooling2D", "mean", "norm", keepdims=True),
        keras.layer("Reshape", "row", "mean", target_shape=[8]),
        keras.shared(keras.layer("Dense", "d", units=8, activation="softmax"), ["row"], ["d:0"]),
    ]
    return keras.functional(layers, ["x"], ["d"])


def keras_files(seed: int) -> Iterator[Callable[[], object]]:
    draw = random.Random(seed)
    whole = small_keras()
    for _ in range(60):
        data = copy.deepcopy(whole)
        for _ in range(draw.choice((1, 1, 2))):
            container, key = draw.choice(list(places(data)))
            container[key] = copy.deepcopy(draw.choice(VALUES))
        yield lambda data=data: KerasReader("net").read(json.loads(json.dumps(data)))


def changed(text: str, pattern: str, draw: random.Random) -> str:
    for _ in range(draw.choice((1, 1, 3))):
        found = draw.choice(list(re.finditer(pattern, text)))
        text = text[: found.start()] + draw.choice(TOKENS) + text[found.end() :]
    return text


SMALL_CAFFE = (
    caffe.head("net", 3, 11, 11)
    + caffe.conv("conv1", "data", 8, 3, pad=1, bias_term="false")
    + caffe.layer("BatchNorm", "bn1", "conv1", "conv1")
    + caffe.layer("Scale", "scale1", "conv1", "conv1", "scale", bias_term="true")
    + caffe.layer("LRN", "lrn", "conv1", "lrn", "lrn", local_size=5, alpha=0.1)
    + caffe.pool("pool1", "lrn", 3, 2)
    + caffe.layer("Slice", "cut", "pool1", ["s1", "s2"], "slice", slice_point=3)
    + caffe.layer("Concat", "cat", ["s1", "s2"], "cat", "concat", axis=1)
    + caffe.layer("Eltwise", "sum", ["pool1", "cat"], "sum", "eltwise", operation="SUM")
    + caffe.layer("Power", "pow", "sum", "pow", "power", power=2, scale=0.5, shift=1)
    + caffe.layer("Dropout", "drop", "pow", "drop", "dropout", dropout_ratio=0.5)
    + caffe.fc("fc", "drop", 7)
)


def caffe_files(seed: int) -> Iterator[Callable[[], object]]:
    draw = random.Random(seed)
    for _ in range(60):
        text = changed(SMALL_CAFFE, r"[\w.\"]+|[{}:]", draw)
        yield lambda text=text: CaffeReader("net", parse(text)).read()


def darknet_files(seed: int) -> Iterator[Callable[[], object]]:
    draw = random.Random(seed)
    whole = darknet.small() + "[yolo]\nmask=0,1\n" if "[yolo]" not in darknet.small() else darknet.small()
    for _ in range(60):
        text = changed(whole, r"[\w.,-]+|[\[\]=]", draw)
        yield lambda text=text: DarknetReader("net", sections(text)).read()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 40))])
@pytest.mark.parametrize("files", [keras_files, caffe_files, darknet_files], ids=["keras", "caffe", "darknet"])
def test_damaged_files_are_read_or_refused(files: Callable[[int], Iterator[Callable[[], object]]], seed: int) -> None:
    said = [outcome(read) for read in files(seed)]
    assert len(said) == 60 and sum(map(bool, said)) > 10


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("name", ["net.keras", "net.json", "net.prototxt", "net.cfg"])
def test_a_pipe_is_not_opened(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(CannotRead, match=r"pipe|regular"):
        read_source(str(tmp_path / name))
