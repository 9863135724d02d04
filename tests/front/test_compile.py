"""`compile` without torch: what needs it and what does not, what is refused before anything is written, and options of formats."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from archc import Network, UsageError, loads
from archc.compiler import backends
from archc.compiler.backends import BACKENDS, Backend, backend_of, installed
from archc.compiler.errors import NotInstalled
from archc.compiler.files import write_text
from archc.compiler.graph import ArchGraph
from archc.compiler.results import compilation
from archc.dsl.errors import ArchError
from archc.dsl.rendering import visible
from archc.tests.support.commands import archc

NET = "arch net(w=4)\ninput 3x8x8\nstem: conv3-{w}; relu\nFC-5\n"
SOUND = "input 3xHxW\nupsample(size=[in.h // 2, in.w // 2])\n"


@pytest.fixture
def net() -> Network:
    return loads(NET)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide torch, where it is installed."""
    for name in ("torch", "torchvision"):
        monkeypatch.setitem(sys.modules, name, None)
    assert not installed("torch")


pytestmark = pytest.mark.usefixtures("bare")


def test_the_graph_needs_no_torch(net: Network, tmp_path: Path) -> None:
    found = net.compile(tmp_path / "net.json", tmp_path / "again.json")
    assert "  ran         not: torch is not installed\n" in found.text()
    assert [file.path for file in found.written] == [str(tmp_path / "net.json"), str(tmp_path / "again.json")]
    read = ArchGraph.from_json(json.loads((tmp_path / "net.json").read_text()))
    assert read.same_as(net.graph)
    (first, _) = found.written
    assert first.size == len((tmp_path / "net.json").read_bytes())
    assert first.load == f'archc.compiler.graph.ArchGraph.from_json(json.load(open("{tmp_path}/net.json")))'
    assert found.facts()["not_run"] == "torch is not installed" and found.facts()["written"][0] == first.facts()


