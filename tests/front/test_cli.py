"""The command line: what it prints where, its exit codes, and what it writes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from archc.tests.support import ROOT
from archc.tests.support.commands import TINY, archc, facts
from archc.ui.verbs.app import app

RESNET18 = "archs/resnet18.arch"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    from archc.compiler.files import replacing

    path = tmp_path / "a"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_check_of_files_and_folders(tiny: Path) -> None:
    data = facts("check", str(tiny))
    assert (data["params"], data["params_training"]) == (4 * 28 + 145 * 2, 4 * 28 + 145 * 2 + 145 * 5)
    assert (data["outputs"], data["training_outputs"]) == ({"output": [2]}, {"side": [5]})
    for name in ("lenet5", "vgg11"):
        (tiny.parent / f"{name}.arch").write_text((ROOT / f"archs/{name}.arch").read_text())
    listed = facts("check", str(tiny.parent))
    assert {entry["name"] for entry in listed} == {"tiny", "lenet5", "vgg11"}
    assert all(entry["ok"] for entry in listed)
    broken = tiny.parent / "broken.arch"
    broken.write_text("input 3x8x8\nmaxpol\nconv3-8(strde=2)\n")
    done = archc("check", str(broken), code=1)
    assert done.stdout == ""
    assert "E0201" in done.stderr
    assert "2 errors" in done.stderr
    assert [found["code"] for found in facts("check", str(broken), code=1)["diagnostics"]] == ["E0201", "E0202"]


def test_overrides(tiny: Path) -> None:
    data = facts("check", str(tiny), "--set", "w=8", "--input", "3x16x16")
    assert data["inputs"] == {"input": [3, 16, 16]}
    assert data["claims"][0]["status"] == "waived"
    assert facts("check", "archs/resnet50.arch", "--set", "depths=[3,4,23,3]")["params"] == 44_549_160
    assert "3x160x160" in archc("graph", RESNET18, "--input", "3x160x160").stdout


def test_expand_fmt_and_graph(tiny: Path) -> None:
    text = archc("expand", str(tiny)).stdout
    assert "conv1: conv3-4/1(pad=0, dilation=1, groups=1, bias=yes" in text
    assert "output side(when=training)" in text
    archc("expand", str(tiny), "-o", str(tiny.parent / "wide.arch"))
    assert (tiny.parent / "wide.arch").read_text() == text
    messy = tiny.parent / "messy.arch"
    messy.write_text("input   3x8x8 # here\nCONV3-4 ;relu ;\n")
    archc("fmt", "--check", str(messy), code=1)
    archc("fmt", str(messy))
    assert messy.read_text() == "input 3x8x8  # here\nconv3-4; relu\n"
    archc("fmt", "--check", str(messy))
    data = facts("graph", str(tiny))
    assert data["multigraph"] is True
    assert [node["id"] for node in data["nodes"]] == ["input", "conv1", "flatten1", "side", "flatten2", "fc2"]
    assert "conv1" in archc("graph", str(tiny)).stdout


def test_ops_and_explain() -> None:
    assert "### conv" in archc("ops", "conv").stdout
    assert facts("ops", "FC")[0]["name"] == "fc"
    assert "E0302" in archc("explain", "e0302").stdout
    assert facts("explain", "E0302")["right"].startswith("input")
    assert "did you mean `maxpool`" in archc("ops", "maxpol", code=2).stderr
    archc("explain", "E9999", code=2)


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["nonsense"],
        ["check"],
        ["compile", RESNET18, "--device", "tpu"],
        ["compile", RESNET18, "--dtype", "int8"],
        ["compile", RESNET18, "-o", "net.tflite"],
        ["compile", RESNET18, "-o", "nowhere/net.json"],
        ["check", RESNET18, "--set", "depths"],
        ["check", RESNET18, "--set", "depths=[1,"],
        ["check", RESNET18, "--input", "3y4"],
    ],
    ids=" ".join,
)
def test_wrong_usage(args: list[str]) -> None:
    assert archc(*args, code=2).stderr or not args


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    assert "E0608" in archc("check", str(tmp_path / "none.arch"), code=1).stderr
    archc("check", str(tmp_path), code=1)
    assert "E0607" in archc("compile", "archs/std/residual.arch", code=1).stderr
    assert "only blocks" in archc("check", "archs/std/residual.arch").stdout


@pytest.mark.thorough
def test_a_missing_dependency_is_named(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    done = archc("compile", RESNET18, code=3, env={"PYTHONPATH": str(tmp_path)})
    assert "pip install 'archc[torch]'" in done.stderr


@pytest.mark.thorough
def test_a_fault_of_ours_says_so() -> None:
    program = "from archc import cli; from archc.ui.verbs import checking; checking.checked = lambda *a: 1 / 0; cli.main()"
    args = [sys.executable, "-c", program, "check", RESNET18]
    done = subprocess.run(args, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 70
    assert "a bug in archc" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_of_a_folder_ends_in_one_table(tmp_path: Path) -> None:
    (tmp_path / "sound.arch").write_text(TINY)
    (tmp_path / "claims_nothing.arch").write_text("input 3x8x8\nconv3-4\n")
    (tmp_path / "fails.arch").write_text("input 3x8x8\nconv3-4 => 4x7x7\nexpect params == 5\nexpect macs == 3888\n")
    (tmp_path / "broken.arch").write_text("input 3x8x8\nconvv3-4\n")
    (tmp_path / "blocks.arch").write_text("block a(w) { conv3-{w} }\n")
    done = archc("check", str(tmp_path), code=1)
    rows = {line.split()[0].rpartition("/")[2]: line.split()[1:] for line in done.stdout.splitlines() if line.startswith(str(tmp_path))}
    assert rows == {
        "sound.arch": ["402", "4,176", "1", "all", "hold"],
        "claims_nothing.arch": ["112", "3,888", "0", "claims", "nothing"],
        "fails.arch": ["2", "2", "failed"],
        "broken.arch": ["0", "1", "error"],
        "blocks.arch": ["blocks,", "for", "`use`"],
    }
    assert "5 files, 4 networks; 1 of 3 claims hold; 2 files have errors" in done.stdout
    assert "E0501" in done.stderr


def test_the_readme_has_every_verb() -> None:
    rows = re.findall(r"`archc (\w+)", "\n".join(line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("|")))
    verbs = {command.name for command in app.registered_commands}
    assert verbs == set(rows)
