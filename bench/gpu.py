"""Every network on the GPU in three dtypes, against float64 on the CPU with the same weights. One command, no arguments needed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from compiler import load  # noqa: E402
from compiler.backends.torch_fx import ArchModule, random_inputs  # noqa: E402

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-1, torch.float16: 1e-1}  # random weights are badly conditioned
BATCH = 2
RUNS = 10


def calibrated(module: ArchModule, inputs: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights with batch-norm statistics of these inputs; with those of the start, values of deep networks fade to nothing."""
    norms = [part for part in module.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
    if norms:
        with torch.no_grad():
            module.train()(*inputs)
    return module.state_dict()


def reference(module: ArchModule, inputs: list[torch.Tensor]) -> torch.Tensor:
    """The output in float64 on the CPU."""
    result: torch.Tensor = module.double()(*(x.double() for x in inputs))
    return result


def timed(module: ArchModule, inputs: list[torch.Tensor], device: str) -> tuple[torch.Tensor, float]:
    """The output, and the seconds of one forward pass after a warm-up."""
    result: torch.Tensor = module(*inputs)
    _wait(device)
    begin = perf_counter()
    for _ in range(RUNS):
        module(*inputs)
    _wait(device)
    return result, (perf_counter() - begin) / RUNS


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--only", nargs="*", metavar="NAME", help="some networks only")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("there is no CUDA device; `--device cpu` runs the same path on the CPU", file=sys.stderr)
        return 3
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    shown = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    print(f"{shown}, torch {torch.__version__}, batch {BATCH}, TF32 off\n")
    print("| network | dtype | largest error, relative | milliseconds |\n|--|--|--:|--:|")
    worst = 0
    for path in sorted((ROOT / "archs").glob("*.arch")):
        if args.only and path.stem not in args.only:
            continue
        net = load(path)
        torch.manual_seed(0)
        inputs = random_inputs(net.graph, BATCH)
        weights = calibrated(net.lower(), inputs)
        with torch.inference_mode():
            module = net.lower()
            module.load_state_dict(weights)
            expected = reference(module, inputs)
            for dtype, tolerance in TOLERANCE.items():
                module.float().load_state_dict(weights)  # from the full precision for every dtype
                module.to(args.device, dtype)
                result, seconds = timed(module, [x.to(args.device, dtype) for x in inputs], args.device)
                error = float((result.cpu().double() - expected).abs().max() / expected.abs().max())
                sound = error <= tolerance
                worst |= not sound
                print(
                    f"| {net.name} | {str(dtype)[6:]} | {error:.1e}{'' if sound else ' (too large)'} | {1000 * seconds:.2f} |", flush=True
                )
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
