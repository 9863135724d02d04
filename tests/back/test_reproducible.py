"""What is written does not depend on where a file lies: no path of the machine, and the same bytes from every folder."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import fx
from typer.testing import CliRunner

from archc import load
from archc.compiler.draw.picture import FORMATS
from archc.tests.support import ROOT
from archc.ui.verbs.app import app

NET = """\
use "std/residual.arch"
use "blocks/stem.arch"

arch net(classes=10)

input 3x16x16
stem(8)
layer1: [ basic(8) ] x2
adaptive_avgpool1
fc: fc-{classes}
expect params == 2_682
"""
STEM = 'use "std/residual.arch"\nblock stem(w) { conv3-{w}(pad=1) }\n'
SECRET = "home-of-someone"


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, str]]:
    """The same file in two folders: where we are, and how it is named there."""
    found = []
    for name in ("first", "second-and-longer"):
        folder = tmp_path_factory.mktemp(SECRET) / name / "nets"
        (folder / "blocks").mkdir(parents=True)
        (folder / "net.arch").write_text(NET)
        (folder / "blocks/stem.arch").write_text(STEM)
        found += [(folder, "net.arch"), (folder.parent, "nets/net.arch"), (ROOT, str(folder / "net.arch"))]
        found += [(folder / "blocks", "../net.arch")]
    return found


def ran(folder: Path, *args: str, code: int = 0) -> str:
    with inside(folder):
        done = CliRunner().invoke(app, list(args))
    assert done.exit_code == code, done.output
    return done.stdout


def said_nothing_of_the_machine(data: bytes) -> None:
    for told in (SECRET, str(ROOT), str(Path.home())):
        assert told.encode() not in data, told


def all_the_same(made: list[bytes]) -> bytes:
    assert all(data == made[0] for data in made)
    said_nothing_of_the_machine(made[0])
    return made[0]


@pytest.mark.parametrize(("suffix", "style"), [(suffix, style) for form in FORMATS for suffix in form.suffixes for style in form.styles])
def test_a_picture_is_the_same_from_every_folder(places: list[tuple[Path, str]], tmp_path: Path, suffix: str, style: str) -> None:
    made = []
    for number, (folder, named) in enumerate(places):
        out = tmp_path / f"{number}{suffix}"
        ran(folder, "draw", named, "-o", str(out), "--depth", "3", "--style", style)
        made.append(out.read_bytes())
    data = all_the_same(made)
    if suffix in (".svg", ".html"):
        assert b"net.arch:9" in data
        assert b"blocks/stem.arch:2" in data
        assert b"std/residual.arch:" in data


VERBS = ["graph --json", "check --json", "summary --json", "expand --json", "explain --json", "diff --json", "table --json"]


@pytest.mark.parametrize("verb", VERBS)
def test_json_is_the_same_from_every_folder(places: list[tuple[Path, str]], verb: str) -> None:
    name, option = verb.split()
    more = {"explain": [], "diff": ["--set", "classes=12"]}.get(name, [])
    made = []
    for folder, named in places:
        what = [f"{named}:layer1.0.0.conv1"] if name == "explain" else [named, named] if name == "diff" else [named]
        made.append(ran(folder, name, *what, option, *more, code=1 if more else 0).encode())
    if name == "check":  # it says which of the files that it was asked for
        made = [json.dumps(json.loads(data) | {"file": ""}).encode() for data in made]
    all_the_same(made)


def test_a_graph_says_where_by_label(places: list[tuple[Path, str]]) -> None:
    data = json.loads(ran(*places[2][:1], "graph", places[2][1], "--json"))
    assert list(data["graph"]["sources"]) == ["net.arch", "blocks/stem.arch", "std/residual.arch"]


def test_a_difference_is_the_same_from_every_folder(places: list[tuple[Path, str]], tmp_path: Path) -> None:
    made = []
    for number, (folder, named) in enumerate(places):
        out = tmp_path / f"{number}.svg"
        ran(folder, "diff", named, named, "--set", "classes=12", "-o", str(out), code=1)
        made.append(out.read_bytes())
    all_the_same(made)


def test_exported_networks_name_no_folder(places: list[tuple[Path, str]], tmp_path: Path) -> None:
    made = []
    for number, (folder, named) in enumerate((places[1], places[6])):
        out = tmp_path / str(number)
        out.mkdir()
        torch.manual_seed(0)
        files = [out / "net.pt2", out / "net.safetensors", out / "net.json"]
        ran(folder, "compile", named, *(word for file in files for word in ("-o", str(file))))
        said_nothing_of_the_machine(b"".join(file.read_bytes() for file in files[1:]))
        with zipfile.ZipFile(files[0]) as archive:
            texts = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        for data in texts.values():
            said_nothing_of_the_machine(data)
        made.append((texts, [file.read_bytes() for file in files[1:]]))
    assert made[0] == made[1]
    module = load(places[0][0] / "net.arch").lower()
    graphs = [part.graph for part in module.modules() if isinstance(part, fx.GraphModule)]
    files = {node.meta["arch"]["file"] for graph in graphs for node in graph.nodes if "arch" in node.meta}
    assert files == {"net.arch", "blocks/stem.arch", "std/residual.arch"}


def test_a_file_of_ones_own_beside_that_of_archs_keeps_its_text(tmp_path: Path) -> None:
    gate = "std/squeeze_excitation.arch"
    (tmp_path / "std").mkdir()
    (tmp_path / gate).write_text("block mine() { conv1-4 }\n")
    (tmp_path / "net.arch").write_text(f'use "{gate}"\nuse "std/mbconv.arch"\ninput 3x8x8\nmine()\nmbconv(2, 3, 1, 4)\n')
    sources = load(tmp_path / "net.arch").graph.to_json()["graph"]["sources"]
    assert list(sources) == ["net.arch", gate, "std/mbconv.arch", f"{gate} (2)"]
    assert "mine" in sources[gate]


def test_messages_name_a_path_that_opens(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text('use "std/residual.arch"\ninput 3x8x8\nbasic(0)\n')
    with inside(tmp_path):
        said = CliRunner().invoke(app, ["check", str(tmp_path / "net.arch")]).output
        named = [line.split("--> ")[1].rsplit(":", 2)[0] for line in said.splitlines() if "--> " in line]
        assert named
        assert all(Path(path).is_file() for path in named)
    (tmp_path / "wrong.arch").write_text("input 3x8x8\nconv9-4\n")
    assert '"uri": "wrong.arch"' in ran(tmp_path, "check", str(tmp_path / "wrong.arch"), "--format", "sarif", code=1)
