"""How the code hangs together: one direction of imports, no torch before a backend, none in front tests."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from archc.compiler.ops import OPERATORS
from archc.tests.support import ROOT

# Every room, with the rooms that it may look into besides itself.
FRONT = {"dsl", "compiler.errors", "compiler.shapes", "compiler.ops", "compiler.graph"}
ROOMS: dict[str, set[str]] = {
    "dsl": set(),
    "compiler.errors": {"dsl"},
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
    "compiler.lowering": FRONT | {"compiler.analysis", "compiler.passes"},
    "compiler.backends": FRONT | {"compiler.lowering", "compiler.files", "compiler.backends.torch"},  # the last for types only
    "compiler.backends.source": FRONT | {f"compiler.{room}" for room in ("backends", "backends.torch", "files", "lowering")},
    "compiler.backends.onnxruntime": {"compiler.backends", "compiler.backends.onnx"},
    "compiler.backends.torch": FRONT
    | {f"compiler.{room}" for room in ("analysis", "backends", "collection", "files", "lowering", "passes")},
    "compiler.reading": FRONT | {"compiler.frontends", "compiler.read"},
    "compiler.backends.onnx": FRONT | {f"compiler.{room}" for room in ("backends", "files", "lowering", "passes")},
    "compiler.frontends": FRONT | {"compiler.elaborate", "compiler.files"},  # the labels that are taken
    "compiler.frontends.onnx": FRONT  # steps of archc's own files are written again
    | {f"compiler.{room}" for room in ("backends.onnx", "files", "frontends", "lowering")},
    "compiler.frontends.torch": FRONT | {"compiler.frontends", "compiler.backends.torch"},  # how torchvision is imported
    "compiler.repair": FRONT,
    "compiler.read": FRONT | {f"compiler.{room}" for room in ("analysis", "collection", "driver", "elaborate")},
    "compiler.tables": {"dsl"},
    "compiler.plots": {"dsl", *(f"compiler.{room}" for room in ("draw", "errors", "files", "tables"))},
    "compiler.verdict": FRONT | {"compiler.elaborate", "compiler.analysis"},
    "compiler.report": FRONT | {f"compiler.{room}" for room in ("elaborate", "analysis", "verdict")},
    "compiler.driver": FRONT | {f"compiler.{room}" for room in ("elaborate", "analysis", "repair", "collection", "report")},
    "compiler.why_not": FRONT | {"compiler.driver", "compiler.elaborate", "compiler.report"},
    "compiler.variation": FRONT | {"compiler.driver", "compiler.elaborate", "compiler.report"},
    "compiler.draw": FRONT | {"compiler.elaborate", "compiler.analysis"},
    "compiler.stages": FRONT
    | {f"compiler.{room}" for room in ("analysis", "backends.torch", "driver", "report", "errors", "lowering", "passes")},
    "compiler.index": FRONT | {f"compiler.{room}" for room in ("analysis", "driver", "elaborate", "report")},
    "compiler.configuration": FRONT | {"compiler.files", "compiler.report"},
    "compiler.revisions": {"compiler.errors"},
    "compiler.zoo": FRONT | {"compiler.analysis", "compiler.driver", "compiler.elaborate"},
    "compiler.results": FRONT
    | {
        f"compiler.{room}" for room in ("analysis", "backends", "backends.torch", "draw", "files", "lowering", "plots", "tables", "version")
    },
    "compiler.network": FRONT
    | {
        f"compiler.{room}"
        for room in ("analysis", "backends.onnx", "backends.torch", "draw", "driver", "elaborate", "report", "results", "stages")
    }
    | {"compiler.variation", "compiler.why_not"},
    "compiler.library": FRONT
    | {f"compiler.{room}" for room in ("analysis", "driver", "elaborate", "frontends", "network", "reading", "report", "results")}
    | {"compiler.variation"},
    "compiler": set(),
    "training": FRONT
    | {f"compiler.{room}" for room in ("analysis", "backends", "backends.torch", "files", "frontends", "lowering", "tables")},
    "ui.show": FRONT | {f"compiler.{room}" for room in ("driver", "report", "pages", "files", "tables", "verdict", "version")},
    "ui.lsp": FRONT
    | {f"compiler.{room}" for room in ("analysis", "draw", "driver", "elaborate", "files", "index", "pages", "report")}
    | {"compiler.configuration", "compiler.version", "ui.highlighting"},
    "ui.playground": FRONT
    | {
        f"compiler.{room}"
        for room in ("analysis", "draw", "driver", "elaborate", "files", "index", "library", "network", "report", "results")
    }
    | {"ui.lsp"},
    "ui.verbs": FRONT
    | {"training", "ui.show", "ui.lsp", "ui.playground"}
    | {
        f"compiler.{room}"
        for room in (
            "analysis",
            "backends",
            "backends.torch",
            "configuration",
            "draw",
            "driver",
            "elaborate",
            "files",
            "frontends",
            "frontends.torch",
            "reading",
            "library",
            "read",
            "network",
            "pages",
            "report",
            "revisions",
        )
    }
    | {f"compiler.{room}" for room in ("passes", "plots", "results", "stages", "tables", "variation", "version", "why_not", "zoo")},
    "ui.highlighting": FRONT,
    "ui": set(),
    "cli": {"ui.verbs"},
    "__init__": FRONT | {f"compiler.{room}" for room in ("analysis", "elaborate", "library", "network", "report", "results", "version")},
    "__main__": {"cli"},
}
OUTSIDE = {
    "dsl": {"lark", "platformdirs"},
    "compiler.graph": {"networkx"},
    "compiler.draw": {"graphviz", "pygraphviz"},
    "ui.lsp": {"lsprotocol", "pygls"},
    "ui.playground": {"lsprotocol"},
    "ui.verbs": {"typer", "watchfiles"},
    "compiler.tables": {"tabulate"},
    "compiler.plots": {"matplotlib", "numpy"},
    "ui.show": {"rich"},
    "compiler.backends": {"ml_dtypes", "numpy", "safetensors"},  # weights as arrays
    "compiler.backends.onnxruntime": {"onnxruntime"},
    "compiler.backends.torch": {"torch", "torchvision", "safetensors"},
    "training": {"PIL", "lightning_fabric", "numpy", "pydantic", "safetensors", "sklearn", "torch", "torchmetrics", "torchvision"},
    "ui.highlighting": {"pygments"},
    "compiler.backends.onnx": {"onnx", "numpy"},
    "compiler.frontends": {"google", "h5py", "lark", "numpy"},  # weights as arrays, and the formats of files
    "compiler.frontends.onnx": {"onnx", "onnxruntime", "numpy", "google"},  # onnx's files are those of google.protobuf
    "compiler.frontends.torch": {"numpy", "timm", "torch"},
}


# The packages that import torch, and no others: what writes torch's programs, what reads them, and what trains.
TORCH = {"compiler.backends.torch", "compiler.frontends.torch", "training"}


def test_few_packages_import_torch() -> None:
    assert {room for room, outside in OUTSIDE.items() if "torch" in outside} == TORCH


def room_of(module: str) -> str | None:
    found = [room for room in ROOMS if module == room or (module.startswith(room + ".") and room not in ("compiler", "ui"))]
    return max(found, key=len, default=None)


@cache
def imports(path: Path) -> frozenset[str]:
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:  # statements alone: no expression imports
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting += getattr(node, part, [])
    return frozenset(names)


SOURCES = sorted([*ROOT.glob("*.py"), *(path for room in ("dsl", "compiler", "training", "ui") for path in (ROOT / room).rglob("*.py"))])


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


HEAVY = {
    *("torch", "torchvision", "timm", "numpy", "sklearn", "torchinfo", "fvcore", "safetensors", "onnx", "onnxruntime", "playwright"),
    "matplotlib",
}
OF_TORCH = (
    "pytorch",
    "oracles",
    "oracles_arithmetic",
    "transformers",
    "wavenet",
    "onnx_files",
    "onnx_reading",
    "torch_reading",
    "training",
)
WITH_TORCH = {f"archc.tests.support.{name}" for name in OF_TORCH}
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LIGHT = [path for path in TESTS if not {"back", "fuzz.py"} & set(path.relative_to(ROOT).parts) and path.stem not in (*OF_TORCH, "chromium")]


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: str(path.relative_to(ROOT)))
def test_front_tests_import_nothing_heavy(path: Path) -> None:
    for name in imports(path):
        assert name.partition(".")[0] not in HEAVY and name not in WITH_TORCH


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_file_imports_another(path: Path) -> None:
    assert not [name for name in imports(path) if name.startswith("archc.tests.") and not name.startswith("archc.tests.support")]


def test_files_can_be_read_in_one_sitting() -> None:
    long = {str(path.relative_to(ROOT)): lines for path in SOURCES if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 430}
    assert not long


# Where a rule is about one operator itself: what a rewrite matches, what a slip or a repair writes. All else asks the operator's record.
BY_NAME = {
    "compiler/analysis/fusion.py",  # the calls that oneDNN has
    "compiler/analysis/graph_warnings.py",  # softmax before a loss that has its own
    "compiler/analysis/skips.py",  # what a shortcut ends in: a sum, a concatenation
    "compiler/analysis/slips.py",  # arguments in the order of PyTorch's layers
    "compiler/frontends/onnx/attention.py",  # the patterns that a front end recognizes
    "compiler/frontends/onnx/patterns.py",
    "compiler/frontends/onnx/windows.py",
    "compiler/frontends/responses.py",
    "compiler/frontends/torch/attention.py",  # the patterns that a front end recognizes
    "compiler/frontends/torch/patches.py",
    "compiler/frontends/torch/windows.py",
    "compiler/frontends/unfolding.py",  # a batch norm is put before the sum of a residual
    "compiler/frontends/windowing.py",
    "compiler/backends/torch/maps.py",  # the scores of classes are those before a softmax at the end
    "compiler/passes/fold_batch_norm.py",
    "compiler/passes/merge_siblings.py",
    "compiler/passes/relu_after_pool.py",
    "compiler/read/emit.py",  # `residual` for an `add`
    "compiler/analysis/placing.py",  # what computes each channel by itself
    "compiler/read/kinds.py",  # what papers call a body
    "compiler/repair/merges.py",  # options of `conv` that a repair writes
    "compiler/repair/shapes.py",
    "compiler/repair/windows.py",
    "training/loss.py",  # what a network ends with decides its loss
}


def compares_names(path: Path) -> bool:
    """Does a module compare the operator of a node with a name that it writes down, or with names?"""
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)) if re.search(r"\.\s*op\b", text) else ():
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute) and node.left.attr == "op":
            names = [leaf.value for other in node.comparators for leaf in ast.walk(other) if isinstance(leaf, ast.Constant)]
            if set(names) & set(OPERATORS):
                return True
    return False


def test_operators_are_asked_and_not_called_by_name() -> None:
    sources = [path for path in SOURCES if path.relative_to(ROOT).parts[:2] not in (("compiler", "ops"),)]
    assert {str(path.relative_to(ROOT)) for path in sources if compares_names(path)} <= BY_NAME


def test_records_have_no_circles() -> None:
    """Modules of operators that need each other's types want a third below both."""
    assert not [path for path in (ROOT / "compiler/ops").glob("*.py") if "TYPE_CHECKING" in path.read_text(encoding="utf-8")]


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


@pytest.mark.thorough
@pytest.mark.parametrize("args", VERBS, ids=" ".join)
def test_the_front_end_does_not_import_torch(args: list[str]) -> None:
    program = (
        "import sys\nfrom archc import cli\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program, *args], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
