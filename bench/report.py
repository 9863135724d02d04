"""Runs the benchmarks and writes docs/benchmarks.md and its plot."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench import frontend, scaling, verbs  # noqa: E402
from compiler.files import replacing, write_text  # noqa: E402

PACKAGES = ("torch", "torchvision", "torchinfo", "networkx", "lark", "typer")


def machine() -> str:
    """The machine and the versions, in a line each."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        model = next((line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")), model)
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}.\nPython {platform.python_version()}, {versions}."


def verdict(met: bool) -> str:
    return "met" if met else "**not met**"


def frontend_section() -> str:
    found = frontend.measure()
    met = verdict(found["ratio"] >= found["goal"])
    return f"""## The front end, as a whole process

`archc check archs/resnet152.arch`, which infers every layer's shape, counts, and proves the claims of the file, against a
process that asks torchvision on the meta device and torchinfo for shapes, parameters and MACs. {found["pairs"]} pairs, run
in turn after a warm-up; medians. Both find {found["params"]:,} parameters; archc counts {found["macs"]:,} MACs, torchinfo,
which counts biases and batch norms too, {found["peer_macs"]:,}.

| | seconds |
|--|--:|
| archc check | {found["ours"]:.2f} |
| torchvision and torchinfo | {found["peer"]:.2f} |
| ratio, median of the pairs | {found["ratio"]:.1f} (from {found["lowest"]:.1f} to {found["highest"]:.1f}) |

Goal: at least {found["goal"]:.0f} times faster: {met}.

Command: `python bench/frontend.py`.
"""


def verbs_section() -> str:
    found = verbs.measure()
    rows = []
    for verb, time in found.items():
        goal = verbs.GOALS.get(verb)
        rows.append(f"| `archc {' '.join(verbs.VERBS[verb])}` | {time:.2f} | {f'under {goal}: {verdict(time < goal)}' if goal else ''} |")
    listed = "\n".join(rows)
    return f"""## Questions about a network, as whole processes

Medians of {verbs.RUNS} runs after a warm-up; nothing of it imports torch.

| | seconds | goal |
|--|--:|--|
{listed}

Command: `python bench/verbs.py`.
"""


def scaling_section(folder: Path) -> str:
    checks = scaling.measure("check", scaling.CHECK_SIZES)
    lowers = scaling.measure("lower", scaling.LOWER_SIZES)
    with replacing(folder / "scaling.svg") as temporary:
        scaling.plot(checks, lowers, temporary)
    growths = scaling.growth(checks), scaling.growth(lowers)
    return f"""## Growth with the network

Generated networks, half written out line by line and half as a repeated block. Each figure is the fastest of
{scaling.REPEATS} fresh processes; memory is the growth of the peak resident size. Lowering is to torch.fx on the meta device.

![time for each node](scaling.svg)

| check: nodes | microseconds for each node | KiB for each node |
|--:|--:|--:|
{_rows(checks)}

| lower: nodes | microseconds for each node | KiB for each node |
|--:|--:|--:|
{_rows(lowers)}

Goal: time for each node at 100,000 nodes at most {scaling.GOAL} times that at 10,000:
{growths[0]:.2f}, {verdict(growths[0] <= scaling.GOAL)}. The same for lowering between 1,000 and 10,000:
{growths[1]:.2f}, {verdict(growths[1] <= scaling.GOAL)}.

Command: `python bench/scaling.py check 100000` for one measurement.
"""


def _rows(rows: Sequence[dict[str, float]]) -> str:
    return "\n".join(f"| {row['nodes']:,.0f} | {1e6 * row['seconds']:.0f} | {row['bytes'] / 1024:.1f} |" for row in rows)


GPU = """## On a GPU

Open: no figures yet. `python bench/gpu.py` runs every network on a GPU in float32, bfloat16 and float16, compares the
outputs with float64 on the CPU, and prints the table for this page.
"""


def main() -> None:
    folder = ROOT / "docs"
    head = f"# Benchmarks\n\nMade by `make bench` (`python bench/report.py`), on\n{machine()}\n"
    write_text(folder / "benchmarks.md", "\n".join([head, frontend_section(), verbs_section(), scaling_section(folder), GPU]))


if __name__ == "__main__":
    main()
