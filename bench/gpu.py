"""Run in one command all that waits for a GPU, and write a page on it.

    python bench/gpu.py                  everything, on the GPU; what is measured already is not measured again
    python bench/gpu.py --minutes 10     what comes first, in so much time; run it again for the rest
    python bench/gpu.py --device cpu --only lenet5_modern resnet18 --batches 1 --upto 2

It compares every network, in float32, TF32, bfloat16 and float16, with float64 on the CPU and with torchvision's on the GPU; it compares
predicted with measured memory; it times levels 0 to 3 for 1, 8, 64 and 256 samples against torchvision, eager, in channels-last and
compiled; `torch.compile` in each of its modes (with CUDA graphs in `reduce-overhead`), and TensorRT where it is installed; it times
steps of training; and it verifies what `archc compile` writes. Results go to docs/gpu.json after each item; docs/gpu.md is made of them.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from archc.bench import gpu_page, gpu_work, runtime
from archc.bench.gpu_work import Item
from archc.bench.machine import machine
from archc.compiler.files import write_text

ROOT = Path(__file__).resolve().parents[1]

KINDS = tuple(gpu_work.WORK)
DTYPES = ("float32", "tf32", "bfloat16", "float16")
BATCHES = (1, 8, 64, 256)
FORMATS = (".pt2", ".onnx", ".py")
LIMIT = 900  # seconds for an item, in which a compiler that does not come to an end is stopped


def items(chosen: argparse.Namespace) -> Iterator[Item]:
    """Yield what is to be measured: of each kind in turn; the networks that are timed, with few samples first."""
    every = [path.stem for path in sorted((ROOT / "archs").glob("*.arch")) if not chosen.only or path.stem in chosen.only]
    timed = [name for name in (*runtime.NETWORKS, *runtime.TRANSFORMERS) if not chosen.only or name in chosen.only]
    for name in every if "equality" in chosen.kinds else ():
        yield {"kind": "equality", "network": name, "dtypes": chosen.dtypes}
    for name in timed if "memory" in chosen.kinds else ():
        for dtype in chosen.dtypes:
            if dtype != "tf32":
                yield {"kind": "memory", "network": name, "dtype": dtype, "batch": max(batch for batch in chosen.batches if batch <= 64)}
    for batch in chosen.batches:
        for dtype in chosen.dtypes:
            for name in timed:
                setting = {"network": name, "dtype": dtype, "batch": batch}
                if "levels" in chosen.kinds:
                    yield {"kind": "levels", **setting, "upto": chosen.upto}
                if "compiled" in chosen.kinds and chosen.upto == 3:
                    yield {"kind": "compiled", **setting}
                if "training" in chosen.kinds and batch in (1, 64) and dtype != "float16":
                    yield {"kind": "training", **setting}
    for name in timed if "verify" in chosen.kinds else ():
        for form in FORMATS:
            yield {"kind": "verify", "network": name, "format": form}


def key(item: Item) -> str:
    """Return what says which item it is, without its result."""
    return json.dumps([item.get(name) for name in ("kind", "network", "dtype", "dtypes", "batch", "upto", "format")])


class Worker:
    """A process that measures item after item; where it dies or takes too long, another takes its place."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.pool: ProcessPoolExecutor | None = None

    def measured(self, item: Item, limit: float) -> Item:
        """Return an item with its result."""
        if self.pool is None:
            self.pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        try:
            return self.pool.submit(gpu_work.done, item, self.device).result(limit)
        except TimeoutError:
            self.stop()
            return {**item, "problem": f"not done in {limit:.0f} seconds"}
        except BrokenProcessPool:
            self.stop()
            return {**item, "problem": "the process that measured it has died"}

    def stop(self) -> None:
        """Stop the process, whatever it does."""
        if self.pool is not None:
            for process in list((self.pool._processes or {}).values()):
                process.kill()
            self.pool.shutdown(cancel_futures=True)
            self.pool = None


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--only", nargs="*", metavar="NAME", help="some networks only")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument("--batches", nargs="*", type=int, default=list(BATCHES))
    parser.add_argument("--dtypes", nargs="*", default=list(DTYPES), choices=DTYPES, help="float16 is very slow on a CPU")
    parser.add_argument("--upto", type=int, default=3, choices=[1, 2, 3], help="the last level of optimization; 3 compiles")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no item after so many; 0: no end")
    parser.add_argument("--again", action="store_true", help="measure also what is in the file, and what went wrong before")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/gpu.json", help="where the JSON goes; the page goes next to it, as .md")
    return parser.parse_args(given)


def head(device: str) -> str:
    """Return the machine in a line."""
    shown = torch.cuda.get_device_name() if device == "cuda" else machine().splitlines()[0].rstrip(".")
    return f"{shown}; torch {torch.__version__}, Python {platform.python_version()}"


def main(given: Sequence[str] | None = None) -> int:
    """Measure; return 1 where something is wrong, 3 without the device."""
    chosen = arguments(given)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        print("there is no CUDA device; `--device cpu` runs the same path on the CPU", file=sys.stderr)
        return 3
    if chosen.device == "cpu":
        chosen.dtypes = [dtype for dtype in chosen.dtypes if dtype != "tf32"]
    begin = monotonic()
    measured: dict[str, Any] = {"machine": head(chosen.device), "rows": []}
    if chosen.out.is_file() and (before := json.loads(chosen.out.read_text())).get("machine") == measured["machine"]:
        measured = before
    rows = {key(row): row for row in measured["rows"]}
    wanted = list(items(chosen))
    worker = Worker(chosen.device)
    for number, item in enumerate(wanted, 1):
        if key(item) in rows and not chosen.again:
            continue
        left = chosen.minutes * 60 - (monotonic() - begin) if chosen.minutes else LIMIT
        if left <= 0:
            break
        row = worker.measured(item, min(LIMIT, max(left, 30.0)))
        if "not done in" in row.get("problem", "") and left < LIMIT:
            break  # it was the end of the time, not the item
        rows[key(item)] = row
        print(f"{number} of {len(wanted)}: {gpu_page.line(row)}", flush=True)
        write_text(chosen.out, json.dumps({**measured, "rows": list(rows.values())}, indent=1) + "\n")
    worker.stop()
    missing = [item for item in wanted if key(item) not in rows]
    write_text(chosen.out.with_suffix(".md"), gpu_page.page({**measured, "rows": list(rows.values())}, len(missing)))
    if missing:
        print(f"{len(missing)} of {len(wanted)} are not measured yet: run it again", flush=True)
    return int(any(gpu_page.wrong(row) for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
