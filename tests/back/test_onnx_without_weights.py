"""ONNX without weights: they are inputs. A page writes it without numpy and without onnx's compiled code, and writes the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch

from archc import ArchError, load
from archc.compiler.backends.onnx.write import OPSET, without_weights
from archc.compiler.errors import NotInstalled
from archc.compiler.ops import OPERATORS
from archc.compiler.zoo import networks
from archc.tests.support import ROOT
from archc.tests.support.records import example
from archc.ui.playground.onnx_parts import TABLE, table

DAY = ("lenet5", "googlenet", "swin_t")
# Writes each network that is named into a folder, in a Python without numpy whose `onnx` has only what a page has.
PAGE = """
import json, sys
from importlib.util import find_spec
from pathlib import Path
folder = Path(find_spec("onnx").submodule_search_locations[0])
sys.modules["ml_dtypes"] = sys.modules["onnx.onnx_cpp2py_export"] = None
from archc.ui.playground import onnx_parts
target = Path(sys.argv[1])
onnx_parts.provide(folder, json.loads((target / onnx_parts.TABLE).read_text()))
from google.protobuf.internal import api_implementation
assert api_implementation.Type() == "python"
from archc import ArchError, load
from archc.compiler.backends.onnx.write import without_weights
for path in map(Path, sys.argv[2:]):
    try:
        made = without_weights(load(path).graph)
    except ArchError as error:
        made = str(error).encode()
    (target / path.stem).with_suffix(".onnx").write_bytes(made)
assert not any(name.startswith(("numpy.", "ml_dtypes.")) for name in sys.modules)
"""


def as_in_a_page(folder: Path, paths: list[Path]) -> dict[str, bytes]:
    """Return what a page writes, by the name of the network."""
    (folder / TABLE).write_text(json.dumps(table(onnx.defs, OPSET)), encoding="utf-8")
    command = [sys.executable, "-c", PAGE, str(folder), *map(str, paths)]
    environment = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800, cwd=ROOT, env=environment)
    assert ran.returncode == 0, ran.stderr
    return {path.stem: (folder / f"{path.stem}.onnx").read_bytes() for path in paths}


def written(path: Path) -> bytes:
    """Return what is written with numpy and onnx."""
    try:
        return without_weights(load(path).graph)
    except ArchError as error:
        return str(error).encode()


def test_a_page_writes_the_same(tmp_path: Path) -> None:
    paths = [ROOT / f"archs/{name}.arch" for name in DAY]
    for name, made in as_in_a_page(tmp_path, paths).items():
        assert made == written(ROOT / f"archs/{name}.arch"), name
        onnx.checker.check_model(onnx.load_from_string(made), full_check=True)


@pytest.mark.slow
def test_a_page_writes_every_network_the_same(tmp_path: Path) -> None:
    for name, made in as_in_a_page(tmp_path, networks()).items():
        assert made == written(ROOT / f"archs/{name}.arch"), name


@pytest.mark.slow
def test_a_page_writes_every_operator_the_same(tmp_path: Path) -> None:
    """The example of each record; the sines of positions are within the last digits of float32, which numpy rounds otherwise."""
    paths = []
    for operator in OPERATORS.values():
        paths.append(tmp_path / f"{operator.name}.arch")
        paths[-1].write_text(example(operator), encoding="utf-8")
    different = {name for name, made in as_in_a_page(tmp_path, paths).items() if made != written(tmp_path / f"{name}.arch")}
    assert different <= {"sine_positions"}


def test_the_weights_are_inputs() -> None:
    """A runtime that is given the weights of a network computes what the network does."""
    net = load(ROOT / "archs/lenet5_modern.arch")
    made = onnx.load_from_string(net.onnx_without_weights())
    assert not made.graph.initializer
    module = net.lower().eval()
    state = {key: tensor.numpy() for key, tensor in module.state_dict().items()}
    names = [each.name for each in made.graph.input]
    assert names[1:] == list(state)
    x = torch.randn(2, *net.graph.inputs[0].shape)
    session = onnxruntime.InferenceSession(made.SerializeToString())
    (found,) = session.run(None, {names[0]: x.numpy(), **state})
    with torch.no_grad():
        expected = module(x)
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-5)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "archc.compiler.backends.onnx.write", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(NotInstalled, match=r"ONNX needs onnx, which is not installed: pip install 'archc\[onnx\]'"):
        load(ROOT / "archs/lenet5.arch").onnx_without_weights()
