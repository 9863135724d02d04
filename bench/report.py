"""Run the benchmarks and write docs/benchmarks.md and its plot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from archc.bench import frontend, lsp, memory, onnx_files, passes, playground, runtime, scaling, startup, tables, verbs
from archc.bench.machine import machine
from archc.compiler.files import replacing, write_text

ROOT = Path(__file__).resolve().parents[1]


def verdict(met: bool) -> str:
    """Return whether a goal is met, in Markdown."""
    return "met" if met else "**not met**"


def frontend_section() -> str:
    """Measure the front end, and return the section on it."""
    measured = frontend.measure()
    met = verdict(measured["ratio"] >= measured["goal"])
    return f"""## The front end, as a whole process

`archc check archs/resnet152.arch`, which infers every layer's shape, counts, and verifies the claims of the file, compared with a
process that obtains shapes, parameters and MACs from torchvision on the meta device and torchinfo. {measured["pairs"]} pairs, interleaved,
after a warm-up; medians. Both count {measured["params"]:,} parameters; archc counts {measured["macs"]:,} MACs, torchinfo,
which counts biases and batch norms too, {measured["peer_macs"]:,}.

| | seconds |
|--|--:|
| archc check | {measured["ours"]:.2f} |
| torchvision and torchinfo | {measured["peer"]:.2f} |
| ratio, median of the pairs | {measured["ratio"]:.1f} (from {measured["lowest"]:.1f} to {measured["highest"]:.1f}) |

Goal: at least {measured["goal"]:.0f} times faster: {met}.

Command: `python bench/frontend.py`.
"""


def verbs_section() -> str:
    """Time the verbs, and return the section on them."""
    measured = verbs.measure()
    rows = []
    for verb, time in measured.items():
        goal = verbs.GOALS.get(verb)
        rows.append(f"| `archc {' '.join(verbs.VERBS[verb])}` | {time:.2f} | {f'under {goal}: {verdict(time < goal)}' if goal else ''} |")
    listed = "\n".join(rows)
    return f"""## Questions about a network, as whole processes

Medians of {verbs.RUNS} runs after a warm-up; none of them imports torch.

| | seconds | goal |
|--|--:|--|
{listed}

Command: `python bench/verbs.py`.
"""


def scaling_section(folder: Path) -> str:
    """Measure growth, return the section on it, and write its plot."""
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

Open: no figures yet. `python bench/gpu.py` compares every network on a GPU, in float32, TF32, bfloat16 and float16, with float64 on
the CPU and with torchvision; compares predicted with measured memory; times every level, torch.compile in its modes, TensorRT where it is
installed, and steps of training; runs `--verify`; and writes docs/gpu.json and docs/gpu.md. With `--minutes` it stops in time, and goes on
when it is run again.
"""


def lsp_section() -> str:
    """Time the language server, and return the section on it."""
    measured = lsp.measure()
    rows = []
    for text, goal in lsp.GOALS.items():
        found = {name: f"{1000 * seconds:.0f}" for name, seconds in measured[text].items()}
        cells = (found["median"], f"under {1000 * goal:.0f}: {verdict(measured[text]['median'] < goal)}", found["longest"])
        rows.append(f"| {' | '.join((text, *cells, found['opened'], found['hints'], found['hover'], found['completion']))} |")
    listed = "\n".join(rows)
    return f"""## The language server

`archc lsp` over stdio. From an edit that a client sends to the diagnostics that come back, {lsp.EDITS} edits of each text, in
milliseconds; then the time until the first diagnostics of a text that is opened, and of other requests. The server is ready
{measured["start"]["ready"]:.1f} seconds after it is started.

| text | an edit, median | goal | longest | opened | hints | hover | completion |
|--|--:|--|--:|--:|--:|--:|--:|
{listed}

Command: `python bench/lsp.py`.
"""


def startup_section() -> str:
    """Time lowering, and return the section on start-up."""
    measured = startup.measure()
    return f"""## Start-up

ResNet-152 without weights, on the meta device, in one process; medians of {startup.PAIRS} pairs. Reading and checking the file
takes {1000 * measured["reading"]:.0f} ms in addition.

| | milliseconds |
|--|--:|
| archc, lowering to torch.fx | {1000 * measured["ours"]:.0f} |
| torchvision's constructor and torch.fx.symbolic_trace | {1000 * measured["peer"]:.0f} |
| ratio, median of the pairs | {measured["ratio"]:.2f} |

Goal: no more than the peer: {verdict(measured["ratio"] >= 1)}.

Command: `python bench/startup.py`.
"""


