"""Build the playground into a folder of static files: `python playground/build.py [FOLDER]`. It needs node and npm."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from onnx import defs

from archc.compiler.backends.onnx.write import OPSET
from archc.compiler.draw.style import DARK, LIGHT
from archc.compiler.draw.svg import stylesheet, variables
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.reference import page as operator_page
from archc.compiler.pages import markdown, pages
from archc.compiler.version import __version__
from archc.compiler.zoo import listed, networks
from archc.ui.playground.onnx_parts import FILES, TABLE, table
from archc.ui.playground.session import Session

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FIRST = "lenet5_modern"  # the network that a page shows first
# What the page runs: pure Python, in the versions of constraints.txt.
PACKAGES = ("lark", "networkx", "graphviz", "tabulate", "platformdirs", "lsprotocol", "attrs", "cattrs", "typing_extensions")
LEFT_OUT = ("tests", "__pycache__", "torch", "verbs", "show")  # folders
READ = ("compiler", "backends", "torch", "modules")  # files that source is written from; they are read, and not imported
ONNX = ("onnx", "protobuf")  # of which a page takes what is plain Python, when a network is saved as ONNX
RUNTIME = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")


class CannotBuild(Exception):
    """Something that the page consists of is missing, or another version of it is there."""


def main() -> int:
    """Build into the folder that is named, or into `playground/dist`."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "dist"
    try:
        build(target)
    except (CannotBuild, subprocess.CalledProcessError) as error:
        print(f"the playground was not built: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"built {target}: {size / 2**20:.1f} MiB")
    return 0


def build(target: Path) -> None:
    """Build into a folder, which is replaced as a whole when everything is made."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise CannotBuild("it needs node and npm")
    lock, marker = HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
    if not marker.is_file() or marker.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=HERE, check=True)
        marker.touch()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".playground-") as made:
        place = Path(made) / "dist"
        place.mkdir()
        _scripts(place)
        _runtime(place)
        _python(place)
        _contents(place)
        if target.exists():
            shutil.rmtree(target)
        place.rename(target)


# ---- scripts and the runtime


def _scripts(target: Path) -> None:
    command = [HERE / "node_modules/.bin/esbuild", HERE / "src/main.js", HERE / "src/worker.js", "--bundle", "--format=esm", "--minify",
               "--target=es2022", "--external:./pyodide/*", "--log-level=warning", f"--outdir={target}"]  # fmt: skip
    # The language lies beside this folder, and finds CodeMirror here.
    subprocess.run(command, cwd=HERE, check=True, env={**os.environ, "NODE_PATH": str(HERE / "node_modules")})


def _runtime(target: Path) -> None:
    (target / "pyodide").mkdir()
    for name in RUNTIME:
        shutil.copyfile(HERE / "node_modules/pyodide" / name, target / "pyodide" / name)


# ---- Python


def _python(target: Path) -> None:
    """Write `python/`: our modules, the networks, the packages, and the parts of onnx, by the Python that will run them (compile.mjs)."""
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "sources.zip"
        with zipfile.ZipFile(sources, "w") as archive:
            for name, path in (*_ours(), *_packages(), *_onnx()):
                archive.write(path, name)
            archive.writestr(f"onnx/{TABLE}", json.dumps(table(defs, OPSET)))
        subprocess.run(["node", HERE / "compile.mjs", sources, target / "python"], cwd=HERE, check=True)


def _ours() -> Iterator[tuple[str, Path]]:
    for path in (ROOT / "__init__.py", ROOT / "compiler", ROOT / "dsl", ROOT / "ui", ROOT / "archs"):
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            parts = file.relative_to(ROOT).parts
            is_text = parts[:4] == READ and file.suffix == ".py"
            if is_text or (file.is_file() and not set(parts) & set(LEFT_OUT) and file.suffix in (".py", ".lark", ".arch", ".html")):
                yield "/".join(("archc", *parts)), file


def _packages() -> Iterator[tuple[str, Path]]:
    """Yield the files of the packages, as they are installed. Raises CannotBuild for one that is not plain Python."""
    for name in PACKAGES:
        for file in _pinned(name).files or ():
            if file.suffix in (".so", ".pyd"):
                raise CannotBuild(f"{name} is not pure Python: {file}")
            if file.suffix in (".py", ".lark") and not set(file.parts) & set(LEFT_OUT) and ".." not in file.parts:
                yield file.as_posix(), Path(str(file.locate()))


def _onnx() -> Iterator[tuple[str, Path]]:
    """Yield the files of onnx that need none of its compiled code, and protobuf without its own, which is an alternative."""
    for name in ONNX:
        for file in _pinned(name).files or ():
            wanted = file.name in FILES if file.parts[0] == "onnx" else file.parts[0] == "google"
            if wanted and file.suffix == ".py" and len(file.parts) < 5:
                yield file.as_posix(), Path(str(file.locate()))


def _pinned(name: str) -> Distribution:
    """Return a package as it is installed. Raises CannotBuild for another version than the one that the tests run with."""
    found, pin = distribution(name), _pins()[name]
    if found.version != pin:
        raise CannotBuild(f"{name} {found.version} is installed, but constraints.txt has {pin}")
    return found


@cache
def _pins() -> dict[str, str]:
    """Return the versions that the tests run with, by package."""
    return dict(line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line)


# ---- what is shown


def _contents(target: Path) -> None:
    """Write the page with its first picture, the style sheet, the examples and the reference."""
    examples = list(_examples())
    first = next(each for each in examples if each["name"] == FIRST)
    shown = json.loads(Session().answer(json.dumps({"op": "check", "text": first["text"], "name": f"{FIRST}.arch", "picture": {}})))
    if "svg" not in shown.get("picture", {}):
        raise CannotBuild(f"{FIRST} has no picture: {shown}")
    svg = re.sub(r"<\?xml.*?\?>\s*", "", shown["picture"]["svg"])
    fields = {"text": html.escape(first["text"]), "svg": svg, "version": __version__, "name": FIRST}
    page = (HERE / "src/index.html").read_text(encoding="utf-8")
    (target / "index.html").write_text(re.sub(r"\{\{(\w+)\}\}", lambda field: fields[field[1]], page), encoding="utf-8")
    (target / "style.css").write_text((HERE / "src/style.css").read_text(encoding="utf-8") + _picture_css(), encoding="utf-8")
    (target / "examples.json").write_text(json.dumps(examples), encoding="utf-8")
    (target / "reference.json").write_text(json.dumps(_reference()), encoding="utf-8")


def _picture_css() -> str:
    """Return the rules of pictures: their colors follow the theme of the page."""
    dark = " ".join(f"--archc-{role}: {colour};" for role, colour in DARK.items())
    light = " ".join(f"--archc-{role}: {colour};" for role, colour in LIGHT.items())
    forced = f'\n:root[data-theme="dark"] {{ {dark} }}\n:root[data-theme="light"] {{ {light} }}\n@media print {{ :root {{ {light} }} }}\n'
    return f"\n{variables('auto')}{forced}{stylesheet()}\n"


def _examples() -> Iterator[dict[str, Any]]:
    for path in networks():
        facts = listed(path)
        macs = facts.macs if isinstance(facts.macs, int) else str(facts.macs)
        yield {"name": facts.name, "family": facts.family, "params": facts.params, "macs": macs, "source": facts.source,
               "text": path.read_text(encoding="utf-8")}  # fmt: skip


def _reference() -> dict[str, Any]:
    return {
        "operators": {name: operator_page(operator) for name, operator in sorted(OPERATORS.items())},
        "codes": {page.code: markdown(page) for page in pages()},
    }


if __name__ == "__main__":
    sys.exit(main())
