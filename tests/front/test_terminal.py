"""What the command line is at a terminal: stdin as a file, completion by the shell, the version, narrow windows, Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from archc.compiler.driver import check_text
from archc.tests.support import ROOT
from archc.tests.support.commands import archc, forked
from archc.ui.show import formats

pytestmark = pytest.mark.thorough  # processes, and files at the limits

GOOD = "input 3x8x8\nconv3-4 => 4x6x6\nrelu\n"
MESSY = "input  3x8x8\nconv3-4(strde=1)\n"


def piped(text: str, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = forked(*args, stdin=text)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_the_version() -> None:
    assert archc("--version").stdout == f"archc {version('archc')}\n"
    log = formats.sarif([])
    assert log["runs"][0]["tool"]["driver"]["version"] == version("archc")


# ---- stdin


def test_stdin_as_a_pipe() -> None:
    done = subprocess.run([sys.executable, "cli.py", "check", "-"], cwd=ROOT, input=GOOD, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "4x6x6" in done.stdout


def test_stdin_as_a_file(tmp_path: Path) -> None:
    assert "4x6x6" in piped(GOOD, "check", "-").stdout
    wrong = piped(MESSY, "check", "-", code=1)
    assert "--> <stdin>:2:9" in wrong.stderr
    assert json.loads(piped(MESSY, "check", "-", "--json", code=1).stdout)["file"] == "<stdin>"
    assert piped("input  3x8x8\nrelu\n", "fmt", "-").stdout == "input 3x8x8\nrelu\n"
    assert piped("input  3x8x8\nrelu\n", "fmt", "--check", "-", code=1).stdout == ""
    assert piped(MESSY, "check", "--fix", "-").stdout == "input  3x8x8\nconv3-4(stride=1)\n"
    assert piped(GOOD, "check", "--fix", "-").stdout == GOOD
    picture = tmp_path / "x.svg"
    piped(GOOD, "draw", "-", "-o", str(picture))
    assert "<svg" in picture.read_text()
    file = tmp_path / "b.arch"
    file.write_text(GOOD)
    assert "are the same network" in piped(GOOD, "diff", "-", str(file)).stdout
    assert "give `-` once" in piped(GOOD, "diff", "-", "-", code=2).stderr
    assert "give `-` once" in piped(GOOD, "check", "-", "-", code=2).stderr
    assert "conv3-4" in piped(GOOD, "explain", "--", "-:conv1").stdout
    assert "takes 3x9x9" in piped(GOOD, "explain", "-", "--why-not", "3x9x9").stdout


def test_use_from_stdin_looks_in_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "part.arch").write_text("block part() { relu }\n")
    done = forked("check", "-", folder=tmp_path, stdin='use "part.arch"\ninput 3x8x8\npart()\n')
    assert done.returncode == 0, done.stderr


# ---- completion


def completed(shell: str, *words: str) -> list[str]:
    """What a shell is told that may follow; the last word is the one being written."""
    environment = {"_ARCHC_COMPLETE": f"complete_{shell}"}
    line = " ".join(["archc", *words])
    environment |= {"COMP_WORDS": line.replace(" ", "\n"), "COMP_CWORD": str(len(words))}
    environment |= {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = forked(env=environment)
    assert done.stderr == ""
    return [row.partition("\t")[0] for row in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["su"], ["summary"]),
        (["check", "--max-n"], ["--max-nodes", "--max-nesting"]),
        (["check", "archs/lenet"], ["archs/lenet5.arch"]),
        (["check", "arc"], ["archs/"]),
        (["ops", "convt"], ["convt"]),
        (["explain", "E060"], ["E0601", "E0602", "E0603", "E0604", "E0605", "E0606", "E0607", "E0608", "E0609"]),
        (["new", "x", "--from", "vgg1"], ["vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]),
        (["draw", "x.arch", "--style", "p"], ["paper"]),
        (["compile", "x.arch", "--device", "c"], ["cpu", "cuda"]),
    ],
    ids=lambda words: " ".join(words),
)
def test_completion(words: list[str], wanted: list[str]) -> None:
    assert set(wanted) <= set(completed("bash", *words))


def test_completion_in_every_shell() -> None:
    assert completed("fish", "su") == ["summary"]
    assert '"summary"' in completed("zsh", "su")[0]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed(shell: str, tmp_path: Path) -> None:
    start = tmp_path / {"bash": ".bashrc", "zsh": ".zshrc", "fish": "none"}[shell]
    start.write_bytes(b"alias l=ls  # \xff")
    for _ in range(2):
        done = forked("--install-completion", shell, env={"HOME": str(tmp_path)})
        assert done.returncode == 0, done.stderr
    (script,) = [path for path in tmp_path.rglob("*") if path.is_file() and path.name not in (".bashrc", ".zshrc", "none")]
    assert str(script) in done.stderr
    assert f"complete_{shell}" in script.read_text()
    assert script.read_text() == archc("--show-completion", shell).stdout
    if shell != "fish":
        lines = start.read_bytes().splitlines()
        assert len(lines) == 2 and lines[0] == b"alias l=ls  # \xff"
    if shell == "bash":
        asked = f"source {start}; COMP_WORDS=(archc su); COMP_CWORD=1; _archc_completion archc; echo ${{COMPREPLY[@]}}"
        environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-c", asked], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
        assert done.stdout == "summary\n", done.stderr
    assert "completion is for bash, zsh, fish" in archc("--show-completion", "tcsh", code=2).stderr


# ---- terminals


def at_a_terminal(columns: int, *args: str) -> str:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    process = subprocess.Popen([sys.executable, "cli.py", *args], cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            read = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not read:
            break
        shown += read
    os.close(ours)
    process.wait(60)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [80, 120])
def test_tables_fit_the_terminal(columns: int) -> None:
    for args in (["summary", "archs/resnet50.arch"], ["table", "archs/resnet50.arch", "archs/vgg16.arch"]):
        lines = at_a_terminal(columns, *args).splitlines()
        assert max(map(len, lines)) <= columns
        assert "parameters" in lines[0] and "MACs" in lines[0]
    assert len(archc("summary", "archs/resnet50.arch").stdout.splitlines()[0]) > 120  # what is no terminal has no width


@pytest.mark.parametrize("delay", [0.02, 0.04, 0.08, 0.2])
def test_ctrl_c_is_quiet(delay: float) -> None:
    process = subprocess.Popen([sys.executable, "cli.py", "list"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(delay + 0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err


# ---- places in other formats


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("a b,c:d%20.arch", "a%20b%2Cc%3Ad%2520.arch"),
        ("<img src=x>.arch", "%3Cimg%20src%3Dx%3E.arch"),
        ("nets/\u7db2.arch", "nets/%E7%B6%B2.arch"),
        ("/nets/a b.arch", "file:///nets/a%20b.arch"),
        ("raw\udcff.arch", "raw%FF.arch"),
    ],
)
def test_uris_are_encoded(name: str, uri: str) -> None:
    log = formats.sarif(check_text("input 3x8x8\nconv3-4(strde=1)\n", name=name).diagnostics)
    (result,) = log["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": uri}
    assert result["fixes"][0]["artifactChanges"][0]["artifactLocation"] == {"uri": uri}


def test_no_text_of_a_mermaid_picture_is_a_directive() -> None:
    title = "%%{init: {'theme': 'dark'}}%% %%%{x}"
    drawn = piped(f'arch a "{title}"\ninput 3x8x8\nrelu\n', "draw", "-", "--format", "mermaid").stdout
    assert "%%{" not in drawn and "{init" not in drawn and "init" in drawn
