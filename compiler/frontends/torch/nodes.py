"""Nodes of an exported program: the rules for their operators, their arguments, the memory that they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import fx
from torch.export import ExportedProgram
from torch.utils._pytree import tree_unflatten

if TYPE_CHECKING:
    from archc.compiler.frontends.torch.reader import Reader

Rule = Callable[["Reader", Any], Any]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a function for operators of aten. It gets the reader and the arguments, and returns the value of the node."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


@dataclass(frozen=True)
class Fixed:
    """A value that depends on no input, computed by a node."""

    node: fx.Node

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the sizes of the tensor."""
        return tuple(self.node.meta["val"].shape)


class Arguments:
    """The arguments of a node by their names in the schema; what is not given has its default."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given

    @property
    def x(self) -> Any:
        """Return the tensor that an operator works on, which schemas call `self` or `input`."""
        return self.given["self"] if "self" in self.given else self.given.get("input")

    def __getattr__(self, name: str) -> Any:
        return self.given.get(name)


NOTHING = frozenset({"_assert_tensor_metadata", "_assert_async", "_assert_scalar", "sym_constrain_range_for_size"})  # checks alone
CONSTANT = frozenset(
    {"arange", "zeros", "ones", "full", "empty", "eye", "linspace", "scalar_tensor", "tensor"}
    | {"new_zeros", "new_ones", "new_full", "new_empty", "zeros_like", "ones_like", "full_like", "empty_like"}
)

SAME = frozenset({"to", "_to_copy", "type_as", "alias", "contiguous", "clone", "detach", "lift_fresh_copy", "lift_fresh"})


def operator(node: fx.Node) -> str:
    """Return the name of what a node calls: that of the operator of aten, without its overload."""
    if node.op != "call_function":
        return node.op
    schema = getattr(node.target, "_schema", None)
    return str(schema.name).rpartition("::")[2] if schema is not None else getattr(node.target, "__name__", str(node.target))


def unchanged(node: fx.Node) -> fx.Node:
    """Return the node whose values a node returns, whatever its memory."""
    while operator(node) in SAME and node.meta["val"].dtype == node.all_input_nodes[0].meta["val"].dtype:
        node = node.all_input_nodes[0]
    return node


def output_names(program: ExportedProgram) -> list[str]:
    """Return the names of the outputs: keys of dicts, fields of named tuples, or numbers."""
    spec = program.call_spec.out_spec
    assert spec is not None
    names: list[str] = []

    def name(value: Any, label: str) -> None:
        if isinstance(value, Mapping):
            parts: Any = value.items()
        elif hasattr(value, "_fields"):
            parts = zip(value._fields, value, strict=True)
        elif isinstance(value, list | tuple):
            parts = enumerate(value, 1)
        else:
            names.append(label)
            return
        for key, part in parts:
            name(part, f"{label}_{key}" if label else str(key) if isinstance(key, str) else f"output{key}")

    name(tree_unflatten(range(spec.num_leaves), spec), "")
    return ["output"] if len(names) == 1 else names


VIEWS = frozenset(
    {"view", "reshape", "permute", "transpose", "swapaxes", "unsqueeze", "squeeze", "expand", "expand_as", "select", "slice", "narrow"}
    | {"unbind", "chunk", "split", "split_with_sizes", "getitem", "alias", "detach", "flatten", "unflatten", "contiguous", "movedim"}
    | {"t", "view_as", "to", "dropout", "feature_dropout"}
)


def storage(node: fx.Node) -> fx.Node:
    """Return the node whose memory a node may share."""
    while node.op == "call_function" and node.args and isinstance(node.args[0], fx.Node):
        name = operator(node)
        if name not in VIEWS and not (name.endswith("_") and not name.startswith("_")):
            break
        node = node.args[0]
    return node
