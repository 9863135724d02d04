"""Measure how fast networks run, relative to torchvision's own modules with the same weights, as ratios of interleaved runs.

    python bench/runtime.py --networks resnet50 --batches 4 --dtypes float32 --out runtime.json

Peers: torchvision as it is, in channels-last, under torch.compile, and under torch.compile with freezing and channels-last.
Ours: levels 0 to 3. Outputs are compared before any timing.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import torch

from archc import load
from archc.bench.machine import machine
from archc.compiler.backends.torch.arch_module import ArchModule
from archc.compiler.backends.torch.lower import lower
from archc.compiler.backends.torch.optimize import optimized
from archc.compiler.backends.torch.published import torchvision_models
from archc.compiler.backends.torch.timing import in_turn
from archc.compiler.files import write_text
from archc.compiler.graph import ArchGraph

ROOT = Path(__file__).resolve().parents[1]

# Our file, torchvision's constructor, and its arguments.
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "alexnet_torchvision": ("alexnet", {}),
    "vgg16": ("vgg16", {}),
    "googlenet_torchvision": ("googlenet", {"init_weights": False, "aux_logits": True}),
    "resnet18": ("resnet18", {}),
    "resnet50": ("resnet50", {}),
    "resnet152": ("resnet152", {}),
    "mobilenet_v2": ("mobilenet_v2", {}),
}
TRANSFORMERS = ("vit_b_16", "swin_t")  # measured by themselves: their peers take minutes to compile
PEERS = ("eager", "channels-last", "compile", "compile, frozen, channels-last")
RUNS = 9
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 1e-1, torch.float16: 5e-2}  # of the largest value; random weights amplify
Run = Callable[[], Any]


def peak(dtype: torch.dtype, device: str, size: int = 2048) -> float:
    """Return the FLOP/s of a matrix multiplication, taken as the peak of this machine."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    (times,) = in_turn([lambda: a @ b], 15, 0, device == "cuda")
    return 2 * size**3 / min(times)


def interleaved(runs: dict[str, Run], device: str, count: int = RUNS) -> dict[str, list[float]]:
    """Return the seconds of every run, all interleaved, after two warm-ups of each."""
    return dict(zip(runs, in_turn(list(runs.values()), count, 2, device == "cuda"), strict=True))


