"""How the code hangs together: one direction of imports, no torch before a backend, names that torch needs for itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from archc.tests.support import ROOT

# Every room, with the rooms that it may look into besides itself.
FRONT = {"dsl", "compiler.shapes", "compiler.ops", "compiler.graph"}
ROOMS: dict[str, set[str]] = {
    "dsl": set(),
    "compiler.shapes": {"dsl"},
    "compiler.ops": {"dsl", "compiler.shapes"},
    "compiler.graph": {"dsl", "compiler.shapes", "compiler.ops"},
    "compiler.elaborate": FRONT | {"compiler.files"},
    "compiler.analysis": FRONT | {"compiler.elaborate"},
    "compiler.passes": FRONT - {"dsl"},
    "compiler.files": set(),
    "compiler.collection": set(),
    "compiler.version": set(),
    "compiler.pages": {"dsl"},
    "compiler.backends": FRONT | {"compiler.analysis", "compiler.passes", "compiler.files", "compiler.collection"},
    "compiler.repair": FRONT,
    "compiler.driver": FRONT | {"compiler.elaborate", "compiler.analysis", "compiler.repair", "compiler.collection"},
    "compiler.draw": FRONT | {"compiler.elaborate", "compiler.analysis"},
    "compiler.zoo": FRONT | {"compiler.driver", "compiler.elaborate"},
    "compiler.network": FRONT | {"compiler.elaborate", "compiler.driver", "compiler.backends", "compiler.draw"},
    "compiler": set(),
    "ui.show": FRONT | {f"compiler.{room}" for room in ("driver", "elaborate", "analysis", "pages", "files", "version")},
    "ui.verbs": FRONT
    | {"ui.show"}
    | {
        f"compiler.{room}" for room in ("analysis", "backends", "draw", "driver", "elaborate", "files", "pages", "passes", "version", "zoo")
    },
    "ui": set(),
    "cli": {"ui.verbs"},
    "__init__": {"compiler.network", "compiler.version"},
    "__main__": {"cli"},
}
OUTSIDE = {
    "dsl": {"lark", "platformdirs"},
    "compiler.graph": {"networkx"},
    "compiler.draw": {"graphviz", "pygraphviz"},
    "ui.verbs": {"typer"},
    "ui.show": {"rich", "tabulate", "matplotlib"},
    "compiler.backends": {"torch", "torchvision", "safetensors"},
}


def room_of(module: str) -> str | None:
    found = [room for room in ROOMS if module == room or (module.startswith(room + ".") and room not in ("compiler", "ui"))]
    return max(found, key=len, default=None)


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


SOURCES = sorted([*ROOT.glob("*.py"), *(path for room in ("dsl", "compiler", "ui") for path in (ROOT / room).rglob("*.py"))])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    room = room_of(module)
    assert room is not None, "a module outside every room"
    for name in imports(path):
        top, _, inner = name.partition(".")
        assert top not in ("dsl", "compiler", "ui", "cli", "tests"), f"{module} imports {name}, which is no module outside a checkout"
        if top == "archc":
            assert room_of(inner) in ROOMS[room] | {room}, f"{module} looks into {name}"
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
        "import sys\nfrom archc import cli\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program, *args], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
