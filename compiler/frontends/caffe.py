"""Read Caffe's `.prototxt`, and the weights of its `.caffemodel`: https://caffe.berkeleyvision.org/tutorial/layers.html.

Layers name the blobs that they take and make; a layer may write over its operand. What only training or testing has is left out by its
phase, as are layers that read data or compute losses. Sizes follow Caffe: convolution rounds down, pooling up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from archc.compiler.files import read_regular
from archc.compiler.frontends.flat import CannotRead, Flat, FlatNetwork, writable
from archc.compiler.frontends.prototext import Message, parse

MAX_BYTES = 2**24
TITLE = "read from Caffe"
SOURCES = {"Data", "ImageData", "HDF5Data", "WindowData", "MemoryData", "DummyData", "AnnotatedData"}
LOSSES = {"SoftmaxWithLoss", "Accuracy", "EuclideanLoss", "SigmoidCrossEntropyLoss", "HingeLoss", "MultinomialLogisticLoss", "InfogainLoss"}
OLD = {  # the names of layers before 2014, of the enumeration of V1LayerParameter
    "ARGMAX": "ArgMax", "BNLL": "BNLL", "CONCAT": "Concat", "CONVOLUTION": "Convolution", "DATA": "Data", "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout", "ELTWISE": "Eltwise", "FLATTEN": "Flatten", "IMAGE_DATA": "ImageData", "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN", "POOLING": "Pooling", "POWER": "Power", "RELU": "ReLU", "SIGMOID": "Sigmoid", "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss", "SPLIT": "Split", "SLICE": "Slice", "TANH": "TanH", "ACCURACY": "Accuracy", "ABSVAL": "AbsVal",
    "HDF5_DATA": "HDF5Data", "EUCLIDEAN_LOSS": "EuclideanLoss", "EXP": "Exp",
}  # fmt: skip
# What every layer may state: names, phases, learning rates, and the blobs that a text may hold.
COMMON = {
    "name",
    "type",
    "bottom",
    "top",
    "include",
    "exclude",
    "param",
    "blobs_lr",
    "weight_decay",
    "loss_weight",
    "propagate_down",
    "phase",
}
FILLERS = {"weight_filler", "bias_filler", "filler", "engine"}


@dataclass
class Layer:
    """A layer of the file, and what of its parameters was read."""

    name: str
    kind: str
    given: Message
    parameters: Message

    def refusal(self, reason: str) -> CannotRead:
        """Return the error that refuses this layer."""
        return CannotRead(reason, self.kind, f"{self.name}, line {self.given.line}")

    def known(self, *names: str) -> None:
        """Raise CannotRead for a parameter that is not among these: it might change what is computed."""
        if unknown := sorted(set(self.parameters.fields) - {*names, *FILLERS}):
            raise self.refusal(f"its parameter `{unknown[0]}` is not known")

    def whole(self, name: str, default: int) -> int:
        """Return a parameter that is a whole number. Raises CannotRead for any other value."""
        value = self.parameters.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.refusal(f"`{name}` is a whole number, not {str(value)[:40]}")
        return value

    def pair(self, name: str, default: int, side: str) -> tuple[int, int]:
        """Return height and width of `kernel`, `stride` or `pad`, which has three notations."""
        both = [self.parameters.get(f"{side}_{axis}") for axis in "hw"]
        values = self.parameters.all(name)
        found = (
            both
            if all(value is not None for value in both)
            else values
            if len(values) == 2
            else [*values[-1:], *values[-1:]] or [default] * 2
        )
        if any(isinstance(value, bool) or not isinstance(value, int) for value in found):
            raise self.refusal(f"`{name}` is a whole number for each axis")
        return found[0], found[1]


class Reader:
    """Turns layers into operators, one after another."""

    def __init__(self, name: str, net: Message) -> None:
        self.name, self.net = name, net
        self.flat = Flat(name)
        self.blobs: dict[str, int] = {}
        self.taken: set[str] = set()  # blobs that a layer takes
        self.state: dict[str, tuple[int, ...]] = {}
        self.labels: dict[str, str] = {}  # layer -> key
        self.stored: dict[str, list[str]] = {}  # layer -> the keys of its blobs, in order
        self.normalized: dict[int, Layer] = {}  # a BatchNorm, which a Scale completes

    def read(self) -> FlatNetwork:
        """Return the network. Raises CannotRead."""
        layers = [self._layer(message) for field in ("layer", "layers") for message in self.net.messages(field)]
        if not layers:
            raise CannotRead("there is no layer in it")
        self._inputs()
        last = ""
        for layer in layers:
            if not _in_test(layer.given) or layer.kind in LOSSES:
                continue
            last = self._append(layer) or last
        ends = [blob for blob in self.blobs if blob not in self.taken] or [last]
        outputs = {re.sub(r"\W", "_", blob) if len(ends) > 1 else "output": self.blobs[blob] for blob in ends}
        graph, named = self.flat.finished(self.name, TITLE, outputs, self.state)
        return FlatNetwork(graph, TITLE, named=named)

    def _layer(self, message: Message) -> Layer:
        kind = str(message.get("type", ""))
        kind = OLD.get(kind, kind)
        name = str(message.get("name", kind))
        own = [field for field in message.fields if field.endswith("_param") and field not in ("transform_param", "loss_param")]
        unknown = set(message.fields) - COMMON - set(own) - {"transform_param", "loss_param"}
        layer = Layer(name, kind, message, message.message(own[0]) if own else Message({}, message.line))
        if kind not in SOURCES | LOSSES and (unknown or len(own) > 1):
            raise layer.refusal(f"its field `{sorted(unknown)[0] if unknown else own[1]}` is not known")
        return layer

    def _inputs(self) -> None:
        names = [str(name) for name in self.net.all("input")]
        shapes = [[int(dim) for dim in shape.all("dim")] for shape in self.net.messages("input_shape")]
        flat = [int(dim) for dim in self.net.all("input_dim")]
        shapes += [flat[at : at + 4] for at in range(0, len(flat), 4)]
        if len(names) != len(shapes):
            raise CannotRead(f"it names {len(names)} inputs and states {len(shapes)} shapes")
        for name, shape in zip(names, shapes, strict=True):
            self._input(name, shape)

    def _input(self, name: str, shape: list[int]) -> None:
        if len(shape) < 2 or min(shape) < 1:
            raise CannotRead(f"the shape of the input {name} is {shape}")
        label = _label(name)
        self.blobs[name] = self.flat.add_input(label, tuple(shape[1:]))

    def _append(self, layer: Layer) -> str:
        """Append a layer and return the blob that it makes."""
        tops = [str(top) for top in layer.given.all("top")]
        if layer.kind == "Input":
            for top, shape in zip(tops, layer.parameters.messages("shape"), strict=False):
                self._input(top, [int(dim) for dim in shape.all("dim")])
            return ""
        if layer.kind in SOURCES:
            self._source(layer, tops)
            return ""
        bottoms = [str(bottom) for bottom in layer.given.all("bottom")]
        if missing := [bottom for bottom in bottoms if bottom not in self.blobs]:
            raise layer.refusal(f"it takes {missing[0]}, which no layer before it makes")
        make = KINDS.get(layer.kind)
        if make is None:
            raise layer.refusal("this kind of layer is not known")
        if not bottoms or not tops:
            raise layer.refusal("it takes or makes no blob")
        results = make(self, layer, [self.blobs[bottom] for bottom in bottoms])
        self.taken |= set(bottoms) - set(tops)
        if len(results) == 1:
            results *= len(tops)
        for top, result in zip(tops, results, strict=True):
            self.blobs.pop(top, None)  # a layer that writes over its operand makes it anew
            self.blobs[top] = result
        return tops[-1]

    def _source(self, layer: Layer, tops: list[str]) -> None:
        """A layer that reads data states the crop, and not the channels; a color image is assumed where a mean has three values."""
        transform = layer.given.message("transform_param")
        crop = transform.get("crop_size") or layer.parameters.get("crop_size")
        if tops and not crop:
            raise layer.refusal("the shape of what it reads is not in the file; write `input_shape`, or an `Input` layer, in its place")
        if tops:
            self._input(tops[0], [1, 1 if transform.get("force_gray") else 3, int(crop), int(crop)])

    # ---- operators with weights

    def weighted(self, layer: Layer, op: str, operand: int, given: Mapping[str, Any], weights: Mapping[str, tuple[int, ...]]) -> int:
        """Append an operator with the weights of a layer."""
        key = _label(layer.name)
        if key in self.labels.values():
            raise layer.refusal("two layers have this name")
        self.labels[layer.name] = key
        held = {f"{key}.{name}": shape for name, shape in weights.items()}
        self.state |= held
        self.stored[layer.name] = list(held)
        return self.flat.add(op, [operand], given, weights=held, leaf=True, path=key)

    def size(self, operand: int) -> list[int]:
        """Return the shape of a result."""
        return [int(size) for size in self.flat.items[operand].shape]  # type: ignore[arg-type]

    def convolution(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("num_output", "kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w", "pad", "pad_h", "pad_w",
                    "dilation", "group", "bias_term")  # fmt: skip
        kernel, stride, pad = layer.pair("kernel_size", 0, "kernel"), layer.pair("stride", 1, "stride"), layer.pair("pad", 0, "pad")
        dilation, groups, out = layer.pair("dilation", 1, "dilation"), layer.whole("group", 1), layer.whole("num_output", 0)
        bias, channels = bool(layer.parameters.get("bias_term", True)), self.size(operands[0])[0]
        if groups < 1 or channels % groups or out % groups:
            raise layer.refusal(f"{channels} channels cannot be divided into {groups} groups")
        given: dict[str, Any] = {
            "kernel": kernel,
            "out": out,
            "stride": stride,
            "pad": pad,
            "dilation": dilation,
            "groups": groups,
            "bias": bias,
        }
        backwards = layer.kind == "Deconvolution"
        weight = (channels, out // groups, *kernel) if backwards else (out, channels // groups, *kernel)
        weights = {"weight": weight, "bias": (out,)} if bias else {"weight": weight}
        return [self.weighted(layer, "convt" if backwards else "conv", operands[0], given, weights)]

    def inner_product(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("num_output", "bias_term", "axis", "transpose")
        if layer.whole("axis", 1) != 1 or layer.parameters.get("transpose", False):
            raise layer.refusal("only axis 1, not transposed, is known")
        out, bias = layer.whole("num_output", 0), bool(layer.parameters.get("bias_term", True))
        inputs = 1
        for size in self.size(operands[0]):
            inputs *= size
        flat = self.flattened(operands[0])
        weights = {"weight": (out, inputs), "bias": (out,)} if bias else {"weight": (out, inputs)}
        return [self.weighted(layer, "fc", flat, {"out": out, "bias": bias}, weights)]

    def flattened(self, operand: int) -> int:
        """Return a result as a vector."""
        return self.flat.add("flatten", [operand]) if len(self.size(operand)) > 1 else operand

    def batch_norm(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("use_global_stats", "moving_average_fraction", "eps")
        channels = self.size(operands[0])[0]
        result = self.weighted(layer, "bn", operands[0], {"eps": float(layer.parameters.get("eps", 1e-5)), "affine": False}, {})
        key = self.labels[layer.name]
        self.flat.items[result].key = key
        buffers = {f"{key}.running_mean": (channels,), f"{key}.running_var": (channels,), f"{key}.num_batches_tracked": ()}
        self.state |= buffers
        self.stored[layer.name] = list(buffers)
        self.normalized[result] = layer
        return [result]

    def scale(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("bias_term", "axis", "num_axes")
        if len(operands) == 2:
            return [self.flat.add("mul", operands)]
        norm = self.normalized.get(operands[0])
        if norm is None or not layer.parameters.get("bias_term", False) or layer.whole("axis", 1) != 1 or layer.whole("num_axes", 1) != 1:
            raise layer.refusal("only a Scale with a bias, directly after a BatchNorm, is known")
        item, key, channels = self.flat.items[operands[0]], self.labels[norm.name], self.size(operands[0])[0]
        affine = {f"{key}.weight": (channels,), f"{key}.bias": (channels,)}
        self.state |= affine
        self.stored[layer.name] = list(affine)
        whole = self.flat.add("bn", item.operands, {"eps": float(norm.parameters.get("eps", 1e-5))}, weights=affine, leaf=True, path=key)
        return [whole]

    def prelu(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("channel_shared")
        count = 1 if layer.parameters.get("channel_shared", False) else self.size(operands[0])[0]
        return [self.weighted(layer, "prelu", operands[0], {"slopes": count, "start": 0.25}, {"weight": (count,)})]

    # ---- operators without weights

    def pooling(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("pool", "kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w", "pad", "pad_h", "pad_w",
                    "global_pooling", "round_mode")  # fmt: skip
        kind, size = str(layer.parameters.get("pool", "MAX")), self.size(operands[0])
        if kind not in ("MAX", "AVE"):
            raise layer.refusal(f"{kind} pooling is not known")
        if layer.parameters.get("global_pooling", False):
            return [self.flat.add("adaptive_avgpool" if kind == "AVE" else "adaptive_maxpool", operands, {"out": 1})]
        kernel, stride, pad = layer.pair("kernel_size", 0, "kernel"), layer.pair("stride", 1, "stride"), layer.pair("pad", 0, "pad")
        if kind == "AVE" and kernel == tuple(size[1:]) and pad == (0, 0):
            return [self.flat.add("adaptive_avgpool", operands, {"out": 1})]
        up = str(layer.parameters.get("round_mode", "CEIL")) in ("CEIL", "0")
        shape = [size[0]]
        for length, window, step, padding in zip(size[1:], kernel, stride, pad, strict=True):
            steps, rest = divmod(length + 2 * padding - window, step)
            count = steps + (1 if rest and up else 0) + 1
            if padding and (count - 1) * step >= length + padding:
                count -= 1  # a window that would begin in the padding
            shape.append(count)
        exact = all((length + 2 * p - k) % s == 0 for length, k, s, p in zip(size[1:], kernel, stride, pad, strict=True))
        given: dict[str, Any] = {"kernel": kernel, "stride": stride, "pad": pad, "ceil": up and not exact}
        return [self.flat.add("maxpool" if kind == "MAX" else "avgpool", operands, given, expected=shape)]

    def relu(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("negative_slope")
        slope = float(layer.parameters.get("negative_slope", 0))
        return [self.flat.add("leaky_relu", operands, {"slope": slope}) if slope else self.flat.add("relu", operands)]

    def dropout(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("dropout_ratio")
        return [self.flat.add("dropout", operands, {"p": float(layer.parameters.get("dropout_ratio", 0.5))})]

    def lrn(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("local_size", "alpha", "beta", "k", "norm_region")
        within = str(layer.parameters.get("norm_region", "ACROSS_CHANNELS")) in ("WITHIN_CHANNEL", "1")
        given = {
            "size": layer.whole("local_size", 5),
            "alpha": float(layer.parameters.get("alpha", 1)),
            "beta": float(layer.parameters.get("beta", 0.75)),
            "k": 1.0 if within else float(layer.parameters.get("k", 1)),
            "form": "spatial" if within else "mean",
        }
        return [self.flat.add("lrn", operands, given)]

    def concat(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("axis", "concat_dim")
        if layer.whole("axis", layer.whole("concat_dim", 1)) not in (1, -3):
            raise layer.refusal("only the channels can be concatenated")
        return [self.flat.add("concat", operands) if len(operands) > 1 else operands[0]]

    def eltwise(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("operation", "coeff", "stable_prod_grad")
        kind = str(layer.parameters.get("operation", "SUM"))
        coefficients = [float(value) for value in layer.parameters.all("coeff")]
        if kind in ("SUM", "1") and coefficients == [1.0, -1.0]:
            return [self.flat.add("sub", operands)]
        if any(value != 1 for value in coefficients):
            raise layer.refusal("only the coefficients 1, and 1 and -1, are known")
        op = {"SUM": "add", "1": "add", "PROD": "mul", "0": "mul", "MAX": "max", "2": "max"}.get(kind)
        if op is None:
            raise layer.refusal(f"the operation {kind[:40]} is not known")
        return [self.flat.add(op, operands)]

    def slice(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("axis", "slice_dim", "slice_point")
        channels, tops = self.size(operands[0])[0], len(layer.given.all("top"))
        if layer.whole("axis", layer.whole("slice_dim", 1)) != 1:
            raise layer.refusal("only the channels can be sliced")
        points = [int(point) for point in layer.parameters.all("slice_point")]
        if not points and channels % tops == 0:
            points = [channels // tops * number for number in range(1, tops)]
        bounds = [0, *points, channels]
        if len(bounds) != tops + 1 or sorted(set(bounds)) != bounds:
            raise layer.refusal(f"{channels} channels cannot be cut at {points} into {tops}")
        return [self.flat.add("slice", operands, {"start": begin, "stop": end}) for begin, end in pairwise(bounds)]

    def softmax(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("axis")
        if layer.whole("axis", 1) != 1:
            raise layer.refusal("only a softmax over the channels is known")
        return [self.flat.add("softmax", operands)]

    def flatten(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("axis", "end_axis")
        if layer.whole("axis", 1) != 1 or layer.whole("end_axis", -1) != -1:
            raise layer.refusal("only all axes can be flattened")
        return [self.flattened(operands[0])]

    def power(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("power", "scale", "shift")
        power, scale, shift = (float(layer.parameters.get(name, default)) for name, default in (("power", 1), ("scale", 1), ("shift", 0)))
        result = operands[0]
        for op, value, idle in (("scale", scale, 1.0), ("shift", shift, 0.0), ("pow", power, 1.0)):
            if value != idle:
                result = self.flat.add(op, [result], {_only_option(op): value})
        return [result]

    def split(self, layer: Layer, operands: list[int]) -> list[int]:
        return operands

    def plain(self, layer: Layer, operands: list[int]) -> list[int]:
        layer.known("alpha") if layer.kind == "ELU" else layer.known()
        given = {"alpha": float(layer.parameters.get("alpha", 1))} if layer.kind == "ELU" else {}
        return [self.flat.add(PLAIN[layer.kind], operands, given)]


PLAIN = {"Sigmoid": "sigmoid", "TanH": "tanh", "ELU": "elu", "AbsVal": "abs", "Swish": "silu"}
KINDS: Mapping[str, Callable[[Reader, Layer, list[int]], list[int]]] = {
    "Convolution": Reader.convolution,
    "Deconvolution": Reader.convolution,
    "InnerProduct": Reader.inner_product,
    "BatchNorm": Reader.batch_norm,
    "Scale": Reader.scale,
    "PReLU": Reader.prelu,
    "Pooling": Reader.pooling,
    "ReLU": Reader.relu,
    "Dropout": Reader.dropout,
    "LRN": Reader.lrn,
    "Concat": Reader.concat,
    "Eltwise": Reader.eltwise,
    "Slice": Reader.slice,
    "Softmax": Reader.softmax,
    "Flatten": Reader.flatten,
    "Power": Reader.power,
    "Split": Reader.split,
    **dict.fromkeys(PLAIN, Reader.plain),
}


def _only_option(op: str) -> str:
    from archc.compiler.ops import OPERATORS

    return OPERATORS[op].attrs[0].name


def _in_test(layer: Message) -> bool:
    """Return whether a layer is there when a network is tested."""
    if any(rule.get("phase") == "TRAIN" for rule in layer.messages("include")) or layer.get("include") == "TRAIN":
        return False
    return not any(rule.get("phase") == "TEST" for rule in layer.messages("exclude"))


def _label(name: str) -> str:
    """Return the label of a layer: its name where the language can write it, with `/` as the border of scopes."""
    parts = []
    for part in name.split("/"):
        plain = re.sub(r"\W", "_", part).strip("_") or "layer"
        parts.append(plain if writable(plain) and not plain[0].isdigit() else f"n{plain}")
    return ".".join(parts)


def read(path: Path, weights: Path | None = None) -> FlatNetwork:
    """Read a `.prototxt` file, with the `.caffemodel` that belongs to it. Raises CannotRead, with the layer and its line, and OSError."""
    reader = Reader(re.sub(r"\W", "_", path.stem), parse(read_regular(path, MAX_BYTES).decode(errors="replace")))
    network = reader.read()
    return network if weights is None else replace(network, weights=partial(tensors, weights, reader.stored, reader.state))


def tensors(path: Path, stored: Mapping[str, list[str]], state: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return the tensors of a `.caffemodel` file by key. Raises CannotRead where a layer or a blob is missing or has another size."""
    import numpy as np

    from archc.compiler.frontends.caffe_weights import blobs

    held = blobs(path)
    found: dict[str, Any] = {}
    for layer, keys in stored.items():
        values = held.get(layer)
        if values is None:
            raise CannotRead(f"{path.name} has no layer {layer}")
        if len(values) != len(keys):
            raise CannotRead(f"{path.name} has {len(values)} blobs, and the network takes {len(keys)}", path=layer)
        for key, value in zip(keys, values, strict=True):
            if key.endswith("num_batches_tracked"):  # there Caffe keeps the factor by which it has scaled mean and variance
                factor = float(value.reshape(-1)[0]) or 1.0
                for other in keys[:2]:
                    found[other] = found[other] / np.float32(factor)
                found[key] = np.zeros((), np.int64)
                continue
            size = 1
            for length in state[key]:
                size *= length
            if value.size != size:
                raise CannotRead(f"{path.name} has {value.size:,} values, and {key} {size:,}", path=layer)
            found[key] = value.reshape(state[key])
    return found
