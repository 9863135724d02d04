"""Files of Darknet and Caffe with their weights: read, folded into a text, written as safetensors, and held against plain PyTorch."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from archc import loads
from archc.compiler.backends.torch.lower import lower
from archc.compiler.backends.weights import save_arrays
from archc.compiler.frontends.caffe import weights as caffe_weights
from archc.compiler.reading import Read, read_text
from archc.tests.support import caffe, darknet


def random(*shape: int, seed: int) -> Any:
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype(np.float32)


def result(made: Read, x: Tensor, tmp_path: Path) -> Tensor:
    """What the text computes with the weights that were written beside it, which load strictly."""
    from safetensors.torch import load_file

    tensors = made.tensors()
    assert tensors is not None
    save_arrays(tensors, tmp_path / "net.safetensors")
    net = lower(loads(made.text).graph).eval()
    net.load_state_dict(load_file(tmp_path / "net.safetensors"), strict=True)
    with torch.no_grad():
        found: Tensor = net(x)
    return found


def darknet_forward(text: str, values: Iterator[np.ndarray[Any, Any]], x: Tensor) -> Tensor:
    """What Darknet computes for the sections of `darknet.small`, written from its documentation."""
    activations = {"leaky": lambda t: F.leaky_relu(t, 0.1), "mish": F.mish, "logistic": torch.sigmoid}
    results: list[Tensor] = []
    for part in text.split("[")[2:]:
        kind, _, body = part.partition("]\n")
        given = dict(line.split("=") for line in body.splitlines())
        if kind == "convolutional":
            size, groups, filters = int(given["size"]), int(given.get("groups", 1)), int(given["filters"])
            pad = size // 2 if given.get("pad") == "1" else int(given.get("padding", 0))
            if "batch_normalize" in given:
                beta, gamma, mean, var = (torch.tensor(next(values)) for _ in range(4))
            else:
                bias = torch.tensor(next(values))
            weight = torch.tensor(next(values)).reshape(filters, x.shape[1] // groups, size, size)
            x = F.conv2d(x, weight, None if "batch_normalize" in given else bias, int(given.get("stride", 1)), pad, 1, groups)
            if "batch_normalize" in given:
                x = F.batch_norm(x, mean, var, gamma, beta, eps=1e-5)
            x = activations[given["activation"]](x)
        elif kind == "maxpool":
            size, stride = int(given["size"]), int(given["stride"])
            before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
            x = F.max_pool2d(F.pad(x, (before, after, before, after), value=-torch.inf), size, stride)
        elif kind == "route":
            taken = [results[int(number)] for number in given["layers"].split(",")]
            groups, group = int(given.get("groups", 1)), int(given.get("group_id", 0))
            x = torch.cat([t.chunk(groups, 1)[group] for t in taken], 1)
        elif kind == "upsample":
            x = F.interpolate(x, scale_factor=int(given["stride"]))
        elif kind == "connected":
            bias = torch.tensor(next(values))
            x = activations[given["activation"]](F.linear(x.flatten(1), torch.tensor(next(values)).reshape(len(bias), -1), bias))
        elif kind == "softmax":
            x = x.softmax(1)
        else:
            assert kind == "dropout"
        results.append(x)
    return x


def test_darknet_with_weights(tmp_path: Path) -> None:
    text = darknet.small()
    path, weights = tmp_path / "net.cfg", tmp_path / "net.weights"
    path.write_text(text)
    from archc.compiler.frontends.darknet import Reader, sections

    reader = Reader("net", sections(text))
    reader.read()
    values = [
        np.abs(random(*shape, seed=at)) + 0.5 if key.endswith("running_var") else random(*shape, seed=at)
        for at, (key, shape) in enumerate(tensor for layer in reader.stored for tensor in layer.tensors)
    ]
    weights.write_bytes(struct.pack("<iiiq", 0, 2, 0, 0) + b"".join(value.tobytes() for value in values))
    x = torch.tensor(random(2, 4, 13, 15, seed=99))
    made = read_text(str(path), weights=str(weights))
    expected = darknet_forward(text, iter(values), x)
    assert float(expected.max() - expected.min()) > 1e-3
    assert torch.allclose(result(made, x, tmp_path), expected, atol=1e-6)


PARTS = (
    caffe.head("net", 3, 11, 11)
    + caffe.conv("conv1", "data", 8, 3, pad=1, bias_term="false")
    + caffe.layer("BatchNorm", "bn1", "conv1", "conv1")
    + caffe.layer("Scale", "scale1", "conv1", "conv1", "scale", bias_term="true")
    + caffe.relu("relu1", "conv1")
    + caffe.pool("pool1", "conv1", 3, 2)
    + caffe.conv("conv2/a b", "pool1", 8, 3, pad=1, group=2)
    + caffe.layer("PReLU", "prelu2", "conv2/a b")
    + caffe.layer("Eltwise", "sum", ["pool1", "prelu2"])
    + caffe.pool("mean", "sum", 2, 2, "AVE")
    + caffe.fc("fc", "mean", 7)
)


def test_caffe_with_weights(tmp_path: Path) -> None:
    shapes = {"conv1": [(8, 3, 3, 3)], "bn1": [(8,), (8,), (1,)], "scale1": [(8,), (8,)], "conv2/a b": [(8, 4, 3, 3), (8,)],
              "prelu2": [(8,)], "fc": [(7, 72), (7,)]}  # fmt: skip
    net = caffe_weights._net()()
    blobs: dict[str, list[Tensor]] = {}
    for number, (name, sizes) in enumerate(shapes.items()):
        layer = net.layer.add(name=name)
        for place, size in enumerate(sizes):
            value = random(*size, seed=10 * number + place)
            if name == "bn1":
                value = np.array([2.0], np.float32) if place == 2 else np.abs(value) + 1
            layer.blobs.add(data=value.ravel().tolist()).shape.dim.extend(size)
            blobs.setdefault(name, []).append(torch.tensor(value))
    path, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    path.write_text(PARTS)
    weights.write_bytes(net.SerializeToString())
    x = torch.tensor(random(2, 3, 11, 11, seed=99))
    mean, var, factor = blobs["bn1"]
    y = F.conv2d(x, blobs["conv1"][0], padding=1)
    y = F.relu(F.batch_norm(y, mean / factor, var / factor, *blobs["scale1"], eps=1e-5))
    y = F.max_pool2d(y, 3, 2, ceil_mode=True)
    y = y + F.prelu(F.conv2d(y, *blobs["conv2/a b"], padding=1, groups=2), blobs["prelu2"][0])
    y = F.avg_pool2d(y, 2, 2, ceil_mode=True)
    expected = F.linear(y.flatten(1), *blobs["fc"])
    made = read_text(str(path), weights=str(weights))
    assert torch.allclose(result(made, x, tmp_path), expected, atol=1e-5)
