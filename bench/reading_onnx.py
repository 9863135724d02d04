"""Time how an ONNX file is read: flat graphs of growing size, and archc's own ResNet-50. The parts: parsing, the front end, the text.

    python bench/reading_onnx.py [NODES ...]

Seconds are those of the process, which other processes do not change much. The files have the names and the shapes of their weights; the
values are said to be in a second file, which nothing opens.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper

from archc.compiler.backends.onnx.model import model_of
from archc.compiler.backends.onnx.write import OPSET
from archc.compiler.driver import check
from archc.compiler.frontends.onnx.model import parse
from archc.compiler.frontends.onnx.sources import read
from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import lowered
from archc.compiler.read import read_nameless
from archc.compiler.reading import by_branches, folded

ARCHS = Path(__file__).resolve().parents[1] / "archs"
FLAT = (500, 1000, 2000, 5000)


def elsewhere(name: str, shape: tuple[int, ...], kind: int = TensorProto.FLOAT) -> TensorProto:
    """Return a tensor whose values are in another file."""
    tensor = TensorProto(name=name, dims=shape, data_type=kind, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="net.data")
    return tensor


def flat(nodes: int) -> ModelProto:
    """Return a file without paths of modules: chains of five operators around a sum, their widths drawn from a seed."""
    draw = random.Random(1)
    made, tensors = [], []
    before = "x"
    for at in range(nodes // 5):
        width = draw.choice([8, 16, 24])
        names = {"w": (width, 8, 3, 3), "scale": (width,), "shift": (width,), "mean": (width,), "var": (width,), "v": (8, width, 1, 1)}
        w, scale, shift, mean, var, v = (f"{name}_{at}" for name in names)
        tensors += [elsewhere(f"{name}_{at}", shape) for name, shape in names.items()]
        made += [
            helper.make_node("Conv", [before, w], [f"a{at}"], pads=[1] * 4),
            helper.make_node("BatchNormalization", [f"a{at}", scale, shift, mean, var], [f"b{at}"]),
            helper.make_node("Relu", [f"b{at}"], [f"c{at}"]),
            helper.make_node("Conv", [f"c{at}", v], [f"d{at}"]),
            helper.make_node("Add", [f"d{at}", before], [f"e{at}"]),
        ]
        before = f"e{at}"
    graph = helper.make_graph(
        made, "flat",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8, 16, 16])],
        [helper.make_tensor_value_info(before, TensorProto.FLOAT, None)],
        tensors,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def own(graph: ArchGraph) -> ModelProto:
    """Return a network as archc writes it."""
    program = lowered(graph)
    shapes = {
        f"{part.key}.{name}".rstrip("."): shape
        for part in program.parts.values()
        for name, shape in {**part.weights, **part.buffers}.items()
    }
    arrays = {key: np.broadcast_to(np.zeros((), np.float32), shape) for key, shape in shapes.items()}
    model, keys = model_of(program, arrays, "float32", OPSET, False)
    model.graph.initializer.extend(elsewhere(key, shapes[key]) for key in keys)
    return model


def measure(model: ModelProto, folder: Path) -> dict[str, Any]:
    """Return how long a file takes to read, and what came of it."""
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    times = [time.process_time()]
    parse(path)
    times.append(time.process_time())
    network = read(path)
    times.append(time.process_time())
    text = folded(network)
    times.append(time.process_time())
    bare = read_nameless(by_branches(network.graph), network.title)
    times.append(time.process_time())
    parsing, front, engine, nameless = (round(end - begin, 2) for begin, end in pairwise(times))
    return {
        "nodes": len(model.graph.node),
        "operators": text.nodes,
        "lines": text.lines,
        "parse": parsing,
        "front end": front,
        "text": engine,
        "text without names": nameless,
        "its lines": bare.lines,
    }


def main() -> None:
    """Print one row for each network."""
    sizes = [int(size) for size in sys.argv[1:]] or FLAT
    with tempfile.TemporaryDirectory() as folder:
        for name, model in {
            "resnet50": own(check(ARCHS / "resnet50.arch", mend=False).graph), **{f"flat {size}": flat(size) for size in sizes}
        }.items():  # fmt: skip
            print(name, json.dumps(measure(model, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
