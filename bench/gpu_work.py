"""What `bench/gpu.py` measures: an item of work is a dict, and its result a dict. Each runs in a process that is only used for such."""

from __future__ import annotations

import copy
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from archc import Network, load
from archc.bench import runtime
from archc.compiler.analysis.memory import usage
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.backends.torch.measure import activations
from archc.compiler.backends.torch.published import torchvision_models

Item = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
BATCH = 2  # samples, where outputs are compared
MODES = {"compile": {}, "max-autotune": {"mode": "max-autotune"}, "reduce-overhead": {"mode": "reduce-overhead"}}
# Of the largest value, from the same numbers in float64; random weights are badly conditioned.
TOLERANCE = {"float32": 1e-4, "tf32": 2e-2, "bfloat16": 2e-1, "float16": 1e-1}
FROM_PEER = 1e-6  # of the largest value, in any dtype: the same kernels in the same order
AUX = {"googlenet": {"init_weights": False, "aux_logits": True}, "inception_v3": {"init_weights": False, "aux_logits": True}}


@contextmanager
def numbers(name: str) -> Iterator[torch.dtype]:
    """Provide the dtype of a kind of numbers; of those in float32, only `tf32` are multiplied with fewer digits."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        yield torch.float32 if name == "tf32" else getattr(torch, name)
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def first(output: Any) -> Tensor:
    """Return the main output of a network, of torchvision or ours."""
    if isinstance(output, dict):
        return output["out"] if "out" in output else first(next(iter(output.values())))
    return output[0] if isinstance(output, (tuple, list)) else output  # type: ignore[no-any-return]


def peer_of(name: str, state: dict[str, Tensor]) -> nn.Module | None:
    """Return torchvision's network with the same weights; None where it has none of this name that takes them."""
    if find_spec("torchvision") is None:
        return None
    models, constructor = torchvision_models(), name.removesuffix("_torchvision")
    if constructor not in models.list_models():
        return None
    peer: nn.Module = models.get_model(constructor, weights=None, **AUX.get(constructor, {}))
    if {key: tensor.shape for key, tensor in peer.state_dict().items()} != {key: tensor.shape for key, tensor in state.items()}:
        return None
    peer.load_state_dict(state)
    if hasattr(peer, "transform_input"):
        peer.transform_input = False
    return peer.eval()


def ready(name: str) -> tuple[Network, nn.Module, list[Tensor]]:
    """Return a network, its module with weights whose values neither vanish nor grow, and inputs."""
    net = load(ROOT / f"archs/{name}.arch")
    torch.manual_seed(0)
    inputs = random_inputs(net.graph, BATCH)
    state = runtime.calibrated(net.lower(), net.graph, inputs)
    module = net.lower().eval()
    module.load_state_dict(state)
    return net, module, inputs


