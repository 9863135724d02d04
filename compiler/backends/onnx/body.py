"""The nodes of a graph or of a function while they are made: unique names, constants once, shapes of values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from archc.compiler.shapes.dim import Shape

CONSTANT = "constant"


@dataclass
class Body:
    """A list of nodes in order. `path` and `key` are those of the scope that it is the body of: names in it are relative to them.

    `weights` are the keys of the weights that the nodes use, by their name in the body; `known` the shape and the type of its values.
    """

    path: str = ""
    key: str = ""
    nodes: list[NodeProto] = field(default_factory=list)
    weights: dict[str, str] = field(default_factory=dict)
    known: dict[str, tuple[Shape, int]] = field(default_factory=dict)
    _values: set[str] = field(default_factory=set)
    _nodes: set[str] = field(default_factory=set)
    _constants: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)

    def value_name(self, name: str) -> str:
        """Return a name for a value that no other one has: the given one, or it with a number."""
        return _unique(name, self._values)

    def free(self, name: str) -> bool:
        """Take a name for a value, and return whether no other value had it."""
        if name in self._values:
            return False
        self._values.add(name)
        return True

    def node_name(self, name: str) -> str:
        """Return a name for a node that no other one has: the given one, or it with a number."""
        return _unique(name, self._nodes)

    def constant(self, array: np.ndarray[Any, Any]) -> str:
        """Return the name of a value that is constant; equal ones are made once."""
        array = np.ascontiguousarray(array).reshape(array.shape)
        found = (array.dtype.name, array.shape, array.tobytes())
        if found not in self._constants:
            name = self.value_name(f"{CONSTANT}_{len(self._constants) + 1}")
            node = helper.make_node("Constant", [], [name], self.node_name(name), value=numpy_helper.from_array(array))
            self.nodes.append(node)
            self._constants[found] = name
        return self._constants[found]


def _unique(name: str, taken: set[str]) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found)
    return found


FLOATS = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}
