"""What is written does not depend on where a file lies: no path of the machine, and the same bytes from every folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from archc import load
from archc.compiler.draw.picture import FORMATS
from archc.tests.support.places import all_the_same, inside, ran, written
from archc.ui.verbs.app import app

pytestmark = pytest.mark.thorough  # processes, and files at the limits


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, str]]:
    return written(tmp_path_factory.mktemp("places"))


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
