"""Turn the configuration of a model of Keras 3 into operators.

Keras keeps the channels last, and we keep them first: axes are translated, and a `Flatten` of a map becomes a `rearrange` in the order of
Keras. `same` pads the end more than the beginning where the number of padded positions is odd.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archc.compiler.frontends.flat import LOWEST, CannotRead, Flat, FlatNetwork
from archc.compiler.frontends.keras.sharing import Calls
from archc.compiler.frontends.naming import label_of

TITLE = "read from Keras"

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
    """A layer: its class, its settings, and the path of its name, in the graph and in the file."""

    kind: str
    path: str
    config: Mapping[str, Any]
    source: str = ""

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
        self.constants: dict[str, list[float]] = {}  # by key, tensors whose values are in the configuration
        self.calls = Calls()

    def read(self, data: Any) -> FlatNetwork:
        """Return the network of a configuration. Raises CannotRead."""
        if not isinstance(data, dict) or not isinstance(data.get("config"), dict) or "class_name" not in data:
            raise CannotRead("this is no configuration of a Keras model: it lacks class_name and config")
        try:
            outputs = self.model(data, "", None)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise CannotRead(f"this is no configuration that Keras writes: {type(error).__name__}, {str(error)[:80]}") from None
        names = ["output"] if len(outputs) == 1 else [f"output{number}" for number in range(1, len(outputs) + 1)]
        several = [key for key in self.state if self.calls.key(key) != key]  # of calls, of which some may make nothing that is used
        graph, named = self.flat.finished(self.name, TITLE, dict(zip(names, outputs, strict=True)), self.state, several)
        graph = self.calls.shared(graph)
        self.state = {self.calls.key(key): shape for key, shape in self.state.items()}
        if unused := next((key for key in map(self.calls.key, several) if key.rpartition(".")[0] not in {node.key for node in graph}), ""):
            raise CannotRead(f"{unused} is stored and used by no operator")
        self.stored = {name: [(self.calls.key(key), layout) for key, layout in held] for name, held in self.stored.items()}
        self.constants = {self.calls.key(key): held for key, held in self.constants.items()}
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
                current = [self.input({"batch_shape": shape}, inside(path, "input"))]
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
        paths = {_name(data, path) for data in config["layers"]}
        waiting = [(data, place) for data in config["layers"] for place in range(max(1, len(data.get("inbound_nodes") or [])))]
        while waiting:
            left = []
            for data, place in waiting:
                name, nodes = str(data.get("name") or data["config"].get("name")), data.get("inbound_nodes") or []
                if data["class_name"] == "InputLayer":
                    made[name, 0] = [given[name]] if name in given else [self.input(data["config"], inside(path, label_of(name)))]
                    continue
                if not nodes:
                    raise CannotRead("it is never called", str(data["class_name"]), name)
                taken = list(_operands(nodes[place]))
                if not all((layer, call) in made for layer, call, _ in taken):
                    left.append((data, place))
                    continue
                operands = [made[layer, call][number] for layer, call, number in taken]
                constant, here = _constant(data, [nodes[place]]), inside(path, label_of(name))
                if constant is not None:
                    made[name, place] = [self.flat.add(constant[0], operands, constant[1])]
                elif len(nodes) == 1:
                    made[name, place] = self.layer(data, here, operands)
                else:
                    with self.calls.call(self.flat, str(data["class_name"]), here, place + 1, paths):
                        made[name, place] = self.layer(data, here, operands)
            if len(left) == len(waiting):
                reason = "its operands are not in the file, or it depends on itself"
                raise CannotRead(reason, str(left[0][0]["class_name"]), _name(left[0][0], path))
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
        from archc.compiler.frontends.keras.layers import KINDS  # whose rules are given a reader

        make = KINDS.get(kind)
        if make is None:
            raise CannotRead("this layer is not known", kind[:40], path)
        layer = Layer(kind, self.calls.name(path), data["config"], path)
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
        self.stored[layer.source or layer.path] = [(f"{layer.path}.{name}", layout) for name, layout in variables]

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
        if min(*kernel, *stride, *dilation) < 1:
            raise layer.refusal("kernel, strides and dilation are at least 1")
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
            names = axis_words(len(ends))
            given: dict[str, Any] = {name: list(pair) for name, pair in zip(names, ends, strict=True)}
            return self.flat.add("pad", [operand], given | {"value": value}), 0
        raise layer.refusal("its windows are cut at the edges unevenly, which no operator says")


def axis_words(count: int) -> tuple[str, ...]:
    return {1: ("w",), 2: ("h", "w"), 3: ("d", "h", "w")}[count]


def inside(path: str, label: str) -> str:
    return f"{path}.{label}" if path else label


def _name(data: Any, path: str) -> str:
    if not isinstance(data, dict) or not isinstance(data.get("config"), dict) or not isinstance(data.get("class_name"), str):
        raise CannotRead("a layer lacks class_name and config", path=path)
    return inside(path, label_of(str(data.get("name") or data["config"].get("name") or data["class_name"].lower())))


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
