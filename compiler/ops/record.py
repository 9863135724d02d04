"""What an operator is: one record with its options, shape rule, weights, cost, lowering and documentation."""

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

MAX_VALUES = 2**62


@dataclass(frozen=True)
class Like:
    """The default of an option that is another option's value: a pool's stride is its kernel."""

    option: str


class Required:
    """The default of an option that must be given."""

    def __repr__(self) -> str:
        return "required"


REQUIRED = Required()


@dataclass(frozen=True)
class Attr:
    """An option of an operator."""

    name: str
    kind: Kind
    default: Value | Like | Required
    doc: str


Weights = Mapping[str, tuple[int, ...]]

ShapeRule = Callable[[Call], Shape]
WeightRule = Callable[[Call], Weights]
CostRule = Callable[[Call, Shape], Dim]
LowerRule = Callable[[Call], Target]
ReceptiveRule = Callable[[Call, Shape], ReceptiveFields]
DerivationRule = Callable[[Call, Shape], list[str]]
WindowRule = Callable[[Mapping[str, Any]], Window]
Canonicalise = Callable[[dict[str, Any]], None]

# The forms and colours that pictures have for operators.
Picture = Literal[
    "input", "convolution", "dense", "pooling", "normalisation", "activation", "regularisation", "shape", "merge"
]  # fmt: skip


def same_shape(call: Call) -> Shape:
    return call.x


def no_weights(call: Call) -> Weights:
    return {}


def as_given(attrs: dict[str, Any]) -> None:
    """Leave the options as they are: none of them depends on another."""


def nothing(call: Call, out: Shape) -> Dim:
    return 0


def never(call: Call) -> bool:
    return False


def not_joined(call: Call) -> int | None:
    return None


def macs_and_bias(macs: CostRule) -> CostRule:
    """The connections of an operator whose every multiply-accumulate is one, and whose bias is one into every output value."""
    return lambda call, out: macs(call, out) + (product(out) if call.attrs["bias"] else 0)


