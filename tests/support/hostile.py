"""Runs the command line many times in a short while: one process imports it, and a fork of that runs each case.

`python -m archc.tests.support.hostile` is that process; the words after it are further modules that it imports first.

Reads cases as JSON lines, and answers each with its exit code, what went to stdout and to stderr. Of a case, `first` is code that is run
before the verb, and `limit` the size in bytes that no file may exceed.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

SECONDS = 120  # after which a case counts as hanging; its exit code is then that of SIGALRM


def main() -> None:
    from archc.ui.verbs import app

    assert app
    for name in sys.argv[1:]:
        import_module(name)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


def answer(case: dict[str, Any]) -> dict[str, Any]:
    places = {name: Path(case.get("scratch", case["folder"])) / f".{name}" for name in ("out", "err")}
    child = os.fork()
    if child == 0:
        os.environ.update(case.get("environment", {}))
        os.chdir(case["folder"])
        run(case, places)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    shown = {name: path.read_bytes().decode(errors="replace") if path.exists() else "" for name, path in places.items()}
    for path in places.values():
        path.unlink(missing_ok=True)
    return {"code": code, **shown}


def run(case: dict[str, Any], places: dict[str, Path]) -> None:
    """In the fork: set the streams up as the case wants them, and never return."""
    signal.alarm(SECONDS)
    if "limit" in case:
        resource.setrlimit(resource.RLIMIT_FSIZE, (case["limit"], case["limit"]))
    wanted = (case.get("stdin", os.devnull), case.get("stdout", str(places["out"])), case.get("stderr", str(places["err"])))
    for number, name in enumerate(wanted):
        os.close(number)
        if name != "closed":
            handle = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
    encoding = case.get("encoding", "utf-8")
    sys.stdin = None if wanted[0] == "closed" else open(0, encoding="utf-8", closefd=False)  # type: ignore[assignment]  # noqa: SIM115
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = None if wanted[number] == "closed" else open(number, "w", encoding=encoding, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
    sys.argv = ["archc", *case["args"]]
    code: Any = 99
    try:
        exec(case.get("first", ""), {})
        from archc.ui.verbs.app import run as archc

        archc()
    except SystemExit as end:
        code = end.code
    except BaseException as error:
        with contextlib.suppress(Exception):
            sys.stderr.write(f"Traceback: {error!r}\n")
            sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 98)


if __name__ == "__main__":
    main()
