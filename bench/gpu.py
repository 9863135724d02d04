"""Compare every network on the GPU, in three dtypes, with float64 on the CPU and the same weights; time each level.

`python bench/gpu.py` needs no arguments and writes docs/gpu.json and docs/gpu.md. Where torchvision is not installed, only the
levels are compared.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from archc import load
from archc.bench import runtime, tables
from archc.compiler.backends.torch.arch_module import ArchModule
from archc.compiler.backends.torch.lower import random_inputs
from archc.compiler.backends.torch.timing import wait
from archc.compiler.files import write_text

ROOT = Path(__file__).resolve().parents[1]

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-1, torch.float16: 1e-1}  # random weights are badly conditioned
BATCH = 2
RUNS = 10


def reference(module: ArchModule, inputs: list[torch.Tensor]) -> torch.Tensor:
    """Return the output in float64 on the CPU."""
    result: torch.Tensor = module.double()(*(x.double() for x in inputs))
    return result


def timed(module: ArchModule, inputs: list[torch.Tensor], device: str) -> tuple[torch.Tensor, float]:
    """Return the output, and the seconds of one forward pass, averaged after a warm-up."""
    result: torch.Tensor = module(*inputs)
    wait(device == "cuda")
    begin = perf_counter()
    for _ in range(RUNS):
        module(*inputs)
    wait(device == "cuda")
    return result, (perf_counter() - begin) / RUNS


def agreement(device: str, only: list[str] | None, dtypes: list[torch.dtype]) -> tuple[list[dict[str, Any]], bool]:
    """Return a row for every network and dtype, compared with float64 on the CPU, and whether all are within tolerance."""
    rows: list[dict[str, Any]] = []
    for path in sorted((ROOT / "archs").glob("*.arch")):
        if only and path.stem not in only:
            continue
        net = load(path)
        torch.manual_seed(0)
        inputs = random_inputs(net.graph, BATCH)
        weights = runtime.calibrated(net.lower(), net.graph, inputs)
        with torch.inference_mode():
            module = net.lower().eval()
            module.load_state_dict(weights)
            expected = reference(module, inputs)
            for dtype in dtypes:
                tolerance = TOLERANCE[dtype]
                module.float().load_state_dict(weights)  # start from full precision for every dtype
                module.to(device, dtype)
                result, seconds = timed(module, [x.to(device, dtype) for x in inputs], device)
                error = float((result.cpu().double() - expected).abs().max() / expected.abs().max())
                rows.append({"network": net.name, "dtype": str(dtype)[6:], "error": error, "near": error <= tolerance, "seconds": seconds})
                print(tables.agreement_row(rows[-1]), flush=True)
    return rows, all(row["near"] for row in rows)


def speed(device: str, only: list[str] | None, dtypes: list[torch.dtype], batches: list[int], upto: int) -> list[dict[str, Any]]:
    """Return the times of torchvision's networks at every level, and of its own modules where it is installed."""
    rows = []
    for name in runtime.NETWORKS:
        if only and name not in only:
            continue
        for dtype in dtypes:
            for batch in batches:
                torch._dynamo.reset()
                try:
                    rows.append(runtime.inference(name, batch, dtype, device, upto))
                except torch.OutOfMemoryError as error:
                    print(f"{name}, batch {batch}: {str(error).splitlines()[0]}", file=sys.stderr)
                    continue
                print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--only", nargs="*", metavar="NAME", help="some networks only")
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 32, 256])
    parser.add_argument("--dtypes", nargs="*", default=["float32", "bfloat16", "float16"], help="float16 is very slow on a CPU")
    parser.add_argument("--upto", type=int, default=3, help="the last level of optimization; 3 compiles")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/gpu.json", help="where the JSON goes; the table goes next to it, as .md")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("there is no CUDA device; `--device cpu` runs the same path on the CPU", file=sys.stderr)
        return 3
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    shown = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    head = f"{shown}, torch {torch.__version__}, Python {platform.python_version()}, TF32 off"
    dtypes = [getattr(torch, name) for name in args.dtypes]
    rows, near = agreement(args.device, args.only, dtypes)
    measured = {"machine": head, "agreement": rows, "speed": speed(args.device, args.only, dtypes, args.batches, args.upto)}
    write_text(args.out, json.dumps(measured, indent=1) + "\n")
    write_text(args.out.with_suffix(".md"), tables.gpu_page(measured))
    return int(not near)


if __name__ == "__main__":
    sys.exit(main())
