"""The command line of this checkout, run as users run it."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from typing import Any

from archc.tests.support import ROOT

TINY = 'arch tiny(w=4) "a test"\ninput 3x8x8\nconv3-{w} => 4x6x6\noutput side(when=training): FC-5\nFC-2\n'


@cache
def server() -> tuple[subprocess.Popen[str], str]:
    """Start the process that runs the command line in forks of itself, and a folder for what they write to their streams."""
    scratch = tempfile.TemporaryDirectory()
    command = [sys.executable, "-m", "archc.tests.support.hostile"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end() -> None:
        process.communicate()
        scratch.cleanup()

    atexit.register(end)
    return process, scratch.name


def archc(*args: str, code: int = 0, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a verb in the root of the checkout; it must end with this exit code and show no traceback.

    With `env` it is a process of its own; without, a fork of one that has imported the command line, which is much faster.
    """
    if env is not None:
        command = [sys.executable, "cli.py", *args]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=120)
    else:
        process, scratch = server()
        assert process.stdin is not None and process.stdout is not None
        case = {"folder": str(ROOT), "scratch": scratch, "args": args, "environment": dict(os.environ)}
        print(json.dumps(case), file=process.stdin, flush=True)
        answer = json.loads(process.stdout.readline())
        done = subprocess.CompletedProcess(list(args), answer["code"], answer["out"], answer["err"])
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def facts(*args: str, code: int = 0) -> Any:
    """What a verb writes with `--json`."""
    return json.loads(archc(*args, "--json", code=code).stdout)
