"""Measure how long it takes to write a network as ONNX, and how fast the file runs, relative to torch's exporter.

    python bench/onnx_files.py --networks densenet121 resnet18 --out docs/onnx.json
    python bench/onnx_files.py --networks all

Writing: `archc.compiler.backends.onnx.write` against `torch.onnx.export(dynamo=True)` of the same module, each in a process that has
imported everything. Running: both files in onnxruntime, interleaved, after the outputs are compared. Each network is measured in a process
of its own, with limits of memory and time; one that torch's exporter refuses, or that exceeds a limit, is listed with the reason.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
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
RUN_SECONDS = 120.0  # after which a slow network is run no more, but at least this often:
LEAST_RUNS = 7
THREADS = 1
LARGE = 1_500_000_000  # bytes of weights, above which torch's exporter writes them to a second file
MEMORY = 12.0  # GiB of a process
PATIENCE = 3600.0  # seconds for a network
EQUAL = 0.97  # of the speed of torch's file: what differs less is noise
GOAL = 10  # times faster to write than torch's exporter
CLOSE = 1e-4  # of the largest value: random weights amplify


class Refused(Exception):
    """Torch's exporter does not write a network, or the outputs of the files differ."""


def exported(module: torch.nn.Module, inputs: list[torch.Tensor], path: Path) -> tuple[float, str]:
    """Write a module with torch's exporter; return the seconds, and its batch: `any`, or 1 where it takes no other. Raises Refused."""
    large = sum(x.numel() * x.element_size() for x in module.state_dict().values()) > LARGE
    batch = torch.export.Dim("batch", min=1)
    any_size = tuple(torch.cat([x, x]) for x in inputs), tuple({0: batch} for _ in inputs), "any"
    reason = ""
    for example, sizes, kind in (any_size, (tuple(inputs), None, "1")):
        start = perf_counter()
        try:
            torch.onnx.export(module, example, str(path), dynamo=True, external_data=large, verbose=False, dynamic_shapes=sizes)
        except Exception as error:  # the exporter wraps whatever fails
            reason = reason or first_line(error.__cause__ or error)
            continue
        return perf_counter() - start, kind
    raise Refused(f"torch's exporter refuses it: {reason}")


def first_line(error: BaseException | str) -> str:
    """Return the first line with words of an error, at most 200 characters."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line[:200]


def session(path: Path) -> tuple[Any, float]:
    """Return a session of onnxruntime, and the seconds in which it was made."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    start = perf_counter()
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]), perf_counter() - start


def measure(name: str) -> dict[str, Any]:
    """Write a network both ways and run both files; return the figures. Raises Refused."""
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
        export, batch = exported(module, inputs, theirs)
        del module  # its weights are as large as those of a session
        sessions, loads = zip(*(session(path) for path in (ours, functions, theirs)), strict=True)
        sizes = [sum(file.stat().st_size for file in Path(folder).glob(f"{path.name}*")) for path in (ours, functions, theirs)]
    feeds = [{given.name: x.numpy() for given, x in zip(one.get_inputs(), inputs, strict=True)} for one in sessions]
    outputs = [one.run(None, feed) for one, feed in zip(sessions, feeds, strict=True)]
    for other in outputs[1:]:
        for a, b in zip(outputs[0], other, strict=True):
            if not np.isfinite(a).all():
                raise Refused("its output is not finite")
            if not np.abs(a - b).max() <= CLOSE * np.abs(a).max():
                raise Refused("WRONG: the outputs of the files differ")
    times = interleaved(sessions, feeds)
    return {
        "network": name,
        "batch": batch,
        "write": median(writes),
        "export": export,
        "faster": export / median(writes),
        "load": list(loads),
        "bytes": sizes,
        "run": [median(one) for one in times],
        "runs": len(times[0]),
        "ratio": median(b / a for a, b in zip(times[0], times[2], strict=True)),
        "ratio_functions": median(b / a for a, b in zip(times[0], times[1], strict=True)),
    }


