"""Networks as PyTorch source: the same keys, outputs and gradients, bit by bit, in a process that has torch and no archc."""

from __future__ import annotations

import gc
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archc
from archc import Network, load, loads
from archc.compiler.backends import BACKENDS, Compiled
from archc.compiler.backends.source import text_of, write
from archc.compiler.backends.source.helpers import MODULES as FILES
from archc.compiler.backends.source.helpers import copied, defined
from archc.compiler.backends.source.library import FUNCTIONS, MODULES
from archc.compiler.backends.source.text import written
from archc.compiler.backends.torch.emitted import difference, network_of
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.backends.torch.targets import resolve
from archc.compiler.files import CannotWrite
from archc.compiler.lowering import lowered_modes
from archc.compiler.ops import OPERATORS
from archc.dsl.errors import ArchError
from archc.tests.support import ROOT

ARCHS = sorted((ROOT / "archs").glob("*.arch"))
CASES = sorted((ROOT / "tests/cases/source").glob("*.arch"))
SMALL = ("lenet5_modern", "cifar_resnet20")  # by day
WRITE = os.environ.get("ARCHC_WRITE") == "1"

# What a bare process does: for each case, it imports the source and compares its network with tensors of ours.
RUNNER = """
import ast, importlib.util, sys, torch
from pathlib import Path
sys.modules["archc"] = None  # which may be installed; to import it is an error from here on
try:
    import archc
    sys.exit("archc can be imported")
except ModuleNotFoundError:
    pass
torch.set_num_threads(int(sys.argv[2]))
def same(one, other):
    return torch.equal(one.isnan(), other.isnan()) and torch.equal(one.nan_to_num(), other.nan_to_num())
for path in sorted(Path(sys.argv[1]).glob("*.py")):
    wanted = torch.load(path.with_suffix(".pt"))
    for node in ast.walk(ast.parse(path.read_text())):
        roots = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None) or "torch"]
        assert all(root.split(".")[0] in {"torch", *sys.stdlib_module_names} for root in roots), f"{path.stem} imports {roots}"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    kinds = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == path.stem]
    net = kinds[-1]()
    assert list(net.state_dict()) == list(wanted["state"]), f"{path.stem}: keys"
    net.load_state_dict(wanted["state"])
    for mode in ("evaluation", "training"):
        net.train(mode == "training")
        torch.manual_seed(1)
        result = net(*wanted["inputs"])
        result = result if isinstance(result, dict) else {"": result}
        ours = wanted[mode]
        assert list(result) == list(ours), f"{path.stem}: outputs in {mode}"
        for name, tensor in ours.items():
            assert same(tensor, result[name]), f"{path.stem}: {name} in {mode}"
    if any(tensor.requires_grad for tensor in result.values()):
        sum(tensor.square().mean() for tensor in result.values() if tensor.requires_grad).backward()
    for name, parameter in net.named_parameters():
        ours = wanted["gradients"].get(name)
        assert (parameter.grad is None) == (ours is None), f"{path.stem}: gradient of {name}"
        assert ours is None or same(parameter.grad, ours), f"{path.stem}: gradient of {name}"
    for key, tensor in net.state_dict().items():
        assert same(tensor, wanted["after"][key]), f"{path.stem}: {key} after training"
    print(path.stem)
assert sys.modules["archc"] is None and not any(name.startswith("archc.") for name in sys.modules)
"""


def source(net: Network, plain: bool = False) -> str:
    return written(*lowered_modes(net.graph), plain=True) if plain else text_of(Compiled(net.graph, varied=net._varied))


def named(outputs: Any) -> dict[str, Tensor]:
    return outputs if isinstance(outputs, dict) else {"": outputs}