@dataclass(frozen=True)
class Operator:
    """One operator of the language: all that the compiler knows of it.

    What it is called and how it is written: `short` names the options that the parts of `NAME3-64/2` fill; `operands` is the least and
    the largest number of operands; an operator with `followers` also takes `norm=` and `act=`, which put a normalisation and an
    activation after it; one that `flattens` gets a flat input. Where options are `named`, numbers without a name are refused, since
    other frameworks mean all of these by one number. `canonicalise` turns options that are words into numbers, where they depend on
    other options (`pad=same`).

    What it computes: `shape` returns the output shape and raises facts; `weights` the trainable tensors by name; `buffers` those that are
    kept but not trained; `lower` says as data what it becomes in a backend. `window` makes the window that slides over the input out of
    the options, of an operator that has one. `joined_axis` is the axis along which operands are put one after another, counted from
    the channels, of an operator that does so.

    What it costs, for one sample: `macs`, the multiply-accumulates (biases, normalisation, activations and pooling are not counted);
    `connections`, the weighted inputs of all its units, biases included, as LeCun et al. 1998 count them; `fvcore`, what the counter of
    that name counts, where it is not the MACs of a linear layer; `memory`, what it needs of memory as it is lowered.

    What is told of it: `receptive_field`, on which inputs an output depends; `derivation`, how the output shape comes about, in lines
    of arithmetic; `picture`, its form and colour in a picture, where not those of its family; `sign`, what stands in the circle
    of a merge, and the word for it.

    What analyses and rewrites may rely on:
    `linear`: a linear map with trained weights, and a bias by the option `bias`: a layer, as papers count them.
    `grows`: it is used to make maps larger.
    `unrolls`: its output is the values of its input in one row.
    `normalises`: its output is normalised, so that to do it again does nothing. `removes_bias`: it subtracts the mean of every channel.
    `rectifies`: it leaves alone what it has returned itself.
    `identity_in_eval`: in evaluation it returns its input; `identity_in_training` says of a call whether in training too.
    `fusable`: it can be computed within the call of the layer before it.
    `overwrites`: its result may be written over its input, since its backward needs the result only.
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
    followers: bool = False
    flattens: bool = False
    named: tuple[str, ...] = ()
    canonicalise: Canonicalise = as_given
    shape: ShapeRule = same_shape
    weights: WeightRule = no_weights
    buffers: WeightRule = no_weights
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
    linear: bool = False
    grows: bool = False
    unrolls: bool = False
    normalises: bool = False
    removes_bias: bool = False
    rectifies: bool = False
    identity_in_eval: bool = False
    identity_in_training: Callable[[Call], bool] = never
    fusable: bool = False
    overwrites: bool = False

    @property
    def is_merge(self) -> bool:
        """Whether it may take several operands."""
        return self.operands[1] is None or self.operands[1] > 1

    @property
    def is_attached(self) -> bool:
        """Whether a picture tells it in the box of what it follows: an activation, or a normalisation."""
        return self.family in ("activation", "normalisation")

    @property
    def picture_family(self) -> Picture:
        """Its form and colour in a picture: its own, those of a merge, or those of its family; else those of a change of shape."""
        if self.picture is not None:
            return self.picture
        if self.is_merge:
            return "merge"
        return _PICTURES.get(self.family, "shape")

    @property
    def merge_sign(self) -> tuple[str, str]:
        """What stands in the circle of a merge, and the word for it: `+`, add. Without a sign of its own, its first letter."""
        return self.sign or (self.name[:1].upper(), self.name.replace("_", " "))

    def derive(self, call: Call, out: Shape) -> list[str]:
        """How the output shape comes about, in lines with the numbers in them."""
        if self.derivation is not None:
            return self.derivation(call, out)
        if self.window is not None:
            return self.window(call.attrs).derivation(axis_names(call.x)[1:], call.x)
        return sizes_kept_or_changed(call, out)

    def option(self, name: str) -> Attr | None:
        return next((attr for attr in self.attrs if attr.name == name), None)

    @property
    def option_names(self) -> list[str]:
        return [attr.name for attr in self.attrs] + (["norm", "act"] if self.followers else [])

    @property
    def requires(self) -> list[str]:
        """The options that must be given."""
        return [attr.name for attr in self.attrs if isinstance(attr.default, Required)]

    @property
    def short_form(self) -> str:
        """`conv{kernel}-{out}/{stride}`"""
        kernel, out, stride = self.short
        written = self.name + (f"{{{kernel}}}" if kernel else "") + (f"-{{{out}}}" if out else "") + (f"/{{{stride}}}" if stride else "")
        return f"`{written}`" if not self.is_merge else f"`{self.name}<a | b>`"

    @property
    def signature(self) -> str:
        """How it is written: the short form, then the call form."""
        if self.is_merge:
            return self.short_form
        short = self.short_form.strip("`")
        options = ", ".join(a.name if isinstance(a.default, Required) else f"{a.name}=..." for a in self.attrs)
        call = f"{self.name}({options})" if options else self.name
        return f"`{short}` or `{call}`" if short != call and any(self.short) else f"`{call}`"


_PICTURES: dict[str, Picture] = {
    "convolution": "convolution",
    "pooling": "pooling",
    "activation": "activation",
    "normalisation": "normalisation",
}


def sizes_kept_or_changed(call: Call, out: Shape) -> list[str]:
    """The derivation of a shape by a rule that has no arithmetic to show: which sizes were others before."""
    if out == call.x:
        return ["the shape of its input"]
    if len(out) != len(call.x):
        return [f"{show_shape(call.x)} becomes {show_shape(out)}"]
    return [
        f"{name}: {before} becomes {after}" for name, before, after in zip(axis_names(out), call.x, out, strict=True) if before != after
    ]


def units(call: Call, out: Shape) -> list[str]:
    """The derivation of a layer whose option `out` says how many values, or channels, it returns."""
    return [f"{'channels' if len(out) > 1 else 'values'}: {out[0]}, as `out` says"]


def check_values(shape: Shape) -> None:
    """Refuse a tensor with more values than can be addressed."""
    total = 1
    for dim in shape:
        if isinstance(dim, int):
            total *= dim
    if total > MAX_VALUES:
        raise Fault(says.too_many_values(total, MAX_VALUES))


def differences(shapes: Sequence[Shape], but: int | None = None) -> list[str]:
    """In what shapes of one rank differ, in words: `channels 512 vs 256`."""
    rank = len(shapes[0])
    names = axis_names(shapes[0])
    if any(len(shape) != rank for shape in shapes):
        return ["the number of axes " + " vs ".join(str(len(shape)) for shape in shapes)]
    found = []
    for axis in range(rank):
        sizes = [shape[axis] for shape in shapes]
        if axis != but and any(size != sizes[0] for size in sizes):
            found.append(f"{names[axis]} " + " vs ".join(str(size) for size in sizes))
    return found
