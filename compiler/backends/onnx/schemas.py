"""What ONNX says of an operator at an opset: whether it exists, and its attributes and types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from onnx import TensorProto, defs

HELP = "give a later `--opset`, or another `--dtype`"
NAMES: dict[int, str] = {  # of element types in ONNX's type constraints
    TensorProto.FLOAT: "tensor(float)",
    TensorProto.FLOAT16: "tensor(float16)",
    TensorProto.BFLOAT16: "tensor(bfloat16)",
    TensorProto.INT64: "tensor(int64)",
    TensorProto.INT32: "tensor(int32)",
    TensorProto.BOOL: "tensor(bool)",
    TensorProto.DOUBLE: "tensor(double)",
}
COMPARE = ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal", "And", "Or", "Not", "IsNaN")


@cache
def schema(kind: str, opset: int) -> Any:
    """Return the schema of an operator at an opset; None where it has none."""
    try:
        return defs.get_schema(kind, opset, "")
    except defs.SchemaError:
        return None


def takes(kind: str, opset: int, attribute: str) -> bool:
    """Return whether an operator has an attribute at an opset."""
    found = schema(kind, opset)
    return found is not None and attribute in found.attributes


@cache
def _types(kind: str, opset: int) -> tuple[frozenset[str] | None, ...]:
    """Return the types that each operand may have."""
    found = schema(kind, opset)
    constraints = {c.type_param_str: frozenset(c.allowed_type_strs) for c in found.type_constraints}
    return tuple(constraints.get(operand.type_str, frozenset({operand.type_str})) for operand in found.inputs)


def problem(kind: str, opset: int, types: Sequence[int | None], attrs: Mapping[str, Any]) -> str:
    """Return why a node is not one of the opset: it lacks the operator, an attribute, an operand or a type; "" where it is one."""
    found = schema(kind, opset)
    if found is None:
        since = next((later for later in range(opset + 1, defs.onnx_opset_version() + 1) if schema(kind, later)), None)
        return f"opset {opset} has no {kind}" + (f", which opset {since} introduces" if since else "")
    for name in attrs:
        if name not in found.attributes:
            return f"opset {opset} has no {kind} with `{name}`"
    if len(types) > found.max_input:
        return f"opset {opset} has no {kind} with {len(types)} operands"
    allowed = _types(kind, opset)
    for i, dtype in enumerate(types):
        of = allowed[min(i, len(allowed) - 1)]
        if dtype is not None and of is not None and NAMES[dtype] not in of:
            return f"opset {opset} has no {kind} of {NAMES[dtype][7:-1]}"
    return ""


def result(kind: str, dtype: int) -> int:
    """Return the element type of the result of an operator whose first operand has the given one."""
    return int(TensorProto.BOOL) if kind in COMPARE else int(TensorProto.INT64) if kind == "Shape" else dtype