def interleaved(sessions: Sequence[Any], feeds: Sequence[dict[str, Any]]) -> list[list[float]]:
    """Return the seconds of the runs of each session, which take turns."""
    times: list[list[float]] = [[] for _ in sessions]
    begin = perf_counter()
    for turn in range(RUNS):
        if turn >= LEAST_RUNS and perf_counter() - begin > RUN_SECONDS:
            break
        for i in range(len(sessions)):
            which = (i + turn) % len(sessions)
            start = perf_counter()
            sessions[which].run(None, feeds[which])
            times[which].append(perf_counter() - start)
    return times


# ---- each network in a process of its own


def measured(name: str, memory: float, patience: float) -> dict[str, Any]:
    """Return the figures of a network; where there are none, its name and the reason, `refused`."""
    command = [sys.executable, str(Path(__file__).resolve()), "--alone", name, "--memory", str(memory)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        return {"network": name, "refused": f"it takes more than {patience:.0f} s"}
    lines = done.stdout.splitlines()
    if done.returncode == 0 and lines:
        found: dict[str, Any] = json.loads(lines[-1])
        return found
    said = done.stderr.strip().splitlines()
    reason = first_line(said[-1]) if said else ""
    if done.returncode < 0 or any(word in reason for word in ("MemoryError", "bad_alloc", "allocate memory")):
        reason = f"it was ended by signal {-done.returncode}" if done.returncode < 0 else reason
        return {"network": name, "refused": f"{reason}; a process may take {memory:g} GiB"}
    return {"network": name, "refused": f"FAILED: {reason}"}


def alone(name: str, memory: float) -> dict[str, Any]:
    """Measure one network in this process, with a limit of its memory."""
    limit = int(memory * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    torch.set_num_threads(THREADS)
    graph = load(ROOT / "archs/lenet5_modern.arch").graph
    with TemporaryDirectory() as folder:  # torch's exporter imports much on its first call
        exported(lower(graph).eval(), random_inputs(graph, 1), Path(folder) / "warm.onnx")
    try:
        return measure(name)
    except Refused as reason:
        return {"network": name, "refused": str(reason)}


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


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """Return how fast our files run relative to torch's, over all networks."""
    if not rows:
        return "no network was measured"
    ratios = {row["network"]: row["ratio"] for row in rows}
    slower = sorted((ratio, name) for name, ratio in ratios.items() if ratio < EQUAL)
    least = min(ratios.values())
    text = f"{len(rows)} networks: the median speed is {median(ratios.values()):.2f} of that of torch's file, the least {least:.2f}"
    listed = ", ".join(f"{name} {ratio:.2f}" for ratio, name in slower) or "none"
    return f"{text}\nslower by more than {1 - EQUAL:.0%}: {listed}"


def failed(reason: str) -> bool:
    """Return whether the reason why a network was not measured is a mistake of ours."""
    return reason.startswith(("WRONG", "FAILED"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="names, or `all`")
    parser.add_argument("--out", type=Path, help="a file of JSON, written after each network")
    parser.add_argument("--memory", type=float, default=MEMORY, help="GiB that the process of a network may take")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds that a network may take")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(alone(options.alone, options.memory)))
        return
    every = sorted(path.stem for path in (ROOT / "archs").glob("*.arch"))
    names = every if list(options.networks) == ["all"] else options.networks
    if unknown := sorted(set(names) - set(every)):
        parser.error(f"no network of archs/ is {', '.join(unknown)}")
    rows: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for name in names:
        row = measured(name, options.memory, options.patience)
        (refused if "refused" in row else rows).append(row)
        print(f"{name}: {row['refused'] if 'refused' in row else format(row['ratio'], '.3f')}", flush=True)
        if options.out:
            write_text(options.out, json.dumps({"machine": machine(), "rows": rows, "refused": refused}, indent=1) + "\n")
    print(f"\n{table(rows)}\n\n{verdict(rows)}")
    for row in refused:
        print(f"not measured: {row['network']}: {row['refused']}")
    if any(failed(row["refused"]) for row in refused):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