def put(net: Network, folder: Path, name: str) -> None:
    """Write the source of a network, and what it must compute."""
    torch.manual_seed(0)
    module = lower(net.graph)
    inputs = random_inputs(net.graph, 2)
    wanted: dict[str, Any] = {"state": {key: tensor.clone() for key, tensor in module.state_dict().items()}, "inputs": inputs}
    for mode in ("evaluation", "training"):
        module.train(mode == "training")
        torch.manual_seed(1)
        outputs = named(module(*inputs))
        wanted[mode] = {key: tensor.detach() for key, tensor in outputs.items()}
    differentiable = [tensor for tensor in outputs.values() if tensor.requires_grad]
    if differentiable:
        torch.stack([tensor.square().mean() for tensor in differentiable]).sum().backward()
    wanted["gradients"] = {key: parameter.grad for key, parameter in module.named_parameters() if parameter.grad is not None}
    wanted["after"] = module.state_dict()
    torch.save(wanted, folder / f"{name}.pt")
    (folder / f"{name}.py").write_text(source(net))


def run_bare(folder: Path) -> list[str]:
    """Run the sources of a folder in a process that sees torch, the standard library, and nothing of this checkout."""
    command = [sys.executable, "-I", "-c", RUNNER, folder, str(torch.get_num_threads())]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    return process.stdout.split()


@pytest.mark.parametrize("step", [pytest.param(8, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)])
def test_every_operator_and_construct_is_its_source(step: int, tmp_path: Path) -> None:
    names = []
    for operator in [each for each in OPERATORS.values() if not each.opaque][::step]:
        put(loads(operator.example.replace("; ", "\n", 1)), tmp_path, f"op_{operator.name}")
        names.append(f"op_{operator.name}")
    for path in [*CASES, *(ROOT / f"archs/{name}.arch" for name in SMALL)]:
        put(load(path), tmp_path, path.stem)
        names.append(path.stem)
    assert run_bare(tmp_path) == sorted(names)
    for command in (["check"], ["format", "--check", "--line-length", "120"]):
        process = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", tmp_path], capture_output=True, text=True, check=False
        )
        assert process.returncode == 0, process.stdout


@pytest.mark.slow
@pytest.mark.parametrize("path", ARCHS, ids=lambda path: path.stem)
def test_every_network_is_its_source(path: Path, tmp_path: Path) -> None:
    net = _with_small_images(path)
    if sum(parameter.numel() for parameter in _meta(net).parameters()) < 2e8:
        put(net, tmp_path, path.stem)
        gc.collect()  # a module of torch.fx is a circle, and the other process needs the memory
        assert run_bare(tmp_path) == [path.stem]
    else:
        text = source(net)
        (tmp_path / f"{path.stem}.py").write_text(text)
        with torch.device("meta"):
            assert list(network_of(text)().state_dict()) == list(_meta(net).state_dict())
    for command in (["check"], ["format", "--check", "--line-length", "120"]):
        process = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", tmp_path], capture_output=True, text=True, check=False
        )
        assert process.returncode == 0, process.stdout


def _with_small_images(path: Path) -> Network:
    """Load a network for images or videos of as few pixels as it takes of these: a step of training at full size takes gigabytes."""
    for shape in ("3x96x96", "3x128x128", "3x224x224", "3x8x96x96"):
        try:
            return load(path, inputs=shape)
        except ArchError:
            continue
    return load(path)


def _meta(net: Network) -> nn.Module:
    with torch.device("meta"):
        return lower(net.graph)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_source_reads_as_it_did(case: Path) -> None:
    text = source(load(case))
    golden = case.with_suffix(".py.txt")
    if WRITE:
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_without_classes_for_several_scopes_it_is_the_same_network(case: Path) -> None:
    net = load(case)
    text = source(net, plain=True)
    assert text != source(net)
    assert difference(text, net.graph) == ""


@pytest.mark.parametrize(
    ("name", "most"), [("resnet152", 89), ("vgg16", 49), ("googlenet", 109), ("vit_b_16", 109), ("densenet121", 109), ("resnet50", 89)]
)
def test_known_networks_are_short(name: str, most: int) -> None:
    text = source(load(ROOT / f"archs/{name}.arch"))
    assert len(text.splitlines()) <= most


# ---- a wrong network is not written


