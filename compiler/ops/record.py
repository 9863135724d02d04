"""What an operator is: one record with its options, shape rule, weights, cost, lowering and documentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archc.compiler.ops.faults import OpenCount, ShapeFault
from archc.compiler.ops.kinds import Kind, Value
from archc.compiler.ops.memory import FRESH, Memory
from archc.compiler.ops.sight import Sights, each
from archc.compiler.shapes.conditions import Condition
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
MAX_VALUES = 2**62


@dataclass(frozen=True)
class Like:
    """The default of an option that is another option's value: a pool's stride is its kernel."""

    option: str


class Required:
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


@dataclass
class Call:
    """What a rule sees: canonical options and the shapes of the operands. It knows no names and no places."""

    operator: str
    attrs: Mapping[str, Any]
    inputs: tuple[Shape, ...]
    conditions: list[Condition] = field(default_factory=list)

    @property
    def x(self) -> Shape:
        return self.inputs[0]

    @property
    def axes(self) -> int:
        """The number of sizes behind the channels."""
        return len(self.inputs[0]) - 1

    @property
    def channels(self) -> int:
        """The channels of the first operand, as a number."""
        first = self.x[0]
        if not isinstance(first, int):
            raise ShapeFault(OpenCount(self.operator, "the number of channels", first))
        return first

    def image(self) -> int:
        """Make sure of channels with one to three sizes; returns how many sizes."""
        if not 1 <= self.axes <= 3:
            raise Fault(says.wrong_rank(self.operator, "channels and one to three sizes, as in `3x224x224`", show_shape(self.x)))
        return self.axes

    def at_least(self, left: Dim, right: Dim) -> bool:
        """Whether left >= right; for open sizes a condition on them, and yes."""
        if isinstance(left, int) and isinstance(right, int):
            return left >= right
        self.conditions.append(Condition(left, ">=", right))
        return True

    def equal(self, left: Dim, right: Dim) -> bool:
        """Whether two sizes are equal; for open sizes that may be, a condition on them, and yes."""
        if left == right:
            return True
        if isinstance(left - right, int):
            return False
        self.conditions.append(Condition(left, "==", right))
        return True


@dataclass(frozen=True)
class Operands:
    """Stands in a lowering for all operands, as a list."""


@dataclass(frozen=True)
class Operand:
    """Stands in a lowering for one operand."""

    index: int = 0


@dataclass(frozen=True)
class Module:
    """Lowered to a module: the path of its class, and the arguments of its constructor."""

    target: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Function:
    """Lowered to a call of a function, in whose arguments `Operand` and `Operands` stand for tensors."""

    target: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Parameter:
    """Lowered to a tensor that is trained, whose key is the label itself, and a function of the operand and of it."""

    target: str
    shape: tuple[int, ...]
    start: float


Lowering = Module | Function | Parameter
Weights = Mapping[str, tuple[int, ...]]

ShapeRule = Callable[[Call], Shape]
WeightRule = Callable[[Call], Weights]
CostRule = Callable[[Call, Shape], Dim]
LowerRule = Callable[[Call], Lowering]
SightRule = Callable[[Call, Shape], Sights]
Settle = Callable[[dict[str, Any]], None]


def same_shape(call: Call) -> Shape:
    return call.x


def no_weights(call: Call) -> Weights:
    return {}


def settled(attrs: dict[str, Any]) -> None:
    """Nothing to settle: the options mean what they say."""


def nothing(call: Call, out: Shape) -> Dim:
    return 0


def macs_and_bias(macs: CostRule) -> CostRule:
    """The connections of an operator whose every multiply-accumulate is one, and whose bias is one into every output value."""
    return lambda call, out: macs(call, out) + (product(out) if call.attrs["bias"] else 0)


@dataclass(frozen=True)
class Operator:
    """One operator of the language.

    `shape` gives the output shape and raises facts; `weights` the trainable tensors by name; `buffers` those
    that are kept but not trained; `macs` the multiply-accumulates for one sample (biases, normalisation,
    activations and pooling are not counted); `connections` the weighted inputs of all its units, biases included, as
    LeCun et al. 1998 count them; `sight` what an output value sees of the input; `memory` what
    it needs of memory as it is lowered; `lower` says as data what it
    becomes in torch. `settle` turns options that are words into numbers, where they depend on other options (`pad=same`). `short` names the
    options that the parts of `NAME3-64/2` fill. An operator with `followers` also takes `norm=` and `act=`,
    which put a normalisation and an activation behind it; one that `flattens` gets a flat input. Where options are `named`,
    numbers without a name are refused, since other frameworks mean all of these by one number.
    """

    name: str
    family: str
    summary: str
    doc: str
    source: str
    example: str
    lower: LowerRule
    shape: ShapeRule = same_shape
    attrs: tuple[Attr, ...] = ()
    weights: WeightRule = no_weights
    buffers: WeightRule = no_weights
    macs: CostRule = nothing
    connections: CostRule = nothing
    sight: SightRule = each
    memory: Memory = FRESH
    settle: Settle = settled
    short: tuple[str, str, str] = ("", "", "")
    operands: tuple[int, int | None] = (1, 1)
    followers: bool = False
    flattens: bool = False
    named: tuple[str, ...] = ()

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
        return f"`{written}`" if self.operands == (1, 1) else f"`{self.name}<a | b>`"

    @property
    def signature(self) -> str:
        """How it is written: the short form, then the call form."""
        if self.operands != (1, 1):
            return self.short_form
        short = self.short_form.strip("`")
        options = ", ".join(a.name if isinstance(a.default, Required) else f"{a.name}=..." for a in self.attrs)
        call = f"{self.name}({options})" if options else self.name
        return f"`{short}` or `{call}`" if short != call and any(self.short) else f"`{call}`"


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
    names = ("channels", *AXES.get(rank - 1, tuple(f"size {i}" for i in range(1, rank))))
    if any(len(shape) != rank for shape in shapes):
        return ["the number of axes " + " vs ".join(str(len(shape)) for shape in shapes)]
    found = []
    for axis in range(rank):
        sizes = [shape[axis] for shape in shapes]
        if axis != but and any(size != sizes[0] for size in sizes):
            found.append(f"{names[axis]} " + " vs ".join(str(size) for size in sizes))
    return found
