"""Run what was written as its users do, and the network itself, on the same input."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archc.compiler.backends import Compiled
from archc.compiler.backends.errors import CannotVerify
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.backends.torch.run import DTYPES, SEED, by_name
from archc.compiler.backends.torch.weight_files import read_weights
from archc.compiler.graph import ArchGraph

BATCH = 2  # samples
Arrays = Mapping[str, Any]


def stirred_inputs(compiled: Compiled) -> list[Tensor]:
    """Return random inputs `(2, *shape)`, whole numbers where the network takes such, other than those that it has run on."""
    torch.manual_seed(SEED + 1)
    device = compiled.inputs[0].device if compiled.inputs else "cpu"
    return random_inputs(compiled.graph, BATCH, device, DTYPES[compiled.dtype])


def widened(compiled: Compiled) -> Compiled:
    """Return the network with the same weights in float32."""
    module = copy.deepcopy(compiled.module)
    for part in module.modules():
        if isinstance(part, nn.RMSNorm) and part.eps is None:  # then it is that of the dtype
            part.eps = torch.finfo(DTYPES[compiled.dtype]).eps
    return Compiled(compiled.graph, compiled.level, module.float(), compiled.inputs)


def network(compiled: Compiled, inputs: Sequence[Tensor]) -> Arrays:
    """Return the outputs of the network itself."""
    return _outputs(compiled, compiled.module, inputs)


def exported(compiled: Compiled, path: Path, inputs: Sequence[Tensor]) -> Arrays:
    """Run a program of torch.export."""
    return _outputs(compiled, torch.export.load(path).module(), inputs)


def packaged(compiled: Compiled, path: Path, inputs: Sequence[Tensor]) -> Arrays:
    """Run a package of AOTInductor."""
    return _outputs(compiled, torch._inductor.aoti_load_package(str(path)), inputs)


def weights(compiled: Compiled, path: Path, inputs: Sequence[Tensor]) -> Arrays:
    """Run a fresh network with the weights of a file, which must have all keys and no others."""
    return _outputs(compiled, _with(compiled.graph, compiled, read_weights(path)), inputs)


def graph(compiled: Compiled, path: Path, inputs: Sequence[Tensor]) -> Arrays:
    """Run the network of a graph that is read back, with the weights of the network."""
    read = ArchGraph.from_json(json.loads(path.read_text(encoding="utf-8")))
    return _outputs(compiled, _with(read, compiled, compiled.module.state_dict()), inputs)


# Runs a file of Python's source, whose last class is the network; the arguments are the file and a folder of tensors.
RUNNER = """
import runpy, sys, torch
path, folder = sys.argv[1:]
given = torch.load(folder + "/given.pt")
found = runpy.run_path(path, run_name="net").values()
kinds = [kind for kind in found if isinstance(kind, type) and kind.__module__ == "net" and issubclass(kind, torch.nn.Module)]
net = kinds[-1]().to(device=given["device"], dtype=given["dtype"]).eval()
net.load_state_dict(given["state"])
torch.manual_seed(given["seed"])
with torch.no_grad():
    result = net(*given["inputs"])
torch.save(result, folder + "/result.pt")
"""


def source(compiled: Compiled, path: Path, inputs: Sequence[Tensor]) -> Arrays:
    """Run a file of Python's source in a process of its own, isolated from this environment."""
    state = compiled.module.state_dict()
    given = {"state": state, "inputs": list(inputs), "seed": SEED, "dtype": DTYPES[compiled.dtype], "device": inputs[0].device}
    with tempfile.TemporaryDirectory(prefix="archc-") as folder:
        torch.save(given, f"{folder}/given.pt")
        command = [sys.executable, "-I", "-c", RUNNER, str(path.absolute()), folder]
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            last = next(iter(reversed(done.stderr.strip().splitlines())), f"it ended with exit code {done.returncode}")
            raise CannotVerify(f"{path} does not run: {last}")
        return arrays_of(by_name(compiled.graph, torch.load(f"{folder}/result.pt")))


def arrays_of(outputs: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return outputs as numpy arrays of float64."""
    return {name: tensor.detach().cpu().double().numpy() for name, tensor in outputs.items()}


def _outputs(compiled: Compiled, run: Any, inputs: Sequence[Tensor]) -> Arrays:
    torch.manual_seed(SEED)
    with torch.no_grad():
        return arrays_of(by_name(compiled.graph, run(*(x.clone() for x in inputs))))


def _with(graph: ArchGraph, compiled: Compiled, state: Mapping[str, Tensor]) -> nn.Module:
    own = compiled.module.state_dict()
    module = lower(graph).to(dtype=DTYPES[compiled.dtype]).eval()
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise CannotVerify(f"its tensors are not those of {compiled.graph.name}: {str(error).splitlines()[-1].strip()}") from error
    return module.to(device=next(iter(own.values())).device) if own else module
