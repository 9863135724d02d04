"""The command line of this checkout, run as users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from archc.tests.support import ROOT

TINY = 'arch tiny(w=4) "a test"\ninput 3x8x8\nconv3-{w} => 4x6x6\noutput side(when=training): FC-5\nFC-2\n'


def archc(*args: str, code: int = 0, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a verb in the root of the checkout; it must end with this exit code and show no traceback."""
    environment = {**os.environ, **(env or {})}
    done = subprocess.run([sys.executable, "cli.py", *args], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def facts(*args: str, code: int = 0) -> Any:
    """What a verb writes with `--json`."""
    return json.loads(archc(*args, "--json", code=code).stdout)
