"""What the tests share: the files, a strategy that writes random `.arch` text, and PyTorch as the oracle of shapes."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, fx, nn

from archc.compiler.backends.torch.arch_module import ArchModule
from archc.compiler.backends.torch.blocks import Block, Chain
from archc.compiler.backends.torch.lower import lower
from archc.compiler.backends.torch.published import torchvision_models as torchvision_models
from archc.compiler.graph import INPUT, ArchGraph

ROOT = Path(__file__).parents[1]
ARCHS = sorted((ROOT / "archs").rglob("*.arch"))
FILES = sorted((ROOT / "archs").glob("*.arch"))  # every network
PUBLISHED: dict[str, Any] = tomllib.loads((ROOT / "tests/published.toml").read_text(encoding="utf-8"))
NETWORKS = [path for path in FILES if path.stem in PUBLISHED]  # those of the papers, which are looked at from every side

# torchvision's classifiers: parameters, and GMACs as its weights' metadata has them (0.28, `num_params` and `_ops`).
with (ROOT / "tests/zoo.tsv").open(encoding="utf-8") as table:
    ZOO = {row["name"]: row for row in csv.DictReader(table, delimiter="\t")}


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
        inputs = [torch.empty(2, *node.shape) for node in graph.inputs]
    found: dict[str, tuple[int, ...]] = {}
    _Shapes(module, found).run(*inputs)
    return module, found


def assert_agrees_with_torch(graph: ArchGraph) -> None:
    """Every node has the shape, and every key the weights, that PyTorch gives it."""
    module, found = torch_shapes(graph)
    assert {node.name: node.shape for node in graph} == found
    nodes = [node for node in graph if node.op != INPUT]
    ours = {
        f"{node.key}.{name}".rstrip("."): shape for node in nodes for name, shape in node.operator.weights(graph.call(node.name)).items()
    }
    assert ours == {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
    buffers = {f"{node.key}.{name}": shape for node in nodes for name, shape in node.operator.buffers(graph.call(node.name)).items()}
    assert buffers == {key: tuple(tensor.shape) for key, tensor in module.state_dict().items() if key not in ours}


# ---- random programs


@st.composite
def programs(draw: st.DrawFn, open_sizes: bool = False) -> str:
    """A random program: chains, merges, blocks with parameters, repeats, references, in one to three dimensions.

    Most are sound; windows are sometimes too large for what is left of the input.
    """
    axes = 2 if open_sizes else draw(st.sampled_from([1, 2, 2, 2, 3]))
    sizes = [draw(st.integers(*{1: (20, 60), 2: (14, 40), 3: (8, 14)}[axes])) for _ in range(axes)]
    writer = _Writer(draw, axes)
    lines = []
    if draw(st.booleans()):
        lines.append(f"default conv({draw(st.sampled_from(['act=relu', 'norm=bn, act=relu6', 'bias=no', 'norm=bn(eps=0.001)']))})")
    blocks = draw(st.integers(0, 2))
    for number in range(blocks):
        lines.append(writer.block(f"unit{'ab'[number]}"))
    lines.append(f"input {draw(st.integers(1, 6))}x" + "x".join(map(str, sizes)))
    for _ in range(draw(st.integers(1, 6))):
        lines.append(writer.statement())
    if draw(st.booleans()):
        pooled = "adaptive_avgpool1; " if open_sizes or draw(st.booleans()) else ""
        lines.append(f"{pooled}FC-{draw(st.integers(1, 12))}")
    return "\n".join(lines) + "\n"


class _Writer:
    """Writes parts of a program, all by drawing."""

    def __init__(self, draw: st.DrawFn, axes: int) -> None:
        self.draw = draw
        self.axes = axes
        self.labels: list[str] = []
        self.blocks: list[str] = []
        self.strides = 0

    def one(self, *choices: str) -> str:
        return self.draw(st.sampled_from(choices))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def block(self, name: str) -> str:
        body = self.one(
            "conv3-{w}/{s}(pad=1)",
            "conv1-{w}; conv3-{w}/{s}(pad=same); relu",
            "concat<conv1-{w}/{s} | conv3-{2*w}/{s}(pad=1)>",
            "if s == 1 and in.c == w { residual<conv3-{w}(pad=1)> } else { add<conv1-{w}/{s} | conv3-{w}/{s}(pad=1)> }",
            "for k in [1, 3] { conv{k}-{w}(pad=same) }",
            "let half = max(w // 2, 1)\n  inner: [ conv1-{half}; conv3-{w}/{s}(pad=1, bias=no) ]",
        )
        self.blocks.append(name)
        return f"block {name}(w, s=1) {{\n  {body}\n}}"

    def statement(self) -> str:
        label = ""
        if self.draw(st.integers(0, 3)) == 0:
            label = f"part{len(self.labels)}"
            self.labels.append(label)
        item = self.item(depth=2)
        if self.labels and not label and self.draw(st.integers(0, 5)) == 0:
            item = f"side: {{ {item} }}; @{self.draw(st.sampled_from(self.labels))}" if "side" not in self.labels else item
            self.labels.append("side")
        return f"{label}: {item}" if label else item

    def item(self, depth: int) -> str:
        kind = self.number(0, 9)
        if kind <= 3 or depth == 0:
            return self.convolution()
        if kind == 4:
            return self.pool()
        if kind == 5:
            return self.same() + (f" x{self.number(0, 3)}" if self.draw(st.booleans()) else "")
        if kind == 6:
            body = "; ".join(self.same() for _ in range(self.number(0, 2)))
            return f"{{ let c = in.c; residual<{body}; conv1-{{c}}{self.one('', ' | conv1-{c}', ' | .')}> }}"
        if kind == 7:
            branches = [self.branch(depth - 1) for _ in range(self.number(1, 3))]
            return f"concat<{' | '.join(branches)}>"
        if kind == 8 and self.blocks:
            return f"{self.draw(st.sampled_from(self.blocks))}({self.number(1, 6)}{self.one('', ', s=2', ', 1')})" + self.one("", " x2")
        return f"{{ {self.same()}; {self.item(depth - 1)} }}"

    def branch(self, depth: int) -> str:
        """Keeps the sizes, so that it can be joined with others."""
        return self.one(".", "", "; ".join(self.same() for _ in range(self.number(1, 2))), f"conv3-{self.number(1, 5)}(pad=same)")

    def same(self) -> str:
        """An operator that keeps the sizes."""
        k = self.number(0, 3) * 2 + 1
        return self.one(
            f"conv{k}-{self.number(1, 6)}(pad=same, dilation={self.number(1, 2)})",
            f"conv{k}-{{in.c}}(pad=same, groups=in.c)",
            f"conv{k}-{{2*in.c}}(pad={k // 2}, groups=in.c, bias=no)",
            "maxpool3/1(pad=1)",
            "avgpool3/1(pad=1, count_pad=no)",
            "bn",
            "relu",
            "dropout(0.5)",
            "lrn(5)",
            "layer_scale",
            "leaky_relu(0.2)",
            "mul<. | adaptive_avgpool1; sigmoid>",
        )

    def convolution(self) -> str:
        kernel = self.kernel()
        stride = f"/{self.stride()}" if self.draw(st.booleans()) else ""
        options = [f"pad={self.number(0, 3)}" if self.draw(st.booleans()) else "pad=0", f"dilation={self.number(1, 2)}"]
        if self.draw(st.integers(0, 4)) == 0:
            return f"convt{self.number(1, 3)}-{self.number(1, 4)}/{self.number(1, 2)}"
        return f"conv{kernel}-{self.number(1, 8)}{stride}({', '.join(self.draw(st.permutations(options)))})"

    def pool(self) -> str:
        k = self.number(1, 4)
        options = [f"pad={self.number(0, k // 2)}", f"ceil={self.one('yes', 'no')}"]
        return f"{self.one('maxpool', 'avgpool')}{k}/{self.stride()}({', '.join(options)})"

    def kernel(self) -> str:
        if self.draw(st.booleans()):
            return str(self.number(1, 5))
        return "x".join(str(self.number(1, 4)) for _ in range(self.axes))

    def stride(self) -> int:
        self.strides += 1
        return self.number(1, 3) if self.strides < 4 else 1
