"""Measure time and memory per node of the front end and of lowering, over generated networks of growing size."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]

CHECK_SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
LOWER_SIZES = (1_000, 3_000, 10_000)
REPEATS = 3
GOAL = 1.3

# Twenty nodes in two forms, each half of the network: written out line by line, and as a repeated block.
LINES = "residual<conv3-16(pad=1, bias=no); bn; relu; conv3-16(pad=1, bias=no); bn>; relu\nconv1-16(bias=no); bn; relu\n"
BLOCK = (
    "block unit() {\n  residual<conv3-16(pad=1, bias=no); bn; relu; conv3-16(pad=1, bias=no); bn>\n  relu; conv1-16(bias=no); bn; relu\n}\n"
)


def program(nodes: int) -> str:
    """Return the text of a network with about that many nodes."""
    units = nodes // 20
    return BLOCK + "input 16x32x32\n" + LINES * units + f"unit() x{units}\n"


def one(stage: str, nodes: int) -> dict[str, float]:
    """Measure once, in this process, and return seconds and bytes for each node."""
    from archc.compiler.driver import check_text
    from archc.compiler.elaborate.elaboration import Limits

    limits = Limits(max_nodes=1_000_000)

    text = program(nodes)
    check_text(program(40))  # loads the parser's tables
    if stage == "lower":
        import torch

        from archc.compiler.backends.torch.lower import lower

        with torch.device("meta"):
            lower(check_text(program(40)).graph)
            graph = check_text(text, limits=limits).graph
            before, begin = _peak(), perf_counter()
            lower(graph)
    else:
        before, begin = _peak(), perf_counter()
        report = check_text(text, limits=limits)
        report.cost()
        graph = report.graph
        assert report.ok
    return {"seconds": (perf_counter() - begin) / len(graph), "bytes": (_peak() - before) / len(graph), "nodes": len(graph)}


def _peak() -> int:
    """Return the peak resident memory of this process, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(stage: str, sizes: Sequence[int], repeats: int = REPEATS) -> list[dict[str, float]]:
    """Return the fastest of some fresh processes for each size, interleaved so that a slow phase of the machine affects all sizes."""
    runs: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for _ in range(repeats):
        for size in sizes:
            done = subprocess.run([sys.executable, __file__, stage, str(size)], capture_output=True, text=True, check=True)
            runs[size].append(json.loads(done.stdout))
    return [min(runs[size], key=lambda run: run["seconds"]) for size in sizes]


def growth(rows: Sequence[dict[str, float]]) -> float:
    """Return the time for each node at the largest size, as a multiple of that at a tenth of it."""
    last = rows[-1]
    tenth = min(rows, key=lambda row: abs(row["nodes"] * 10 - last["nodes"]))
    return last["seconds"] / tenth["seconds"]


def plot(checks: Sequence[dict[str, float]], lowers: Sequence[dict[str, float]], path: Path) -> None:
    """Write a plot of the time for each node over the number of nodes."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "archc"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    for rows, label in ((checks, "check"), (lowers, "lower to torch.fx, meta device")):
        axes.plot([row["nodes"] for row in rows], [1e6 * row["seconds"] for row in rows], marker="o", label=label)
    axes.set(xscale="log", xlabel="nodes", ylabel="microseconds for each node", ylim=(0, None))
    axes.legend()
    figure.savefig(path, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], int(sys.argv[2]))))
