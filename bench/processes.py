"""Time whole processes of this project from outside."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]


def run(command: list[str], check: bool = True) -> tuple[float, str]:
    """Return the seconds of a whole process and its output. Compiled bytecode is kept between runs, as Python does by default."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begin = perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=check)
    return perf_counter() - begin, done.stdout