def compiled(net: Network) -> Compiled:
    return Compiled(net.graph)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("nn.Linear(16", "nn.Linear(8", "state_dict has"),
        ("self.fc = ", "self.head = ", "state_dict has"),
        ("F.relu(", "F.relu6(10 * ", "in evaluation, its output"),
        ("0.5, self.training", "0.25, self.training", "in training, its output"),
        ('"side"', '"aside"', "in training, its outputs are"),
    ],
)
def test_source_that_differs_is_found(before: str, after: str, why: str) -> None:
    net = loads("input 16\nhidden: fc-16; relu; dropout(0.5)\nfc: fc-16\noutput main\noutput side(when=training): @hidden; fc-16")
    text = source(net)
    assert difference(text, net.graph) == ""
    assert before in text
    assert why in difference(text.replace(before, after), net.graph)


def test_what_differs_is_written_plainly_or_not_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    net = load(CASES[0])
    target = tmp_path / "net.py"
    right = source(net, plain=True)

    def wrong(*programs: Any, plain: bool, family: Any = None) -> str:
        return right if plain else right.replace("dim=1", "dim=2").replace("kernel_size=1", "kernel_size=3")

    monkeypatch.setattr(archc.compiler.backends.source, "written", wrong)
    write(compiled(net), target)
    assert target.read_text() == right
    monkeypatch.setattr(archc.compiler.backends.source, "written", lambda *programs, plain, family: wrong(plain=False))
    with pytest.raises(CannotWrite, match="would not be the network"):
        write(compiled(net), target)
    assert target.read_text() == right


def test_the_backend_writes_the_network_as_it_was_set(tmp_path: Path) -> None:
    net = loads("arch tiny(classes=10)\ninput 1x28x28\nconv5-4; relu; maxpool\nfc-{classes}", inputs="1x40x40", classes=7)
    target = tmp_path / "net.py"
    backend = next(backend for backend in BACKENDS if backend.name == "source")
    backend.write(compiled(net), target)
    assert difference(target.read_text(), net.graph) == ""
    assert re.search(r", 7\)", target.read_text())


def test_open_sizes_stay_open(tmp_path: Path) -> None:
    net = loads("input 3x{size}x{size}\nconv3-8(pad=1); relu\nadaptive_avgpool1\nfc-10".replace("{size}x{size}", "HxW"))
    target = tmp_path / "net.py"
    write(compiled(net), target)
    module = network_of(target.read_text())()
    assert [module(torch.zeros(2, 3, size, size + 3)).shape for size in (5, 8)] == [(2, 10), (2, 10)]


def test_source_is_the_same_every_time(tmp_path: Path) -> None:
    texts = {source(load(CASES[0])) for _ in range(2)}
    assert len(texts) == 1
    assert str(ROOT) not in texts.pop()


# ---- parameters of the `arch` line as arguments


ARGUMENTS: list[tuple[str, dict[str, Any]]] = [
    ("lenet5_modern", {}),
    ("resnet50", {"classes": 7}),
    ("vgg16", {"classes": 3}),
    ("googlenet", {"classes": 12}),
    ("vit_b_16", {"width": 96, "heads": 4, "classes": 5}),
    ("mobilenet_v3_small", {"classes": 9}),
    ("densenet121", {"growth": 7, "stem": 10, "classes": 4}),
    ("efficientnet_b0", {"drop": 0.45}),
    ("swin_t", {"width": 24, "classes": 6}),
    ("seq2seq_attention", {"words": 50, "width": 9, "hidden": 14}),
    ("convmixer_768_32", {"width": 20, "patch": 8, "kernel": 5, "classes": 3}),
    ("wavenet", {"residual": 6, "skip": 10, "values": 16}),
    ("dcgan_generator", {"width": 5, "colors": 1}),
    ("unet", {"classes": 5}),
]


def arguments(text: str) -> dict[str, Any]:
    """Return the arguments of the network of some source, with their defaults."""
    found = inspect.signature(network_of(text)).parameters.values()
    return {parameter.name: parameter.default for parameter in found if parameter.default is not inspect.Parameter.empty}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "values"), ARGUMENTS, ids=[name for name, _ in ARGUMENTS])
def test_a_parameter_is_an_argument_with_every_value(name: str, values: dict[str, Any]) -> None:
    path = ROOT / f"archs/{name}.arch"
    text = source(load(path))
    assert list(arguments(text)) == list(values)
    assert difference(text, load(path).graph) == ""
    assert difference(text, load(path, settings=values).graph, values) == ""


