"""Backends: every target has a meaning in PyTorch, a lowered program is all that a backend needs, and a backend is one file and one row."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archc import load
from archc.compiler.backends import BACKENDS, Backend, backend_of, listed
from archc.compiler.backends.onnx import rules as onnx_rules
from archc.compiler.backends.torch import modules, targets
from archc.compiler.backends.torch.initialize import FILLS, initialize
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.driver import check_text
from archc.compiler.graph import INPUT
from archc.compiler.lowering import lowered
from archc.compiler.lowering.program import FunctionCall, LoweredProgram, Trained, Value
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.convolution import WEIGHT_INIT
from archc.compiler.ops.kinds import Choice
from archc.compiler.ops.record import Call, Operator
from archc.compiler.ops.targets import NAMESPACES, CallTarget, ModuleTarget, Target
from archc.dsl.diagnostics import Fault
from archc.tests.support import ROOT
from archc.tests.support.pytorch import stirred

# ---- targets


def examples(operator: Operator) -> Iterator[Call]:
    """The calls of an operator in its example; of that for inputs with one to three sizes; and with every word of its choices."""
    text = operator.example.partition("=>")[0].replace("; ", "\n", 1)
    shape = re.search(r"\d+x(\d+)(x\d+)*", text)
    texts = [text]
    for axes in (1, 2, 3) if shape else ():
        channels, size = shape[0].split("x")[:2]
        texts.append(text.replace(shape[0], "x".join([channels, *[size] * axes])))
    for one in texts:
        report = check_text(one)
        if not report.ok:
            assert one is not text
            continue
        for node in report.graph:
            if node.op == operator.name:
                call = node.call
                yield call
                words = [(attr.name, word) for attr in operator.attrs if isinstance(attr.kind, Choice) for word in attr.kind.words]
                yield from (Call(call.operator, {**call.attrs, name: word}, call.inputs) for name, word in words)


def lowerings(operator: Operator) -> Iterator[Target]:
    for call in examples(operator):
        try:
            operator.shape(call)
            yield operator.lower(call)
        except Fault:  # not every word goes with every input
            continue


def names(target: Any) -> Iterator[str]:
    """The functions and classes that a target names."""
    if isinstance(target, CallTarget):
        for argument in target.args:
            yield from names(argument)
    if not isinstance(target, (int, float, str, list, tuple)) and hasattr(target, "name"):
        yield target.name


LOWERED = [operator for operator in OPERATORS.values() if operator.name != INPUT and not operator.opaque]


@pytest.mark.parametrize("operator", LOWERED, ids=lambda operator: operator.name)
def test_every_target_of_a_record_resolves(operator: Operator) -> None:
    found = list(lowerings(operator))
    assert found
    for target in found:
        for name in names(target):
            assert callable(targets.resolve(name)), name
        if isinstance(target, ModuleTarget):
            settings = {**target.settings, "inplace": True} if operator.name in ("relu", "relu6") else target.settings
            inspect.signature(targets.resolve(target.name)).bind(**settings)


def test_namespaces_and_modules_are_those_that_operators_use() -> None:
    assert set(targets.NAMESPACES) == set(NAMESPACES)
    used = {name for operator in LOWERED for target in lowerings(operator) for name in names(target)}
    computed = [f"{layer}(weight={word})" for layer in ("conv3-4", "convt3-4") for word in ("standardized", "scaled", "spectral")]
    for sizes in ("6", "6x6", "6x6x6"):
        for item in ("conv3-2(from=[[0, 1], [2]])", *computed, "fc-4(weight=spectral)", "layer_scale(flat=yes)"):
            report = check_text(f"input 3x{sizes}\n{item}\n")
            used |= {name for node in report.graph if not node.is_input for name in names(node.operator.lower(node.call))}
    assert used <= set(onnx_rules.RULES)
    own = {f"archc.{name}" for name, kind in vars(modules).items() if callable(kind)}
    assert {name for name in used if name.startswith("archc.")} == own
    assert {name.partition(".")[0] for name in used} == set(NAMESPACES)


def test_every_distribution_of_the_language_can_be_drawn() -> None:
    assert set(FILLS) == set(WEIGHT_INIT.kind.table) - {"torch"}


def test_operators_know_no_backend() -> None:
    for path in (ROOT / "compiler/ops").glob("*.py"):
        strings = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        assert not [text for text in strings if isinstance(text, str) and re.search(r"archc\.compiler\.backends", text)], path


# ---- a lowered program is complete: a second way to run it, which sees nothing else

PLACES = {"nn": nn, "F": nn.functional, "torch": torch, "operator": import_module("operator"), "archc": modules}


def named(target: str) -> Any:
    namespace, _, name = target.partition(".")
    return getattr(PLACES[namespace], name)


class Interpreter:
    """Runs the steps of a program one after the other, over parts that it makes itself."""

    def __init__(self, program: LoweredProgram) -> None:
        self.program = program
        self.parts: dict[str, Any] = {}
        for key, part in program.parts.items():
            if part.kind == "tensor":
                self.parts[key] = nn.Parameter(torch.empty(part.weights[""]))
                initialize({"": self.parts[key]}, part.initial)
            else:
                self.parts[key] = named(part.target)(**part.settings, **({"inplace": True} if part.overwrites else {})).eval()
                initialize(dict(self.parts[key].named_parameters()), part.initial)
                shapes = {name: tuple(tensor.shape) for name, tensor in self.parts[key].state_dict().items()}
                assert shapes == {**part.weights, **part.buffers}

    def state(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for key, part in self.parts.items():
            found |= {key: part} if isinstance(part, nn.Parameter) else {f"{key}.{name}": t for name, t in part.state_dict().items()}
        return found

    def take(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, tensor in self.state().items():
                tensor.copy_(state[name])

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        values = dict(zip(self.program.inputs, inputs, strict=True))
        for step in self.program.steps:
            if step.kind != "input":
                part = self.parts.get(step.key)
                call = part if step.kind == "module" else named(step.target)
                values[step.name] = call(*(self.argument(arg, values, part) for arg in step.args), **step.kwargs)
        return {name: values[step] for name, step in self.program.outputs.items()}

    def argument(self, value: Any, values: Mapping[str, Tensor], own: Any) -> Any:
        match value:
            case Value(step):
                return values[step]
            case Trained():
                return own
            case FunctionCall(target, args, kwargs):
                return named(target)(*(self.argument(arg, values, own) for arg in args), **kwargs)
            case list():
                return [self.argument(item, values, own) for item in value]
        return value


INTERPRETED = ["convnext_tiny", "googlenet", "lenet5", "resnet18", "shufflenet_v2_x1_0"]


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("name", INTERPRETED)
def test_a_program_alone_runs_as_the_lowered_network(name: str, level: int) -> None:
    graph = load(ROOT / f"archs/{name}.arch").graph
    torch.manual_seed(0)
    module = lower(graph, level).eval()
    inputs = random_inputs(graph, 2)
    program = lowered(graph, "inference", level)
    own = Interpreter(program)
    own.take(stirred(module))
    with torch.no_grad():
        expected = module(*(x.clone() for x in inputs))
        (found,) = own(*inputs).values()
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", ["convnext_tiny", "googlenet", "lenet5", "resnet18", "mobilenet_v3_small"])
def test_a_program_alone_starts_with_the_weights_of_the_lowered_network(name: str) -> None:
    graph = load(ROOT / f"archs/{name}.arch").graph
    torch.manual_seed(3)
    expected = lower(graph).state_dict()
    torch.manual_seed(3)
    found = Interpreter(lowered(graph, "training")).state()
    assert set(found) == set(expected)
    assert all(torch.equal(tensor, expected[key]) for key, tensor in found.items())


# ---- the table


def test_rows_are_whole() -> None:
    suffixes = [suffix for backend in BACKENDS for suffix in backend.suffixes]
    assert len(suffixes) == len(set(suffixes)) and all(suffix.startswith(".") for suffix in suffixes)
    for backend in BACKENDS:
        module, _, name = backend.writer.rpartition(".")
        assert list(inspect.signature(getattr(import_module(module), name)).parameters) == ["compiled", "path"]
        assert backend.writes and backend.load and not backend.missing
        verifier = getattr(import_module(backend.verifier.rpartition(".")[0]), backend.verifier.rpartition(".")[2])
        assert list(inspect.signature(verifier).parameters) == ["compiled", "path", "inputs"]
        assert backend.takes != "module" or "torch" in backend.needs
        assert bool(backend.needs) == bool(backend.extra)
        assert bool(backend.beyond) == (backend.levels != (0, 1, 2, 3))
        assert all(backend_of(Path(f"net{suffix}")) is backend for suffix in backend.suffixes)
    assert backend_of(Path("net.nothing")) is None
    words = [f"{suffix} ({backend.writes})" for backend in BACKENDS for suffix in backend.suffixes]
    assert listed(words=True) == f"{', '.join(words[:-1])} or {words[-1]}"


def test_every_row_is_told_of_where_compile_is() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    line = next(line for line in readme.splitlines() if "`archc compile FILE [-o" in line)
    assert re.findall(r"\[-o net([.\w]+)\]", line) == [backend.suffixes[0] for backend in BACKENDS]
    extras = re.search(r"\[project\.optional-dependencies\]\n(.*?)\n\n", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    assert extras is not None
    assert {backend.extra for backend in BACKENDS} - {""} <= {line.partition(" ")[0] for line in extras[1].splitlines()}
    table = readme.partition("## Writing a network")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\.[.\w]+)`", table, re.MULTILINE)) == {suffix for backend in BACKENDS for suffix in backend.suffixes}
    assert "BACKENDS" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


# A second backend, as anybody would write it: Python's source, from nothing but the lowered program.
SECOND = """
from archc.compiler.files import write_text
from archc.compiler.lowering.program import FunctionCall, Trained, Value