def memory_section() -> str:
    """Measure peaks of activations, and return the section on memory."""
    measured = memory.measure()
    heads = ["network", *(f">{label}" for label in next(iter(measured.values())))]
    rows = [[name, *(f"{size / 2**20:.1f}" for size in sizes.values())] for name, sizes in measured.items()]
    fits = all(min(sizes["level 1"], sizes["level 2"]) <= sizes["torchvision"] for sizes in measured.values())
    return f"""## Memory at inference

The peak of live activations in MiB, batch {memory.BATCH}, float32, every tensor tracked.

{tables.markdown_table(heads, rows)}

Goal: no more than torchvision's eager module, at levels 1 and 2: {verdict(fits)}.

Command: `python bench/memory.py`.
"""


def runtime_section(folder: Path) -> str:
    """Return the section on running, from docs/runtime.json, which takes an hour to measure."""
    measured = json.loads((folder / "runtime.json").read_text(encoding="utf-8"))
    rows = measured["rows"]
    single = {(row["network"], row["dtype"], row["batch"]): row for row in rows if not row.get("training")}
    goals = []
    for name, least in (("resnet50", 1.3), ("googlenet_torchvision", 2.0)):
        ratio = single[name, "float32", 4]["ratio"]["level 2"]
        goals.append(
            f"* Level 2 at least {least} times torchvision eager on {name}, float32, batch 4: {ratio:.2f}, {verdict(ratio >= least)}."
        )
    against = {name: row["against_best"]["level 3"] for (name, dtype, batch), row in single.items() if (dtype, batch) == ("float32", 4)}
    least = min(against, key=lambda name: against[name])
    goals.append(
        f"* Level 3 at least as fast as the best peer on every network, float32, batch 4: the least is {against[least]:.3f} ({least}), "
        f"{verdict(against[least] >= 1)}."
    )
    if "AMX" in measured["machine"]:
        for name in dict.fromkeys(name for name, _, _ in single):
            times = [single[name, dtype, 4]["medians"]["level 3"] for dtype in ("float32", "bfloat16")]
            ratio = times[0] / times[1]
            goals.append(
                f"* Level 3 in bfloat16 at least 2.5 times level 3 in float32, {name}, batch 4: {ratio:.2f}, {verdict(ratio >= 2.5)}."
            )
    listed = "\n".join(goals)
    return f"""## Running, compared with torchvision

On {measured["machine"]} Medians of {runtime.RUNS} interleaved runs of each, with the same weights; outputs are compared before timing. A
figure is the speed relative to torchvision's eager module. `compile` is torch.compile, `compile, frozen` the same with freezing
and channels-last. The share of peak is relative to a matrix multiplication of size {2048} in the same precision and run.

{tables.by_setting(rows)}

### Speed of level 3 in bfloat16, relative to level 3 in float32

{tables.precision_table(rows)}

### Speed of a training step (SGD), relative to torchvision's

{tables.training_table(rows)}

{listed}

Command: `python bench/runtime.py --train --out docs/runtime.json`.
"""


def transformers_section(folder: Path) -> str:
    """Return the section on transformers, from docs/transformers.json."""
    measured = json.loads((folder / "transformers.json").read_text(encoding="utf-8"))
    rows = measured["rows"]
    goals = [
        f"* Level 2 at least as fast as torchvision eager, {row['network']}, batch {row['batch']}: {row['ratio']['level 2']:.2f}, "
        f"{verdict(row['ratio']['level 2'] >= 1)}; relative to the best of the peers {row['against_best']['level 2']:.2f}."
        for row in rows
    ]
    listed = "\n".join(goals)
    return f"""## Running transformers, compared with torchvision

On {measured["machine"]} As above, in float32. Other work ran on this machine at the time, which the interleaved runs of all share.

{tables.by_setting(rows)}

{listed}

Command: `python bench/runtime.py --networks {" ".join(runtime.TRANSFORMERS)} --dtypes float32 --out docs/transformers.json`.
"""


