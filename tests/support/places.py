"""One network in several folders, so that what is written can be held against where it lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typer.testing import CliRunner

from archc.tests.support import ROOT
from archc.ui.verbs.app import app

NET = """\
use "std/residual.arch"
use "blocks/stem.arch"

arch net(classes=10)

input 3x16x16
stem(8)
layer1: [ basic(8) ] x2
adaptive_avgpool1
fc: fc-{classes}
expect params == 2_682
"""
STEM = 'use "std/residual.arch"\nblock stem(w) { conv3-{w}(pad=1) }\n'
SECRET = "home-of-someone"


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def written(base: Path) -> list[tuple[Path, str]]:
    """Write the same file into two folders below `base`, and return the places to run from: a folder, and the file's name there."""
    found = []
    for name in ("first", "second-and-longer"):
        folder = base / SECRET / name / "nets"
        (folder / "blocks").mkdir(parents=True)
        (folder / "net.arch").write_text(NET)
        (folder / "blocks/stem.arch").write_text(STEM)
        found += [(folder, "net.arch"), (folder.parent, "nets/net.arch"), (ROOT, str(folder / "net.arch"))]
        found += [(folder / "blocks", "../net.arch")]
    return found


def ran(folder: Path, *args: str, code: int = 0) -> str:
    with inside(folder):
        done = CliRunner().invoke(app, list(args))
    assert done.exit_code == code, done.output
    return done.stdout


def said_nothing_of_the_machine(data: bytes) -> None:
    for told in (SECRET, str(ROOT), str(Path.home())):
        assert told.encode() not in data, told


def all_the_same(made: list[bytes]) -> bytes:
    assert all(data == made[0] for data in made)
    said_nothing_of_the_machine(made[0])
    return made[0]
