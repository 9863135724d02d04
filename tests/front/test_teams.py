"""What a team uses: settings of a project, revisions of git, `--watch`, hooks of pre-commit and the action of GitHub."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from archc.tests.support import ROOT
from archc.tests.support.commands import forked

pytestmark = pytest.mark.thorough  # `make test` runs it, and `make check` does not

CLI = [sys.executable, str(ROOT / "cli.py")]
FIRST = "arch net\n\ninput 3x8x8\nconv3-4\n"
SECOND = "arch net\n\ninput 3x8x8\nconv3-8\nrelu\nrelu\n"


def archc(folder: Path, *args: str, code: int = 0) -> str:
    done = forked(*args, folder=folder)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def git(folder: Path, *args: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *identity, *args], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "net.arch").write_text(FIRST)
    return tmp_path


@pytest.fixture
def repository(project: Path) -> Path:
    git(project, "init", "-q")
    (project / "nets" / "part.arch").write_text("block part(w) { conv3-{w} }\n")
    (project / "nets" / "user.arch").write_text('arch user\nuse "part.arch"\n\ninput 3x8x8\npart(4)\n')
    git(project, "add", "-A")
    git(project, "commit", "-qm", "first")
    (project / "nets" / "net.arch").write_text(SECOND)
    (project / "nets" / "part.arch").write_text("block part(w) { conv5-{w} }\n")
    return project


# ---- settings


def test_paths_are_taken_where_no_file_is_given(project: Path) -> None:
    assert "give a file or folder" in archc(project, "check", code=2)
    (project / "pyproject.toml").write_text('[tool.archc]\npaths = ["nets"]\n')
    assert "input: 3x8x8" in archc(project, "check")
    assert "input: 3x8x8" in archc(project / "nets", "check")
    (project / "nets" / "net.arch").write_text(FIRST.replace("conv3-4", "conv3-4( bias = no )"))
    assert "would change" in archc(project, "fmt", "--check", code=1)


def test_warnings_are_switched_off(project: Path) -> None:
    (project / "nets" / "net.arch").write_text(SECOND)
    assert "W0118" in archc(project, "check", "nets")
    (project / "archc.toml").write_text('warnings-off = ["W0118"]\n')
    assert "W0118" not in archc(project, "check", "nets")
    assert "W0118" not in archc(project, "check", "nets/net.arch", "--json")


def test_the_nearest_folder_counts(project: Path) -> None:
    (project / "archc.toml").write_text("width = 3\n")
    (project / "nets" / "pyproject.toml").write_text("[tool.archc]\n")
    archc(project, "check", "nets/net.arch")
    (project / "nets" / "pyproject.toml").write_text("[tool.other]\n")
    assert "archc.toml:1:1" in archc(project, "check", "nets/net.arch", code=1)


def test_width_of_tables_in_logs(project: Path) -> None:
    wide = archc(project, "summary", "nets/net.arch")
    (project / "archc.toml").write_text("width = 60\n")
    narrow = archc(project, "summary", "nets/net.arch")
    assert max(map(len, wide.split("\n"))) > 60 >= max(map(len, narrow.split("\n")))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("widht = 80", 1, "did you mean `width`?"),
        ("\nwidth = 3", 2, "at least 40"),
        ("width = true", 1, "at least 40"),
        ("paths = 'nets'", 1, "a list of files"),
        ("warnings-off = ['E0101']", 1, "errors cannot be switched off"),
        ("\n\nwidth = = 3", 3, "is not TOML"),
        ("colour = 1", 1, "the settings are paths, warnings-off, width"),
    ],
)
def test_wrong_settings_are_told_at_their_line(project: Path, text: str, line: int, said: str) -> None:
    (project / "archc.toml").write_text(text)
    told = archc(project, "check", "nets", code=1)
    assert "E0615" in told
    assert f"archc.toml:{line}:" in told
    assert said in told


# ---- revisions


def test_diff_against_a_revision(repository: Path) -> None:
    told = archc(repository, "diff", "HEAD:nets/net.arch", "nets/net.arch", code=1)
    assert "conv3-4 -> conv3-8" in told
    assert "net (at HEAD): 112 parameters" in told
    assert archc(repository / "nets", "diff", "HEAD:net.arch", "net.arch", code=1) == told
    assert "| ~ changed |" in archc(repository, "diff", "--md", "HEAD:nets/net.arch", "nets/net.arch", code=1)
    git(repository, "commit", "-qam", "second")
    assert "the same network" in archc(repository, "diff", "HEAD:nets/net.arch", "nets/net.arch")
    archc(repository, "diff", "HEAD~1:nets/net.arch", "nets/net.arch", code=1)


def test_a_revision_uses_the_files_of_that_revision(repository: Path) -> None:
    assert "conv3-4" in archc(repository, "expand", "HEAD:nets/user.arch")
    assert "conv5-4" in archc(repository, "expand", "nets/user.arch")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("HEAD~9:nets/net.arch", "no revision HEAD~9"),
        ("HEAD:nets/none.arch", "no file nets/none.arch in the revision HEAD"),
        ("HEAD:../../x.arch", "outside of the repository"),
        ("--output=x:nets/net.arch", "No such option"),
        ("-x:nets/net.arch", "No such option"),
    ],
)
def test_wrong_revisions(repository: Path, name: str, said: str) -> None:
    assert said.lower() in archc(repository, "check", name, code=2).lower()


def test_no_repository(project: Path) -> None:
    assert "not a git repository" in archc(project, "check", "HEAD:nets/net.arch", code=2)


# ---- watching


def wait_for(holds: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


@pytest.mark.thorough
def test_watch_checks_again_after_a_change(project: Path) -> None:
    out = project / "out"
    with (
        out.open("w") as file,
        subprocess.Popen(
            [*CLI, "check", "--watch", "nets/net.arch"], cwd=project, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        ) as watching,
    ):
        wait_for(lambda: "watching" in out.read_text())
        time.sleep(0.5)
        (project / "nets" / "net.arch").write_text(FIRST + "conv3-4(pad=sme)\n")
        wait_for(lambda: "E0204" in out.read_text())
        (project / "nets" / "net.arch").write_text(SECOND)
        wait_for(lambda: "224" in out.read_text())
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 0


@pytest.mark.thorough
def test_watch_draws_again(project: Path) -> None:
    out = project / "net.dot"
    with subprocess.Popen(
        [*CLI, "draw", "--watch", "nets/net.arch", "-o", "net.dot"], cwd=project, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as watching:
        wait_for(out.exists)
        time.sleep(0.5)
        (project / "nets" / "net.arch").write_text(SECOND)
        wait_for(lambda: "conv3-8" in out.read_text() or "8x6x6" in out.read_text() or "8×6×6" in out.read_text())
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 0


def test_watch_refuses(project: Path) -> None:
    assert "not stdin" in archc(project, "check", "--watch", "-", code=2)
    assert "there is no none.arch to watch" in archc(project, "check", "--watch", "none.arch", code=2)
    assert "give -o FILE" in archc(project, "draw", "--watch", "nets/net.arch", code=2)
    assert "leave out --fix" in archc(project, "check", "--watch", "--fix", "nets/net.arch", code=2)


# ---- hooks and the action


def test_hooks_name_verbs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert [hook["id"] for hook in hooks] == ["archc-check", "archc-fmt"]
    for hook in hooks:
        assert hook["entry"] == hook["id"].replace("-", " ")


@pytest.fixture
def on_path(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment in which `archc` is this checkout."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "archc"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT / "cli.py"}" "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def script(name: str, folder: Path, env: dict[str, str], **variables: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(ROOT / ".github" / name)]
    return subprocess.run(command, cwd=folder, env=env | variables, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.thorough
def test_action_writes_what_a_pull_request_changes(repository: Path, on_path: dict[str, str]) -> None:
    base = git(repository, "rev-parse", "HEAD").strip()
    outputs = repository / "outputs"
    done = script("changes.sh", repository, on_path, BASE=base, COMMENT="archc.md", GITHUB_OUTPUT=str(outputs))
    assert done.returncode == 0, done.stderr
    assert outputs.read_text() == "changed=true\n"
    comment = (repository / "archc.md").read_text()
    assert comment.startswith("### nets/net.arch\n\n| change")
    assert "conv3-4 -> conv3-8" in comment
    assert "part.arch" not in comment


@pytest.mark.thorough
def test_action_checks(repository: Path, on_path: dict[str, str]) -> None:
    done = script("check.sh", repository, on_path, PATHS="", SARIF="archc.sarif")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((repository / "archc.sarif").read_text())["version"] == "2.1.0"
    (repository / "nets" / "net.arch").write_text(FIRST + "conv3-4(pad=sme)\n")
    done = script("check.sh", repository, on_path, PATHS="nets", SARIF="archc.sarif")
    assert done.returncode == 1
    assert "::error file=nets/net.arch,line=5" in done.stdout
    assert json.loads((repository / "archc.sarif").read_text())["runs"][0]["results"]


def test_action_is_a_composite_of_these_scripts() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    steps = action["runs"]["steps"]
    for name in ("changes.sh", "check.sh"):
        assert any(name in step.get("run", "") for step in steps)
        assert (ROOT / ".github" / name).is_file()
    for step in steps:
        assert "${{" not in step.get("run", ""), "an expression in a script is code of whoever names a branch"


@pytest.mark.slow
def test_pre_commit_runs_the_hooks(project: Path) -> None:
    """The real pre-commit, with this repository as its source: it installs the package, so it needs an index of packages."""
    if find_spec("pre_commit") is None:
        pytest.skip("pre-commit is not installed")
    source = project / "source"
    git(project, "clone", "-q", str(ROOT), str(source))
    revision = git(source, "rev-parse", "HEAD").strip()
    user = project / "user"
    user.mkdir()
    git(user, "init", "-q")
    (user / "net.arch").write_text(FIRST + "conv3-4( bias = no )\n")
    hooks = [{"id": "archc-fmt"}, {"id": "archc-check"}]
    (user / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [{"repo": str(source), "rev": revision, "hooks": hooks}]}))
    git(user, "add", "-A")
    env = os.environ | {"PRE_COMMIT_HOME": str(project / "home")}
    first, second = (
        subprocess.run(
            [sys.executable, "-m", "pre_commit", "run", "--all-files"], cwd=user, env=env, capture_output=True, text=True, check=False
        )
        for _ in "ab"
    )
    assert first.returncode == 1, first.stdout
    assert "files were modified by this hook" in first.stdout
    assert "conv3-4(bias=no)" in (user / "net.arch").read_text()
    assert second.returncode == 0, second.stdout
