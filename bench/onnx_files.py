"""Measure how long it takes to write a network as ONNX, and how fast the file runs, relative to torch's exporter.

    python bench/onnx_files.py --networks densenet121 resnet18 --out docs/onnx.json

Writing: `archc.compiler.backends.onnx.write` against `torch.onnx.export(dynamo=True)` of the same module, each in a process that has
imported everything. Running: both files in onnxruntime, interleaved, after the outputs are compared.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime
import torch

from archc import load
from archc.bench.machine import machine
from archc.compiler.backends import Compiled
from archc.compiler.backends.onnx.write import write
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.files import write_text
from archc.compiler.tables import markdown_table

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = ("densenet121", "resnet18", "mobilenet_v3_small", "googlenet_torchvision", "convnext_tiny", "vit_b_32")
WRITES = 5  # of ours; torch's exporter runs once after a smaller network has warmed it up
RUNS = 31
THREADS = 1
GOAL = 10  # times faster to write than torch's exporter
CLOSE = 1e-4  # of the largest value: random weights amplify


def exported(module: torch.nn.Module, inputs: list[torch.Tensor], path: Path) -> float:
    """Write a module with torch's exporter; return the seconds."""
    example = tuple(torch.cat([x, x]) for x in inputs)
    batch = torch.export.Dim("batch", min=1)
    start = perf_counter()
    torch.onnx.export(
        module, example, str(path), dynamo=True, external_data=False, verbose=False, dynamic_shapes=tuple({0: batch} for _ in example)
    )
    return perf_counter() - start


def session(path: Path) -> tuple[Any, float]:
    """Return a session of onnxruntime, and the seconds in which it was made."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    start = perf_counter()
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]), perf_counter() - start


def measure(name: str) -> dict[str, Any]:
    """Write a network both ways and run both files; return the figures."""
    graph = load(ROOT / f"archs/{name}.arch").graph
    torch.manual_seed(0)
    module = lower(graph).eval()
    inputs = random_inputs(graph, 1)
    with TemporaryDirectory() as folder:
        ours, functions, theirs = (Path(folder) / f"{kind}.onnx" for kind in ("ours", "functions", "theirs"))
        writes = []
        for _ in range(WRITES):
            start = perf_counter()
            write(Compiled(graph, 0, module, inputs), ours)
            writes.append(perf_counter() - start)
        write(Compiled(graph, 0, module, inputs, settings={"functions": True}), functions)
        export = exported(module, inputs, theirs)
        sessions, loads = zip(*(session(path) for path in (ours, functions, theirs)), strict=True)
        sizes = [path.stat().st_size for path in (ours, functions, theirs)]
    feeds = [{given.name: x.numpy() for given, x in zip(one.get_inputs(), inputs, strict=True)} for one in sessions]
    outputs = [one.run(None, feed) for one, feed in zip(sessions, feeds, strict=True)]
    for other in outputs[1:]:
        for a, b in zip(outputs[0], other, strict=True):
            assert np.abs(a - b).max() <= CLOSE * np.abs(a).max(), name
    times: list[list[float]] = [[], [], []]
    for turn in range(RUNS):
        for i in range(3):
            which = (i + turn) % 3
            start = perf_counter()
            sessions[which].run(None, feeds[which])
            times[which].append(perf_counter() - start)
    return {
        "network": name,
        "write": median(writes),
        "export": export,
        "faster": export / median(writes),
        "load": list(loads),
        "bytes": sizes,
        "run": [median(one) for one in times],
        "ratio": median(b / a for a, b in zip(times[0], times[2], strict=True)),
        "ratio_functions": median(b / a for a, b in zip(times[0], times[1], strict=True)),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the figures as a table."""
    heads = [
        "network",
        ">archc, s",
        ">torch, s",
        ">faster",
        ">runs, ms",
        ">torch's, ms",
        ">speed",
        ">as functions",
        ">loads, s",
        ">functions, s",
    ]
    return markdown_table(
        heads,
        [
            [
                row["network"],
                f"{row['write']:.2f}",
                f"{row['export']:.1f}",
                f"{row['faster']:.0f}",
                f"{1000 * row['run'][0]:.1f}",
                f"{1000 * row['run'][2]:.1f}",
                f"{row['ratio']:.2f}",
                f"{1 / row['ratio_functions']:.2f}",
                f"{row['load'][0]:.2f}",
                f"{row['load'][1]:.2f}",
            ]
            for row in rows
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    graph = load(ROOT / "archs/lenet5_modern.arch").graph
    with TemporaryDirectory() as folder:  # torch's exporter imports much on its first call
        exported(lower(graph).eval(), random_inputs(graph, 1), Path(folder) / "warm.onnx")
    rows = []
    for name in options.networks:
        rows.append(measure(name))
        print(json.dumps(rows[-1]), flush=True)
        if options.out:
            write_text(options.out, json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