KEPT: dict[str, tuple[str, dict[str, Any]]] = {
    "classes": ("arch tiny(classes=10)\ninput 1x8x8\nconv3-4; relu\nfc-{classes}", {"classes": 3}),
    "width": ("arch tiny(w=8, classes=10)\ninput 1x8x8\nconv3-{2*w}; bn; relu\nconv3-{w}; relu\nfc-{3*w + 1}; fc-{classes}", {"w": 5}),
    "growth": (
        "arch tiny(w=8, k=4)\ninput 1x8x8\nconv1-{w}\nconcat<. | conv1-{k}>; conv1-{in.c//2}; concat<. | conv1-{3*k}>; bn",
        {"w": 11, "k": 3},
    ),
    "rate": ("arch tiny(p=0.5, w=6)\ninput 8\nfc-{w}; relu; dropout(p)\nfc-2", {"p": 0.2, "w": 9}),
    "block": (
        "arch tiny(w=8, classes=10)\ninput 3x8x8\nblock unit(c) [\n  if in.c != c { conv1-{c} }\n  conv3-{c}(pad=1)\n  relu\n]\n"
        "conv3-{w}(pad=1); unit(w); unit(2*w); unit(2*w)\nfc-{classes}",
        {"w": 3, "classes": 2},
    ),
    "inside": ("arch tiny(w=8)\ninput 3x8x8\nblock unit() { conv3-{w}(pad=1); relu; conv1-{2*w} }\nunit(); unit()\nfc-4", {"w": 3}),
    "slice": ("arch tiny(w=8)\ninput 3x8x8\nconv1-{2*w}\ncut: { slice(w, 2*w); conv1-{w} }", {"w": 5}),
}


@pytest.mark.parametrize(("text", "values"), KEPT.values(), ids=KEPT)
def test_an_argument_is_the_parameter(text: str, values: dict[str, Any]) -> None:
    net = loads(text)
    found = source(net)
    assert arguments(found) == dict(net.graph.parameters)
    assert difference(found, net.graph) == ""
    assert difference(found, loads(text, settings=values).graph, values) == ""


BAKED = {  # the parameter, and the text
    "an untaken condition": ("c", "arch tiny(c=10)\ninput 1x8x8\nif c > 5000 { conv3-4 } else { conv3-5 }\nfc-{c}"),
    "a smallest number": ("w", "arch tiny(w=8)\ninput 1x8x8\nlet v = max(4, w)\nfor i in range(2) { conv3-{v + 0*i} }\nfc-4"),
    "a choice of a word": ("k", "arch tiny(k=2)\ninput 1x8x8\nconv3-4\nif k == 2 { relu } else { silu }\nfc-{k}"),
    "copies": ("n", "arch tiny(n=3)\ninput 1x8x8\n[ conv3-4(pad=1) x{n} ]"),
    "an item of a list": ("i", "arch tiny(i=1)\ninput 1x8x8\nlet ws = [4, 5, 6, 7]\nconv3-{ws[i]}\nfc-{i}"),
    "a start": ("c", "arch tiny(c=10)\ninput 8\nfc-{c}(init=normal(1/c))"),
    "a size": ("s", "arch tiny(s=8)\ninput 1x{s}x{s}\nconv3-4; fc-2"),
    "which of two bodies": (
        "w",
        "arch tiny(w=8)\ninput 3x8x8\nblock unit(c) {\n  if in.c == c { residual<conv3-{c}(pad=1)> } else { conv3-{c}(pad=1) }\n}\n"
        "conv3-{w}(pad=1); unit(w); unit(16)\nfc-{w}",
    ),
    "no name of Python": ("lambda", "arch tiny(lambda=8)\ninput 4\nfc-{lambda}"),
}


@pytest.mark.parametrize(("name", "text"), BAKED.values(), ids=BAKED)
def test_what_decides_more_than_numbers_is_no_argument(name: str, text: str) -> None:
    net = loads(text)
    found = source(net)
    assert name in net.graph.parameters
    assert name not in arguments(found)
    assert difference(found, net.graph) == ""