def error(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference, relative to the largest value."""
    return float((found.double().cpu() - expected.double().cpu()).abs().max() / expected.double().abs().max().cpu())


@torch.inference_mode()
def equality(item: Item, device: str) -> Item:
    """Compare a network with float64 on the CPU, and with torchvision's on the device, in each kind of numbers."""
    _, module, inputs = ready(item["network"])
    state = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    expected = first(copy.deepcopy(module).double()(*(_in(x, torch.float64) for x in inputs)))
    peer = peer_of(item["network"], state)
    rows = []
    for kind in item["dtypes"]:
        with numbers(kind) as dtype:
            ours = copy.deepcopy(module).to(device, dtype)
            x = [_in(each.to(device), dtype) for each in inputs]
            found = first(ours(*x))
            theirs = first(copy.deepcopy(peer).to(device, dtype)(*x)) if peer is not None else None
        far = error(found, expected)
        apart = None if theirs is None else error(found, theirs)
        allowed = TOLERANCE[kind]
        if theirs is not None:
            allowed = max(allowed, 1.5 * error(theirs, expected))
        rows.append({"dtype": kind, "error": far, "from_peer": apart, "near": far <= allowed and (apart is None or apart <= FROM_PEER)})
    return {"rows": rows}


def _in(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.to(dtype) if x.is_floating_point() else x


def levels(item: Item, device: str) -> Item:
    """Time levels 0 to 3 against torchvision's module: eager, in channels-last, compiled."""
    with numbers(item["dtype"]) as dtype:
        return runtime.inference(item["network"], item["batch"], dtype, device, item["upto"])


def compiled(item: Item, device: str) -> Item:
    """Time our module as `torch.compile` makes it in each of its modes, and with TensorRT where it is installed."""
    net, module, _ = ready(item["network"])
    with numbers(item["dtype"]) as dtype, torch.no_grad():
        torch.manual_seed(1)
        x = [_in(each.to(device), dtype) for each in random_inputs(net.graph, item["batch"])]
        plain = module.to(device, dtype)
        expected = first(plain(*x)).clone()
        runs: dict[str, runtime.Run] = {"level 0": lambda: plain(*x)}
        known = dict(MODES if device == "cuda" else {"compile": {}})
        if find_spec("torch_tensorrt") is not None:
            known["TensorRT"] = {"backend": "torch_tensorrt"}
        seconds, errors = {}, {}
        for label, options in known.items():
            begin, run = perf_counter(), torch.compile(copy.deepcopy(plain), **options)  # type: ignore[call-overload]
            errors[label] = error(first(run(*x)), expected)
            seconds[label] = perf_counter() - begin
            runs[label] = lambda run=run: run(*x)  # type: ignore[misc]
        times = runtime.interleaved(runs, device)
    middle = {label: median(each) for label, each in times.items()}
    ratio = {label: median(a / b for a, b in zip(times["level 0"], times[label], strict=True)) for label in runs}
    return {"medians": middle, "ratio": ratio, "compiling": seconds, "errors": errors, "tensorrt": "TensorRT" in known}


def training(item: Item, device: str) -> Item:
    """Time a step of SGD against torchvision's module."""
    with numbers(item["dtype"]) as dtype:
        return runtime.training(item["network"], item["batch"], dtype, device)


def memory(item: Item, device: str) -> Item:
    """Compare the activations that are predicted with those that the allocator, or on a CPU each tensor, shows."""
    net = load(ROOT / f"archs/{item['network']}.arch")
    expected = usage(net.graph, item["dtype"], item["batch"])
    with numbers(item["dtype"]) as dtype:
        module = lower(net.graph).to(device, dtype)
        x = tuple(_in(each.to(device), dtype) for each in random_inputs(net.graph, item["batch"]))
        if device == "cuda":
            activations(module, x, training=False)  # libraries allocate their workspaces once
        peak, saved = (activations(module, x, training=training) for training in (False, True))
    return {"peak": peak, "saved": saved, "predicted_peak": expected.peak, "predicted_saved": expected.saved}


def verify(item: Item, device: str) -> Item:
    """Write a network in a format and let `archc compile --verify` compare it; in a process of its own, as its users do."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, ROOT / "cli.py", "compile", ROOT / f"archs/{item['network']}.arch", "--device", device, "--verify"]
        begin = perf_counter()
        done = subprocess.run([*map(str, command), "-o", f"{folder}/net{item['format']}"], capture_output=True, text=True)
    told = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return {"held": done.returncode == 0, "told": told[-1] if told else "", "seconds": perf_counter() - begin}


WORK = {"equality": equality, "levels": levels, "compiled": compiled, "training": training, "memory": memory, "verify": verify}


def done(item: Item, device: str) -> Item:
    """Return an item with its result. What goes wrong is its result, too: the others are measured all the same."""
    torch._dynamo.reset()
    try:
        return {**item, **WORK[item["kind"]](item, device)}
    except torch.OutOfMemoryError as problem:
        return {**item, "problem": f"out of memory: {str(problem).splitlines()[0]}"}
    except Exception as problem:
        return {**item, "problem": f"{type(problem).__name__}: {(str(problem).splitlines() or [''])[0]}"[:200]}
    finally:
        if device == "cuda":
            torch.cuda.empty_cache()
