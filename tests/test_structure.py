"""How the code hangs together: one direction of imports, no torch before a backend, names that torch needs for itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from torch import fx, nn

from compiler import loads
from compiler.backends.blocks import NumberedScope, Scope
from compiler.expand.reserved import MODULE_NAMES
from tests.support import ROOT

# Every room, with the rooms that it may look into besides itself.
FRONT = {"dsl", "compiler.shapes", "compiler.ops", "compiler.graph"}
ROOMS: dict[str, set[str]] = {
    "dsl": set(),
    "compiler.shapes": {"dsl"},
    "compiler.ops": {"dsl", "compiler.shapes"},
    "compiler.graph": {"dsl", "compiler.shapes", "compiler.ops"},
    "compiler.expand": FRONT | {"compiler.files"},
    "compiler.analysis": FRONT | {"compiler.expand"},
    "compiler.passes": FRONT - {"dsl"},
    "compiler.files": set(),
    "compiler.collection": set(),
    "compiler.version": set(),
    "compiler.show": FRONT | {f"compiler.{room}" for room in ("driver", "expand", "analysis", "pages", "files", "version")},
    "compiler.pages": {"dsl"},
    "compiler.backends": FRONT | {"compiler.analysis", "compiler.passes", "compiler.files", "compiler.collection"},
    "compiler.repair": FRONT,
    "compiler.driver": FRONT | {"compiler.expand", "compiler.analysis", "compiler.repair", "compiler.collection"},
    "compiler.draw": FRONT | {"compiler.expand", "compiler.analysis"},
    "compiler.zoo": FRONT | {"compiler.driver", "compiler.expand"},
    "compiler.verbs": FRONT
    | {
        f"compiler.{room}"
        for room in ("analysis", "backends", "draw", "driver", "expand", "files", "pages", "passes", "show", "version", "zoo")
    },
    "compiler.network": FRONT | {"compiler.expand", "compiler.driver", "compiler.backends", "compiler.draw"},
    "compiler": {"compiler.network"},
}
CLI = {"compiler.verbs"}
OUTSIDE = {
    "dsl": {"lark", "platformdirs"},
    "compiler.graph": {"networkx"},
    "compiler.draw": {"graphviz", "pygraphviz"},
    "compiler.verbs": {"typer"},
    "compiler.show": {"rich", "tabulate", "matplotlib"},
    "compiler.backends": {"torch", "torchvision", "safetensors"},
}


def room_of(module: str) -> str | None:
    if module == "compiler":
        return "compiler"
    found = [room for room in ROOMS if room != "compiler" and (module == room or module.startswith(room + "."))]
    return max(found, key=len) if found else None


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


SOURCES = sorted([ROOT / "cli.py", *(ROOT / "dsl").rglob("*.py"), *(ROOT / "compiler").rglob("*.py")])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    room = room_of(module) or module
    assert room in ROOMS or room == "cli", "a module outside every room"
    for name in imports(path):
        top = name.partition(".")[0]
        if top in ("dsl", "compiler"):
            assert room_of(name) in ROOMS.get(room, CLI) | {room}, f"{module} looks into {name}"
        elif top not in sys.stdlib_module_names:
            assert top in OUTSIDE.get(room, set()), f"{module} uses {top}"


def test_files_can_be_read_in_one_sitting() -> None:
    long = {str(path.relative_to(ROOT)): lines for path in SOURCES if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 430}
    assert not long


FILE = "archs/googlenet.arch"
VERBS = [
    *(["check", FILE], ["expand", FILE], ["graph", FILE], ["graph", FILE, "--json"], ["fmt", "--check", FILE], ["ops"], ["explain"]),
    *(
        ["summary", FILE, "--memory"],
        ["table", FILE],
        ["explain", f"{FILE}:fc"],
        ["diff", FILE, FILE],
        ["check", FILE, "--format", "sarif"],
    ),
]


@pytest.mark.parametrize("args", VERBS, ids=" ".join)
def test_the_front_end_does_not_import_torch(args: list[str]) -> None:
    program = (
        "import sys, cli\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program, *args], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_reserved_labels_are_those_of_torch() -> None:
    made = loads("input 3x4x4\na: { conv1-3 } x2\nb: [ conv1-3; relu; residual<conv1-3>; conv1-3 ]\nc: { conv1-3; relu }\n").lower()
    modules = (*made.modules(), nn.ModuleList(), fx.GraphModule(nn.Module(), fx.Graph()), Scope("", ""), NumberedScope("", ""))
    own = {name for part in made.modules() for name, _ in part.named_children()}
    taken = {name for module in modules for name in dir(module) if name not in own and not isinstance(module, (nn.Conv2d, nn.ReLU))}
    assert {name for name in taken if not name.startswith("_")} <= MODULE_NAMES
