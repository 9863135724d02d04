"""Read Keras 3: a `.keras` archive, or the JSON of `model.to_json()`. Both are data; no class is imported and no Lambda is run.

Keras keeps the channels last, and we keep them first: axes are translated, and a `Flatten` of a map becomes a `rearrange` in the order of
Keras. `same` pads the end more than the beginning where the number of padded positions is odd.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from archc.compiler.files import read_regular
from archc.compiler.frontends.flat import CannotRead, Flat, FlatNetwork, quoted, writable

MAX_BYTES = 2**26  # of a configuration: a hundred times that of the largest of keras.applications
MAX_DEPTH = 100  # of JSON
TITLE = "read from Keras"
LOWEST = -3.4028234663852886e38  # of float32: what padding is before a maximum
AXES = ("h", "w", "d")

ACTIVATIONS: Mapping[str, tuple[str, Mapping[str, Any]] | None] = {
    "linear": None,
    "relu": ("relu", {}),
    "relu6": ("relu6", {}),
    "sigmoid": ("sigmoid", {}),
    "tanh": ("tanh", {}),
    "softmax": ("softmax", {}),
    "swish": ("silu", {}),
    "silu": ("silu", {}),
    "gelu": ("gelu", {}),
    "elu": ("elu", {}),
    "selu": ("selu", {}),
    "softplus": ("softplus", {}),
    "softsign": ("softsign", {}),
    "mish": ("mish", {}),
    "leaky_relu": ("leaky_relu", {"slope": 0.2}),
    "hard_sigmoid": ("hardsigmoid", {}),
    "hard_silu": ("hardswish", {}),
    "hard_swish": ("hardswish", {}),
    "exponential": ("exp", {}),
}
# What changes nothing of what a layer computes in evaluation.
IDLE = {"name", "trainable", "dtype", "seed", "noise_shape", "synchronized", "autocast", "momentum", "renorm_momentum", "renorm_clipping"}


@dataclass
class Layer:
    """A layer: its class, its settings, and the path of its name."""

    kind: str
    path: str
    config: Mapping[str, Any]

    def __post_init__(self) -> None:
        self.used = set(IDLE)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a setting."""
        self.used.add(name)
        return self.config.get(name, default)

    def refusal(self, reason: str) -> CannotRead:
        """Return the error that refuses this layer."""
        return CannotRead(reason, self.kind, self.path)

    def whole(self, name: str, default: int | None = None) -> int:
        """Return a setting that is a whole number. Raises CannotRead for any other."""
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.refusal(f"`{name}` is a whole number, not {str(value)[:40]}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """Return a setting that is a number. Raises CannotRead for any other."""
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refusal(f"`{name}` is a number, not {str(value)[:40]}")
        return float(value)

    def wholes(self, name: str, count: int, default: Any = None) -> list[int]:
        """Return a setting with a whole number for each axis. Raises CannotRead for any other."""
        value = self.get(name, default)
        values = [value] * count if isinstance(value, int) else value
        if (
            not isinstance(values, list)
            or len(values) != count
            or any(isinstance(v, bool) or not isinstance(v, int) or v < 0 for v in values)
        ):
            raise self.refusal(f"`{name}` is {count} whole numbers, not {str(value)[:40]}")
        return values

    def finish(self) -> None:
        """Raise CannotRead for a setting that was not read, and may change what the layer computes."""
        for name, value in self.config.items():
            idle = name in self.used or name.endswith(("_initializer", "_regularizer", "_constraint", "_regularizer"))
            if not idle and value not in (None, False, [], {}):
                raise self.refusal(f"its setting `{name}` ({str(value)[:40]}) is not known")


class Reader:
    """Turns layers into operators, each when its operands are known."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.flat = Flat(name)
        self.state: dict[str, tuple[int, ...]] = {}
        self.keys: set[str] = set()
        self.stored: dict[str, list[tuple[str, str]]] = {}  # layer -> for each of its variables, in order, its key and its layout

    def read(self, data: Any) -> FlatNetwork:
        """Return the network of a configuration. Raises CannotRead."""
        if not isinstance(data, dict) or not isinstance(data.get("config"), dict) or "class_name" not in data:
            raise CannotRead("this is no configuration of a Keras model: it lacks class_name and config")
        outputs = self.model(data, "", None)
        names = ["output"] if len(outputs) == 1 else [f"output{number}" for number in range(1, len(outputs) + 1)]
        graph, named = self.flat.finished(self.name, TITLE, dict(zip(names, outputs, strict=True)), self.state)
        return FlatNetwork(graph, TITLE, named=named)

    def model(self, data: Mapping[str, Any], path: str, inputs: Sequence[int] | None) -> list[int]:
        """Append a Sequential or Functional model and return its results. Without `inputs`, its own become inputs of the network."""
        kind, config = data["class_name"], data["config"]
        layers = config.get("layers")
        if kind not in ("Functional", "Model", "Sequential") or not isinstance(layers, list):
            raise CannotRead("only Functional and Sequential models are data; a class of its own is code", str(kind)[:40], path)
        return self.sequential(layers, path, inputs) if kind == "Sequential" else self.functional(config, path, inputs)

    def sequential(self, layers: list[Any], path: str, inputs: Sequence[int] | None) -> list[int]:
        current = list(inputs or [])
        for number, data in enumerate(layers):
            name = _name(data, path)
            if data["class_name"] == "InputLayer":
                current = current or [self.input(data["config"], name)]
                continue
            if not current:
                shape = data["config"].get("batch_input_shape") or (data.get("build_config") or {}).get("input_shape")
                if number or not shape:
                    raise CannotRead("the shape of its input is not in the file", str(data["class_name"]), name)
                current = [self.input({"batch_shape": shape}, _inside(path, "input"))]
            current = self.layer(data, name, current)
        if not current:
            raise CannotRead("there is no layer in it", path=path)
        return current

    def functional(self, config: Mapping[str, Any], path: str, inputs: Sequence[int] | None) -> list[int]:
        own = _ends(config.get("input_layers"))
        if inputs is not None and len(own) != len(inputs):
            raise CannotRead(f"it takes {len(own)} inputs and is given {len(inputs)}", path=path)
        given = dict(zip((name for name, *_ in own), inputs or [], strict=False))
        made: dict[tuple[str, int], list[int]] = {}
        waiting = list(config["layers"])
        while waiting:
            left = []
            for data in waiting:
                name, nodes = str(data.get("name") or data["config"].get("name")), data.get("inbound_nodes") or []
                if data["class_name"] == "InputLayer":
                    made[name, 0] = [given[name]] if name in given else [self.input(data["config"], _inside(path, _label(name)))]
                    continue
                taken = [list(_operands(node)) for node in nodes]
                constant = _constant(data, nodes)
                if not all((layer, place) in made for operands in taken for layer, place, _ in operands):
                    left.append(data)
                    continue
                if len(taken) != 1:
                    raise CannotRead(f"it is called {len(taken)} times; shared layers are not known", str(data["class_name"]), name)
                operands = [made[layer, place][number] for layer, place, number in taken[0]]
                if constant is None:
                    made[name, 0] = self.layer(data, _inside(path, _label(name)), operands)
                else:
                    made[name, 0] = [self.flat.add(constant[0], operands, constant[1])]
            if len(left) == len(waiting):
                reason = "its operands are not in the file, or it depends on itself"
                raise CannotRead(reason, str(left[0]["class_name"]), _name(left[0], path))
            waiting = left
        ends = _ends(config.get("output_layers"))
        if missing := [name for name, place, _ in ends if (name, place) not in made]:
            raise CannotRead(f"its output {missing[0]} is no layer", path=path)
        return [made[name, place][number] for name, place, number in ends]

    def input(self, config: Mapping[str, Any], path: str) -> int:
        shape = config.get("batch_shape") or config.get("batch_input_shape")
        if not isinstance(shape, list) or len(shape) < 2 or not all(isinstance(size, int) and size > 0 for size in shape[1:]):
            raise CannotRead(f"its shape {shape} is not fixed; build the model for an input of fixed sizes", "InputLayer", path)
        return self.flat.add_input(path.rpartition(".")[2], (shape[-1], *shape[1:-1]))

    def layer(self, data: Mapping[str, Any], path: str, operands: list[int]) -> list[int]:
        """Append a layer and return its results."""
        kind = str(data["class_name"])
        if kind in ("Functional", "Model", "Sequential"):
            return self.model(data, path, operands)
        make = KINDS.get(kind)
        if make is None:
            raise CannotRead("this layer is not known", kind[:40], path)
        layer = Layer(kind, path, data["config"])
        if layer.get("data_format", "channels_last") not in ("channels_last", None):
            raise layer.refusal("only the layout channels_last is known")
        try:
            result = make(self, layer, operands)
        except CannotRead as error:
            raise error if error.operator else layer.refusal(error.reason) from None
        layer.finish()
        return [result]

    # ---- helpers

    def shape(self, operand: int) -> list[int]:
        """Return the shape of a result, the channels first."""
        return [int(size) for size in self.flat.items[operand].shape]  # type: ignore[arg-type]

    def weighted(self, op: str, key: str, operand: int, given: Mapping[str, Any], weights: Mapping[str, tuple[int, ...]]) -> int:
        """Append an operator with weights."""
        if key in self.keys:
            raise CannotRead("two layers have this name", path=key)
        self.keys.add(key)
        held = {f"{key}.{name}": tuple(shape) for name, shape in weights.items()}
        self.state |= held
        return self.flat.add(op, [operand], given, weights=held, leaf=True, path=key)

    def store(self, layer: Layer, *variables: tuple[str, str]) -> None:
        """Note the variables of a layer in the order of Keras: the name of each below the layer, and its layout."""
        self.stored[layer.path] = [(f"{layer.path}.{name}", layout) for name, layout in variables]

    def activated(self, layer: Layer, operand: int, name: str = "activation") -> int:
        """Append the activation that a layer names."""
        word = layer.get(name, "linear")
        word = "linear" if word is None else word
        if not isinstance(word, str) or word not in ACTIVATIONS:
            raise layer.refusal(f"its activation {str(word)[:40]} is not known")
        found = ACTIVATIONS[word]
        return operand if found is None else self.flat.add(found[0], [operand], found[1])

    def padded(
        self, layer: Layer, operand: int, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], value: float
    ) -> tuple[int, Any]:
        """Return the operand and the padding of a window under `padding`, with a `pad` before it where the two ends differ."""
        mode = layer.get("padding", "valid")
        if mode == "valid":
            return operand, 0
        if mode != "same":
            raise layer.refusal(f"the padding {str(mode)[:40]} is not known")
        ends = []
        for size, k, s, d in zip(self.shape(operand)[1:], kernel, stride, dilation, strict=True):
            total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
            ends.append((total // 2, total - total // 2))
        if all(before == after for before, after in ends):
            return operand, tuple(before for before, _ in ends)
        if value == LOWEST or value == 0.0:
            names = _axes(len(ends))
            given: dict[str, Any] = {name: list(pair) for name, pair in zip(names, ends, strict=True)}
            return self.flat.add("pad", [operand], given | {"value": value}), 0
        raise layer.refusal("its windows are cut at the edges unevenly, which no operator says")

    # ---- layers with weights

    def conv(self, layer: Layer, operands: list[int]) -> int:
        axes = int(layer.kind[-2])
        kernel, stride = layer.wholes("kernel_size", axes), layer.wholes("strides", axes, 1)
        dilation, groups, out = layer.wholes("dilation_rate", axes, 1), layer.whole("groups", 1), layer.whole("filters")
        bias, channels = bool(layer.get("use_bias", True)), self.shape(operands[0])[0]
        if groups < 1 or channels % groups:
            raise layer.refusal(f"{channels} channels cannot be divided into {groups} groups")
        operand, pad = self.padded(layer, operands[0], kernel, stride, dilation, 0.0)
        given: dict[str, Any] = {"kernel": kernel, "out": out, "stride": stride, "pad": pad, "dilation": dilation, "groups": groups}
        weights = {"weight": (out, channels // groups, *kernel)} | ({"bias": (out,)} if bias else {})
        self.store(layer, ("weight", "conv"), *[("bias", "same")] * bias)
        return self.activated(layer, self.weighted("conv", layer.path, operand, given | {"bias": bias}, weights))

    def depthwise(self, layer: Layer, operands: list[int]) -> int:
        axes = int(layer.kind[-2])
        kernel, stride, dilation = (layer.wholes(name, axes, 1) for name in ("kernel_size", "strides", "dilation_rate"))
        channels, bias = self.shape(operands[0])[0], bool(layer.get("use_bias", True))
        out = channels * layer.whole("depth_multiplier", 1)
        operand, pad = self.padded(layer, operands[0], kernel, stride, dilation, 0.0)
        given: dict[str, Any] = {"kernel": kernel, "out": out, "stride": stride, "pad": pad, "dilation": dilation, "groups": channels}
        weights = {"weight": (out, 1, *kernel)} | ({"bias": (out,)} if bias else {})
        self.store(layer, ("weight", "depthwise"), *[("bias", "same")] * bias)
        return self.activated(layer, self.weighted("conv", layer.path, operand, given | {"bias": bias}, weights))

    def separable(self, layer: Layer, operands: list[int]) -> int:
        axes = int(layer.kind[-2])
        kernel, stride, dilation = (layer.wholes(name, axes, 1) for name in ("kernel_size", "strides", "dilation_rate"))
        channels, out, bias = self.shape(operands[0])[0], layer.whole("filters"), bool(layer.get("use_bias", True))
        middle = channels * layer.whole("depth_multiplier", 1)
        operand, pad = self.padded(layer, operands[0], kernel, stride, dilation, 0.0)
        given: dict[str, Any] = {"kernel": kernel, "out": middle, "stride": stride, "pad": pad, "dilation": dilation, "groups": channels}
        depthwise = self.weighted("conv", f"{layer.path}.depthwise", operand, given | {"bias": False}, {"weight": (middle, 1, *kernel)})
        weights = {"weight": (out, middle, *[1] * axes)} | ({"bias": (out,)} if bias else {})
        own = (("depthwise.weight", "depthwise"), ("pointwise.weight", "conv"), *[("pointwise.bias", "same")] * bias)
        self.store(layer, *own)
        pointwise = self.weighted("conv", f"{layer.path}.pointwise", depthwise, {"kernel": 1, "out": out, "bias": bias}, weights)
        return self.activated(layer, pointwise)

    def dense(self, layer: Layer, operands: list[int]) -> int:
        shape, out, bias = self.shape(operands[0]), layer.whole("units"), bool(layer.get("use_bias", True))
        weights = {"weight": (out, shape[0])} | ({"bias": (out,)} if bias else {})
        op = "fc" if len(shape) == 1 else "channel_fc"
        self.store(layer, ("weight", "dense"), *[("bias", "same")] * bias)
        return self.activated(layer, self.weighted(op, layer.path, operands[0], {"out": out, "bias": bias}, weights))

    def batch_norm(self, layer: Layer, operands: list[int]) -> int:
        shape = self.shape(operands[0])
        self.last_axis(layer, len(shape))
        scale, center = bool(layer.get("scale", True)), bool(layer.get("center", True))
        if center and not scale:
            return self.centered(layer, operands[0], shape)
        if scale != center:
            raise layer.refusal("a normalization with a scale and no shift is not known")
        affine = [(name, "same") for name in ("weight", "bias")] if scale else []
        self.store(layer, *affine, ("running_mean", "same"), ("running_var", "same"))
        return self.norm(layer, operands[0], {"eps": layer.number("epsilon", 1e-3), "affine": scale}, shape[0])

    def norm(self, layer: Layer, operand: int, given: Mapping[str, Any], channels: int, name: str = "") -> int:
        """Append a batch norm."""
        key = f"{layer.path}{name}"
        affine = {"weight": (channels,), "bias": (channels,)} if given["affine"] else {}
        result = self.weighted("bn", key, operand, given, affine)
        self.flat.items[result].key = key
        self.state |= {f"{key}.running_mean": (channels,), f"{key}.running_var": (channels,), f"{key}.num_batches_tracked": ()}
        return result

    def centered(self, layer: Layer, operand: int, shape: list[int]) -> int:
        """A batch norm that shifts and does not scale: its shift is a trained tensor that is added."""
        normed = self.norm(layer, operand, {"eps": layer.number("epsilon", 1e-3), "affine": False}, shape[0], ".norm")
        sizes = tuple(1 for _ in shape[1:])
        key = f"{layer.path}.beta"
        self.store(layer, ("beta", "learned"), ("norm.running_mean", "same"), ("norm.running_var", "same"))
        held = {key: (1, shape[0], *sizes)}
        self.state |= held
        given = {"sizes": sizes, "channels": shape[0], "init": "constant", "batch": True}
        beta = self.flat.add("learned", [normed], given, weights=held, leaf=True, path=key)
        return self.flat.add("add", [normed, beta], {"broadcast": True})

    def last_axis(self, layer: Layer, rank: int) -> None:
        """Raise CannotRead where the axis of a layer is not that of the channels."""
        axis = layer.get("axis", -1)
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        if axis not in (-1, rank):
            raise layer.refusal(f"only the channels, axis -1, are known, and not {str(axis)[:40]}")

    def normalization(self, layer: Layer, operands: list[int]) -> int:
        """Mean and variance of a dataset, which are weights: a batch norm that is never trained."""
        self.last_axis(layer, len(self.shape(operands[0])))
        if layer.get("invert", False) or layer.get("mean") is not None or layer.get("variance") is not None:
            raise layer.refusal("a mean and variance in the configuration, or their inverse, are not known")
        self.store(layer, ("running_mean", "same"), ("running_var", "same"), ("", "left out"))
        return self.norm(layer, operands[0], {"eps": 1e-30, "affine": False}, self.shape(operands[0])[0])

    def layer_norm(self, layer: Layer, operands: list[int]) -> int:
        shape = self.shape(operands[0])
        self.last_axis(layer, len(shape))
        affine = bool(layer.get("scale", True))
        if affine != bool(layer.get("center", True)) or layer.get("rms_scaling", False):
            raise layer.refusal("only a scale together with a shift is known")
        given = {"eps": layer.number("epsilon", 1e-3), "affine": affine}
        weights = {"weight": (shape[0],), "bias": (shape[0],)} if affine else {}
        self.store(layer, *((name, "same") for name in weights))
        return self.weighted("layer_norm", layer.path, operands[0], given, weights)

    # ---- layers without weights

    def pool(self, layer: Layer, operands: list[int]) -> int:
        axes = int(layer.kind[-2])
        kernel = layer.wholes("pool_size", axes, 2)
        stride = layer.wholes("strides", axes) if layer.config.get("strides") is not None else kernel
        layer.get("strides")
        highest = layer.kind.startswith("Max")
        operand, pad = self.padded(layer, operands[0], kernel, stride, [1] * axes, LOWEST if highest else 1.0)
        given: dict[str, Any] = {"kernel": kernel, "stride": stride, "pad": pad}
        return self.flat.add("maxpool" if highest else "avgpool", [operand], given if highest else given | {"count_pad": False})

    def global_pool(self, layer: Layer, operands: list[int]) -> int:
        op = "adaptive_avgpool" if "Average" in layer.kind else "adaptive_maxpool"
        pooled = self.flat.add(op, operands, {"out": 1})
        return pooled if layer.get("keepdims", False) else self.flat.add("flatten", [pooled])

    def zero_padding(self, layer: Layer, operands: list[int]) -> int:
        axes = int(layer.kind[-2])
        given = layer.get("padding", 1)
        pairs = [given] if axes == 1 else given
        pairs = [[pair, pair] if isinstance(pair, int) else pair for pair in ([pairs] * axes if isinstance(pairs, int) else pairs)]
        if len(pairs) != axes or any(len(pair) != 2 for pair in pairs):
            raise layer.refusal("`padding` is two numbers for each axis")
        return self.flat.add("pad", operands, dict(zip(_axes(axes), pairs, strict=True)))

    def cropping(self, layer: Layer, operands: list[int]) -> int:
        axes = int(layer.kind[-2])
        given = layer.get("cropping")
        pairs = [given] if axes == 1 else given
        result = operands[0]
        for name, pair, size in zip(_axes(axes), pairs, self.shape(result)[1:], strict=True):
            before, after = (pair, pair) if isinstance(pair, int) else pair
            if before or after:
                result = self.flat.add("slice", [result], {"start": before, "stop": size - after, "axis": name})
        return result

    def upsampling(self, layer: Layer, operands: list[int]) -> int:
        mode = layer.get("interpolation", "nearest")
        if mode not in ("nearest", "bilinear"):
            raise layer.refusal(f"the interpolation {str(mode)[:40]} is not known")
        return self.flat.add("upsample", operands, {"scale": layer.wholes("size", int(layer.kind[-2]), 2), "mode": mode})

    def merge(self, layer: Layer, operands: list[int]) -> int:
        op = {"Add": "add", "Subtract": "sub", "Multiply": "mul", "Average": "mean", "Maximum": "max", "Minimum": "min"}[layer.kind]
        return self.flat.add(op, operands)

    def concatenate(self, layer: Layer, operands: list[int]) -> int:
        rank = len(self.shape(operands[0]))
        axis = layer.get("axis", -1)
        if not isinstance(axis, int) or axis in (0, -rank - 1) or not -rank <= axis <= rank:
            raise layer.refusal(f"the axis {str(axis)[:40]} is not known")
        place = axis if axis > 0 else rank + 1 + axis
        if place == rank:
            return self.flat.add("concat", operands)
        return self.flat.add("concat", operands, {"axis": _axes(rank - 1)[place - 1]})

    def flatten(self, layer: Layer, operands: list[int]) -> int:
        shape = self.shape(operands[0])
        if len(shape) == 1:
            return operands[0]
        if prod(shape[1:]) == 1 or shape[0] == 1:
            return self.flat.add("flatten", operands)
        names = " ".join(_axes(len(shape) - 1))
        return self.flat.add("rearrange", operands, {"pattern": quoted(f"c {names} -> ({names} c)")})

    def reshape(self, layer: Layer, operands: list[int]) -> int:
        """Only what changes no order: between a vector and a map of one position."""
        shape, target = self.shape(operands[0]), layer.get("target_shape")
        wanted = [prod(shape) // max(-prod(target), 1) if size == -1 else size for size in target] if isinstance(target, list) else []
        last = [*shape[1:], shape[0]]
        if wanted == last:
            return operands[0]
        if len(shape) == 1 and wanted[:-1] == [1] * (len(wanted) - 1) and wanted[-1:] == shape:
            names = " ".join("1" for _ in wanted[:-1])
            return self.flat.add("rearrange", operands, {"pattern": quoted(f"c -> c {names}")})
        if prod(shape[1:]) == 1 and wanted == [shape[0]]:
            return self.flat.add("flatten", operands)
        raise layer.refusal(f"a reshape of {last} to {target} is not known")

    def dropout(self, layer: Layer, operands: list[int]) -> int:
        return self.flat.add("dropout", operands, {"p": layer.number("rate")})

    def idle(self, layer: Layer, operands: list[int]) -> int:
        """Noise of training, which we do not say: it computes nothing in evaluation."""
        layer.used |= set(layer.config)
        return operands[0]

    def relu(self, layer: Layer, operands: list[int]) -> int:
        most, slope, threshold = layer.get("max_value"), layer.get("negative_slope", 0.0), layer.get("threshold", 0.0)
        if threshold or (most is not None and slope):
            raise layer.refusal("a threshold, or a largest value with a slope, is not known")
        if most is None:
            return self.flat.add("leaky_relu", operands, {"slope": float(slope)}) if slope else self.flat.add("relu", operands)
        return self.flat.add("relu6", operands) if most == 6 else self.flat.add("clamp", operands, {"min": 0.0, "max": float(most)})

    def leaky_relu(self, layer: Layer, operands: list[int]) -> int:
        layer.get("alpha")
        return self.flat.add("leaky_relu", operands, {"slope": layer.number("negative_slope", layer.config.get("alpha", 0.3))})

    def elu(self, layer: Layer, operands: list[int]) -> int:
        return self.flat.add("elu", operands, {"alpha": layer.number("alpha", 1.0)})

    def softmax(self, layer: Layer, operands: list[int]) -> int:
        self.last_axis(layer, len(self.shape(operands[0])))
        return self.flat.add("softmax", operands)

    def activation(self, layer: Layer, operands: list[int]) -> int:
        return self.activated(layer, operands[0])

    def rescaling(self, layer: Layer, operands: list[int]) -> int:
        scale, offset = layer.number("scale"), layer.number("offset", 0.0)
        result = self.flat.add("scale", operands, {"factor": scale}) if scale != 1 else operands[0]
        return self.flat.add("shift", [result], {"by": offset}) if offset else result


def _each(name: str) -> Iterator[str]:
    yield from (f"{name}{axes}D" for axes in (1, 2, 3))


KINDS: Mapping[str, Callable[[Reader, Layer, list[int]], int]] = {
    **dict.fromkeys(_each("Conv"), Reader.conv),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), Reader.depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), Reader.separable),
    **dict.fromkeys((*_each("MaxPooling"), *_each("AveragePooling")), Reader.pool),
    **dict.fromkeys((*_each("GlobalMaxPooling"), *_each("GlobalAveragePooling")), Reader.global_pool),
    **dict.fromkeys(_each("ZeroPadding"), Reader.zero_padding),
    **dict.fromkeys(_each("Cropping"), Reader.cropping),
    **dict.fromkeys(_each("UpSampling"), Reader.upsampling),
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), Reader.merge),
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "ActivityRegularization"), Reader.idle),
    "Concatenate": Reader.concatenate,
    "Dense": Reader.dense,
    "BatchNormalization": Reader.batch_norm,
    "Normalization": Reader.normalization,
    "LayerNormalization": Reader.layer_norm,
    "Flatten": Reader.flatten,
    "Reshape": Reader.reshape,
    "Dropout": Reader.dropout,
    "ReLU": Reader.relu,
    "LeakyReLU": Reader.leaky_relu,
    "ELU": Reader.elu,
    "Softmax": Reader.softmax,
    "Activation": Reader.activation,
    "Rescaling": Reader.rescaling,
}


