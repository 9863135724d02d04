"""Measure attention in onnxruntime: as ONNX's operator and in parts, and shifted windows with and without the bound of their products.

    python bench/onnx_attention.py

Times are the fastest of several runs on one core, all ways in turn.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto

from archc.compiler.backends import Compiled
from archc.compiler.backends.onnx.write import write
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.driver import check_text

LAYERS = {
    "a layer of ViT-B/16": "input 768x197\nresidual<layer_norm; multihead_attention(12)>\n",
    "64 windows of 49 tokens, Swin-T's first layer": "input 96x56x56\nwindow_attention(3, window=7)\n",
    "Swin-T's second layer, shifted": "input 96x56x56\nwindow_attention(3, window=7, shift=3)\n",
    "4 shifted windows, Swin-T's third stage": "input 384x14x14\nwindow_attention(12, window=7, shift=3)\n",
}
OPSETS = {"operator": 24, "parts": 25}


def models(text: str) -> tuple[dict[str, ModelProto], Any]:
    """Return a layer in the ways that it can be written, and an input."""
    graph = check_text(text).graph
    torch.manual_seed(0)
    module = lower(graph).eval()
    inputs = random_inputs(graph, 1)
    found = {}
    with TemporaryDirectory() as folder:
        for way, opset in OPSETS.items():
            path = Path(folder) / "layer.onnx"
            write(Compiled(graph, 0, module, inputs, settings={"opset": opset}), path)
            found[way] = onnx.load(path)
    if any(node.op_type == "ReduceMax" for node in found["parts"].graph.node):
        found = {"bounded": found["parts"], "not bounded": unbounded(found["parts"])}
    return found, inputs[0].numpy()


def unbounded(model: ModelProto) -> ModelProto:
    """Return a layer of shifted windows without the bound of its products."""
    bare = ModelProto.FromString(model.SerializeToString())
    (bound,) = (node for node in bare.graph.node if node.op_type == "Max")
    for node in bare.graph.node:
        node.input[:] = [bound.input[0] if name == bound.output[0] else name for name in node.input]
    return bare


def times(ways: Mapping[str, ModelProto], x: Any, runs: int) -> dict[str, float]:
    """Return the time of each way in milliseconds. Raises ValueError where results differ."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {way: onnxruntime.InferenceSession(model.SerializeToString(), options) for way, model in ways.items()}
    best = dict.fromkeys(sessions, float("inf"))
    first = None
    for _ in range(runs):
        for way, session in sessions.items():
            begin = perf_counter()
            (found,) = session.run(None, {session.get_inputs()[0].name: x})
            best[way] = min(best[way], 1000 * (perf_counter() - begin))
            first = found if first is None else first
            if not np.allclose(found, first, atol=1e-5 * float(np.ptp(first))):
                raise ValueError(f"{way} computes something else")
    return best


def main() -> None:
    """Print a line for each layer and way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    runs = parser.parse_args().runs
    for title, text in LAYERS.items():
        for way, time in times(*models(text), runs).items():
            print(f"{title}: {way} {time:.2f} ms")


if __name__ == "__main__":
    main()
