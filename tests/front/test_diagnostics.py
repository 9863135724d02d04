"""How diagnostics are shown: colours, formats of other tools, and repairs that are carried out."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from sarif_pydantic import Sarif

from archc.compiler.driver import check, check_text
from archc.dsl.rendering import edited, render, render_all
from archc.tests.support import ROOT
from archc.tests.support.commands import archc
from archc.ui.show import formats

GALLERY = sorted((ROOT / "tests/cases/errors").glob("*.arch"))


def on_a_terminal(*args: str, env: dict[str, str] | None = None) -> str:
    """What the command writes to stderr when that is a terminal."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", **(env or {})}
    done = subprocess.Popen([sys.executable, "cli.py", *args], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=follower)
    os.close(follower)
    text = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        text += part
    done.wait()
    os.close(leader)
    return text.decode()


@pytest.mark.thorough
def test_colours_are_for_terminals_only(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text("input 3x32x32\nmaxpol\n")
    assert "\x1b[" not in archc("check", str(path), code=1).stderr
    assert "\x1b[1;31m" in on_a_terminal("check", str(path), env={"NO_COLOR": ""})
    assert "\x1b[" not in on_a_terminal("check", str(path), env={"NO_COLOR": "1"})
    plain = archc("check", str(path), code=1).stderr
    assert on_a_terminal("check", str(path), env={"NO_COLOR": "1"}).replace("\r\n", "\n") == plain


def test_marks_stand_under_wide_characters_and_tabs() -> None:
    (found,) = check_text("input 3x32x32\n\trelu; 漢字 # x\n").diagnostics
    assert found.code == "E0105"
    lines = render(found).splitlines()
    assert lines[3] == "2 |     relu; 漢字 # x"
    assert lines[4] == "  |           ^^^^"
    (found,) = check_text("input 3x32x32\nrelu; maxpol").diagnostics
    assert render(found).splitlines()[3:5] == ["2 | relu; maxpol", "  |       ^^^^^^"]


def test_many_messages_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text("input 3x32x32\n" + "conv3-4(pad=1, strde=1)\n" * 30)
    shown = archc("check", str(path), code=1).stderr
    assert shown.count("error[E0202]") == 20
    assert "... and 10 more" in shown
    assert shown.rstrip().endswith("30 errors")
    assert archc("check", str(path), "--max-errors", "3", code=1).stderr.count("error[E0202]") == 3


@pytest.mark.thorough
@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_sarif_is_valid(path: Path) -> None:
    report = check(path)
    log = formats.sarif([*report.diagnostics, *report.warnings])
    read = Sarif.model_validate(log)
    (run,) = read.runs
    assert len(run.results or []) == len(report.diagnostics) + len(report.warnings)
    for result, found in zip(run.results or [], [*report.diagnostics, *report.warnings], strict=True):
        assert result.rule_id == found.code
        assert (run.tool.driver.rules or [])[result.rule_index or 0].id == found.code


def test_formats_of_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text("input 3x32x32\nconv3-4(strde=1)\nconv3-64; bn\nFC-10\n")
    log = json.loads(archc("check", str(path), "--format", "sarif", code=1).stdout)
    (result,) = log["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 2, "startColumn": 9, "endLine": 2, "endColumn": 14}
    assert result["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"] == {"text": "stride"}
    github = archc("check", str(path), "--format", "github", code=1).stdout
    assert github.startswith(f"::error file={path},line=2,endLine=2,col=9,endColumn=14,title=E0202::`conv` has no option `strde`%0A")
    assert json.loads(archc("check", str(path), "--format", "json", code=1).stdout)["diagnostics"][0]["code"] == "E0202"
    path.write_text("input 3x32x32\nconv3-64; bn\nFC-10\n")
    assert archc("check", str(path), "--format", "github").stdout.startswith("::warning file=")
    archc("check", str(path), "--format", "xml", code=2)


def test_fix_shows_a_diff_and_keeps_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    data = b"\xef\xbb\xbfinput 3x32x32\r\nmaxpol # half\n\r\nFC-10"
    path.write_bytes(data)
    asked = archc("check", str(path), "--fix", code=2)
    assert "-maxpol # half\n+maxpool # half\n" in asked.stdout
    assert path.read_bytes() == data, "without a yes nothing is written"
    archc("check", str(path), "--fix", "--yes")
    assert path.read_bytes() == data.replace(b"maxpol", b"maxpool")
    archc("check", str(path), "--fix", "--yes")  # nothing is left to repair, which is no error


def test_fix_of_several_repairs_wants_a_choice(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text("input 3x224x224\nconv1: conv11-96/4(act=relu) => 96x55x55\n")
    done = archc("check", str(path), "--fix", "--yes", code=2)
    assert "1. an input of 3x227x227 (34,944 parameters, 105,415,200 MACs), for E0501 on line 2" in done.stderr
    assert "--choose" in done.stderr
    archc("check", str(path), "--fix", "--yes", "--choose", "7", code=2)
    archc("check", str(path), "--fix", "--yes", "--choose", "2")
    assert path.read_text() == "input 3x224x224\nconv1: conv11-96/4(act=relu, pad=2) => 96x55x55\n"


def test_fix_of_all(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text("input 3x32x32\nconv3-8(strde=1, act=relu)\nmaxpol\nconv3-8; bn\nFC10\n")
    done = archc("check", str(path), "--fix", "--all", "--yes")
    assert path.read_text() == "input 3x32x32\nconv3-8(stride=1, act=relu)\nmaxpool\nconv3-8; bn\nFC-10\n"
    assert done.stdout.count("\n+") == 4  # the head of the diff, and three lines
    assert check(path).ok
    assert "1. no bias (14,354 -> 14,346 parameters, MACs as before), for W0101 on line 4" in done.stderr
    archc("check", str(path), "--fix", "--choose", "1", "--yes")
    assert not check(path).warnings


@pytest.mark.parametrize(
    "wrong",
    [
        "input 64x56x56\nresidual<conv3-128/2(pad=1)>\n",  # what changes the network
        "input 3x32x32\nconv3-8\nexpect params == 225\n",  # what changes a claim
    ],
)
def test_fix_of_all_changes_neither_the_network_nor_a_claim(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "net.arch"
    path.write_text(wrong)
    done = archc("check", str(path), "--fix", "--all", "--yes", code=1)
    assert path.read_text() == wrong
    assert "apply one with `--fix --choose N`:\n  1. " in done.stderr


def test_a_claim_is_changed_only_when_asked_for_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text("input 3x32x32\nconv3-8\nexpect params == 225\n")
    asked = archc("check", str(path), "--fix", "--yes", code=2)
    assert "1. the claim as 224 (this changes the claim, not the network), for E0502 on line 3" in asked.stderr
    archc("check", str(path), "--fix", "--yes", "--choose", "1")
    assert check(path).ok


def test_warnings_can_be_silenced() -> None:
    loud = "input 3x32x32\nconv3-64\nconv3-64\n"
    assert [found.code for found in check_text(loud).warnings] == ["W0106"]
    for quiet in (
        loud.replace("\nconv3-64\nconv3-64", "\nconv3-64\nconv3-64  # allow: W0106"),
        loud.replace("\nconv3-64\nconv3-64", "\nconv3-64\n# one kernel as two, allow: W0101, W0106\nconv3-64"),
        "# allow: W0106\n" + loud,
    ):
        assert not check_text(quiet).warnings, quiet
    assert check_text("# allow: W0101\n" + loud).warnings


@pytest.mark.thorough
@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_every_repair_that_is_offered_holds(path: Path) -> None:
    report = check(path)
    before = [d.message for d in (*report.diagnostics, *report.warnings)]
    for found in (*report.diagnostics, *report.warnings):
        for repair in found.repairs:
            source = repair.edits[0].span.source
            again = check_text(edited(source, repair.edits), name=path.name, folder=path.parent)
            left = [d.message for d in (*again.diagnostics, *again.warnings)]
            assert left.count(found.message) < before.count(found.message), render_all([found])
            checks = not again.diagnostics if found.severity == "error" else not left
            # A pasted layer that names other channels than those that come in is not complete, though the file checks.
            differs = "incoming" in found.facts and any(" gets " in note for note in found.notes)
            assert repair.complete == (checks and not differs)