def test_arguments_that_give_another_network_are_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    net = loads(KEPT["width"][0])
    target = tmp_path / "net.py"
    right = archc.compiler.backends.source.written
    wrong = lambda *programs, plain, family: right(*programs, plain=plain, family=family).replace("classes)", "classes + classes // 11)")  # noqa: E731
    monkeypatch.setattr(archc.compiler.backends.source, "written", wrong)
    write(Compiled(net.graph, varied=net._varied), target)
    assert arguments(target.read_text()) == {}
    monkeypatch.setattr(archc.compiler.backends.source, "written", right)
    write(Compiled(net.graph, varied=net._varied), target)
    assert arguments(target.read_text()) == {"w": 8, "classes": 10}


# ---- the tables


@pytest.mark.parametrize("target", [target for target in MODULES if target != "archc.SelfAttention"])
def test_defaults_and_the_order_of_arguments_are_pytorchs(target: str) -> None:
    known = MODULES[target]
    parameters: dict[str, Any] = {}
    for kind in reversed(resolve(target).__mro__):  # type: ignore[attr-defined]
        if kind is not object and "__init__" in vars(kind):
            own = inspect.signature(vars(kind)["__init__"]).parameters
            parameters.update({name: own[name] for name in own if name not in ("self", "args", "kwargs", "settings")})
    for name, value in (known.defaults or {}).items():
        assert name in parameters, name
        if target.startswith("nn.") and parameters[name].default is not inspect.Parameter.empty:
            assert parameters[name].default == value, name
    if target.startswith("nn.") and known.first:
        order = list(inspect.signature(resolve(target)).parameters)[: len(known.first)]
        assert tuple(order) == known.first


@pytest.mark.parametrize("target", FUNCTIONS)
def test_a_function_takes_what_its_module_does(target: str) -> None:
    known = FUNCTIONS[target]
    name = known.name
    function = getattr(nn.functional, name[2:]) if name.startswith("F.") else getattr(torch, name.partition(".")[2])
    try:
        parameters = inspect.signature(inspect.unwrap(function)).parameters
    except ValueError:  # a builtin; every one is called by an example of an operator
        return
    for argument, value in (known.defaults or {}).items():
        if argument in parameters and parameters[argument].default not in (inspect.Parameter.empty, None):
            assert parameters[argument].default == value, argument


def test_definitions_of_all_files_of_modules_have_names_of_their_own() -> None:
    found: list[str] = []
    for path in FILES.glob("*.py"):
        found += re.findall(r"^(?:class|def) (\w+)", path.read_text(), re.M)
    assert len(found) == len(set(found))
    assert set(found) <= defined()


def test_what_a_class_needs_comes_with_it() -> None:
    constants, texts, imports = copied(["WindowAttention"])
    text = "\n\n\n".join(["\n".join(sorted(imports)), *constants, *texts])
    assert "fx.wrap" not in text
    assert "archc" not in text
    space: dict[str, Any] = {"__name__": "tried"}
    sys.modules["tried"] = type(sys)("tried")
    exec(text, space)
    del sys.modules["tried"]
    assert issubclass(space["WindowAttention"], nn.Module)


# ---- tools of others


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "vit_b_32", "googlenet", "densenet121", "mobilenet_v3_small", "unet"])
def test_source_compiles_without_graph_breaks(name: str) -> None:
    net = load(ROOT / f"archs/{name}.arch")
    module = network_of(source(net))().eval()
    inputs = random_inputs(net.graph, 2)
    with torch.no_grad():
        result = torch.compile(module, fullgraph=True, backend="eager")(*inputs)
        assert torch.equal(result, module(*inputs))


def test_loops_compile_without_graph_breaks() -> None:
    net = load(ROOT / "tests/cases/source/dense.arch")
    module = network_of(source(net))().eval()
    inputs = random_inputs(net.graph, 2)
    with torch.no_grad():
        result = torch.compile(module, fullgraph=True, backend="eager")(*inputs)
        assert all(torch.equal(tensor, result[name]) for name, tensor in module(*inputs).items())


@pytest.mark.slow
def test_source_passes_mypy(tmp_path: Path) -> None:
    for name in (*(name for name, _ in ARGUMENTS), "hrnet_w18"):
        (tmp_path / f"{name}.py").write_text(source(load(ROOT / f"archs/{name}.arch")))
    process = subprocess.run([sys.executable, "-m", "mypy", "."], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout
