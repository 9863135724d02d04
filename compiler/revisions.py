"""Files as they were in another revision of a git repository: `HEAD~1:archs/net.arch`."""

from __future__ import annotations

import atexit
import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from archc.compiler.errors import UsageError

_REVISION = re.compile(r"(?P<revision>[^:\\]{2,}):(?P<path>[^:\\]+)")  # a single letter is a drive of Windows
SECONDS = 60  # for one command of git


@dataclass(frozen=True)
class Old:
    """A file of another revision: its name as given, and a copy of it beside the other `.arch` files of that revision."""

    name: str
    revision: str
    path: Path


def old(name: str) -> Old | None:
    """Return the file that `REVISION:PATH` names; None for a name of another form. The path is relative to the current folder.

    Raises UsageError where there is no git, no repository, no such revision, or no such file in it.
    """
    found = _REVISION.fullmatch(name)
    if found is None or Path(name).exists():
        return None
    revision, path = found["revision"], found["path"]
    if revision.startswith("-"):
        raise UsageError(f"a revision does not begin with a dash: {name}")
    top = Path(_git("rev-parse", "--show-toplevel").decode().strip())
    inside = _inside(path, top)
    copies = _copies(revision, str(top))
    if not (copies / inside).is_file():
        raise UsageError(f"there is no file {inside} in the revision {revision}")
    return Old(name, revision, copies / inside)


def _inside(path: str, top: Path) -> PurePosixPath:
    """Return the path of a file from the root of the repository. Raises UsageError for one outside of it."""
    full = Path.cwd().resolve().joinpath(path)
    parts: list[str] = []
    for part in full.parts:
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    try:
        return PurePosixPath(Path(*parts).relative_to(top.resolve()).as_posix())
    except ValueError:
        raise UsageError(f"{path} is outside of the repository {top}") from None


@cache
def _copies(revision: str, top: str) -> Path:
    """Return a folder with the `.arch` files of a revision, which is removed at the end of the process."""
    commit = _git(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", wrong=f"there is no revision {revision}"
    )
    archive = _git(
        "-C",
        top,
        "archive",
        "--format=tar",
        commit.decode().strip(),
        "--",
        ":(glob)**/*.arch",
        wrong=f"there is no `.arch` file in {revision}",
    )
    folder = Path(tempfile.mkdtemp(prefix="archc-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            path = PurePosixPath(member.name)
            if member.isfile() and not path.is_absolute() and ".." not in path.parts:
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                held = files.extractfile(member)
                assert held is not None  # of a regular file
                target.write_bytes(held.read())
    return folder


def _git(*args: str, wrong: str = "") -> bytes:
    """Return what a command of git prints. Raises UsageError where it fails."""
    try:
        done = subprocess.run(["git", *args], capture_output=True, check=False, timeout=SECONDS, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise UsageError("REVISION:FILE needs git, which is not installed") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"git takes longer than {SECONDS} seconds") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ").partition("\n")[0]
        raise UsageError(wrong or f"REVISION:FILE: git says: {said}")
    return done.stdout
