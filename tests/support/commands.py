"""The command line of this checkout, run as users run it."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from archc.tests.support import ROOT

TINY = 'arch tiny(w=4) "a test"\ninput 3x8x8\nconv3-{w} => 4x6x6\noutput side(when=training): FC-5\nFC-2\n'

Done = subprocess.CompletedProcess[str]

# What verbs import that run a network. It takes seconds, so that a process of its own has imported it.
RUNNING = ("bench", "compile", "profile", "show", "weights")
HEAVY = ("torch.export", "torch._dynamo", "archc.compiler.backends.torch.files", "archc.compiler.backends.torch.verify")


@cache
def server(*modules: str) -> tuple[subprocess.Popen[str], str]:
    """Start the process that runs the command line in forks of itself, and a folder for what they write to their streams.

    It has imported these modules, too.
    """
    scratch = tempfile.TemporaryDirectory()
    command = [sys.executable, "-m", "archc.tests.support.hostile", *modules]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end() -> None:
        process.communicate()
        scratch.cleanup()

    atexit.register(end)
    return process, scratch.name


def forked(
    *args: str,
    folder: Path = ROOT,
    stdin: str = "",
    env: Mapping[str, str] = MappingProxyType({}),
    **conditions: Any,
) -> Done:
    """Run a verb in a folder, in a fork of a process that has imported the command line, and torch for verbs that run a network.

    What it reads from stdin is a file. Variables of `env` are set after Python has started and the command line has been imported.
    The conditions are those of `hostile`.
    """
    heavy = ({*args[:1]} & {*RUNNING} or "--verify" in args) and find_spec("torch") is not None
    process, scratch = server(*(HEAVY if heavy else ()))
    assert process.stdin is not None and process.stdout is not None
    given = Path(scratch) / "given"
    given.write_text(stdin, encoding="utf-8")
    case = {
        "folder": str(folder),
        "scratch": scratch,
        "args": args,
        "environment": {**os.environ, **env},
        "stdin": str(given),
        **conditions,
    }
    print(json.dumps(case), file=process.stdin, flush=True)
    answer = json.loads(process.stdout.readline())
    return subprocess.CompletedProcess(list(args), answer["code"], answer["out"], answer["err"])


def archc(*args: str, code: int = 0, env: dict[str, str] | None = None) -> Done:
    """Run a verb in the root of the checkout; it must end with this exit code and show no traceback.

    With `env` it is a process of its own; without, a fork of one that has imported the command line, which is much faster.
    """
    if env is not None:
        command = [sys.executable, "cli.py", *args]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=120)
    else:
        done = forked(*args)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def facts(*args: str, code: int = 0) -> Any:
    """What a verb writes with `--json`."""
    return json.loads(archc(*args, "--json", code=code).stdout)
