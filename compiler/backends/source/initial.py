"""Initialization: a function over the modules of a network where a rule for a class of layers will do, and names for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from archc.compiler.backends.source.expressions import literal
from archc.compiler.backends.source.layout import INDENT, WIDTH, Doc, Group, flat, lines
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
        several = {call: names for call, names in self.named.items() if len(names) > 3}
        for call, names in self.named.items():
            if call not in several:
                for name in names:
                    head, _, rest = call.partition("({}")
                    settings = [each for each in rest.removesuffix(")").split(", ") if each]
                    result += lines(Group(f"{head}(", (f"self.get_parameter({_quoted(name)})", *settings), ")"), 2)
        if several:
            result.append(f"{INDENT * 2}for name, parameter in self.named_parameters():")
        for call, names in several.items():
            for tested in self._tests(names):
                whole = f"{INDENT * 3}{word} {flat(tested)}:"
                result += [whole] if len(whole) <= WIDTH else lines(tested, 3, f"{word} ", ":")
                result.append(f"{INDENT * 4}{call.format('parameter')}")
                word = "elif"
        if self.settles:
            result += [
                f"{INDENT * 2}for module in self.modules():",
                f"{INDENT * 3}if isinstance(module, Spectral):",
                f"{INDENT * 4}module.settle()",
            ]
        return result

    def _tests(self, names: list[str]) -> Iterator[Doc]:
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
        if endings and all(not other.endswith(name) or other == name for name in exact for other in self.every):
            endings, exact = [*endings, *exact], []  # one condition, where a name is the end of no other
        if endings:
            ends = tuple(map(_quoted, endings))
            yield Group("name.endswith(", (Group("(", ends, ")") if ends[1:] else ends[0],), ")")
        if len(exact) == 1:
            yield f"name == {_quoted(exact[0])}"
        elif exact:
            yield Group("name in (", tuple(map(_quoted, exact)), ")")

    def function(self) -> list[str]:
        """Return the lines of the function `init_weights`; none where there are no rules."""
        if not self.rules:
            return []
        result = ["def init_weights(module: nn.Module) -> None:"]
        shared = {calls["bias"] for calls in self.rules.values() if "bias" in calls}
        common = shared.pop() if len(shared) == 1 and len(self.rules) > 1 and all(len(calls) == 2 for calls in self.rules.values()) else ""
        word = "if"
        for calls, kinds in self._grouped(common).items():
            result.append(f"{INDENT}{word} isinstance(module, {_classes(kinds)}):")
            word = "elif"
            for tensor, call in calls:
                depth = 2
                if tensor == "bias" and any((kind, tensor) in self.partial or "Conv" in kind for kind in kinds):
                    result.append(f"{INDENT * 2}if module.bias is not None:")
                    depth = 3
                result.append(INDENT * depth + call.format(f"module.{tensor}"))
        if common:
            result.append(f"{INDENT}if isinstance(module, {_classes(list(self.rules))}) and module.bias is not None:")
            result.append(INDENT * 2 + common.format("module.bias"))
        return result

    def _grouped(self, common: str) -> dict[tuple[tuple[str, str], ...], list[str]]:
        grouped: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for kind, calls in self.rules.items():
            grouped.setdefault(tuple((tensor, call) for tensor, call in calls.items() if call != common), []).append(kind)
        return grouped


def _classes(kinds: Sequence[str]) -> str:
    """Return what `isinstance` asks for."""
    names = [kind.removeprefix("archc.") for kind in kinds]
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


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
    for kind, members in sorted(kinds.items(), key=lambda row: row[0] not in BASES):  # what inherits comes before what it inherits from
        for tensor in dict.fromkeys(name for layer in members for name in layer.calls):
            _settle(made, kind, tensor, members)
    for kind, base in BASES.items():
        if kind in kinds and base in made.rules and kind not in made.rules:  # its layers would follow a rule that is not theirs
            for tensor, call in made.rules.pop(base).items():
                names = [f"{layer.key}.{tensor}" for layer in kinds[base] if layer.calls.get(tensor) == call]
                made.named.setdefault(call, []).extend(names)
        if made.rules.get(kind) == made.rules.get(base) and kind in made.rules:
            made.partial |= {(base, tensor) for own, tensor in made.partial if own == kind}
            del made.rules[kind]
    return made


def _settle(made: Initialization, kind: str, tensor: str, members: list[Layer]) -> None:
    having = [layer for layer in members if tensor in layer.calls]
    calls = [layer.calls[tensor] for layer in having]
    usual = max(dict.fromkeys(calls), key=calls.count)
    if not any(calls):
        return
    if "" not in calls and tensor in ("weight", "bias") and not kind.startswith("?") and calls.count(usual) > 1:
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
            kind = part.target
            if kind.startswith("archc.") and "Conv" in kind and "Table" not in kind and "Spectral" not in kind:
                kind = "nn." + kind[kind.index("Conv") :]
            found[inner] = Layer(f"?{kind}" if kind.startswith("archc.") and kind not in BASES else kind, part.key)
        fill = part.initial.get(name)
        found[inner].calls[tensor] = drawn(fill) if fill is not None else ""
    yield from found.values()
