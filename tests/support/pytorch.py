"""PyTorch as the oracle of shapes, weights and published networks. Imports torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from archc.compiler.backends.torch.arch_module import ArchModule
from archc.compiler.backends.torch.blocks import Block, Chain
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.backends.torch.published import torchvision_models as torchvision_models
from archc.compiler.graph import ArchGraph
from archc.compiler.report import Report


def timm_model(name: str) -> Any:
    """A network of timm, which imports torchvision, with random weights."""
    torchvision_models()
    import timm

    return timm.create_model(name)


def stirred(model: nn.Module) -> dict[str, Tensor]:
    """Weights that are not those of the start, which hide differences: biases of 0, scales of 1, layer scales of 1e-6."""
    torch.manual_seed(1)
    state = model.state_dict()
    for key, tensor in state.items():
        if key.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point() and tensor.dim() == 1:
            tensor.add_(torch.randn_like(tensor) * 0.1)
        elif key.endswith("layer_scale"):
            tensor.uniform_(0.1, 0.5)
    return state


class _Shapes(fx.Interpreter):
    """Notes the shape of every node of a network, in blocks too. `path` is that of the call, whose block may have several."""

    def __init__(self, module: Block, found: dict[str, tuple[int, ...]], path: str = "") -> None:
        super().__init__(module)
        self.found, self.path, self.own = found, path, module.meta.get("scope", "")

    def run_node(self, n: fx.Node) -> Any:
        if "scope" in n.meta:
            args, _ = self.fetch_args_kwargs_from_env(n)
            return _part(self.module.get_submodule(str(n.target)), self.found, self._here(n.meta["scope"]), args)
        result = super().run_node(n)
        if "arch" in n.meta:
            self.found[self._here(n.meta["arch"]["name"])] = tuple(result.shape[1:])
        return result

    def _here(self, name: str) -> str:
        return self.path + name[len(self.own) :]


def _part(part: Any, found: dict[str, tuple[int, ...]], path: str, args: Any) -> Any:
    """Run a block or a chain of modules at a path, and note the shapes in it."""
    if not isinstance(part, Chain):
        return _Shapes(part, found, path).run(*args)
    (x,) = args
    for number, member in part.named_children():
        if isinstance(member, (Block, Chain)):
            x = _part(member, found, f"{path}.{number}", (x,))
        else:
            x = member(x)
            found[path + part.meta["arch"][number]["name"][len(part.meta["scope"]) :]] = tuple(x.shape[1:])
    return x


def torch_shapes(graph: ArchGraph, training: bool = True) -> tuple[ArchModule, dict[str, tuple[int, ...]]]:
    """The lowered network on the meta device, and the shape that PyTorch computes for every node, without the batch."""
    with torch.device("meta"):
        module = lower(graph).train(training)
        inputs = random_inputs(graph, 2, "meta")
    found: dict[str, tuple[int, ...]] = {}
    _Shapes(module, found).run(*inputs)
    return module, found


def assert_agrees_with_torch(graph: ArchGraph) -> None:
    """Every node has the shape, and every key the weights, that PyTorch gives it."""
    module, found = torch_shapes(graph)
    assert {node.name: node.shape for node in graph} == found
    nodes = list(graph)
    ours = {f"{node.key}.{name}".rstrip("."): shape for node in nodes for name, shape in node.operator.weights(node.call).items()}
    assert ours == {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
    buffers = {f"{node.key}.{name}": shape for node in nodes for name, shape in node.operator.buffers(node.call).items()}
    assert buffers == {key: tuple(tensor.shape) for key, tensor in module.state_dict().items() if key not in ours}


LOWERED = 3_000  # nodes, up to which an accepted network is lowered


def must_lower(report: Report) -> None:
    """An accepted file lowers and runs, unless it is large or has open sizes."""
    if report.ok and report.has_network and not report.graph.unknowns and len(report.graph) <= LOWERED:
        with torch.device("meta"):
            lower(report.graph)(*random_inputs(report.graph, 2, "meta"))
