"""The package: what the wheel and the sdist hold, and that both work beside modules of the user's own that are named like ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from archc.compiler.version import __version__
from archc.tests.support import ARCHS, ROOT

pytestmark = pytest.mark.thorough  # processes, and files at the limits

RECIPES = {path.relative_to(ROOT).as_posix() for path in (ROOT / "training/recipes").glob("*.toml")}
DATA = {
    "py.typed",
    "dsl/grammar.lark",
    "compiler/draw/page.html",
    "compiler/draw/figure.html",
    *RECIPES,
    *(path.relative_to(ROOT).as_posix() for path in ARCHS),
}
ROOMS = [ROOT / name for name in ("dsl", "compiler", "training", "ui")]
FOLDERS = [path.parent.relative_to(ROOT) for room in ROOMS for path in room.rglob("__init__.py")]
MODULES = {path.relative_to(ROOT).as_posix() for room in ROOMS for path in room.rglob("*.py")} | {"__init__.py", "__main__.py", "cli.py"}
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
FILE = 'use "std/residual.arch"\narch mine\ninput 3x16x16\nbasic(3) x2\n'


def done(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command, which must succeed, and return its stdout."""
    ran = subprocess.run([str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def bare(**more: str) -> dict[str, str]:
    """The environment without what leads Python to this checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | more


def copied(target: Path) -> Path:
    """Copy the files that git knows or would take, so that no build leaves anything in the checkout."""
    for name in done("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


def built(source: Path, kind: str, target: Path) -> Path:
    """Build an `sdist` or a `wheel` with the setuptools of this environment, without a network."""
    target.mkdir(parents=True)
    done(sys.executable, "-c", BUILD, f"build_{kind}", target, cwd=source, env=bare())
    (made,) = target.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("sdist")
    return built(copied(base / "checkout"), "sdist", base / "out")


@pytest.fixture(scope="module")
def wheels(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel that a checkout builds, and the one that the sdist builds."""
    base = tmp_path_factory.mktemp("wheels")
    shutil.unpack_archive(sdist, base)  # TarFile.extractall takes `filter` from Python 3.11.4 on
    sources = {"checkout": copied(base / "checkout"), "sdist": base / f"archc-{__version__}"}
    return {name: built(source, "wheel", base / "out" / name) for name, source in sources.items()}


def test_the_list_of_packages_is_that_of_the_folders() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    assert listed == ["archc", *sorted(".".join(("archc", *folder.parts)) for folder in FOLDERS)]


def test_the_sdist_holds_the_package(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= DATA | MODULES | {"pyproject.toml", "README.md"}


def test_the_wheel_holds_the_package_and_nothing_else(wheels: dict[str, Path]) -> None:
    with zipfile.ZipFile(wheels["checkout"]) as archive:
        names = archive.namelist()
        metadata = message_from_string(archive.read(f"archc-{__version__}.dist-info/METADATA").decode())
    assert {name.partition("/")[0] for name in names} == {"archc", f"archc-{__version__}.dist-info"}
    assert {name.removeprefix("archc/") for name in names if name.startswith("archc/")} == DATA | MODULES
    assert metadata["Version"] == __version__


def test_the_sdist_builds_the_same_wheel(wheels: dict[str, Path]) -> None:
    held = []
    for path in wheels.values():
        with zipfile.ZipFile(path) as archive:
            held.append({name: archive.read(name) for name in archive.namelist()})
    assert held[0] == held[1]


LOADED = f"""
import sys
from importlib.metadata import version
import archc
net = archc.load("mine.arch")
assert net.params == 348, net.params
assert archc.__file__.startswith(sys.prefix), archc.__file__
assert archc.__version__ == version("archc") == {__version__!r}
import cli, compiler
assert cli.MINE and compiler.MINE
"""


def test_an_installed_package_works_beside_modules_of_the_same_names(wheels: dict[str, Path], tmp_path: Path) -> None:
    python = tmp_path / "env/bin/python"
    venv.create(tmp_path / "env", symlinks=True)
    install = ["install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-compile"]
    done(sys.executable, "-m", "pip", "--python", python, *install, wheels["sdist"], cwd=tmp_path, env=bare())
    # What archc depends on is that of this environment. Files of its .pth, of an editable archc too, are not read from there.
    site = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "env")}))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    user = tmp_path / "user"
    (user / "compiler").mkdir(parents=True)
    for name in ("cli.py", "compiler/__init__.py"):
        (user / name).write_text("MINE = True\n")
    (user / "mine.arch").write_text(FILE)
    env = bare(PYTHONPATH=str(user))
    script = tmp_path / "env/bin/archc"
    assert "348" in done(script, "check", "mine.arch", cwd=user, env=env)
    assert done(python, "-m", "archc", "check", "mine.arch", cwd=user, env=env) == done(script, "check", "mine.arch", cwd=user, env=env)
    done(script, "draw", "mine.arch", "-o", "x.svg", cwd=user, env=env)
    assert "<svg" in (user / "x.svg").read_text()
    assert "resnet18" in done(script, "list", cwd=user, env=env)
    done(python, "-c", LOADED, cwd=user, env=env)


def test_a_checkout_of_another_name_runs_its_own_code(tmp_path: Path) -> None:
    checkout = copied(tmp_path / "other-name")
    version = checkout / "compiler/version.py"
    version.write_text(version.read_text().replace(__version__, "9.9.9"))
    elsewhere = bare(PYTHONPATH=os.environ.get("PYTHONPATH", ""))  # where another archc may be found
    assert "9.9.9" in done(sys.executable, checkout / "cli.py", "--version", cwd=tmp_path, env=elsewhere)


def test_the_core_installs_and_works_where_there_is_no_pygraphviz() -> None:
    """As in a browser: it is no requirement there, and only pictures ask for it (test_layout_engines.py has other engines)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(each) for each in project["dependencies"]]
    inside = [each.name for each in wanted if each.marker is None or each.marker.evaluate({"sys_platform": "emscripten"})]
    assert "pygraphviz" not in inside
    assert {"lark", "networkx"} <= set(inside)
    code = (
        "import sys; sys.modules['pygraphviz'] = None; import archc; from archc.compiler.draw import layout;"
        "net = archc.loads('input 3x8x8; conv3-4'); print(net.params, bool(net.summary().text()), bool(net.draw('mermaid')));"
        "\ntry: net.draw('svg')\nexcept layout.NoGraphviz as error: print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("112 True True\npictures need Graphviz: `pip install pygraphviz` includes it")


def test_an_import_of_the_package_imports_no_other() -> None:
    code = (
        "import sys; before = {*sys.modules}; import archc;"
        "print(sorted({name.partition('.')[0] for name in {*sys.modules} - before} - sys.stdlib_module_names))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "['archc']\n"
