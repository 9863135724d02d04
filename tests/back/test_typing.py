"""The types of the package, as a program of a user sees them: mypy is heavy, so this is not in `make check`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from archc.tests.support import ROOT

USER = ROOT / "tests/cases/typing/user.py"


def test_the_program_of_a_user_type_checks(tmp_path: Path) -> None:
    """What torch declares is left out: it takes a minute, and the program uses none of it."""
    (tmp_path / "archc").symlink_to(ROOT)
    skipped = "".join(f"[mypy-{name}.*]\nfollow_imports = skip\nignore_missing_imports = True\n" for name in ("torch", "torchvision"))
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nstrict = True\n{skipped}")
    args = ["--config-file", "mypy.ini", "--follow-imports", "silent", "--cache-dir", str(tmp_path / "cache"), str(USER)]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *args],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.startswith("Success"), done.stdout + done.stderr
