"""Read Darknet's `.cfg`, and the weights of its `.weights`: https://github.com/AlexeyAB/darknet/wiki/CFG-Parameters-in-the-different-layers.

A section is a layer, and its output has the number of the section, from 0; `route` and `shortcut` name earlier ones. A `yolo` section
interprets the layer before it, which is then an output of the network: the raw predictions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from archc.compiler.files import read_regular
from archc.compiler.frontends.flat import LOWEST, CannotRead, Flat, FlatNetwork
from archc.compiler.frontends.naming import name_of

MAX_WEIGHTS = 2**32
MAX_BYTES = 2**22  # of a .cfg: fifty times the largest that is in use
ACTIVATIONS: Mapping[str, tuple[str, Mapping[str, Any]] | None] = {
    "linear": None,
    "leaky": ("leaky_relu", {"slope": 0.1}),
    "relu": ("relu", {}),
    "relu6": ("relu6", {}),
    "elu": ("elu", {}),
    "selu": ("selu", {}),
    "mish": ("mish", {}),
    "swish": ("silu", {}),
    "logistic": ("sigmoid", {}),
    "tanh": ("tanh", {}),
}
EPSILON = 1e-5
TITLE = "read from Darknet"
# Settings of training and of predictions, which no shape and no value of inference depends on.
IDLE = {
    "net": None,
    "yolo": None,
    "region": None,
    "detection": None,
    "cost": None,
    "softmax": {"groups", "temperature", "tree"},
    "convolutional": {"learning_rate", "dontload", "flipped", "burnin_update", "train_only_bn", "stopbackward", "counters_per_class"},
    "shortcut": set[str](),
    "route": {"stopbackward"},
}


@dataclass(frozen=True)
class Section:
    """A section of the file: its kind, its settings, and the line of its head."""

    kind: str
    line: int
    settings: Mapping[str, str]
    used: set[str] = field(default_factory=set)

    def text(self, name: str, default: str = "") -> str:
        """Return a setting."""
        self.used.add(name)
        return self.settings.get(name, default)

    def whole(self, name: str, default: int) -> int:
        """Return a setting that is a whole number. Raises CannotRead for any other."""
        text = self.text(name, str(default))
        if re.fullmatch(r"[+-]?\d{1,9}", text) is None:
            raise self.refusal(f"`{name}` is a whole number, not {text[:40]}")
        return int(text)

    def number(self, name: str, default: float) -> float:
        """Return a setting that is a number. Raises CannotRead for any other."""
        text = self.text(name, str(default))
        try:
            return float(text)
        except ValueError:
            raise self.refusal(f"`{name}` is a number, not {text[:40]}") from None

    def wholes(self, name: str) -> list[int]:
        """Return a setting that is a list of whole numbers. Raises CannotRead for any other."""
        items = [item.strip() for item in self.text(name).split(",") if item.strip()]
        if not items or any(re.fullmatch(r"[+-]?\d{1,9}", item) is None for item in items):
            raise self.refusal(f"`{name}` is a list of whole numbers")
        return [int(item) for item in items]

    def refusal(self, reason: str) -> CannotRead:
        """Return the error that refuses this section."""
        return CannotRead(reason, f"[{self.kind}]", f"line {self.line}")


@dataclass(frozen=True)
class Stored:
    """The tensors of one layer in the order of a `.weights` file: key and shape."""

    tensors: tuple[tuple[str, tuple[int, ...]], ...]


class Reader:
    """Turns sections into operators, one after another."""

    def __init__(self, name: str, sections: list[Section]) -> None:
        self.name = name
        self.flat = Flat(name)
        self.sections = sections
        self.results: list[int] = []  # of sections, in order
        self.outputs: list[int] = []
        self.stored: list[Stored] = []
        self.state: dict[str, tuple[int, ...]] = {}
        self.counts: dict[str, int] = {}

    def read(self) -> FlatNetwork:
        """Return the network. Raises CannotRead."""
        net, *layers = self.sections
        shape = tuple(net.whole(name, 0) for name in ("channels", "height", "width"))
        if min(shape) < 1:
            raise net.refusal("it states no channels, height and width")
        current = self.flat.add_input("input", shape)
        for section in layers:
            make = KINDS.get(section.kind)
            if make is None:
                raise section.refusal(f"this kind of section is not known; known are {', '.join(sorted(KINDS))}")
            current = make(self, section, current)
            self.results.append(current)
            idle = IDLE.get(section.kind, set())
            if idle is not None and (unknown := sorted(set(section.settings) - section.used - idle)):
                raise section.refusal(f"its setting `{unknown[0]}` is not known")
        outputs = self.outputs or [current]
        names = ["output"] if len(set(outputs)) == 1 else [f"scale{number}" for number in range(1, len(outputs) + 1)]
        distinct = dict(zip(names, dict.fromkeys(outputs), strict=True))
        graph, _ = self.flat.finished(self.name, TITLE, distinct, self.state)
        return FlatNetwork(graph, TITLE)

    def key(self, op: str) -> str:
        """Return the next key of an operator with weights."""
        self.counts[op] = self.counts.get(op, 0) + 1
        return f"{op}{self.counts[op]}"

    def layer(self, op: str, key: str, operand: int, given: Mapping[str, Any], weights: Mapping[str, tuple[int, ...]]) -> int:
        """Append an operator with weights."""
        held = {f"{key}.{name}": shape for name, shape in weights.items()}
        self.state |= held
        return self.flat.add(op, [operand], given, weights=held, leaf=True, path=key)

    def activated(self, section: Section, current: int, default: str) -> int:
        """Append the activation of a section."""
        name = section.text("activation", default)
        if name not in ACTIVATIONS:
            raise section.refusal(f"its activation {name[:40]} is not known; known are {', '.join(ACTIVATIONS)}")
        found = ACTIVATIONS[name]
        return current if found is None else self.flat.add(found[0], [current], found[1])

    def earlier(self, section: Section, number: int) -> int:
        """Return the result of a section: relative to this one where the number is negative, else by its number."""
        place = len(self.results) + number if number < 0 else number
        if not 0 <= place < len(self.results):
            raise section.refusal(f"there is no earlier section {number}")
        return self.results[place]

    def channels(self, operand: int) -> int:
        """Return the channels of a result."""
        return int(self.flat.items[operand].shape[0])  # type: ignore[arg-type]

    # ---- sections

    def convolutional(self, section: Section, current: int) -> int:
        kernel, stride, groups = section.whole("size", 1), section.whole("stride", 1), section.whole("groups", 1)
        pad = kernel // 2 if section.whole("pad", 0) else section.whole("padding", 0)
        section.text("padding")
        filters, normalized = section.whole("filters", 1), section.whole("batch_normalize", 0)
        if section.whole("xnor", 0) or section.whole("binary", 0):
            raise section.refusal("binary weights cannot be said")
        given = {"kernel": kernel, "out": filters, "stride": stride, "pad": pad, "groups": groups, "bias": not normalized}
        channels = self.channels(current)
        if groups < 1 or channels % groups:
            raise section.refusal(f"{channels} channels cannot be divided into {groups} groups")
        weight = (filters, channels // groups, kernel, kernel)
        key = self.key("conv")
        weights = {"weight": weight} if normalized else {"weight": weight, "bias": (filters,)}
        current = self.layer("conv", key, current, given, weights)
        if normalized:
            norm = self.key("bn")
            current = self.layer("bn", norm, current, {"eps": EPSILON}, {"weight": (filters,), "bias": (filters,)})
            self.state |= {f"{norm}.running_mean": (filters,), f"{norm}.running_var": (filters,), f"{norm}.num_batches_tracked": ()}
            first = tuple((f"{norm}.{name}", (filters,)) for name in ("bias", "weight", "running_mean", "running_var"))
        else:
            first = ((f"{key}.bias", (filters,)),)
        self.stored.append(Stored((*first, (f"{key}.weight", weight))))
        return self.activated(section, current, "logistic")

    def connected(self, section: Section, current: int) -> int:
        outputs = section.whole("output", 1)
        if section.whole("batch_normalize", 0):
            raise section.refusal("a normalized fully-connected layer is not known")
        shape = self.flat.items[current].shape
        inputs = 1
        for size in shape:
            inputs *= int(size)  # type: ignore[arg-type]
        if len(shape) > 1:
            current = self.flat.add("flatten", [current])
        key = self.key("fc")
        weights = {"weight": (outputs, inputs), "bias": (outputs,)}
        current = self.layer("fc", key, current, {"out": outputs}, weights)
        self.stored.append(Stored(((f"{key}.bias", (outputs,)), (f"{key}.weight", (outputs, inputs)))))
        return self.activated(section, current, "logistic")

    def maxpool(self, section: Section, current: int) -> int:
        """Darknet pads `size-1` positions in all by default, the smaller half before: the last windows may extend past the edge."""
        stride = section.whole("stride", 1)
        size = section.whole("size", stride)
        if stride < 1 or size < 1:
            raise section.refusal(f"a window of {size} with stride {stride} does not move over a map")
        padding = section.whole("padding", size - 1)
        before, after = padding // 2, padding - padding // 2
        lengths = [int(length) for length in self.flat.items[current].shape[1:]]  # type: ignore[arg-type]
        unseen = before == 0 and all((length + padding - size) // stride == (length - size) // stride for length in lengths)
        if unseen or (before == after and before <= size // 2):  # unseen: the padded positions are in no window
            return self.flat.add("maxpool", [current], {"kernel": size, "stride": stride, "pad": before})
        padded = self.flat.add("pad", [current], {"h": [before, after], "w": [before, after], "value": LOWEST})
        return self.flat.add("maxpool", [padded], {"kernel": size, "stride": stride})

    def avgpool(self, section: Section, current: int) -> int:
        return self.flat.add("adaptive_avgpool", [current], {"out": 1})

    def route(self, section: Section, current: int) -> int:
        taken = [self.earlier(section, number) for number in section.wholes("layers")]
        groups, group = section.whole("groups", 1), section.whole("group_id", 0)
        if groups > 1:
            parts = []
            for operand in taken:
                share, rest = divmod(self.channels(operand), groups)
                if rest or not 0 <= group < groups:
                    raise section.refusal(f"{self.channels(operand)} channels have no group {group} of {groups}")
                parts.append(self.flat.add("slice", [operand], {"start": group * share, "stop": (group + 1) * share}))
            taken = parts
        return taken[0] if len(taken) == 1 else self.flat.add("concat", taken)

    def shortcut(self, section: Section, current: int) -> int:
        if section.text("weights_type", "none") != "none":
            raise section.refusal("weighted shortcuts are not known")
        section.text("weights_normalization")
        others = [self.earlier(section, number) for number in section.wholes("from")]
        return self.activated(section, self.flat.add("add", [current, *others]), "linear")

    def upsample(self, section: Section, current: int) -> int:
        if section.number("scale", 1) != 1:
            raise section.refusal("a factor on the values is not known")
        return self.flat.add("upsample", [current], {"scale": section.whole("stride", 2)})

    def reorg(self, section: Section, current: int) -> int:
        raise section.refusal("Darknet's order of the channels after a `reorg` is that of no operator here")

    def dropout(self, section: Section, current: int) -> int:
        return self.flat.add("dropout", [current], {"p": section.number("probability", 0.5)})

    def softmax(self, section: Section, current: int) -> int:
        if section.whole("groups", 1) != 1 or section.text("tree"):
            raise section.refusal("a softmax over groups is not known")
        if len(self.flat.items[current].shape) > 1:
            current = self.flat.add("flatten", [current])
        return self.flat.add("softmax", [current])

    def cost(self, section: Section, current: int) -> int:
        return current

    def yolo(self, section: Section, current: int) -> int:
        self.outputs.append(current)
        return current


KINDS: Mapping[str, Callable[[Reader, Section, int], int]] = {
    "convolutional": Reader.convolutional,
    "conv": Reader.convolutional,
    "connected": Reader.connected,
    "conn": Reader.connected,
    "maxpool": Reader.maxpool,
    "max": Reader.maxpool,
    "avgpool": Reader.avgpool,
    "avg": Reader.avgpool,
    "route": Reader.route,
    "shortcut": Reader.shortcut,
    "upsample": Reader.upsample,
    "reorg": Reader.reorg,
    "dropout": Reader.dropout,
    "softmax": Reader.softmax,
    "soft": Reader.softmax,
    "cost": Reader.cost,
    "yolo": Reader.yolo,
    "region": Reader.yolo,
    "detection": Reader.yolo,
}


def read(path: Path, weights: Path | None = None) -> FlatNetwork:
    """Read a `.cfg` file, with the `.weights` file that belongs to it. Raises CannotRead, with the section and its line, and OSError."""
    reader = Reader(name_of(path.stem), sections(read_regular(path, MAX_BYTES).decode(errors="replace")))
    network = reader.read()
    return network if weights is None else replace(network, weights=partial(tensors, weights, tuple(reader.stored)))


def tensors(path: Path, stored: Sequence[Stored]) -> dict[str, Any]:
    """Return the tensors of a `.weights` file by key. Raises CannotRead where the file is longer or shorter than the network."""
    import numpy as np

    data = read_regular(path, MAX_WEIGHTS)
    if len(data) < 16:
        raise CannotRead(f"{path.name} is too short for the head of a `.weights` file")
    major, minor, _ = np.frombuffer(data, "<i4", 3)
    begin = 12 + (8 if int(major) * 10 + int(minor) >= 2 else 4)  # the samples seen in training, with 8 bytes since version 0.2
    needed = sum(prod(shape) for layer in stored for _, shape in layer.tensors)
    if len(data) - begin != 4 * needed:
        raise CannotRead(f"{path.name} holds {(len(data) - begin) / 4:,.0f} numbers, and the network {needed:,}")
    values = np.frombuffer(data, "<f4", needed, begin)
    found: dict[str, Any] = {}
    at = 0
    for layer in stored:
        for key, shape in layer.tensors:
            found[key] = values[at : at + prod(shape)].reshape(shape)
            at += prod(shape)
        for key, _ in layer.tensors:
            if key.endswith(".running_var"):
                found[key.replace("running_var", "num_batches_tracked")] = np.zeros((), np.int64)
    return found


def sections(text: str) -> list[Section]:
    """Return the sections of a file, `[net]` first. Raises CannotRead for lines that are none of a `.cfg`."""
    found: list[Section] = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare[0] in "#;":
            continue
        if head := re.fullmatch(r"\[\s*(\w+)\s*\]", bare):
            found.append(Section(head[1].lower(), number, {}))
            continue
        name, equals, value = bare.partition("=")
        if not equals or not found:
            raise CannotRead("this line is neither a section nor a setting of one", bare[:40], f"line {number}")
        found[-1].settings[name.strip()] = value.strip()  # type: ignore[index]
    if not found or found[0].kind not in ("net", "network"):
        raise CannotRead("the first section of a `.cfg` is [net]")
    return found