def source(compiled, path):
    program = compiled.program()
    made = [f"        self.{flat(key)} = {part.target}({options(part.settings)})" for key, part in program.parts.items()]
    run = [f"        {flat(step.name)} = {called(step)}" for step in program.steps if step.kind != "input"]
    (result,) = program.outputs.values()
    lines = ["from torch import nn", "import operator, torch", "", "class Net(nn.Module):", "    def __init__(self):"]
    lines += ["        super().__init__()", *made, f"    def forward(self, {', '.join(map(flat, program.inputs))}):", *run]
    write_text(path, "\\n".join([*lines, f"        return {flat(result)}"]) + "\\n")


def called(step):
    function = f"self.{flat(step.key)}" if step.kind == "module" else step.target
    return f"{function}({', '.join([*map(argument, step.args), options(step.kwargs)])})"


def argument(value):
    match value:
        case Value(step):
            return flat(step)
        case list():
            return f"[{', '.join(map(argument, value))}]"
    return repr(value)


def options(settings):
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())


def flat(name):
    return name.replace(".", "_")
"""
ROW = Backend("source", (".py2",), "Python source", "second.source", levels=(0, 1), beyond="its modules are those of the file")


def cli(folder: Path, *args: str, row: Backend = ROW) -> subprocess.CompletedProcess[str]:
    """The command line of an archc that has one row more; `folder` holds the file of the backend."""
    code = (
        "from archc.compiler import backends\nfrom archc.compiler.backends import Backend\n"
        f"backends.BACKENDS += ({row!r},)\nfrom archc import cli\ncli.main()"
    )
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", code, *args], cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120
    )


def test_a_backend_is_one_file_and_one_row(tmp_path: Path) -> None:
    (tmp_path / "second.py").write_text(SECOND)
    (tmp_path / "net.arch").write_text("input 3x8x8\nblock unit(c) { conv3-{c}(pad=1); relu }\nconcat<unit(4) | .>\nfc-2\n")
    target = tmp_path / "net.py2"
    weights = tmp_path / "net.safetensors"
    done = cli(tmp_path, "compile", str(tmp_path / "net.arch"), "-o", str(target), "-o", str(weights))
    assert done.returncode == 0, done.stderr
    assert f"wrote {target}" in done.stderr
    scope: dict[str, Any] = {}
    exec(target.read_text(), scope)
    net = scope["Net"]().eval()
    module = load(tmp_path / "net.arch").lower().eval()
    state = module.state_dict()
    net.load_state_dict({key.replace(".", "_", key.count(".") - 1): tensor for key, tensor in state.items()})
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(net(x), module(x))


def test_the_command_line_is_made_from_the_rows(tmp_path: Path) -> None:
    (tmp_path / "second.py").write_text(SECOND)
    shown = " ".join(cli(tmp_path, "compile", "--help").stdout.replace("│", " ").split())
    suffixes = [suffix for backend in BACKENDS for suffix in backend.suffixes]
    assert f"{', '.join(suffixes)} or .py2; may be repeated" in shown
    net = "archs/lenet5.arch"
    wrong = cli(tmp_path, "compile", net, "-o", str(tmp_path / "a.nothing"))
    assert wrong.returncode == 2
    words = ", ".join(f"{suffix} ({backend.writes})" for backend in BACKENDS for suffix in backend.suffixes)
    assert f"-o writes {words} or .py2 (Python source), not a.nothing" in wrong.stderr
    high = cli(tmp_path, "compile", net, "--optimize", "2", "-o", str(tmp_path / "a.py2"))
    assert high.returncode == 2
    assert "a .py2 holds the network of level 0 or 1; its modules are those of the file" in high.stderr
    row = Backend("far", (".far",), "far things", "second.source", extra="far", needs=("far_away",))
    lacking = cli(tmp_path, "compile", net, "-o", str(tmp_path / "a.far"), row=row)
    assert lacking.returncode == 3
    assert "this needs far_away, which is not installed: pip install 'archc[far]'" in lacking.stderr
    assert not list(tmp_path.glob("a.*"))
