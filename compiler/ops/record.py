"""The record of an operator: its options, shape rule, weights, cost, lowering and documentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from archc.compiler.ops.call import AXES as AXES
from archc.compiler.ops.call import Call as Call
from archc.compiler.ops.call import axis_names as axis_names
from archc.compiler.ops.kinds import Kind, Value
from archc.compiler.ops.memory import FRESH, Memory
from archc.compiler.ops.receptive import ReceptiveFields, each
from archc.compiler.ops.targets import Target
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.compiler.shapes.window import Window
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says

MAX_VALUES = 2**62  # values in one tensor that can be addressed


@dataclass(frozen=True)
class Like:
    """A default that is the value of another option: a pool's stride defaults to its kernel."""

    option: str


class Required:
    """The marker, in place of a default, of an option that must be given."""

    def __repr__(self) -> str:
        return "required"


REQUIRED = Required()


@dataclass(frozen=True)
class Attr:
    """An option of an operator: its name, the kind of its values, its default, and its meaning in a few words.

    `rare`: an expanded program, which otherwise states every option, leaves it out where it has its default.
    """

    name: str
    kind: Kind
    default: Value | Like | Required
    doc: str
    rare: bool = False


Weights = Mapping[str, tuple[int, ...]]

ShapeRule = Callable[[Call], Shape]
WeightRule = Callable[[Call], Weights]
CostRule = Callable[[Call, Shape], Dim]
LowerRule = Callable[[Call], Target]
ReceptiveRule = Callable[[Call, Shape], ReceptiveFields]
DerivationRule = Callable[[Call, Shape], list[str]]
WindowRule = Callable[[Mapping[str, Any]], Window]
Canonicalize = Callable[[dict[str, Any]], None]

# The families of operators that pictures draw alike.
Picture = Literal[
    "input", "convolution", "dense", "attention", "learned", "pooling", "normalization", "activation", "regularization", "shape", "merge",
    "unknown",
]  # fmt: skip


def same_shape(call: Call) -> Shape:
    """Return the shape of the first operand."""
    return call.x


def no_weights(call: Call) -> Weights:
    """Return no tensors."""
    return {}


def as_given(attrs: dict[str, Any]) -> None:
    """Leave the options unchanged: none of them depends on another."""


def nothing(call: Call, out: Shape) -> Dim:
    """Count nothing."""
    return 0


def never(call: Call) -> bool:
    """Return False."""
    return False


def holds_values(call: Call) -> int | None:
    """Return None: the operand holds values, and not whole numbers."""
    return None


def not_joined(call: Call) -> int | None:
    """Return None: the operands are not concatenated."""
    return None


def macs_and_bias(macs: CostRule) -> CostRule:
    """Return a rule that counts connections: one per multiply-accumulate, and one per output value for the bias."""
    return lambda call, out: macs(call, out) + (product(out) if call.attrs["bias"] else 0)


@dataclass(frozen=True)
class Operator:
    """One operator of the language: everything that the compiler knows about it. Shapes are without the batch.

    Syntax: `short` names the options that the parts of `NAME3-64/2` set; `operands` is the smallest and the largest number of operands,
    None for no limit; one that may be `plain` is also written without branches, and then takes the current tensor alone;
    an operator with `followers` also takes `norm=` and `act=`, which apply a normalization and an activation after
    it; one that `flattens` has its input flattened first. If options are `named`, numbers without a name are refused, since other
    frameworks set all of these options with one number. The option that it `gathers` holds all arguments by other names (`i=2`).
    `canonicalize` replaces, in place, words that depend on other options by numbers (`pad=same`).

    Semantics: `shape` returns the output shape, and raises Fault for operands that do not fit; `weights` are the shapes of the trained
    tensors by name, `buffers` those of tensors that are stored but not trained, among them, by name, whole `numbers` of 8 bytes; `lower`
    returns, as data, what a backend executes. `window` builds the window that slides over the input from the options, or is None.
    `joined_axis` is the axis along which a call concatenates its operands, 0 for the channels, or None.

    Cost, per sample: `macs`, the multiply-accumulates (biases, normalization, activations and pooling are not counted);
    `connections`, the weighted inputs of all units, biases included, as LeCun et al. 1998 count them; `fvcore`, what the counter of
    that name counts, where it is not the MACs of a linear layer; `memory`, the memory that the lowered operator needs.

    Explanation: `receptive_field`, the inputs that an output depends on; `derivation`, the computation of the output shape in lines
    of arithmetic; `picture`, the picture family, if not that of `family`; `sign`, the symbol in the circle of a merge, and its word;
    `called`, what tables in papers call it, empty where its kernel says enough, None for its name.

    Properties that analyses and rewrites may rely on:
    `indexes` returns how many whole numbers, from 0, the operand of a call may hold, which is then an input of the network; None
    where it holds values.
    `linear`: a linear map with trained weights, and a bias by the option `bias`: a layer, as papers count them.
    `grows`: it enlarges maps.
    `unrolls`: its output is the values of its input along one axis.
    `normalizes`: its output is normalized, so applying it again does nothing. `removes_bias`: it subtracts the mean of each channel.
    `surveys`: in evaluation, too, it computes mean and variance over all positions of a sample, which receptive fields do not count.
    `rectifies`: it does not change its own output.
    `identity_in_eval`: in evaluation it returns its input; `identity_in_training` returns whether a call does so in training too.
    `detached`: its values do not depend on those of its operand, only on its shape, so no gradient passes through it.
    `draws`: returns whether a call draws random numbers in evaluation, so that two runs differ.
    `fusable`: it can be computed within the call of the layer before it.
    `overwrites`: its result may be written over its input, since its backward pass needs only the result.
    `opaque`: nothing computes it, so it has a shape and cannot be lowered, and what is counted of a network with it is a lower bound.
    """

    name: str
    family: str
    summary: str
    doc: str
    source: str
    example: str
    lower: LowerRule
    attrs: tuple[Attr, ...] = ()
    short: tuple[str, str, str] = ("", "", "")
    operands: tuple[int, int | None] = (1, 1)
    plain: bool = False
    followers: bool = False
    flattens: bool = False
    named: tuple[str, ...] = ()
    gathers: str = ""
    canonicalize: Canonicalize = as_given
    shape: ShapeRule = same_shape
    weights: WeightRule = no_weights
    buffers: WeightRule = no_weights
    numbers: tuple[str, ...] = ()
    window: WindowRule | None = None
    joined_axis: Callable[[Call], int | None] = not_joined
    macs: CostRule = nothing
    connections: CostRule = nothing
    fvcore: CostRule | None = None
    memory: Memory = FRESH
    receptive_field: ReceptiveRule = each
    derivation: DerivationRule | None = None
    picture: Picture | None = None
    sign: tuple[str, str] | None = None
    called: str | None = None
    indexes: Callable[[Call], int | None] = holds_values
    linear: bool = False
    grows: bool = False
    unrolls: bool = False
    normalizes: bool = False
    removes_bias: bool = False
    surveys: bool = False
    rectifies: bool = False
    identity_in_eval: bool = False
    identity_in_training: Callable[[Call], bool] = never
    detached: bool = False
    draws: Callable[[Call], bool] = never
    fusable: bool = False
    overwrites: bool = False
    opaque: bool = False

    @property
    def is_merge(self) -> bool:
        """Return whether it may take several operands."""
        return self.operands[1] is None or self.operands[1] > 1

    @property
    def is_attached(self) -> bool:
        """Return whether pictures show it in the box of the operator before it: an activation or a normalization."""
        return self.family in ("activation", "normalization")

    @property
    def picture_family(self) -> Picture:
        """Return its family in pictures: its own, that of a merge, or that of `family`; otherwise a change of shape."""
        if self.picture is not None:
            return self.picture
        if self.is_merge:
            return "merge"
        return _PICTURES.get(self.family, "shape")

    @property
    def merge_sign(self) -> tuple[str, str]:
        """Return the symbol in the circle of a merge, and its word: `+`, add. The default symbol is the first letter of the name."""
        return self.sign or (self.name[:1].upper(), self.name.replace("_", " "))

    def derive(self, call: Call, out: Shape) -> list[str]:
        """Return lines that derive the output shape `out` of a call, with the numbers in them."""
        if self.derivation is not None:
            return self.derivation(call, out)
        if self.window is not None:
            return self.window(call.attrs).derivation(axis_names(call.x)[1:], call.x)
        return sizes_kept_or_changed(call, out)

    def option(self, name: str) -> Attr | None:
        """Return the option of a name; None where there is none."""
        return next((attr for attr in self.attrs if attr.name == name), None)

    @property
    def option_names(self) -> list[str]:
        """Return the names of all options, `norm` and `act` included where it takes them."""
        return [attr.name for attr in self.attrs] + (["norm", "act"] if self.followers else [])

    @property
    def requires(self) -> list[str]:
        """Return the names of the options that must be given."""
        return [attr.name for attr in self.attrs if isinstance(attr.default, Required)]

    @property
    def short_form(self) -> str:
        """Return the short form with the options in braces: `conv{kernel}-{out}/{stride}`; of a merge, with the options it needs."""
        if self.is_merge and not self.plain:
            needed = ", ".join(f"{name}=..." for name in self.requires)
            return f"`{self.name}{f'({needed})' if needed else ''}<a | b>`"
        kernel, out, stride = self.short
        written = self.name + (f"{{{kernel}}}" if kernel else "") + (f"-{{{out}}}" if out else "") + (f"/{{{stride}}}" if stride else "")
        return f"`{written}`"

    @property
    def signature(self) -> str:
        """Return the short form and the call form, as documentation shows them."""
        if self.is_merge and not self.plain:
            return self.short_form
        short = self.short_form.strip("`")
        names = ((a.name if a.name != self.gathers else "NAME", isinstance(a.default, Required)) for a in self.attrs)
        options = ", ".join(name if required else f"{name}=..." for name, required in names)
        call = f"{self.name}({options})" if options else self.name
        if self.plain:
            return f"`{call}` or, with branches, `{self.name}(...)<a | b | c>`"
        return f"`{short}` or `{call}`" if short != call and any(self.short) else f"`{call}`"


