"""Read Caffe's `.prototxt`, and the weights of its `.caffemodel`: https://caffe.berkeleyvision.org/tutorial/layers.html.

Layers name the blobs that they take and make; a layer may write over its operand. What only training or testing has is left out by its
phase, as are layers that read data or compute losses. Sizes follow Caffe: convolution rounds down, pooling up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archc.compiler.frontends.caffe.prototext import Message
from archc.compiler.frontends.flat import CannotRead, Flat, FlatNetwork
from archc.compiler.frontends.naming import name_of, path_of

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

    def number(self, name: str, default: float) -> float:
        """Return a parameter that is a number. Raises CannotRead for any other value."""
        value = self.parameters.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refusal(f"`{name}` is a number")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Return a parameter that is true or false. Raises CannotRead for any other value."""
        value = self.parameters.get(name, default)
        if value not in (True, False):
            raise self.refusal(f"`{name}` is true or false")
        return bool(value)

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
        outputs = {name_of(blob, "output") if len(ends) > 1 else "output": self.blobs[blob] for blob in ends}
        if len(outputs) < len(ends):
            raise CannotRead(f"two of its outputs, {', '.join(ends)[:80]}, have the same name here")
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
        shapes = [shape.wholes("dim") for shape in self.net.messages("input_shape")]
        flat = self.net.wholes("input_dim")
        shapes += [flat[at : at + 4] for at in range(0, len(flat), 4)]
        if len(names) != len(shapes):
            raise CannotRead(f"it names {len(names)} inputs and states {len(shapes)} shapes")
        for name, shape in zip(names, shapes, strict=True):
            self._input(name, shape)

    def _input(self, name: str, shape: list[int]) -> None:
        if len(shape) < 2 or min(shape) < 1:
            raise CannotRead(f"the shape of the input {name} is {shape}")
        label = name_of(name, "input")
        self.blobs[name] = self.flat.add_input(label, tuple(shape[1:]))

    def _append(self, layer: Layer) -> str:
        """Append a layer and return the blob that it makes."""
        tops = [str(top) for top in layer.given.all("top")]
        if layer.kind == "Input":
            for top, shape in zip(tops, layer.parameters.messages("shape"), strict=False):
                self._input(top, shape.wholes("dim"))
            return ""
        if layer.kind in SOURCES:
            self._source(layer, tops)
            return ""
        bottoms = [str(bottom) for bottom in layer.given.all("bottom")]
        if missing := [bottom for bottom in bottoms if bottom not in self.blobs]:
            raise layer.refusal(f"it takes {missing[0]}, which no layer before it makes")
        from archc.compiler.frontends.caffe.layers import KINDS  # whose rules are given a reader

        make = KINDS.get(layer.kind)
        if make is None:
            raise layer.refusal("this kind of layer is not known")
        if not bottoms or not tops:
            raise layer.refusal("it takes or makes no blob")
        results = make(self, layer, [self.blobs[bottom] for bottom in bottoms])
        self.taken |= set(bottoms) - set(tops)
        if len(results) == 1:
            results *= len(tops)
        if len(results) != len(tops):
            raise layer.refusal(f"it makes {len(results)} blobs, and {len(tops)} are named")
        for top, result in zip(tops, results, strict=True):
            self.blobs.pop(top, None)  # a layer that writes over its operand makes it anew
            self.blobs[top] = result
        return tops[-1]

    def _source(self, layer: Layer, tops: list[str]) -> None:
        """A layer that reads data states the crop, and not the channels; a color image is assumed where a mean has three values."""
        transform = layer.given.message("transform_param")
        sizes = [*transform.wholes("crop_size"), *layer.parameters.wholes("crop_size")]
        crop = sizes[-1] if sizes else 0
        if tops and not crop:
            raise layer.refusal("the shape of what it reads is not in the file; write `input_shape`, or an `Input` layer, in its place")
        if tops:
            self._input(tops[0], [1, 1 if transform.get("force_gray") else 3, crop, crop])

    # ---- what rules use

    def weighted(self, layer: Layer, op: str, operand: int, given: Mapping[str, Any], weights: Mapping[str, tuple[int, ...]]) -> int:
        """Append an operator with the weights of a layer."""
        key = path_of(layer.name, "/") or "layer"
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

    def flattened(self, operand: int) -> int:
        """Return a result as a vector."""
        return self.flat.add("flatten", [operand]) if len(self.size(operand)) > 1 else operand


def _in_test(layer: Message) -> bool:
    """Return whether a layer is there when a network is tested."""
    if any(rule.get("phase") == "TRAIN" for rule in layer.messages("include")) or layer.get("include") == "TRAIN":
        return False
    return not any(rule.get("phase") == "TEST" for rule in layer.messages("exclude"))
