"""Measure what each rewrite and each way of lowering to a CPU is worth: every network with all of them, and with all but one, interleaved.

    python bench/passes.py --out docs/passes.json

A figure is the speed with the pass relative to that without it; there is none where the pass finds nothing to do. Ways of lowering are
those of level 3 on a CPU: a batch in slices, Winograd's algorithm.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from torch import fx

from archc.bench import runtime
from archc.bench.machine import machine
from archc.bench.runtime import models, step
from archc.compiler.analysis.printing import listing
from archc.compiler.backends.torch import cpu, winograd
from archc.compiler.backends.torch.arch_module import ArchModule
from archc.compiler.backends.torch.nodes import fx_graph, modules_of, tree_of
from archc.compiler.backends.torch.optimize import optimized, realized
from archc.compiler.backends.torch.timing import in_turn
from archc.compiler.files import write_text
from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import lowered
from archc.compiler.passes import INFERENCE, TRAINING, Pass, run

ROOT = Path(__file__).resolve().parents[1]

# ResNet-152 has the parts of ResNet-50; EfficientNet has stochastic depth between its convolutions and sums.
NETWORKS = [*(name for name in runtime.NETWORKS if name != "resnet152"), "efficientnet_b0"]
RUNS = 9


def without(graph: ArchGraph, level: int) -> dict[str, tuple[Pass, ...]]:
    """Return the pipelines of a level without one pass each, by the name of the pass, as far as they produce another program."""
    whole = listing(run(graph, INFERENCE[level]).graph)
    shorter = {one.__name__: tuple(other for other in INFERENCE[level] if other is not one) for one in INFERENCE[level]}
    shorter.pop("drop_training")  # not optional: without it the outputs are not those of inference
    return {name: pipeline for name, pipeline in shorter.items() if listing(run(graph, pipeline).graph) != whole}


def _exact(module: ArchModule, graph: ArchGraph, pipeline: tuple[Pass, ...]) -> fx.GraphModule:
    return realized(module, lowered(graph, level=1, pipeline=pipeline))


def measure(name: str, batch: int, device: str, runs: int) -> list[dict[str, Any]]:
    """Measure inference at levels 1 and 2 with all passes and without each of them, in float32."""
    net, module, _ = models(name)
    module = module.to(device)
    x = torch.randn(batch, 3, 224, 224, device=device)
    rows = []
    for level in (1, 2):
        build = partial(optimized, module, net.graph, [x], 2) if level == 2 else partial(_exact, module, net.graph)
        pipelines = {"all": INFERENCE[level], **without(net.graph, level)}
        networks = [partial(build(pipeline=pipeline), x) for pipeline in pipelines.values()]
        rows += rows_of(name, batch, device, "float32", level, list(pipelines)[1:], networks, runs)
    return rows


def trained(name: str, batch: int, device: str, runs: int) -> list[dict[str, Any]]:
    """Measure a step of SGD with and without the passes of level 1, both with activations in place."""
    net, module, _ = models(name)
    changed = run(net.graph, TRAINING[1]).graph
    if listing(changed) == listing(net.graph):
        return []
    x, y = torch.randn(batch, 3, 224, 224, device=device), torch.randint(0, 1000, (batch,), device=device)
    steps = []
    for pipeline in (TRAINING[1], ()):
        program = lowered(net.graph, "training", 1, pipeline)
        network = fx.GraphModule(tree_of(modules_of(program)), fx_graph(program)).to(device).train()
        network.load_state_dict(module.state_dict())
        steps.append(step(network, x, y))
    return rows_of(name, batch, device, "float32", "training", [" ".join(one.__name__ for one in TRAINING[1])], steps, runs)


# A way of lowering to a CPU: what to patch to disable it, and the module that shows where it was used.
WAYS: dict[str, tuple[str, Any, type]] = {
    "slices": ("slices", lambda *_: None, cpu.Sliced),
    "winograd": ("winograd.suits", lambda *_: False, winograd.WinogradConv),
}


def on_cpu(name: str, batch: int, dtype: str, runs: int) -> list[dict[str, Any]]:
    """Measure level 3 on a CPU without torch's compiler, with all ways of lowering and without each of them."""
    net, module, _ = models(name)
    x = torch.randn(batch, 3, 224, 224).to(getattr(torch, dtype))
    module = module.to(x.dtype)
    program = lowered(net.graph, level=2)

    def build() -> Any:
        plain = realized(module, program).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cpu.for_cpu(plain, program.graph, x, tuned=True)

    whole = build()
    taken = [way for way, (_, _, kind) in WAYS.items() if any(isinstance(part, kind) for part in whole.modules())]
    others = []
    for way in taken:
        with patch(f"archc.compiler.backends.torch.cpu.{WAYS[way][0]}", WAYS[way][1]):
            others.append(build())
    return rows_of(name, batch, "cpu", dtype, 3, taken, [partial(network, x) for network in (whole, *others)], runs)


def rows_of(
    name: str, batch: int, device: str, dtype: str, level: int | str, lacking: list[str], networks: list[Callable[[], Any]], runs: int
) -> list[dict[str, Any]]:
    """Time networks, and return a row for each but the first, which lacks nothing, with its time relative to the first."""
    with torch.set_grad_enabled(level == "training"):
        whole, *others = in_turn(networks, runs, 2, device == "cuda")
    setting = {"network": name, "batch": batch, "device": device, "dtype": dtype, "level": level}
    ratios = [median(a / b for a, b in zip(times, whole, strict=True)) for times in others]
    return [{**setting, "pass": word, "ratio": ratio} for word, ratio in zip(lacking, ratios, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--lowered", nargs="*", default=["4:float32", "4:bfloat16", "32:float32"], help="settings for ways of lowering")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in args.networks:
        parts: list[tuple[Any, ...]] = [(measure, args.batch, args.device), (trained, args.batch, args.device)]
        settings = [setting.split(":") for setting in args.lowered if args.device == "cpu"]
        parts += [(on_cpu, int(batch), dtype) for batch, dtype in settings]
        for part, *options in parts:
            # In a fresh process: what an allocator keeps from other networks changes how fast large values are allocated.
            with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
                measured = fresh.submit(part, name, *options, args.runs).result()
            for row in measured:
                print(json.dumps(row), flush=True)
            rows += measured
            if args.out:
                write_text(args.out, json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
