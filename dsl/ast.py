"""The syntax tree of a `.arch` file: plain data with spans, equal when the text means the same.

Every node carries its span, which comparison ignores, so that `parse(print(tree)) == tree`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from archc.dsl.source import Span


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the tree, with the place of its text."""

    span: Span = field(compare=False, repr=False)


# ---- expressions


@dataclass(frozen=True, slots=True)
class Number(Node):
    """`64`, `1e-4`, `724M`: an integer or a float, with its text as written."""

    value: int | float
    text: str


@dataclass(frozen=True, slots=True)
class Name(Node):
    """`w`, `same`, `relu`, and `in`, the incoming tensor. In parentheses, `(w)`, it is never read as a word of an option."""

    name: str
    variable: bool = False


@dataclass(frozen=True, slots=True)
class Ref(Node):
    """`@enc1`, `@layer1.0.conv1`, `@.conv1` (from the top of the network); of `@layer{i}.conv1` the path is `layer{}.conv1`."""

    path: str
    indices: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class List(Node):
    """`[a, b]`."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Each(Node):
    """`[2*w for w in widths]`: a list with a value for every element of another."""

    item: Expr
    pattern: Pattern
    values: Expr


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`2 if i == 0 else 1`: one of two values."""

    then: Expr
    condition: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True)
class ShapeLiteral(Node):
    """`256x6x6` as a value."""

    dims: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Text(Node):
    """`"c h w -> (h w) c"`, an argument in quotes."""

    text: str


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`-a` or `not a`."""

    op: str  # "-" or "not"
    operand: Expr


@dataclass(frozen=True, slots=True)
class Fold(Node):
    """A chain of operators of one precedence, left to right: `a + b - c`."""

    first: Expr
    rest: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`list[index]`."""

    base: Expr
    index: Expr


@dataclass(frozen=True, slots=True)
class Part(Node):
    """`list[first:stop]`."""

    base: Expr
    first: Expr | None
    stop: Expr | None


@dataclass(frozen=True, slots=True)
class Field(Node):
    """`in.c`: the channels of a tensor."""

    base: Expr
    name: str


@dataclass(frozen=True, slots=True)
class CallExpr(Node):
    """`max(a, b)`, or an operator with settings as a value: `bn(eps=0.001)`."""

    name: str
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class Arg(Node):
    """An argument, named (`stride=2`) or positional."""

    name: str | None
    value: Expr

    @property
    def name_span(self) -> Span:
        """Return the span of the name, or of the whole argument if it has none."""
        return Span(self.span.source, self.span.start, self.span.start + len(self.name)) if self.name else self.span


Expr = Number | Name | Ref | List | Each | Conditional | ShapeLiteral | Text | Unary | Fold | Index | Part | Field | CallExpr
Dims = tuple[Expr, ...]  # the sizes between the `x` of `1x7` or `3xHxW`


# ---- items: the elements of a chain


@dataclass(frozen=True, slots=True)
class Op(Node):
    """`conv3-64/2(pad=1)`: an operator or a block, in the short form, the call form or both.

    `word` is the text as written (`conv1x7`); elaboration, which knows the names, splits it into name and kernel.
    """

    word: str
    kernel: Dims
    out: Expr | None
    stride: Dims
    args: tuple[Arg, ...]
    word_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Merge(Node):
    """`concat<a | b>`: branches that all start from the current tensor. A branch that is one `Turns` stands for several."""

    word: str
    args: tuple[Arg, ...]
    branches: tuple[tuple[Statement, ...], ...]
    word_span: Span = field(compare=False, repr=False)
    opening: Span = field(compare=False, repr=False)
    branch_spans: tuple[Span, ...] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Group(Node):
    """`{ ... }`, or `[ ... ]`, whose members are numbered 0, 1, 2 instead of named."""

    body: tuple[Statement, ...]
    numbered: bool


@dataclass(frozen=True, slots=True)
class Here(Node):
    """`.`: the current tensor itself."""


@dataclass(frozen=True, slots=True)
class Broken(Node):
    """A placeholder for text that could not be parsed: a tensor of unknown shape."""


Core = Op | Merge | Group | Here | Ref | Index | Broken  # an index is one of a reference: `@ys[0]`


@dataclass(frozen=True, slots=True)
class Label(Node):
    """`conv1:`, `0:`, `layer{i+1}:`."""

    text: str
    index: Expr | None
    second: Expr | None = None  # `block{i}-{j}:`