def passes_section(folder: Path) -> str:
    """Return the section on passes, from docs/passes.json."""
    measured = json.loads((folder / "passes.json").read_text(encoding="utf-8"))
    return f"""## What each pass is worth

On {measured["machine"]} Medians of {passes.RUNS} interleaved runs. A figure is the speed with all passes of a level, relative to
that without this one; there is none where the pass finds nothing to do. Level 1 and training run the modules of torch one by one;
level 2 has its layers packed; level 3 is measured here without torch's compiler, for each of its ways of lowering to a CPU.

{tables.passes_table(measured["rows"])}

Command: `python bench/passes.py --out docs/passes.json`.
"""


def onnx_section(folder: Path) -> str:
    """Return the section on ONNX files, from docs/onnx.json."""
    measured = json.loads((folder / "onnx.json").read_text(encoding="utf-8"))
    rows = measured["rows"]
    dense = next(row for row in rows if row["network"] == "densenet121")
    slowest = min(rows, key=lambda row: row["ratio"])
    goals = [
        f"* Writing DenseNet-121 at least {onnx_files.GOAL} times faster than torch's exporter: {dense['faster']:.0f}, "
        f"{verdict(dense['faster'] >= onnx_files.GOAL)}.",
        f"* The file runs no slower than torch's, on every network: the least is {slowest['ratio']:.2f} ({slowest['network']}), "
        f"{verdict(slowest['ratio'] >= 1)}.",
    ]
    listed = "\n".join(goals)
    runs, threads = onnx_files.RUNS, onnx_files.THREADS
    return f"""## ONNX files

On {measured["machine"]} Writing is the median of {onnx_files.WRITES} runs, relative to one run of
`torch.onnx.export(dynamo=True)` of the same module after it has exported a smaller one. Running is the median of {runs} interleaved
runs in onnxruntime on {threads} thread, batch 1; a speed is relative to the file of torch's exporter, which folds batch norms when
it writes, and `as functions` is the time with blocks as functions relative to that without. Other work ran on this machine at the
time, which the interleaved runs share.

{onnx_files.table(rows)}

{listed}

Command: `python bench/onnx_files.py --out docs/onnx.json`.
"""


def playground_section(folder: Path) -> str:
    """Return the section on the playground, from docs/playground.json."""
    measured = json.loads((folder / "playground.json").read_text(encoding="utf-8"))
    rows = []
    for what, label in playground.WHAT.items():
        times = [clock for clock, _ in measured["taken"][what]]
        processors = median(each for _, each in measured["taken"][what])
        goal = playground.GOALS.get(what)
        met = f"{verdict(median(times) < goal)} by the median, {verdict(min(times) < goal)} by the fastest" if goal is not None else ""
        rows.append(f"| {label} | {median(times):.2f} | {min(times):.2f} | {processors:.2f} | {f'under {goal:g}: {met}' if met else ''} |")
    runs, loads = len(measured["loads"]), measured["loads"]
    return f"""## The playground

The page in a headless {measured["browser"]}, from static files on loopback, on {measured["machine"]}
{runs} runs, each in a new profile; seconds. Other work ran on the machine: its load was from {min(loads):.1f} to {max(loads):.1f} on two
cores, and the fastest met the least of it. Seconds of processors depend on the load far less, and are those of all of Chromium's threads
and processes together; those of an edit include what Chromium does in the quarter of a second after it. There are {playground.EDITS} edits
in each run.

| | median | fastest | of processors | goal |
|--|--:|--:|--:|--|
{chr(10).join(rows)}

Command: `python bench/playground.py --runs {runs} --out docs/playground.json`.
"""


def main() -> None:
    folder = ROOT / "docs"
    head = f"# Benchmarks\n\nGenerated by `make bench` (`python bench/report.py`), on\n{machine()}\n"
    sections = [
        frontend_section(),
        verbs_section(),
        scaling_section(folder),
        startup_section(),
        lsp_section(),
        memory_section(),
        runtime_section(folder),
        transformers_section(folder),
        passes_section(folder),
        onnx_section(folder),
        playground_section(folder),
    ]
    write_text(folder / "benchmarks.md", "\n".join([head, *sections, GPU]))


if __name__ == "__main__":
    main()
