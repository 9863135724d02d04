"""Initialization: a function over the modules of a network where a rule for a class of layers will do, and names for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from archc.compiler.backends.source.expressions import literal
from archc.compiler.backends.source.layout import INDENT, Group, lines
from archc.compiler.lowering.program import Fill, Part

BASES = {"archc.ChannelLinear": "nn.Linear", "archc.Embedding": "nn.Embedding"}  # what a class of archc is by inheritance
BY_RANK = {2: "nn.Linear", 3: "nn.Conv1d", 4: "nn.Conv2d", 5: "nn.Conv3d"}  # layers inside of other layers


def drawn(fill: Fill) -> str:
    """Return the call that draws from a distribution of the language, with `{}` in place of the tensor."""
    a = fill.settings
    mode = "" if a.get("mode") in (None, "fan_in") else f', mode="{a["mode"]}"'
    match fill.name:
        case "he_normal":
            return f'nn.init.kaiming_normal_({{}}{mode}, nonlinearity="relu")'
        case "he_uniform":
            return f'nn.init.kaiming_uniform_({{}}{mode}, nonlinearity="relu")'
        case "xavier_normal" | "xavier_uniform":
            return f"nn.init.{fill.name}_({{}})"
        case "normal":
            return f"nn.init.normal_({{}}, std={literal(a['std']).text})"
        case "trunc_normal":
            std = a["std"]
            return f"nn.init.trunc_normal_({{}}, std={literal(std).text}, a={literal(-2 * std).text}, b={literal(2 * std).text})"
        case "uniform":
            return f"nn.init.uniform_({{}}, {literal(-a['bound']).text}, {literal(a['bound']).text})"
        case "constant":
            known = {0: "nn.init.zeros_({})", 1: "nn.init.ones_({})"}
            return known.get(a["value"]) or f"nn.init.constant_({{}}, {literal(a['value']).text})"
    raise KeyError(fill.name)


@dataclass
class Layer:
    """A layer of a kind, with the calls that initialize its tensors; "" for one that keeps what PyTorch draws."""

    kind: str
    key: str
    calls: dict[str, str] = field(default_factory=dict)


@dataclass
class Initialization:
    """Rules by the kind of layer, `{kind: {tensor: call}}`, calls by the names of parameters, and layers that must settle afterwards."""

    rules: dict[str, dict[str, str]]
    partial: set[tuple[str, str]]  # the tensors that not all layers of a kind have
    named: dict[str, list[str]]
    settles: bool
    every: list[str]

    @property
    def is_empty(self) -> bool:
        """Return whether all layers keep what PyTorch draws."""
        return not self.rules and not self.named

    def constructor(self) -> list[str]:
        """Return the lines at the end of the constructor of the network."""
        result = [f"{INDENT * 2}self.apply(init_weights)"] if self.rules else []
        word = "if"
        if self.named:
            result.append(f"{INDENT * 2}for name, parameter in self.named_parameters():")
        for call, names in self.named.items():
            tested = list(self._tests(names))
            if len(tested) == 1:
                result.append(f"{INDENT * 3}{word} {tested[0]}:")
            else:
                result += lines(Group("(", (" or ".join(tested),), ")") if len(" or ".join(tested)) > 90 else " or ".join(tested), 3, f"{word} ", ":")
            result.append(f"{INDENT * 4}{call.format('parameter')}")
            word = "elif"
        if self.settles:
            result += [
                f"{INDENT * 2}for module in self.modules():",
                f"{INDENT * 3}if isinstance(module, Spectral):",
                f"{INDENT * 4}module.settle()",
            ]
        return result

    def _tests(self, names: list[str]) -> Iterator[str]:
        """Yield conditions on a name that together hold for these parameters and for no other."""
        left = dict.fromkeys(names)
        endings: list[str] = []
        while left:
            name = next(iter(left))
            parts = name.split(".")
            for size in range(2, len(parts)):
                end = "." + ".".join(parts[-size:])
                matched = [other for other in self.every if other.endswith(end)]
                if len(matched) > 1 and all(other in left for other in matched):
                    endings.append(end)
                    for other in matched:
                        del left[other]
                    break
            else:
                break
            continue
        exact = list(left)
        if endings:
            shown = f'"{endings[0]}"' if len(endings) == 1 else f"({', '.join(_quoted(end) for end in endings)})"
            yield f"name.endswith({shown})"
        if len(exact) == 1:
            yield f"name == {_quoted(exact[0])}"
        elif exact:
            yield f"name in ({', '.join(map(_quoted, exact))})"

    def function(self) -> list[str]:
        """Return the lines of the function `init_weights`; none where there are no rules."""
        if not self.rules:
            return []
        result = ["def init_weights(module: nn.Module) -> None:"]
        word = "if"
        for calls, kinds in self._grouped().items():
            tested = kinds[0] if len(kinds) == 1 else f"({', '.join(kinds)})"
            result.append(f"{INDENT}{word} isinstance(module, {tested}):")
            word = "elif"
            for tensor, call in calls:
                depth = 2
                if tensor == "bias" and any((kind, tensor) in self.partial or "Conv" in kind for kind in kinds):
                    result.append(f"{INDENT * 2}if module.bias is not None:")
                    depth = 3
                result.append(INDENT * depth + call.format(f"module.{tensor}"))
        return result

    def _grouped(self) -> dict[tuple[tuple[str, str], ...], list[str]]:
        grouped: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for kind, calls in self.rules.items():
            grouped.setdefault(tuple(calls.items()), []).append(kind)
        return grouped


def _quoted(text: str) -> str:
    return literal(text).text


def initialization(parts: Mapping[str, Part]) -> Initialization:
    """Return how the parts of a program are initialized where that is not as PyTorch does it."""
    layers = [layer for part in parts.values() if part.kind == "module" for layer in _layers(part)]
    every = [f"{key}.{name}".rstrip(".") for key, part in parts.items() for name in part.weights]
    made = Initialization({}, set(), {}, any(part.initial and "Spectral" in part.target for part in parts.values()), every)
    kinds: dict[str, list[Layer]] = {}
    for layer in layers:
        kinds.setdefault(layer.kind, []).append(layer)
    for kind, members in kinds.items():
        for tensor in dict.fromkeys(name for layer in members for name in layer.calls):
            _settle(made, kind, tensor, members)
    return made


def _settle(made: Initialization, kind: str, tensor: str, members: list[Layer]) -> None:
    having = [layer for layer in members if tensor in layer.calls]
    calls = [layer.calls[tensor] for layer in having]
    usual = max(dict.fromkeys(calls), key=calls.count)
    if not any(calls):
        return
    if "" not in calls and tensor in ("weight", "bias") and not kind.startswith("?") and calls.count(usual) > 1 - (len(calls) == 1):
        made.rules.setdefault(kind, {})[tensor] = usual
        if len(having) < len(members):
            made.partial.add((kind, tensor))
    else:
        usual = ""
    for layer in having:
        call = layer.calls[tensor]
        if call and call != usual:
            made.named.setdefault(call, []).append(f"{layer.key}.{tensor}")


def _layers(part: Part) -> Iterator[Layer]:
    """Yield the layer that a part is, and those that it contains."""
    found: dict[str, Layer] = {}
    for name in part.weights:
        inner, _, tensor = name.rpartition(".")
        if inner and inner not in found:
            rank = len(part.weights.get(f"{inner}.weight", ()))
            found[inner] = Layer(BY_RANK.get(rank, f"?{part.target}.{inner}"), f"{part.key}.{inner}")
        elif inner not in found:
            kind = BASES.get(part.target, part.target)
            if kind.startswith("archc.") and "Conv" in kind and "Table" not in kind and "Spectral" not in kind:
                kind = "nn." + kind[kind.index("Conv") :]
            found[inner] = Layer(f"?{kind}" if kind.startswith("archc.") else kind, part.key)
        fill = part.initial.get(name)
        found[inner].calls[tensor] = drawn(fill) if fill is not None else ""
    yield from found.values()