@dataclass(frozen=True, slots=True)
class Item(Node):
    """One element of a chain: `conv1: conv3-64 x2 => 64x30x30`, with label, repeat count and claim where present."""

    label: Label | None
    core: Core
    count: Expr | None
    claim: Dims | None
    claim_span: Span | None = field(compare=False, repr=False, default=None)


# ---- statements


@dataclass(frozen=True, slots=True)
class Param(Node):
    """A parameter of a block or an `arch` line: `width` or `width=64`."""

    name: str
    default: Expr | None


@dataclass(frozen=True, slots=True)
class Use(Node):
    """`use "std/resnet.arch"`."""

    path: str


@dataclass(frozen=True, slots=True)
class Arch(Node):
    """`arch NAME(params) "title"`, or `arch NAME = base(args) "title"`."""

    name: str
    params: tuple[Param, ...]
    base: CallExpr | None
    title: str


@dataclass(frozen=True, slots=True)
class Input(Node):
    """`input 3x224x224`, or `input NAME: 3x224x224`."""

    name: str
    dims: Dims
    args: tuple[Arg, ...] = ()


@dataclass(frozen=True, slots=True)
class Output(Node):
    """`output NAME(when=training): chain`, `output NAME{i}: chain`."""

    name: str
    args: tuple[Arg, ...]
    chain: tuple[Item, ...]
    index: Expr | None = None


@dataclass(frozen=True, slots=True)
class Default(Node):
    """`default conv(pad=same)`."""

    word: str
    args: tuple[Arg, ...]
    word_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Block(Node):
    """`block NAME(params) { ... }`, or `[ ... ]`, whose members are numbered."""

    name: str
    params: tuple[Param, ...]
    body: tuple[Statement, ...]
    numbered: bool
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Share(Node):
    """`share NAME { ... }`, `share NAME(params) { ... }`: a body whose weights all its uses share."""

    name: str
    params: tuple[Param, ...]
    body: tuple[Statement, ...]
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Let(Node):
    """`let NAME = value`."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Next(Node):
    """`next NAME = value`, in a loop: what the state of that name is in the next turn, and after the last."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Expect(Node):
    """`expect macs == 724M within 0.5%`, `expect shape(pool5) == 256x6x6`."""

    measure: str
    target: str | None
    relation: str
    value: Expr
    within: float | None  # percent


@dataclass(frozen=True, slots=True)
class Pattern(Node):
    """The target of a loop: a name, or a tuple of patterns."""

    name: str | None
    parts: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class State(Node):
    """`NAME = value` in the head of a loop: what its turns hand on, and what the first one gets."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class For(Node):
    """`for PATTERN in values { ... }`, `for PATTERN in values with NAME = value { ... }`."""

    pattern: Pattern
    values: Expr
    body: tuple[Statement, ...]
    states: tuple[State, ...] = ()


@dataclass(frozen=True, slots=True)
class Turns(Node):
    """`for PATTERN in values | branch` in a merge: the branch once for every element. It is the only statement of its branch."""

    pattern: Pattern
    values: Expr
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class If(Node):
    """`if condition { ... } else { ... }`."""

    condition: Expr
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


Statement = Use | Arch | Input | Output | Default | Block | Share | Let | Next | Expect | For | Turns | If | Item


@dataclass(frozen=True, slots=True)
class File(Node):
    """A whole file."""

    statements: tuple[Statement, ...]


def bare(expr: Expr) -> str:
    """Return the name, if an expression is a name without parentheses; else ""."""
    return expr.name if isinstance(expr, Name) and not expr.variable else ""


PLAIN = ("str", "Span", "bool", "int")  # types of fields that contain no nodes
_members: dict[type, list[str]] = {}  # per node type, the fields that may contain nodes, last first


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and all nodes in it, in text order."""
    waiting: list[object] = [node]
    while waiting:
        value = waiting.pop()
        if type(value) is tuple:
            waiting.extend(reversed(value))
        elif isinstance(value, Node):
            yield value
            waiting.extend(inside(value))


def inside(node: Node) -> list[object]:
    """Return the fields of a node that may be nodes or tuples of nodes, last first."""
    names = _members.get(type(node))
    if names is None:
        names = [part.name for part in reversed(fields(node)) if part.name != "span" and part.type not in PLAIN]
        _members[type(node)] = names
    return [part for name in names if (part := getattr(node, name))]
