"""Run a verb again whenever a file that it reads changes."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from archc.compiler.errors import UsageError
from archc.compiler.files import SUFFIX, CannotWrite
from archc.dsl.diagnostics import Fault
from archc.dsl.errors import ArchError
from archc.ui.verbs.sources import STDIN
from archc.ui.verbs.terminal import talk, usage


def repeat(files: Sequence[Path], run: Callable[[], None]) -> None:
    """Run a verb now, and after every change of an `.arch` file beside or below its files, until Ctrl-C.

    Ends with exit code 2 for stdin, and with 3, by ModuleNotFoundError, where watchfiles is not installed.
    """
    from watchfiles import watch

    if any(file is STDIN for file in files):
        usage("--watch takes files, not stdin")
    if missing := [str(file) for file in files if not file.exists()]:
        usage(f"there is no {', '.join(missing)} to watch")
    gc.enable()  # the process lives long now
    folders = {str(file if file.is_dir() else file.parent) for file in files}
    _once(run)
    talk("watching; Ctrl-C ends")
    try:
        for _ in watch(*sorted(folders), watch_filter=lambda _, path: _is_source(path), raise_interrupt=True):
            _once(run)
            talk("watching; Ctrl-C ends")
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _is_source(path: str) -> bool:
    name = os.path.basename(path)
    return (name.endswith(".arch") or name in ("archc.toml", "pyproject.toml")) and not name.endswith(SUFFIX)


def _once(run: Callable[[], None]) -> None:
    """Run a verb once. Neither its exit code nor an error that the next change may mend ends the watch."""
    try:
        run()
    except typer.Exit:
        return
    except (Fault, ArchError, UsageError, CannotWrite) as error:
        talk(f"archc: {error}")