def calibrated(module: ArchModule, graph: ArchGraph, inputs: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights with the batch-norm statistics of these inputs, so that values neither vanish nor grow from layer to layer.

    Residual branches are scaled down, as in trained networks: otherwise random ResNets of a hundred layers amplify every rounding error.
    """
    with torch.no_grad():
        for node in graph:
            if node.op == "add" and (body := node.operands[0]).op == "bn":
                module.get_submodule(body.key).weight.fill_(0.2)  # type: ignore[operator, union-attr]
        for part in module.parameters():
            if not part.any():  # ViT begins with a last layer of zeros, of which all outputs would be equal
                torch.nn.init.normal_(part, std=0.02)
        norms = [part for part in module.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.momentum = 1.0
        if norms:
            module.train()(*inputs)
    return module.state_dict()


def models(name: str) -> tuple[Any, Any, Any]:
    """Return our network, its module, and torchvision's if it is installed, with the same weights and calibrated batch norms."""
    constructor, kwargs = NETWORKS.get(name, (name, {}))
    torch.manual_seed(0)
    net = load(ROOT / f"archs/{name}.arch")
    module = net.lower()
    calibrated(module, net.graph, [torch.randn(4, 3, 224, 224)])
    if find_spec("torchvision") is None:
        return net, module.eval(), None
    peer = getattr(torchvision_models(), constructor)(**kwargs)
    peer.load_state_dict(module.state_dict())
    if constructor == "googlenet":
        peer.transform_input = False
    return net, module.eval(), peer.eval()


def contestants(name: str, x: torch.Tensor, upto: int) -> tuple[dict[str, Run], Any]:
    """Return the callables to time, by label, and the network."""
    net, module, peer = models(name)
    runs: dict[str, Run] = {}
    last = x.contiguous(memory_format=torch.channels_last)
    if peer is not None:
        eager, in_last = peer.to(x.device, x.dtype), copy.deepcopy(peer).to(x.device, x.dtype, memory_format=torch.channels_last)
        runs |= {"eager": lambda: eager(x), "channels-last": lambda: in_last(last)}
        if upto == 3:
            frozen = {"freezing": True} if x.device.type == "cpu" else {"freezing": True, "triton.cudagraphs": True}
            compiled, in_frozen = torch.compile(copy.deepcopy(eager)), torch.compile(copy.deepcopy(in_last), options=frozen)
            runs |= {"compile": lambda: compiled(x), "compile, frozen, channels-last": lambda: in_frozen(last)}
    module = module.to(x.device, x.dtype)
    exact = lower(net.graph, level=1).to(x.device, x.dtype).eval()
    exact.load_state_dict(module.state_dict())
    runs |= {"level 0": lambda: module(x), "level 1": lambda: exact(x)}
    for level in range(2, upto + 1):
        runs[f"level {level}"] = partial(optimized(module, net.graph, [x], level), x)
    if x.is_cuda:
        runs["level 2, graph"] = graphed(runs["level 2"])
    return runs, net


def graphed(run: Run) -> Run:
    """Return a run of the same kernels, recorded once and replayed as a CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.no_grad(), torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(graph):
        result = run()

    def replay() -> Any:
        graph.replay()
        return result

    return replay


def reference(name: str, x: torch.Tensor) -> torch.Tensor:
    """Return the output for the first samples, in float64 on the CPU."""
    module = models(name)[1]
    with torch.no_grad():
        result: torch.Tensor = module.double()(x[:4].cpu().double())
    return result


def inference(name: str, batch: int, dtype: torch.dtype, device: str = "cpu", upto: int = 3) -> dict[str, Any]:
    """Return medians and ratios of one network, with the errors of every output, and on a GPU its peak memory.

    Asserts that every output is within tolerance of float64.
    """
    torch.manual_seed(1)
    x = torch.randn(batch, 3, 224, 224).to(device, dtype)
    runs, net = contestants(name, x, upto)
    expected = reference(name, x)
    errors, peaks = {}, {}
    with torch.no_grad():
        for label, run in runs.items():
            if device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            errors[label] = float((run()[:4].double().cpu() - expected).abs().max() / expected.abs().max())
            allowed = max(TOLERANCE[dtype], 2 * next(iter(errors.values())))  # at most twice the error of the first one
            assert errors[label] < allowed, (name, label, errors[label])
            if device == "cuda":
                peaks[label] = torch.cuda.max_memory_allocated()
        times = interleaved(runs, device)
    medians = {label: median(seconds) for label, seconds in times.items()}
    base = next(iter(runs))
    peers = [label for label in PEERS if label in runs]
    best = min(peers, key=lambda label: medians[label]) if peers else None
    flops, top = 2 * int(net.macs) * batch, peak(dtype, device)
    return {
        "network": name, "batch": batch, "dtype": str(dtype).removeprefix("torch."), "device": device,
        "medians": medians, "best_peer": best, "errors": errors, "peak_flops": top, "peak_bytes": peaks,
        "ratio": {label: median(a / b for a, b in zip(times[base], times[label], strict=True)) for label in runs},
        "against_best": {
            label: median(a / b for a, b in zip(times[best], times[label], strict=True)) for label in runs if label not in PEERS
        } if best else {},
        "share": {label: flops / medians[label] / top for label in runs},
        "samples_per_second": {label: batch / medians[label] for label in runs},
    }  # fmt: skip


def training(name: str, batch: int, dtype: torch.dtype, device: str = "cpu") -> dict[str, Any]:
    """Return medians and ratios of one step of SGD: forward, backward, update."""
    net, module, peer = models(name)
    x, y = torch.randn(batch, 3, 224, 224, device=device, dtype=dtype), torch.randint(0, 1000, (batch,), device=device)
    exact = lower(net.graph, level=1)
    exact.load_state_dict(module.state_dict())
    plain = {"eager": peer, "level 0": module, "level 1": exact}
    runs = {label: step(model.to(device, dtype).train(), x, y) for label, model in plain.items()}
    last = x.contiguous(memory_format=torch.channels_last)
    for label in ("eager", "level 1"):
        channels_last = copy.deepcopy(plain[label]).to(memory_format=torch.channels_last)
        runs["channels-last" if label == "eager" else f"{label}, channels-last"] = step(channels_last, last, y)
    times = interleaved(runs, device, count=5)
    return {
        "network": name, "batch": batch, "dtype": str(dtype).removeprefix("torch."), "device": device, "training": True,
        "medians": {label: median(seconds) for label, seconds in times.items()},
        "ratio": {label: median(a / b for a, b in zip(times["eager"], times[label], strict=True)) for label in runs},
    }  # fmt: skip


def step(model: Any, x: torch.Tensor, y: torch.Tensor) -> Run:
    """Return a function that runs one step of SGD on a batch; it changes the weights of the model."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)

    def step() -> None:
        optimizer.zero_grad()
        result = model(x)
        outputs = result.values() if isinstance(result, dict) else result if isinstance(result, tuple) else [result]
        sum(torch.nn.functional.cross_entropy(output.float(), y) for output in outputs if output is not None).backward()  # type: ignore[union-attr]
        optimizer.step()

    return step


def _setting(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("network", "batch", "dtype", "device", "training"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=[*NETWORKS, *TRANSFORMERS])
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 4])
    parser.add_argument("--dtypes", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--train", action="store_true", help="time a training step as well")
    parser.add_argument("--out", type=Path, help="a JSON file that results are added to")
    args = parser.parse_args()
    results = json.loads(args.out.read_text())["rows"] if args.out and args.out.exists() else []
    for name in args.networks:
        for dtype in (getattr(torch, text) for text in args.dtypes):
            for batch in args.batches:
                torch._dynamo.reset()
                rows = [inference(name, batch, dtype, args.device)]
                rows += [training(name, batch, dtype, args.device)] if args.train else []
                for row in rows:
                    print(json.dumps(row), flush=True)
                    results = [other for other in results if _setting(other) != _setting(row)] + [row]
                if args.out:
                    write_text(args.out, json.dumps({"machine": machine(), "rows": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
