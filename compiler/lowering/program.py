"""A lowered program, the input of a backend: the steps of a network in order, as plain data without torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from archc.compiler.graph import ArchGraph
from archc.compiler.passes.program import WeightRecipe
from archc.compiler.shapes.dim import Shape
from archc.dsl.source import Span

Mode = Literal["training", "inference"]
Kind = Literal["input", "module", "function", "tensor"]

# ---- arguments: the following three classes, lists of them, and plain Python values


@dataclass(frozen=True)
class Value:
    """An argument: the result of a step, by its name."""

    step: str


@dataclass(frozen=True)
class Trained:
    """An argument: the trained tensor of the step's own part."""


@dataclass(frozen=True)
class FunctionCall:
    """An argument: the result of a nested call, which has no step of its own."""

    target: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


# ---- parts: modules and trained tensors


@dataclass(frozen=True)
class Fill:
    """The initialization of a tensor: a distribution, by its name in the language, and its settings."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A module or a trained tensor, built once under its key; steps that share weights share their part.

    `target` names the class of a module, and `settings` are the arguments of its constructor; a tensor has neither. `weights` and
    `buffers` are the shapes of its tensors by name; a trained tensor has the name "". A tensor that is not in `initial` keeps the values
    that the constructor of its module assigns. `overwrites`: the module may write its result into its operand.
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
    """One node of the network: a call of its part or of a function, or an input.

    A step of kind `module` calls its part; one of kind `function` or `tensor` calls `target`; both with `args` and `kwargs`. `name` is
    unique in the program, `key` is the path of its weights. Shapes are without the batch; a size may be a formula where no argument
    needs it as a number. `attrs` are the options of the operator in canonical form, for backends that dispatch on `op`. `place` are
    the devices that the file assigns to the step. `span` is its source text, and `provenance` the block calls and repeats around it, the
    innermost first.
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
    """Steps and inner scopes that can be a module with its own forward; the whole program is one, with an empty path.

    `path` is the prefix of the names in it, and `key` that of the keys; all calls of a shared block have the same key. `block` is the name
    of the block that the scope is a call of, or "". `takes` and `returns` are the names of the steps whose values enter and leave it, in
    order; the whole program takes nothing, as its inputs are steps.
    """

    path: str
    key: str
    block: str
    takes: tuple[str, ...]
    returns: tuple[str, ...]
    body: tuple[Step | Scope, ...]

    def scopes(self) -> Iterator[Scope]:
        """Yield this scope and all scopes in it, outer ones first."""
        yield self
        for item in self.body:
            if isinstance(item, Scope):
                yield from item.scopes()


@dataclass(frozen=True)
class LoweredProgram:
    """A network for one mode at one level of optimization.

    `steps` are in execution order; `body` contains the same steps as a tree of scopes. `parts` and `members` are in the order of the
    file: each part by its key, and for the key of each scope its members, name -> key. `loose` are the keys of scopes that cannot be a
    module with a forward, with the reason. `outputs` are the names of the steps that compute the outputs, by the name of the output.
    `recipes` compute, by key, the weights that a pass has changed from those of the file. `graph` is the graph that was lowered.
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
    recipes: Mapping[str, WeightRecipe]
    graph: ArchGraph = field(repr=False)
