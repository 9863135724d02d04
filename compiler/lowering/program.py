"""A lowered program: what a backend gets. Plain data, without torch; the steps of a network in order, with all that they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from archc.compiler.graph import ArchGraph
from archc.compiler.passes.program import Recipe
from archc.compiler.shapes.dim import Shape
from archc.dsl.source import Span

Mode = Literal["training", "inference"]
Kind = Literal["input", "module", "function", "tensor"]

# ---- arguments: the following three, lists of them, and plain values of Python


@dataclass(frozen=True)
class Value:
    """An argument: the value of a step."""

    step: str


@dataclass(frozen=True)
class Trained:
    """An argument: the trained tensor of the step's own part."""


@dataclass(frozen=True)
class FunctionCall:
    """An argument: the result of a call, which has no step of its own."""

    target: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


# ---- parts: what is made once


@dataclass(frozen=True)
class Fill:
    """How a tensor is filled at the start: a distribution by the name that the language has for it, and its settings."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A module, or a trained tensor, that is made once under its key; steps that share weights share their part.

    `target` names the class of a module, and `settings` are the arguments of its constructor; a tensor has neither. `weights` and
    `buffers` are the shapes of its tensors by name; that of a trained tensor is under "". A tensor that is not in `initial` is filled as
    the constructor of its module fills it. `overwrites`: the module may write its result into its operand.
    """

    key: str
    kind: Literal["module", "tensor"]
    target: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    buffers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    initial: Mapping[str, Fill] = field(default_factory=dict)
    overwrites: bool = False


# ---- steps, and scopes of them


@dataclass(frozen=True)
class Step:
    """One operator at one place, as a call of its part or of a function, or an input.

    A step of kind `module` calls its part; one of kind `function` or `tensor` calls `target`; both with `args` and `kwargs`. `name` is
    unique in the program, `key` is the path of its weights. Shapes are without the batch; a size may be a formula where no argument
    needs it as a number. `attrs` are the options of the operator in canonical form, for backends that go by the operator. `place` are
    the devices that the file puts the step on. `span` and `provenance` say where it comes from: the text, and the calls of blocks and
    the repeats around it, the innermost first.
    """

    name: str
    op: str
    kind: Kind
    key: str
    target: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    part: Part | None
    operands: tuple[str, ...]
    operand_shapes: tuple[Shape, ...]
    attrs: Mapping[str, Any]
    shape: Shape
    training_only: bool
    place: tuple[int, ...]
    span: Span
    provenance: tuple[str, ...]


@dataclass(frozen=True)
class Scope:
    """Steps that can be a module with a forward of their own, and scopes within; the program itself is one, whose path is empty.

    `path` is the prefix of the names in it, and `key` that of the keys; calls of a shared block have one key. `block` is the name of
    the block that it is a call of, if it is one. `takes` and `returns` are the steps whose values enter and leave it, in order; the
    program itself takes nothing, as its inputs are steps.
    """

    path: str
    key: str
    block: str
    takes: tuple[str, ...]
    returns: tuple[str, ...]
    body: tuple[Step | Scope, ...]

    def scopes(self) -> Iterator[Scope]:
        """This scope and all within, outer ones first."""
        yield self
        for item in self.body:
            if isinstance(item, Scope):
                yield from item.scopes()


@dataclass(frozen=True)
class LoweredProgram:
    """A network for one mode at one level of optimization.

    `steps` are in an order in which they can run; `body` is the same as a tree of scopes. `parts` and `members` are in the order of the
    file: every part by its key, and for the key of every scope what it holds, by name. `loose` are the keys of those scopes that cannot
    be a module with a forward, with the reason. `outputs` are the steps whose values leave, by the name of the output. `recipes` say how
    weights are made from those of the file, by key, where a pass has changed them. `graph` is the graph behind the steps, for analyses.
    """

    name: str
    mode: Mode
    level: int
    steps: tuple[Step, ...]
    body: Scope
    parts: Mapping[str, Part]
    members: Mapping[str, Mapping[str, str]]
    loose: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: Mapping[str, str]
    recipes: Mapping[str, Recipe]
    graph: ArchGraph = field(repr=False)
