"""archc: the command line. Every verb parses its arguments, calls, prints, and ends with an exit code.

0 fine; 1 the file has errors; 2 wrong usage; 3 an optional dependency is missing; 70 a fault of archc itself.
Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from typing import NoReturn

import typer

from compiler.show.colour import painter
from compiler.verbs import checking, looking, reference, running
from compiler.verbs.terminal import talk
from dsl.diagnostics import ArchError
from dsl.rendering import render_all

app = typer.Typer(
    name="archc",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Networks as text, compiled: check, expand, count and lower `.arch` files.",
)

for verb in (
    running.compile,
    running.bench,
    checking.check_,
    checking.expand,
    looking.draw,
    checking.fmt,
    checking.graph,
    looking.summary_,
    looking.table_,
    looking.diff_,
    reference.list_,
    reference.new,
    running.weights,
    reference.ops,
    reference.explain,
):
    app.command(verb.__name__.rstrip("_"))(verb)

OPTIONAL = {"torch": "torch", "safetensors": "torch", "numpy": "torch", "matplotlib": "plots"}  # module -> the extra that brings it


def main() -> None:
    """Run the command line; the only way out is an exit code."""
    gc.disable()  # a short life, with many objects and few cycles: looking for these takes a tenth of the time
    try:
        app()
    except ModuleNotFoundError as error:
        extra = OPTIONAL.get((error.name or "").partition(".")[0])
        if extra is None:
            _fault()
        talk(f"archc: this needs {error.name}, which is not installed: pip install 'archc[{extra}]'")
        sys.exit(3)
    except ArchError as error:
        talk(render_all(error.diagnostics, paint=painter(sys.stderr)))
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception:
        _fault()


def _fault() -> NoReturn:
    """A mistake of ours. The traceback is for us, so it is shown only when asked for."""
    error = sys.exc_info()[1]
    talk(f"archc: a fault of archc itself, not of the file: {type(error).__name__}: {error}")
    if os.environ.get("ARCHC_TRACEBACK"):
        traceback.print_exc()
    else:
        talk("please report it with the file; ARCHC_TRACEBACK=1 shows where it happened")
    sys.exit(70)


if __name__ == "__main__":
    main()