def test_the_verb_says_what_it_wrote(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text(NET)
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    done = archc("compile", str(tmp_path / "net.arch"), "-o", str(tmp_path / "net.json"), env=hidden(tmp_path))
    assert f"wrote {tmp_path}/net.json, " in done.stderr and " KiB: archc.compiler.graph.ArchGraph.from_json(" in done.stderr
    assert "  ran         not: torch is not installed\n" in done.stdout
    (tmp_path / "net.json").unlink()
    done = archc(
        "compile",
        str(tmp_path / "net.arch"),
        "-o",
        str(tmp_path / "net.json"),
        "-o",
        str(tmp_path / "net.pt2"),
        code=3,
        env=hidden(tmp_path),
    )
    assert done.stderr == "archc: this needs torch, which is not installed: pip install 'archc[torch]'\n"
    assert not (tmp_path / "net.json").exists()


def hidden(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": ":".join([str(folder), *filter(None, sys.path)])}


NEEDS: dict[str, tuple[Callable[[Network, Path], object], str]] = {
    "run": (lambda net, path: net.compile(), "this needs torch, which is not installed: pip install 'archc[torch]'"),
    "device": (lambda net, path: net.compile(path / "a.json", device="cuda"), "this needs torch"),
    "verify": (lambda net, path: net.compile(path / "a.json", verify=True), "this needs torch"),
    "pickle": (lambda net, path: net.compile(path / "a.json", weights="a.pth"), "this needs torch"),
    "published": (lambda net, path: net.compile(path / "a.json", weights="torchvision:IMAGENET1K_V1"), "this needs torch"),
    "second file": (lambda net, path: net.compile(path / "a.json", path / "b.pt2"), "this needs torch"),
    "drawn weights": (
        lambda net, path: net.compile(path / "a.json", path / "b.far"),
        "b.far holds weights, and to draw them needs torch, which is not installed: "
        "pip install 'archc[torch]', or give weights with --weights FILE.safetensors",
    ),
    "a module": (
        lambda net, path: net.compile(path / "a.json", path / "b.off"),
        "this needs far_away, which is not installed: pip install 'archc[far]'",
    ),
}
ROWS = (
    Backend("far", (".far",), "far things", "nowhere.write", takes="weights", settings=("opset", "functions")),
    Backend("off", (".off",), "things", "nowhere.write", takes="graph", needs=("far_away",), extra="far"),
    Backend("checked", (".checked",), "nothing", "nowhere.write", takes="graph", checker=f"{__name__}.refuse"),
    Backend("long", (".set.json",), "settings", f"{__name__}.settings", takes="graph", settings=("opset",), load="load({path})"),
)


def refuse(compiled: backends.Compiled) -> None:
    raise UsageError("cannot be said")


def settings(compiled: backends.Compiled, path: Path) -> None:
    write_text(path, json.dumps(dict(compiled.settings)))


@pytest.fixture
def more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add rows to the table."""
    for place in (backends, compilation):
        monkeypatch.setattr(place, "BACKENDS", (*BACKENDS, *ROWS))


@pytest.mark.usefixtures("more")
@pytest.mark.parametrize("name", NEEDS)
def test_what_is_missing_is_named_before_anything_is_written(name: str, net: Network, tmp_path: Path) -> None:
    ask, words = NEEDS[name]
    with pytest.raises(NotInstalled) as caught:
        ask(net, tmp_path)
    assert isinstance(caught.value, ModuleNotFoundError) and str(caught.value).startswith(words)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("more")
def test_a_row_is_found_by_its_longest_suffix_and_gets_its_settings(net: Network, tmp_path: Path) -> None:
    for name, row in (("a.json", "graph"), ("a.set.json", "long"), ("a.b.json", "graph"), (".set.json", "graph"), ("a.pt2", "export")):
        found = backend_of(Path(name))
        assert found is not None and found.name == row
    assert backend_of(Path("a.aoti.pt2")) != backend_of(Path("a.pt2")) and backend_of(Path("json")) is None
    net.compile(tmp_path / "a.set.json", tmp_path / "b.json", opset=18)
    assert json.loads((tmp_path / "a.set.json").read_text()) == {"opset": 18}
    with pytest.raises(UsageError, match=r"^opset is an option of \.onnx and \.far and \.set\.json, which is not written$"):
        net.compile(tmp_path / "c.json", opset=18)
    with pytest.raises(UsageError, match="no format has an option opst; did you mean `opset`"):
        net.compile(tmp_path / "c.json", opst=18)


@pytest.mark.usefixtures("more")
def test_what_a_format_cannot_say_is_refused_before_anything_is_written(net: Network, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be said"):
        net.compile(tmp_path / "a.json", tmp_path / "b.checked")
    with pytest.raises(ArchError, match="E0609"):
        loads(SOUND).compile(tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


def test_a_line_that_loads_a_file_of_python_names_its_last_class(tmp_path: Path) -> None:
    row = Backend("source", (".py",), "source", "nowhere.write", load="from {stem} import {name}")
    text = "class Block:\n    class Inner:\n        pass\n\n\nclass Net:\n    pass\n\n\ndef helper():\n    pass\n"
    for name, line in (("net.py", "from net import Net"), ("my-net.py", f'runpy.run_path("{tmp_path}/my-net.py")["Net"]')):
        (tmp_path / name).write_text(text)
        assert row.loading(tmp_path / name) == line
    (tmp_path / "class.py").write_text(text)
    assert row.loading(tmp_path / "class.py").startswith("runpy.run_path(")


def test_options_of_formats_that_are_not_written_are_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text(NET)
    for option in (["--opset", "18"], ["--no-onnx-functions"]):
        done = archc("compile", str(tmp_path / "net.arch"), "-o", str(tmp_path / "a.json"), *option, code=2)
        assert option[0].removeprefix("--").removeprefix("no-onnx-") in visible(done.stderr)
    assert not (tmp_path / "a.json").exists()