def _axes(count: int) -> tuple[str, ...]:
    return {1: ("w",), 2: ("h", "w"), 3: ("d", "h", "w")}[count]


def _label(name: str) -> str:
    plain = re.sub(r"\W", "_", name).strip("_") or "layer"
    return plain if writable(plain) and not plain.isdigit() else f"n{plain}"


def _inside(path: str, label: str) -> str:
    return f"{path}.{label}" if path else label


def _name(data: Any, path: str) -> str:
    if not isinstance(data, dict) or not isinstance(data.get("config"), dict) or not isinstance(data.get("class_name"), str):
        raise CannotRead("a layer lacks class_name and config", path=path)
    return _inside(path, _label(str(data.get("name") or data["config"].get("name") or data["class_name"].lower())))


def _ends(data: Any) -> list[tuple[str, int, int]]:
    """Return `input_layers` or `output_layers`: one triple or a list of them."""
    if isinstance(data, list) and len(data) == 3 and isinstance(data[0], str):
        data = [data]
    if not isinstance(data, list) or not data or not all(isinstance(end, list) and len(end) == 3 for end in data):
        raise CannotRead("the inputs or outputs of the model are not in the file")
    return [(str(name), int(node), int(number)) for name, node, number in data]


def _operands(node: Any) -> Iterator[tuple[str, int, int]]:
    """Yield the operands of a call, in order: layer, call, number. Those by keyword, and values that are no tensors, are refused."""
    if not isinstance(node, dict):
        raise CannotRead("its calls are in the notation of Keras 2; save the model again with Keras 3")
    if any(_is_tensor(value) for value in node.get("kwargs", {}).values()):
        raise CannotRead("an operand that is given by keyword is not known")
    for argument in node.get("args", []):
        for value in argument if isinstance(argument, list) else [argument]:
            if isinstance(value, float | int) and not isinstance(value, bool):
                continue  # see _constant
            if not _is_tensor(value):
                raise CannotRead(f"an operand that is no tensor is not known: {str(value)[:40]}")
            name, call, number = value["config"]["keras_history"]
            yield str(name), int(call), int(number)


