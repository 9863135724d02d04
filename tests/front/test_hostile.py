"""Hostile conditions: files that are none, streams that are closed or full, disks that are full, sources that are too large.

Every verb ends with 0, 1 or 2 and says what is wrong; exit code 70 is for faults of archc alone.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archc.compiler.driver import check, check_text
from archc.compiler.elaborate.loader import MAX_BYTES
from archc.compiler.files import LEFT, CannotWrite, write_text
from archc.dsl.formatter import format_text
from archc.dsl.source import Source
from archc.tests.support import ROOT
from archc.tests.support.work import assert_linear

pytestmark = pytest.mark.thorough  # processes, and files at the limits

GOOD = 'arch tiny(w=4) "a test"\ninput 3x8x8\nconv3-{w} => 4x6x6\nrelu\nFC-2\n'
READERS = [
    *(["check"], ["check", "--json"], ["check", "--format", "sarif"], ["check", "--fix", "--yes", "--all"], ["expand"], ["fmt"]),
    *(["fmt", "--check"], ["graph"], ["summary"], ["table"], ["draw"], ["draw", "--partial"], ["explain"], ["diff", "good.arch"]),
    *(["explain", "--why-not", "3x4x4"], ["compile"], ["bench"], ["weights", "--from", "none.pth"]),
]
SOUND = [args for args in READERS if args[0] not in ("compile", "bench", "weights")]  # what needs no torch
ALONE = [
    ["ops"],
    ["ops", "conv"],
    ["explain"],
    ["explain", "E0302"],
    ["--help"],
    ["--version"],
    ["check", "--help"],
    ["nonsense"],
]
BROKEN = ["missing.arch", "folder.arch", "pipe.arch", "zero.arch", "socket.arch", "loop.arch", "binary.arch", "n" * 300 + ".arch"]

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "archc.tests.support.hostile"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def run(server: subprocess.Popen[str], tmp_path: Path) -> Run:
    """Run archc in a folder with sound and broken files; no case may be a bug in archc."""
    (tmp_path / "good.arch").write_text(GOOD)
    (tmp_path / "folder.arch").mkdir()
    os.mkfifo(tmp_path / "pipe.arch")
    (tmp_path / "zero.arch").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(tmp_path)  # the name of a socket must be short
        listening.bind("socket.arch")
        os.chdir(here)
    (tmp_path / "loop.arch").symlink_to("loop.arch")
    (tmp_path / "binary.arch").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "empty.arch").write_bytes(b"")

    def answer(*args: str, **conditions: Any) -> dict[str, Any]:
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps({"args": args, "folder": str(tmp_path), **conditions}) + "\n")
        server.stdin.flush()
        done: dict[str, Any] = json.loads(server.stdout.readline())
        assert done["code"] in (0, 1, 2), (args, conditions, done)
        assert "bug in archc" not in done["err"] and "Traceback" not in done["err"], (args, done)
        return done

    return answer


@pytest.mark.parametrize("args", READERS, ids=" ".join)
def test_every_verb_on_what_is_no_file(args: list[str], run: Run) -> None:
    for name in BROKEN:
        done = run(*args, name)
        assert done["code"] != 0, (args, name)
        assert done["err"] or "diagnostics" in done["out"] or "ruleId" in done["out"], (args, name)
    run(*args, "empty.arch")


@pytest.mark.parametrize("args", [*([*args, "good.arch"] for args in SOUND), *ALONE], ids=" ".join)
def test_every_verb_on_streams_that_fail(args: list[str], run: Run) -> None:
    usual = run(*args)["code"]
    assert run(*args, stdout="closed")["code"] == usual
    assert run(*args, stdout="closed", stderr="closed", stdin="closed")["code"] == usual
    assert run(*args, stderr="/dev/full")["code"] == usual
    full = run(*args, stdout="/dev/full")
    assert full["code"] == (usual or 1) or "cannot write to stdout" not in full["err"]
    assert "cannot write to stdout: No space left on device" in full["err"] or full["code"] == usual
    run(*args, encoding="ascii")
    run(*args, encoding="cp1252")


def test_the_verdict_stays_where_nobody_reads(tmp_path: Path) -> None:
    (tmp_path / "bad.arch").write_text("input 3x8x8\nconvv3-4\n")
    command = f"{sys.executable} cli.py check {tmp_path}/bad.arch --json | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_rules_are_ascii_where_the_encoding_has_no_others(run: Run) -> None:
    assert "\n------" in run("summary", "good.arch", encoding="ascii")["out"]
    assert "\n──────" in run("summary", "good.arch")["out"]


WRITERS = [
    *(["draw", "good.arch", "-o", "{}.svg"], ["expand", "good.arch", "-o", "{}.arch"], ["graph", "good.arch", "-o", "{}.json"]),
    *(["new", "fresh", "--from", "lenet5", "-o", "{}.arch"], ["diff", "good.arch", "good.arch", "-o", "{}.svg"]),
]


@pytest.mark.parametrize("args", WRITERS, ids=" ".join)
def test_every_writer_on_what_cannot_be_written(args: list[str], run: Run, tmp_path: Path) -> None:
    suffix = args[-1].removeprefix("{}")
    (tmp_path / f"dir{suffix}").mkdir(exist_ok=True)
    (tmp_path / f"ring{suffix}").symlink_to(f"ring{suffix}")
    (tmp_path / f"full{suffix}").symlink_to("/dev/full")
    targets = [f"dir{suffix}", f"none/a{suffix}", f"good.arch/a{suffix}", f"ring{suffix}", f"full{suffix}", f"/proc/a{suffix}"]
    for target in [*targets, "n" * 300 + suffix]:
        done = run(*args[:-1], target)
        assert done["code"] in (1, 2) and done["err"], (target, done)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".archc-")]


@pytest.mark.parametrize("args", [*WRITERS, ["fmt", "{}.arch"], ["check", "--fix", "--yes", "--all", "{}.arch"]], ids=" ".join)
def test_a_full_disk_leaves_the_old_file(args: list[str], run: Run, tmp_path: Path) -> None:
    target = args[-1].format("out")
    old = "input  3x8x8\nconv3-4(strde=1)\n" if "--fix" in args else "input  3x8x8\nrelu\n"
    if args[0] != "new":
        (tmp_path / target).write_text(old)
    done = run(*args[:-1], target, limit=16)
    assert done["code"] == 1
    assert args[0] == "new" or (tmp_path / target).read_text() == old
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".archc-")]


# ---- files


def test_writing_goes_through_links_and_keeps_the_mode(run: Run, tmp_path: Path) -> None:
    real = tmp_path / "deep/real.arch"
    real.parent.mkdir()
    real.write_text("input   3x8x8\nrelu\n")
    real.chmod(0o640)
    link = tmp_path / "link.arch"
    link.symlink_to("deep/real.arch")
    run("fmt", "link.arch")
    assert link.is_symlink() and real.read_text() == "input 3x8x8\nrelu\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    real.write_text("input 3x8x8\nconv3-4(strde=1)\n")
    run("check", "--fix", "--yes", "--choose", "1", "link.arch")
    assert link.is_symlink() and real.read_text() == "input 3x8x8\nconv3-4(stride=1)\n"
    picture = tmp_path / "link.svg"
    picture.symlink_to("deep/real.svg")
    run("draw", "good.arch", "-o", "link.svg")
    assert picture.is_symlink() and "<svg" in (tmp_path / "deep/real.svg").read_text()


def test_what_a_killed_writer_left_is_never_read_and_is_swept(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "nets"
    folder.mkdir()
    (folder / "a.arch").write_text("input 3x8x8\nrelu\n")
    (folder / ".hidden.arch").write_text("nonsense")
    (folder / ".git").mkdir()
    (folder / ".git/b.arch").write_text("nonsense")
    old, young = folder / ".archc-old.tmp", folder / ".archc-young.tmp"
    for left in (old, young):
        left.write_text("half")
    before = time.time() - LEFT - 60
    os.utime(old, (before, before))
    assert run("check", "nets")["code"] == 0
    write_text(folder / "b.arch", "input 3x8x8\nrelu\n")
    assert not old.exists() and young.exists()
    with pytest.raises(CannotWrite, match="it is a folder"):
        write_text(folder, "")


def test_use_of_what_is_no_file(run: Run, tmp_path: Path) -> None:
    for name in ("pipe.arch", "zero.arch", "folder.arch"):
        (tmp_path / "user.arch").write_text(f'use "{name}"\ninput 3x8x8\nrelu\n')
        done = run("check", "user.arch")
        assert done["code"] == 1 and "user.arch:1:1" in done["err"]
        assert "not a regular file" in done["err"]


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "large.arch"
    path.write_bytes(b"# a comment\n" * (MAX_BYTES // 12 + 1))
    (found,) = check(path).diagnostics
    assert found.code == "E0608" and "it is larger than 16 MiB" in found.message


# ---- sizes


LARGE = {
    "lines": "input 3x8x8\n" + "relu\n" * 200_000,
    "one line": "input 3x8x8\n" + "relu;" * 200_000,
    "in a group": "input 3x8x8\n{\n" + "relu\n" * 200_000 + "}\n",
    "after a mistake": "input 3x8x8\nconv3-\n" + "relu\n" * 200_000,
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_too_many_statements_are_one_mistake(text: str) -> None:
    (found,) = check_text(text).diagnostics
    assert found.code == "E0612"


def slow(line: str) -> Any:
    """A line that takes a minute: repairs are tried for each of the first errors."""
    return pytest.param(line, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "line",
    [
        slow("conv3- 8\n"),
        slow("conv3- 8;"),
        "}\n",
        "convv3-8\n",
        "relu\n",
        "conv1-4; relu\n",
        "conv3-8(pad=1)\n",
        "relu relu ",
        "relu<relu> ",
    ],
    ids=repr,
)
def test_work_is_linear_in_the_lines(line: str) -> None:
    assert_linear(lambda count: "input 8x8x8\n" + line * count, 100)


def test_a_file_just_below_the_limit_is_checked() -> None:
    report = check_text("input 3x8x8\n" + "relu\n" * 49_000)
    assert report.ok and len(report.graph) == 49_001


LONG_FILES = {
    "blank lines and comments": "\n" * 100_000 + "# c\n" * 100_000 + "input 3x8x8\nconv3- 8 x\n",
    "blank lines in parentheses": "input 3x8x8\nconv3-8(pad=1" + "\n" * 100_000,
    "mistakes": "input 3x8x8\n" + "conv3-8(pad=1 act=relu)\n" * 20_000,
    "mistakes on one line": "input 3x8x8\n" + "conv3- 8;" * 20_000,
    "items without separators": "input 3x8x8\n" + "relu relu " * 100_000,
    "a long name": "input 3x8x8\n" + "x" * 1_000_000,
    "blanks": "input 3x8x8\n" + " " * 1_000_000 + "$",
    "signs": "input 3x8x8\nrelu " + "= " * 500_000,
    "merges of nothing": "input 3x8x8\n" + "relu<relu> " * 80_000,
    "brackets": "input 3x8x8\nrelu " + "(" * 1_000_000,
    "angles": "input 3x8x8\nrelu " + "<" * 500_000,
}


@pytest.mark.parametrize("text", LONG_FILES.values(), ids=LONG_FILES)
def test_a_long_file_with_mistakes_is_answered(text: str) -> None:
    found = check_text(text).diagnostics
    assert 1 <= len(found) <= 2_010


def test_very_many_mistakes_are_not_all_read() -> None:
    found = check_text("input 3x8x8\n" + "conv3-8(pad=1 act=relu)\n" * 20_000).diagnostics
    assert len(found) == 2_000
    assert found[-1].notes == ("parsing stops here, after 2,000 errors",)


@pytest.mark.parametrize("line", ["conv3-8(pad=1", "residual<conv3-3(pad=1)", "{ relu", "residual<conv3-3(pad=1"])
def test_many_brackets_that_are_missing_are_no_deep_nesting(line: str) -> None:
    found = check_text("input 3x8x8\n" + f"{line}\n" * 3_000).diagnostics
    assert {d.code for d in found} == {"E0102"}
    assert found[0].span is not None and found[0].span.line == 2


def test_brackets_that_match_and_are_deep_are_told_as_such() -> None:
    (found,) = check_text("input 3x8x8\n" + "{ " * 300 + "relu" + " }" * 300).diagnostics
    assert found.code == "E0107"


DEEP = {
    "signs": "let a = " + "-" * 8000 + "1",
    "not": "let a = " + "not " * 8000 + "yes",
    "powers": "let a = " + "1**" * 8000 + "1",
    "fields": "let a = in" + ".c" * 8000,
    "indexes": "let a = [1]" + "[0]" * 8000,
}


@pytest.mark.parametrize("line", DEEP.values(), ids=DEEP)
def test_a_deep_chain_is_blamed_at_its_place(line: str) -> None:
    text = f"input 3x8x8\nrelu\n{line}\n"
    (found,) = check_text(text).diagnostics
    assert found.code == "E0107" and found.span is not None
    assert found.span.line == 3
    assert format_text(Source("a", text)) == text


def else_if(count: int) -> list[str]:
    branches = (f"else if n == {i} {{ let m = {i}; conv1-{{m}} }}" for i in range(5, 5 + count))
    return ["input 3x8x8", "let n = 3", "if n == 0 { relu }", *branches, "else { tanh }"]


def test_a_chain_of_else_if_is_not_deep_and_takes_linear_work() -> None:
    lines = else_if(5000)
    report = check_text("\n".join(lines))
    assert [node.op for node in report.graph] == ["input", "tanh"]
    assert report.ok and not report.warnings
    text = f"{lines[0]}\n{lines[1]}; {' '.join(lines[2:])}\n"
    assert format_text(Source("a", text)) == text
    assert_linear(lambda count: "\n".join(else_if(count)), 300)


def test_numbers_of_any_length(run: Run, tmp_path: Path) -> None:
    digits = "9" * 5000
    (tmp_path / "long.arch").write_text(f"arch a(w=4)\ninput 3x8x8\nconv3-{digits}\nlayer{digits}: relu\n")
    for args in (["check"], ["fmt"], ["expand"], ["graph"], ["draw"], ["summary"], ["explain"], ["diff", "good.arch"]):
        done = run(*args, "long.arch")
        assert args == ["fmt"] or "E0402" in done["err"], args
    for option in (["--set", f"w={digits}"], ["--set", f"w=-{digits}"], ["--input", f"{digits}x8x8"], ["--max-errors", digits]):
        assert run("check", "good.arch", *option)["code"] in (1, 2)
