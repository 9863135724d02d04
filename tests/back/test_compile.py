"""The verb `compile`: what it prints, what it writes, and what it says where a device, a disk or a weight file fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from archc import load
from archc.compiler.driver import check_text
from archc.compiler.graph import ArchGraph
from archc.dsl.errors import ArchError
from archc.tests.support import ROOT
from archc.tests.support.commands import archc, facts

RESNET18 = "archs/resnet18.arch"


def test_compile_resnet152() -> None:
    done = archc("compile", "archs/resnet152.arch")
    assert "60,192,808" in done.stdout
    assert "11,513,626,624" in done.stdout
    assert done.stderr == ""


def test_compile_json() -> None:
    data = facts("compile", RESNET18, "--input", "3x64x64", "--batch", "2", "--dtype", "bfloat16", "--device", "cpu")
    assert data["name"] == "resnet18"
    assert (data["params"], data["nodes"], data["diagnostics"]) == (11_689_512, 69, [])
    assert data["inputs"] == {"input": [3, 64, 64]}
    assert data["outputs"] == data["ran_outputs"] == {"output": [1000]}
    assert {claim["status"] for claim in data["claims"]} == {"held", "waived"}
    assert set(data["seconds"]) == {"parse", "elaborate", "verify", "lower", "to device", "forward"}
    assert (data["device"], data["dtype"], data["batch"]) == ("cpu", "bfloat16", 2)


def test_compile_writes_what_loads_again(tiny: Path) -> None:
    out = tiny.parent
    names = [str(out / f"net.{suffix}") for suffix in ("pt2", "safetensors", "json")]
    archc("compile", str(tiny), *(arg for name in names for arg in ("-o", name)))
    assert sorted(path.name for path in out.iterdir()) == ["net.json", "net.pt2", "net.safetensors", "tiny.arch"]
    net = load(tiny)
    assert ArchGraph.from_json(json.loads((out / "net.json").read_text())).same_as(net.graph)
    from archc.compiler.backends.torch.weight_files import load_weights

    module = net.lower().eval()
    load_weights(module, str(out / "net.safetensors"))
    program = torch.export.load(names[0]).module()
    for batch in (1, 3, 7):
        x = torch.randn(batch, 3, 8, 8)
        assert torch.equal(program(x), module(x))
    torch.save(module.state_dict(), out / "net.pth")
    archc("compile", str(tiny), "--weights", str(out / "net.pth"))
    torch.save({"conv1.weight": torch.zeros(4, 3, 5, 5), "new": torch.zeros(1)}, out / "bad.pth")
    done = archc("compile", str(tiny), "--weights", str(out / "bad.pth"), code=1)
    for row in ("missing    conv1.bias", "misshapen  conv1.weight", "4x3x5x5", "unexpected new"):
        assert row in done.stderr
    (out / "bad.pth").write_bytes(b"not weights")
    assert "cannot read weights" in archc("compile", str(tiny), "--weights", str(out / "bad.pth"), code=1).stderr


def test_a_full_disk_is_told_and_leaves_the_old_weights(tiny: Path) -> None:
    program = "import resource, torch.export\nfrom archc import cli\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); cli.main()"
    for suffix in ("pt2", "safetensors", "json"):
        target = tiny.parent / f"net.{suffix}"
        target.write_text("old")
        args = [sys.executable, "-B", "-c", program, "compile", str(tiny), "-o", str(target)]
        done = subprocess.run(args, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1, done.stderr
        assert f"archc: cannot write {target}: " in done.stderr and "File too large" in done.stderr
        assert target.read_text() == "old"
    assert sorted(path.name for path in tiny.parent.iterdir()) == ["net.json", "net.pt2", "net.safetensors", "tiny.arch"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there() -> None:
    assert "no CUDA device" in archc("compile", RESNET18, "--device", "cuda", code=2).stderr


def test_open_sizes_cannot_be_lowered() -> None:
    from archc.compiler.backends.torch.lower import lower, random_inputs

    graph = check_text("input 3xHxW\nupsample(size=[in.h // 2, in.w // 2])").graph
    with pytest.raises(ArchError, match="E0609"):
        lower(graph)
    with pytest.raises(ArchError, match="E0609"):
        random_inputs(graph, 1)


def test_the_code_of_the_module_is_a_stage() -> None:
    net = load("docs/small.arch")
    text = net.stages(print_after="torch")["torch"]
    assert [line for line in text.splitlines() if line.startswith("#")] == ["# small", "# unit1, unit2"]
    model = net.lower().eval()
    assert text == f"# small\n{model.code.strip()}\n\n# unit1, unit2\n{model.unit1.code.strip()}\n"
    folded = net.stages(level=2, print_after="torch")["torch"]
    assert "bn1" not in folded and "self.unit1.conv1(" in folded


def test_print_after_prints_before_it_runs() -> None:
    shown = archc("compile", "docs/small.arch", "--print-after", "all", "--optimize", "1").stdout
    heads = [line for line in shown.splitlines() if line.startswith("# after ")]
    assert heads == [f"# after {name}" for name in ("parse", "elaborate", "drop_training", "lower", "torch")]
    assert shown.splitlines()[-1].startswith("  seconds")


def test_without_graphviz_a_network_compiles(tmp_path: Path) -> None:
    (tmp_path / "pygraphviz.py").write_text("raise ImportError('no Graphviz here')")
    archc("compile", "archs/lenet5.arch", env={"PYTHONPATH": str(tmp_path)})