def _constant(data: Mapping[str, Any], nodes: Sequence[Any]) -> tuple[str, dict[str, Any]] | None:
    """Return what a call with a number among its operands computes, `x + 3` or `x * 0.5`; None for one without numbers."""
    arguments = [value for node in nodes for value in node.get("args", [])]
    numbers = [float(value) for value in arguments if isinstance(value, float | int) and not isinstance(value, bool)]
    if not numbers:
        return None
    kind = str(data["class_name"])
    if not str(data.get("module", "")).startswith("keras.src.ops") or len(arguments) != 2 or len(numbers) != 1:
        raise CannotRead("a number among its operands is not known", kind[:40], str(data.get("name")))
    first = not _is_tensor(arguments[0])
    known: dict[str, tuple[str, dict[str, Any]]] = {
        "Add": ("shift", {"by": numbers[0]}),
        "Multiply": ("scale", {"factor": numbers[0]}),
    }
    if not first:
        known |= {"Subtract": ("shift", {"by": -numbers[0]}), "TrueDivide": ("scale", {"factor": 1 / (numbers[0] or float("nan"))})}
    if kind not in known:
        raise CannotRead("this operation with a number is not known", kind[:40], str(data.get("name")))
    return known[kind]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class_name") == "__keras_tensor__"


def read(path: Path) -> FlatNetwork:
    """Read a `.keras` archive, with its weights, or a JSON configuration. Raises CannotRead, with the layer, and OSError."""
    reader = Reader(re.sub(r"\W", "_", path.stem))
    network = reader.read(_configuration(path))
    if path.suffix != ".keras":
        return network
    return replace(network, weights=partial(tensors, path, reader.stored, reader.state))


