"""ONNX in a page: the writer's `numpy` and `onnx`, where neither can be installed.

`onnx` is compiled code, of which the writer uses the schemas of operators. These are a table, made when the page is built (`table`); what
builds nodes and graphs is onnx's own Python, and so are the classes of the format, with Google's protobuf in plain Python. `numpy` is
`arrays`. A test compares what is written so with what onnx and numpy write.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

FILES = ("helper.py", "onnx_ml_pb2.py", "onnx_pb.py", "onnx_data_pb.py", "onnx_data_pb2.py")  # of the package onnx
TABLE = "schemas.json"


def install() -> None:
    """Provide `numpy` and `onnx` where there is no numpy. Raises FileNotFoundError where the files of onnx are missing, too."""
    if "numpy" in sys.modules or find_spec("numpy") is not None:
        return
    found = [Path(place) / "onnx" for place in sys.path if (Path(place) / "onnx" / TABLE).is_file()]
    if not found:
        raise FileNotFoundError(f"onnx/{TABLE} is on no path")
    provide(found[0], json.loads((found[0] / TABLE).read_text(encoding="utf-8")))


def provide(folder: Path, schemas: dict[str, Any]) -> None:
    """Provide both, with the files of onnx in a folder, and a `table` of schemas."""
    arrays = import_module("archc.ui.playground.arrays")
    sys.modules["numpy"] = arrays
    onnx = _module("onnx", __path__=[str(folder)])
    proto = import_module("onnx.onnx_ml_pb2")
    vars(onnx).update({name: value for name, value in vars(proto).items() if name.endswith("Proto")})
    vars(onnx)["IR_VERSION"] = proto.Version.Value("IR_VERSION")
    types = {"FLOAT": arrays.float32, "INT64": arrays.int64, "BOOL": arrays.bool_, "DOUBLE": arrays.float64}
    _module("onnx._mapping", TENSOR_TYPE_MAP={
        int(proto.TensorProto.DataType.Value(name)): SimpleNamespace(np_dtype=of) for name, of in types.items()
    })  # fmt: skip
    _module("onnx.defs", **_definitions(schemas))
    helper = import_module("onnx.helper")

    def from_array(array: Any, name: str = "") -> Any:
        made = proto.TensorProto(dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype), raw_data=array.tobytes())
        if name:
            made.name = name
        return made

    _module("onnx.numpy_helper", from_array=from_array)


def _module(name: str, **members: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(members)
    sys.modules[name] = made
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, made)
    return made


def _definitions(schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the members of `onnx.defs` that the writer uses, for the one opset of a table."""

    class SchemaError(Exception):
        """The table has no such operator."""

    def get_schema(kind: str, opset: int, domain: str = "") -> Any:
        found = schemas["operators"].get(kind)
        if found is None or opset != schemas["opset"] or domain:
            raise SchemaError(kind)
        return SimpleNamespace(
            attributes=found["attributes"],
            max_input=found["most"],
            inputs=[SimpleNamespace(type_str=each) for each in found["inputs"]],
            type_constraints=[SimpleNamespace(type_param_str=name, allowed_type_strs=types) for name, types in found["types"].items()],
        )

    return {"get_schema": get_schema, "SchemaError": SchemaError, "onnx_opset_version": lambda: schemas["opset"]}


def table(defs: Any, opset: int) -> dict[str, Any]:
    """Return the schemas of `onnx.defs` at an opset, as plain data."""
    operators = {}
    for name in sorted({each.name for each in defs.get_all_schemas_with_history() if not each.domain and each.since_version <= opset}):
        try:
            found = defs.get_schema(name, opset, "")
        except defs.SchemaError:
            continue  # it is deprecated
        operators[name] = {
            "attributes": sorted(found.attributes),
            "most": found.max_input,
            "inputs": [each.type_str for each in found.inputs],
            "types": {each.type_param_str: sorted(each.allowed_type_strs) for each in found.type_constraints},
        }
    return {"opset": opset, "operators": operators}