_PICTURES: dict[str, Picture] = {
    "convolution": "convolution",
    "pooling": "pooling",
    "activation": "activation",
    "normalization": "normalization",
}


def sizes_kept_or_changed(call: Call, out: Shape) -> list[str]:
    """Return the derivation of a shape that needs no arithmetic: the sizes that change."""
    if out == call.x:
        return ["the shape of its input"]
    if len(out) != len(call.x):
        return [f"{show_shape(call.x)} becomes {show_shape(out)}"]
    return [
        f"{name}: {before} becomes {after}" for name, before, after in zip(axis_names(out), call.x, out, strict=True) if before != after
    ]


def units(call: Call, out: Shape) -> list[str]:
    """Return the derivation of the shape of a layer whose option `out` is its number of values or channels."""
    return [f"{'channels' if len(out) > 1 else 'values'}: {out[0]}, as `out` says"]


def check_values(shape: Shape) -> None:
    """Raise Fault for a shape with more than MAX_VALUES values. Open sizes count as 1."""
    total = 1
    for dim in shape:
        if isinstance(dim, int):
            total *= dim
    if total > MAX_VALUES:
        raise Fault(says.too_many_values(total, MAX_VALUES))


def differences(shapes: Sequence[Shape], but: int | None = None) -> list[str]:
    """Return the differences of shapes in words, `channels 512 vs 256`; the axis `but` is left out."""
    rank = len(shapes[0])
    names = axis_names(shapes[0])
    if any(len(shape) != rank for shape in shapes):
        return ["the number of axes " + " vs ".join(str(len(shape)) for shape in shapes)]
    lines = []
    for axis in range(rank):
        sizes = [shape[axis] for shape in shapes]
        if axis != but and any(size != sizes[0] for size in sizes):
            lines.append(f"{names[axis]} " + " vs ".join(str(size) for size in sizes))
    return lines