def tensors(path: Path, stored: Mapping[str, Sequence[tuple[str, str]]], state: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return the tensors of a `.keras` archive by key. Raises CannotRead where one is missing or has another size."""
    import numpy as np

    held = _variables(path)
    found: dict[str, Any] = {}
    for layer, variables in stored.items():
        values = held.get(layer, [])
        if len(values) != len(variables):
            raise CannotRead(f"{path.name} has {len(values)} variables of it, and the network takes {len(variables)}", path=layer)
        for (key, layout), value in zip(variables, values, strict=True):
            if layout == "left out":
                continue
            ours = LAYOUTS[layout](value)
            if layout == "learned":
                ours = ours.reshape(state[key])
            if tuple(ours.shape) != tuple(state[key]):
                raise CannotRead(f"{path.name} has {ours.shape} for {key}, and the network {state[key]}")
            found[key] = np.ascontiguousarray(ours)
    return found | {key: np.zeros((), np.int64) for key in state if key.endswith(".num_batches_tracked")}


# How a variable of Keras becomes a tensor of ours.
LAYOUTS: Mapping[str, Callable[[Any], Any]] = {
    "same": lambda value: value,
    "learned": lambda value: value,
    "dense": lambda value: value.T,
    "conv": lambda value: value.transpose(value.ndim - 1, value.ndim - 2, *range(value.ndim - 2)),
    "depthwise": lambda value: value.transpose(value.ndim - 2, value.ndim - 1, *range(value.ndim - 2)).reshape(-1, 1, *value.shape[:-2]),
}


def _variables(path: Path) -> dict[str, list[Any]]:
    """Return the variables of each layer of an archive, in order."""
    import h5py

    found: dict[str, list[Any]] = {}

    def walk(group: Any, place: str) -> None:
        for part in group.get("layers", {}).values():
            own = part.get("vars")
            name = own.attrs.get("name") if own is not None else None
            if name is None:
                raise CannotRead(f"{path.name} does not name its layers; save it again with Keras 3.5 or newer")
            inside = _inside(place, _label(str(name)))
            found[inside] = [own[str(number)][()] for number in range(len(own))]
            walk(part, inside)

    try:
        with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as data, h5py.File(data, "r") as file:
            walk(file, "")
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise CannotRead(f"the weights of {path.name} cannot be read: {error}") from None
    return found


def _configuration(path: Path) -> Any:
    if path.suffix == ".keras":
        try:
            with zipfile.ZipFile(path) as archive:
                info = archive.getinfo("config.json")
                if info.file_size > MAX_BYTES:
                    raise CannotRead(f"config.json in {path.name} is larger than {MAX_BYTES // 2**20} MiB")
                with archive.open(info) as file:
                    data = file.read(MAX_BYTES + 1)  # the size that the head of an archive states may be wrong
        except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError) as error:
            raise CannotRead(f"{path.name} is no `.keras` archive: {error}") from None
        if len(data) > MAX_BYTES:
            raise CannotRead(f"config.json in {path.name} is larger than {MAX_BYTES // 2**20} MiB")
    else:
        data = read_regular(path, MAX_BYTES)
    try:
        text = data.decode()
        if _depth(text) > MAX_DEPTH:
            raise CannotRead(f"the JSON is nested more than {MAX_DEPTH} deep")
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CannotRead(f"{path.name} holds no JSON: {error}") from None


def _depth(text: str) -> int:
    depth = most = 0
    for bracket in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text):
        if bracket[0] in "[{":
            depth += 1
            most = max(most, depth)
        elif bracket[0] in "]}":
            depth -= 1
    return most
